"""CrossPipe's unidirectional schedule of halved microbatches, whose messages are on their way sooner.

Source: Chen et al. 2025 (CrossPipe, 2507.00217), sec. 4.
"""

import numpy as np

from crosszone.core.schedules.greedy import greedy_orders
from crosszone.core.schedules.work import Orders, Work
from crosszone.core.tables import Floats, Numeric

NAME = "cross_ud_sub"
SPLITS_BACKWARD = True
NUM_PARTS = 2
"""Of a microbatch. Halves are taken to last half as long: what smaller GEMMs lose is not counted."""
ROUNDS_HELD = 2.0
"""Times p microbatches that a rank may hold: the paper's memory of 2.0, with which latency is almost hidden."""


def orders(work: Work) -> Orders:
    """As soon as things arrive, within the memory that may be held."""
    return greedy_orders(work, num_parts=NUM_PARTS)[0]


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """At most min(m, 2p) on every rank."""
    most = np.minimum(np.asarray(num_microbatches, dtype=float), ROUNDS_HELD * np.asarray(num_stages))
    return np.asarray(most + 0.0 * np.asarray(stage))
