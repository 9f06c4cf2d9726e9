"""GPipe: all forwards, then all backwards. Source: Huang et al. 2019, fig. 2c."""

import numpy as np
from numpy.typing import ArrayLike

from crosszone.core.schedules.action import Action, backward, forward
from crosszone.core.tables import Floats

NAME = "gpipe"


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 1) -> tuple[Action, ...]:
    """Every forward in order, then every backward in order."""
    forwards = tuple(forward(index) for index in range(num_microbatches))
    return forwards + tuple(backward(index) for index in range(num_microbatches))


def in_flight(
    stage: ArrayLike, num_stages: ArrayLike, num_microbatches: ArrayLike, num_virtual_stages: ArrayLike
) -> Floats:
    """All of them: m."""
    return np.asarray(num_microbatches, dtype=float) + 0.0 * np.asarray(stage)
