"""ZB-V: two chunks on each rank, laid out there and back again, and split backwards.

Source: Qi et al. 2023 (2401.10241), sec. 6.
"""

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward, weight_gradient
from crosszone.core.tables import Floats, Numeric

NAME = "zbv"
PLACEMENT = "v"
SPLITS_BACKWARD = True
VIRTUAL_STAGES = (2, 2)
THERE, BACK = 0, 1


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 2) -> tuple[Action, ...]:
    """Warm-up until the chunks of the first microbatches meet; then one F, B and W of each chunk in turn.

    Written for at least 2p - 1 microbatches: with fewer, what does not exist is left out.
    """
    script = _Script(max(num_microbatches, 2 * num_stages - 1))
    for _ in range(2 * (num_stages - stage) - 1):
        script.add(THERE, "F")
    for _ in range(stage):
        script.add(BACK, "F")
        script.add(THERE, "F")
    for _ in range(num_stages - stage):
        script.add(BACK, "FBW")
    while script.has_more(BACK, "F"):
        script.add(THERE, "FBW")
        script.add(BACK, "FBW")
    for _ in range(stage):
        script.add(THERE, "B")
        script.add(BACK, "B")
    for _ in range(num_stages - stage):
        script.add(THERE, "BW")
    script.finish(BACK)
    script.finish(THERE)
    return tuple(action for action in script.actions if action.microbatch < num_microbatches)


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """min(m, p): 2p chunks of half a rank's layers, on every rank alike, as 1F1B's first rank. Source: sec. 6."""
    count = np.minimum(np.asarray(num_microbatches, dtype=float), np.asarray(num_stages))
    return np.asarray(count + 0.0 * np.asarray(stage))


class _Script:
    """A rank's actions as they are written down; each kind of each chunk counts its microbatches from 0."""

    def __init__(self, num_microbatches: int) -> None:
        self.num_microbatches = num_microbatches
        self.actions: list[Action] = []
        self._next = {(chunk, letter): 0 for chunk in (THERE, BACK) for letter in "FBW"}

    def has_more(self, chunk: int, letter: str) -> bool:
        """Whether a microbatch is left for it."""
        return self._next[chunk, letter] < self.num_microbatches

    def add(self, chunk: int, letters: str) -> None:
        """The next microbatch of each letter, if one is left."""
        make = {"F": forward, "B": backward, "W": weight_gradient}
        for letter in letters:
            if self.has_more(chunk, letter):
                self.actions.append(make[letter](self._next[chunk, letter], chunk))
                self._next[chunk, letter] += 1

    def finish(self, chunk: int) -> None:
        """All weight gradients that are left."""
        while self.has_more(chunk, "W"):
            self.add(chunk, "W")
