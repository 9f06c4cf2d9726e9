"""DualPipe: two copies of the model, laid out in opposite directions, share the ranks.

Source: DeepSeek-V3 technical report (2412.19437), sec. 3.2.1 and fig. 5; deepseek-ai/DualPipe for the number of each.
"""

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward, weight_gradient
from crosszone.core.tables import Floats, Numeric

NAME = "dualpipe"
PLACEMENT = "both_ways"
SPLITS_BACKWARD = True
NUM_COPIES = 2
"""Of the parameters that a rank holds: those of stage r and of stage p - 1 - r."""


def refusal(num_stages: int, num_microbatches: int) -> str:
    """Why it cannot run this shape; empty where it can."""
    if num_stages % 2:
        return f"it needs an even pp, not {num_stages}"
    if num_microbatches % 2 or num_microbatches < 2 * num_stages:
        return f"it needs an even number of at least 2*pp = {2 * num_stages} microbatches, not {num_microbatches}"
    return ""


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 1) -> tuple[Action, ...]:
    """Virtual stage 0 is the copy whose microbatches, the first half, go up the ranks; 1 that of those that go down.

    In the words of the source: eight phases, from forwards of the near copy to weight gradients.
    """
    assert not refusal(num_stages, num_microbatches), refusal(num_stages, num_microbatches)
    half, from_edge = num_stages // 2, min(stage, num_stages - 1 - stage)
    script = _Script(num_microbatches // 2, near=0 if stage < half else 1)
    to_middle = half - 1 - from_edge
    script.repeat(2 * to_middle, ("F0",))
    script.repeat(from_edge + 1, ("F0", "F1"))
    script.repeat(to_middle, ("B1", "W", "F1"))
    main = num_microbatches // 2 - num_stages + from_edge + 1
    script.repeat(main, ("F0", "A1", "F1", "A0"))
    script.repeat(to_middle, ("A1", "F1", "A0"))
    script.drain(from_edge + 1)
    script.repeat(to_middle, ("W", "B0"))
    script.repeat(from_edge + 1, ("W",))
    return tuple(script.actions)


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """min(m, p + 1): on every rank alike. Source: table 2 of the report."""
    count = np.minimum(np.asarray(num_microbatches, dtype=float), np.asarray(num_stages) + 1.0)
    return np.asarray(count + 0.0 * np.asarray(stage))


class _Script:
    """A rank's actions as they are written down: F, B (of the input), A (all of the backward) of copy 0 or 1, W.

    Copy 0 is the one whose first stages are near this rank; weight gradients wait in the order of their backwards.
    """

    def __init__(self, per_direction: int, near: int) -> None:
        self.actions: list[Action] = []
        self._per_direction, self._near = per_direction, near
        self._count = {(letter, copy): 0 for letter in "FB" for copy in "01"}
        self._waiting: list[Action] = []

    def repeat(self, times: int, steps: tuple[str, ...]) -> None:
        """These steps in turn."""
        for step in steps * times:
            self._add(step)

    def drain(self, times: int) -> None:
        """Backwards of both copies; from the middle on their weight gradients wait."""
        splits = False
        for index in range(times):
            splits = splits or (index == times // 2 and times % 2 == 0)
            self._add("B1" if splits else "A1")
            splits = splits or index == times // 2
            self._add("B0" if splits else "A0")

    def _add(self, step: str) -> None:
        if step == "W":
            self.actions.append(self._waiting.pop(0))
            return
        letter, copy = step[0].replace("A", "B"), step[1]
        flow = self._near if copy == "0" else 1 - self._near
        microbatch = flow * self._per_direction + self._count[letter, copy]
        self._count[letter, copy] += 1
        self.actions.append((forward if letter == "F" else backward)(microbatch, flow))
        if step[0] == "B":
            self._waiting.append(weight_gradient(microbatch, flow))
