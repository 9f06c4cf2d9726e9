"""Closed forms of a pipelined step. The event simulation in `timeline` is the exact counterpart."""

import numpy as np
from numpy.typing import ArrayLike

from crosszone.core.tables import Floats


def period_seconds(
    *,
    busiest_stage_seconds: ArrayLike,
    slowest_boundary_seconds: ArrayLike,
    round_trip_seconds: ArrayLike,
    transfer_seconds: ArrayLike,
    num_virtual_stages: ArrayLike,
    pp: ArrayLike,
) -> Floats:
    """Time from one microbatch to the next in the steady state of 1F1B.

    Four cycles bound it. A stage works off its own microbatch: t. Neighbours pass microbatches around the loop
    F(s) -> F(s+1) -> B(s+1) -> B(s), one way c each; their warm-ups differ by d virtual stages (1, interleaved 2), so
    that a loop of length 2t/v + 2c serves d + 1 of them. Interleaved, the backward of a microbatch comes back to its rank
    after p units and the sum C of all delays on the way, and p microbatches share that round. A link sends one microbatch
    at a time, each way: x.
        T = max(t, v * (2t/v + 2c) / (d + 1), [v > 1] 2t/3 + v * C / p, x)
    With v = 1 the loop gives t + c: the 1F1B order hides no delay between neighbours.

    Assumes: neighbours are as busy as the busiest stage; a backward is two thirds of a microbatch's work. An estimate for
    ranking: what is answered is simulated.
    Source: the loop is the one of CrossPipe (arXiv 2507.00217), sec. 3.4; warm-ups: Narayanan et al. 2021, sec. 2.2.
    """
    t, v = np.asarray(busiest_stage_seconds, dtype=float), np.asarray(num_virtual_stages, dtype=float)
    c = np.asarray(slowest_boundary_seconds, dtype=float)
    ahead = np.where(v > 1.0, 3.0, 2.0)
    loop = np.where(c > 0.0, v * (2.0 * t / v + 2.0 * c) / ahead, 0.0)
    rounds = np.where((v > 1.0) & (c > 0.0), 2.0 * t / 3.0 + v * np.asarray(round_trip_seconds) / pp, 0.0)
    return np.maximum(np.maximum(t, loop), np.maximum(rounds, np.asarray(transfer_seconds)))


def pipeline_seconds(
    *,
    num_microbatches: ArrayLike,
    num_virtual_stages: ArrayLike,
    sum_stage_seconds: ArrayLike,
    busiest_stage_seconds: ArrayLike,
    period: ArrayLike,
    sum_boundary_seconds: ArrayLike,
) -> Floats:
    """Time from the first forward to the last backward of 1F1B (num_virtual_stages = 1), interleaved 1F1B, or GPipe.

    The first microbatch passes every stage and boundary both ways, the others follow at the period. With v virtual
    stages a microbatch reaches the last rank after 1/v of each stage, but crosses the boundaries v times as often:
        T = (m-1) * period + busiest + (sum of stages - busiest) / v + 2 * (sum of boundaries)

    Source: Narayanan et al. 2021 (SC21), sec. 2.2: bubble (p-1)(t_f+t_b)/v.
    """
    m = np.asarray(num_microbatches, dtype=float)
    fill = (np.asarray(sum_stage_seconds) - busiest_stage_seconds) / num_virtual_stages
    return np.asarray((m - 1.0) * period + busiest_stage_seconds + fill + 2.0 * np.asarray(sum_boundary_seconds))
