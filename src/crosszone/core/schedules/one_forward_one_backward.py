"""1F1B: after a warm-up, each rank alternates forward and backward. Source: Narayanan et al. 2019 (PipeDream), 2021."""

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward
from crosszone.core.tables import Floats, Numeric

NAME = "1f1b"


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 1) -> tuple[Action, ...]:
    """Warm-up of p - 1 - stage forwards, then forward and backward in turn, then the backwards that are left."""
    warm_up = min(num_stages - 1 - stage, num_microbatches)
    actions = [forward(index) for index in range(warm_up)]
    for index in range(num_microbatches - warm_up):
        actions += [forward(warm_up + index), backward(index)]
    return tuple(actions + [backward(index) for index in range(num_microbatches - warm_up, num_microbatches)])


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """min(m, p - stage): the warm-up and the one at work. Source: Narayanan et al. 2021, sec. 2.2.1."""
    return np.asarray(np.minimum(np.asarray(num_microbatches, dtype=float), np.asarray(num_stages) - np.asarray(stage)))
