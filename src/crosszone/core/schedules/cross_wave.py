"""CrossPipe's wave schedule: two chunks a rank, there and back as in ZB-V, in an order made from times and delays.

Source: Chen et al. 2025 (CrossPipe, 2507.00217), sec. 4.
"""

import dataclasses

import numpy as np

from crosszone.core.schedules.greedy import greedy_orders
from crosszone.core.schedules.work import Orders, Work
from crosszone.core.tables import Floats, Numeric

NAME = "cross_wave"
PLACEMENT = "v"
SPLITS_BACKWARD = True
VIRTUAL_STAGES = (2, 2)
ROUNDS_HELD = 2.0
"""Times p microbatches that a rank may hold."""
RESERVES = (1, 2, 3)
"""Chunks kept for the way back that are tried, beside a quarter of all that may be held."""

TRIED_ROUNDS = 4
"""Times the chunks in flight: a steady state shows in so many microbatches."""


def orders(work: Work) -> Orders:
    """The fastest of a few that leave more or less room for the way back."""
    most = max(2, int(min(work.most_in_flight, work.num_microbatches) * 2))
    reserves = sorted({min(reserve, most - 1) for reserve in (*RESERVES, most // 4)})
    few = dataclasses.replace(work, num_microbatches=min(work.num_microbatches, TRIED_ROUNDS * most))
    best = min(reserves, key=lambda reserve: greedy_orders(few, num_reserved=reserve)[1])
    return greedy_orders(work, num_reserved=best)[0]


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """At most min(m, 2p) on every rank."""
    most = np.minimum(np.asarray(num_microbatches, dtype=float), ROUNDS_HELD * np.asarray(num_stages))
    return np.asarray(most + 0.0 * np.asarray(stage))
