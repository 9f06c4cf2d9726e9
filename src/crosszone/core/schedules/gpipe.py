"""GPipe: all forwards, then all backwards. Source: Huang et al. 2019, fig. 2c."""

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward
from crosszone.core.tables import Floats, Numeric

NAME = "gpipe"


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 1) -> tuple[Action, ...]:
    """Every forward in order, then every backward in order."""
    forwards = tuple(forward(index) for index in range(num_microbatches))
    return forwards + tuple(backward(index) for index in range(num_microbatches))


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """All of them: m."""
    return np.asarray(num_microbatches, dtype=float) + 0.0 * np.asarray(stage)
