"""Interleaved 1F1B: each rank holds several virtual stages. Source: Narayanan et al. 2021 (SC21), sec. 2.2.2."""

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward
from crosszone.core.tables import Floats, Numeric

NAME = "interleaved_1f1b"
VIRTUAL_STAGES = (2, None)


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 1) -> tuple[Action, ...]:
    """Microbatches go in rounds of p through virtual stage 0, then 1, ...; the warm-up is 2(p-1-stage) + (v-1)p.

    Needs num_microbatches to be a multiple of num_stages, as the paper does.
    """
    p, m, v = num_stages, num_microbatches, num_virtual_stages
    assert m % p == 0, "interleaved 1F1B needs a multiple of the pipeline's ranks"
    total = m * v
    warm_up = min(2 * (p - 1 - stage) + (v - 1) * p, total)
    forwards = [forward(*_unit(index, p, v)) for index in range(total)]
    units = (_unit(index, p, v) for index in range(total))
    backwards = [backward(microbatch, v - 1 - virtual) for microbatch, virtual in units]
    actions = forwards[:warm_up]
    for index in range(total - warm_up):
        actions += [forwards[warm_up + index], backwards[index]]
    return tuple(actions + backwards[total - warm_up :])


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """The warm-up and the one at work, in virtual stages of 1/v of a rank's layers each; at most all of them."""
    p, v = np.asarray(num_stages, dtype=float), np.asarray(num_virtual_stages, dtype=float)
    units = 2.0 * (p - 1.0 - np.asarray(stage)) + (v - 1.0) * p + 1.0
    return np.asarray(np.minimum(np.asarray(num_microbatches, dtype=float), units / v))


def _unit(index: int, num_stages: int, num_virtual_stages: int) -> tuple[int, int]:
    """(microbatch, virtual stage) of the index-th forward."""
    round_index, within = divmod(index, num_stages * num_virtual_stages)
    virtual_stage, microbatch = divmod(within, num_stages)
    return round_index * num_stages + microbatch, virtual_stage
