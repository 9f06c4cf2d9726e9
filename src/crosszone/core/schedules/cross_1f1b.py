"""1F1B with as many microbatches more on their way as hide the delay of each boundary.

Source: in-flight microbatches against delay, Chen et al. 2025 (CrossPipe, 2507.00217), sec. 3.4.
"""

import math

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward
from crosszone.core.schedules.work import Orders, Work
from crosszone.core.tables import Floats, Numeric

NAME = "cross_1f1b"
SPLITS_BACKWARD = False
LEAST_FRACTION = 0.05
"""Of a microbatch's time: a delay there and back below it is not worth the memory of a microbatch."""


def orders(work: Work) -> Orders:
    """Warm-up of p - 1 - stage forwards, as in 1F1B, and for each boundary ahead as many as its round trip lasts.

    Two neighbours pass microbatches around a loop of 2t + 2(c + x) with 2 on it; with n more the period is
    2(t + c + x) / (2 + n), which is t for n = 2(c + x) / t. Limited by what may be held.
    """
    p, m = work.num_stages, work.num_microbatches
    busiest = max(sum(seconds) for seconds in zip(work.forward_seconds, _backwards(work), strict=True))
    ahead = [0] * p
    for stage in reversed(range(p - 1)):
        trip = 2.0 * (work.delay_seconds[stage] + work.transfer_seconds[stage]) / busiest
        ahead[stage] = ahead[stage + 1] + (math.ceil(trip - 1e-9) if trip > LEAST_FRACTION else 0)
    most = max(int(min(work.most_in_flight, m)), 1)
    return tuple(_order(min(p - 1 - stage + ahead[stage], most - 1), m) for stage in range(p))


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """At most min(m, 2p) on every rank: what the delays take is known only with the links."""
    most = np.minimum(np.asarray(num_microbatches, dtype=float), 2.0 * np.asarray(num_stages))
    return np.asarray(most + 0.0 * np.asarray(stage))


def _backwards(work: Work) -> list[float]:
    return [sum(seconds) for seconds in zip(work.backward_seconds, work.weight_seconds, strict=True)]


def _order(warm_up: int, num_microbatches: int) -> tuple[Action, ...]:
    actions = [forward(index) for index in range(warm_up)]
    for index in range(num_microbatches - warm_up):
        actions += [forward(warm_up + index), backward(index)]
    return tuple(actions + [backward(index) for index in range(num_microbatches - warm_up, num_microbatches)])
