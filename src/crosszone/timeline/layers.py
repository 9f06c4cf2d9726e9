"""Agreement layer by layer: what compute waits for where each layer's exchange runs beside the others' compute.

Times of work count compute alone, from the start of the first step; what was waited for comes on top.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FORWARD_SHARE = 1.0 / 3.0
"""Of a step; the backward has twice as many FLOP. Source: Kaplan et al. 2020 (arXiv 2001.08361), sec. 2.1."""
STEADY_ROUNDS = 4
"""After as many agreements on the whole model waits repeat: what an earlier one left on the link is gone or grows as
fast with each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerExchange:
    """One layer's part of an agreement."""

    ready_seconds: float
    """Work after which it can start: the layer's backward is done."""
    needed_seconds: float
    """Work before which it must have ended: the layer's forward of the step that wants it."""
    transfer_seconds: float


def waited_seconds(exchanges: Iterable[LayerExchange]) -> float:
    """Seconds that compute stands still. One link carries the exchanges one after another, as they become ready.

    With w(x) what was waited for before work x:
        end = max(ready + w(ready), end of the one before) + transfer,  w(needed) >= end - needed
    Assumes: `exchanges` come in order of `ready_seconds`.
    """
    waited = free = 0.0
    gates: list[tuple[float, float]] = []  # (needed, end)
    for each in exchanges:
        while gates and gates[0][0] <= each.ready_seconds:
            needed, end = heapq.heappop(gates)
            waited = max(waited, end - needed)
        free = max(each.ready_seconds + waited, free) + each.transfer_seconds
        heapq.heappush(gates, (each.needed_seconds, free))
    return max([waited, *(end - needed for needed, end in gates)])


def layered_wait_seconds(
    *,
    step_seconds: float,
    num_layers: int,
    every: int,
    transfer_seconds: float,
    num_fragments: int = 1,
    num_delay_steps: int = 0,
) -> float:
    """What the agreements of `every` steps make compute wait in steady state.

    The whole model takes the link `transfer_seconds`, each layer an equal part. With fragments each holds every F-th
    layer (strided) and is agreed on once in `every` steps, one after the other. An exchange has until the same layer's
    forward of the next step, and `num_delay_steps` whole steps more. Source: Douillard et al. 2025 (arXiv 2501.18512),
    sec. 3.1 and figure 3.
    """

    def waited(num_rounds: int) -> float:
        return waited_seconds(
            _exchanges(
                step_seconds, num_layers, every, transfer_seconds, num_fragments, num_delay_steps, num_rounds=num_rounds
            )
        )

    return (waited(2 * STEADY_ROUNDS) - waited(STEADY_ROUNDS)) / STEADY_ROUNDS


def _exchanges(
    step_seconds: float,
    num_layers: int,
    every: int,
    transfer_seconds: float,
    num_fragments: int,
    num_delay_steps: int,
    *,
    num_rounds: int,
) -> Iterator[LayerExchange]:
    forward = FORWARD_SHARE * step_seconds
    backward = step_seconds - forward
    for turn in range(1, num_rounds * num_fragments + 1):
        start = (math.floor(turn * every / num_fragments) - 1) * step_seconds
        for layer in reversed(range((turn - 1) % num_fragments, num_layers, num_fragments)):
            above = (num_layers - layer) / num_layers
            yield LayerExchange(
                ready_seconds=start + forward + above * backward,
                needed_seconds=start + (1 + num_delay_steps) * step_seconds + (1.0 - above) * forward,
                transfer_seconds=transfer_seconds / num_layers,
            )
