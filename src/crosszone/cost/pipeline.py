"""Closed forms of a pipelined step. The event simulation in `timeline` is the exact counterpart."""

import numpy as np

from crosszone.core.plan import SCHEDULES
from crosszone.core.tables import Bools, Floats, Ints, Numeric

SPLIT = ("zb_h1", "zbv", "dualpipe", "cross_1f1b", "cross_ud", "cross_ud_sub", "cross_wave")
"""Schedules of `split_pipeline_seconds`."""
TURNING = ("zbv", "cross_wave")
"""Those in which a microbatch goes up the ranks and down again."""


def period_seconds(
    *,
    busiest_stage_seconds: Numeric,
    slowest_boundary_seconds: Numeric,
    sum_boundary_seconds: Numeric,
    wrap_seconds: Numeric,
    transfer_seconds: Numeric,
    num_virtual_stages: Numeric,
    pp: Numeric,
) -> Floats:
    """Time from one microbatch to the next in the steady state of 1F1B, interleaved or not.

    Cycles bound it. A rank works off its own microbatch: t. Ranks s and s+k pass units of u = t/v around the loop
    F(s) -> ... -> F(s+k) -> B(s+k) -> ... -> B(s), over k boundaries of sum C both ways: it lasts (k+1) u + 2C. Their
    warm-ups differ by d per boundary (1, interleaved 2), so that d*k + 1 units are on it at once. Of all k, the slowest
    boundary alone (k = 1, C = c) and the whole line (k = p-1) decide. A link sends one message at a time: x.
        T = max(t, v (2u + 2c) / (d + 1), v (p u + 2C) / (d (p-1) + 1), x)
    1F1B hides no delay between neighbours: T = t + c. Interleaved T = 2/3 (t + v c) hides delays up to u/2.

    With virtual stages the wrap w from the last rank to the first lengthens loops, but not where a microbatch turns
    round at the last virtual stage. Beside a boundary as slow (p = 3) the loops of k = 1 and k = 2 alternate,
    v (5u + 6c) / 8; with p = 2 they follow each other, v ((1 - 1/3v) c + (5/9 + 1/9v) u), read off simulations.

    Assumes: every rank is as busy as the busiest; for p > 3 no slow boundary is beside a slow wrap (else 13 % too low).
    Source: loops: CrossPipe (arXiv 2507.00217), sec. 3.4; warm-ups: Narayanan et al. 2021, sec. 2.2.
    """
    t, v = np.asarray(busiest_stage_seconds, dtype=float), np.asarray(num_virtual_stages, dtype=float)
    c, p = np.asarray(slowest_boundary_seconds, dtype=float), np.asarray(pp, dtype=float)
    ahead = np.where(v > 1.0, 2.0, 1.0)
    near = (2.0 * t + 2.0 * v * c) / (ahead + 1.0)
    line = (p * t + 2.0 * v * np.asarray(sum_boundary_seconds)) / (ahead * (p - 1.0) + 1.0)
    bound = np.maximum(np.maximum(t, np.asarray(transfer_seconds)), np.where(c > 0.0, np.maximum(near, line), 0.0))
    w = np.minimum(c, wrap_seconds)
    two = (v - 1.0 / 3.0) * w + (5.0 / 9.0 + 1.0 / (9.0 * v)) * t
    around = np.select([p == 2.0, p == 3.0], [two, (5.0 * t + 6.0 * v * w) / 8.0], 0.0)
    return np.asarray(np.maximum(bound, np.where((v > 1.0) & (w > 0.0), around, 0.0)))


def pipeline_seconds(
    *,
    num_microbatches: Numeric,
    num_virtual_stages: Numeric,
    pp: Numeric,
    sum_stage_seconds: Numeric,
    busiest_stage_seconds: Numeric,
    period: Numeric,
    slowest_boundary_seconds: Numeric,
    sum_boundary_seconds: Numeric,
    wrap_seconds: Numeric,
    transfer_seconds: Numeric,
    slowest_boundary: Numeric,
) -> Floats:
    """Time from the first forward to the last backward of 1F1B (num_virtual_stages = 1), interleaved 1F1B, or GPipe.

    One microbatch alone takes S + 2vC + 2(v-1)w: all stages, v times every boundary, v-1 times the wrap, both ways. The
    others follow as fast as the busiest stage and the link let them, n = max(t, x).
    1F1B: the rank before the slowest boundary, at index s, has p-s microbatches on their way before it waits for the
    first to return, and from then on pairs of them; the first rank has p on the whole line, and waits for every p-th:
        T = S + 2C + (m-1) n + max(2 floor(max(m+1 - p+s, 0) / 2) (t + c - n),  p floor((m-1) / p) (t + 2C/p - n))
    A slow link lets them in late, too, and the rank behind it returns none before it has its own: + (p-s-2) (n - t).
    Interleaved: the first p follow each other chunk by chunk, the others at the period P; without delay all are busy,
    and with slow links those are, each with 2v-1 messages of a microbatch one way:
        T = max(S + 2vC + 2(v-1)w + (p-1) max(t/v, x/(2v-1)) + (m-p) P,  m t + (S-t)/v,  m x + 2C)
    GPipe, which never waits: c = 0.

    Without delay both are m t + (S-t)/v: Narayanan et al. 2021 (SC21), sec. 2.2, bubble (p-1)(t_f+t_b)/v.
    """
    m, v, p = (np.asarray(count, dtype=float) for count in (num_microbatches, num_virtual_stages, pp))
    t, total = np.asarray(busiest_stage_seconds, dtype=float), np.asarray(sum_stage_seconds, dtype=float)
    c, line = np.asarray(slowest_boundary_seconds, dtype=float), np.asarray(sum_boundary_seconds, dtype=float)
    x = np.asarray(transfer_seconds, dtype=float)
    alone = total + 2.0 * v * line + 2.0 * (v - 1.0) * np.asarray(wrap_seconds)
    follow = np.maximum(t, x)
    pairs = 2.0 * np.floor(np.maximum(m + 1.0 - p + slowest_boundary, 0.0) / 2.0) * (t + c - follow)
    turns = p * np.floor((m - 1.0) / p) * (t + 2.0 * line / p - follow)
    late = np.clip(p - slowest_boundary - 2.0, 0.0, m - 1.0) * (follow - t)
    waits = np.where(c > 0.0, np.maximum(np.maximum(pairs, turns), 0.0) + late, 0.0)
    rounds = alone + (p - 1.0) * np.maximum(t / v, x / (2.0 * v - 1.0)) + (m - p) * period
    split = np.maximum(np.maximum(rounds, m * t + (total - t) / v), m * x + 2.0 * line)
    return np.asarray(np.where(v > 1.0, split, alone + (m - 1.0) * follow + waits))


def split_pipeline_seconds(
    *,
    schedule: Ints,
    num_microbatches: Numeric,
    pp: Numeric,
    busiest_stage_seconds: Numeric,
    forward_seconds: Numeric,
    weight_seconds: Numeric,
    slowest_boundary_seconds: Numeric,
    sum_boundary_seconds: Numeric,
    transfer_seconds: Numeric,
    slowest_boundary: Numeric,
) -> Floats:
    """Time from the first forward to the end of the last action of the schedules that are not in `pipeline_seconds`.

    `schedule` indexes SCHEDULES. m microbatches at the pace n = max(t, x) of the busiest stage (t = F + B + W) or link,
    the bubble, the first microbatch's k crossings of the line C, and where too few are in flight, waits for those:
        T = m n + bubble + k C + waits
    1F1B's pairs, from the rank s before the slowest boundary, with h of each delay hidden:
        zb_h1       2 floor(max(m+1 - p+s, 0) / 2) (t + c - h - n), h = W/2
        zbv         the same, h = t/3, read off simulations
    A round trip for every K microbatches that are in flight:
        dualpipe    floor((m-1) / K) (p t + k C - K n), K = p + 1
        cross_*     the same, K = 2p; for cross_1f1b at least those of neighbours, with 2 t + 2 c and K = p + s + 2

    Assumes: every rank is as busy as the busiest; what is generated may hold 2p microbatches. Without delay the first
    three are exact (zbv where F <= B); the rest is an estimate, and the event simulation decides.
    """
    m, p = np.asarray(num_microbatches, dtype=float), np.asarray(pp, dtype=float)
    t, c = np.asarray(busiest_stage_seconds, dtype=float), np.asarray(slowest_boundary_seconds, dtype=float)
    weight = np.minimum(np.asarray(weight_seconds, dtype=float), t - np.asarray(forward_seconds))
    follow = np.maximum(t, np.asarray(transfer_seconds, dtype=float))
    trip = np.where(_is_one_of(schedule, *TURNING), 4.0, 2.0) * np.asarray(sum_boundary_seconds, dtype=float)
    hidden = np.where(_is_one_of(schedule, "zb_h1"), weight / 2.0, t / 3.0)
    pairs = 2.0 * np.floor(np.maximum(m + 1.0 - p + slowest_boundary, 0.0) / 2.0) * (t + c - hidden - follow)
    held = np.where(_is_one_of(schedule, "dualpipe"), p + 1.0, 2.0 * p)
    turns = np.floor((m - 1.0) / held) * (p * t + trip - held * follow)
    ahead = p + slowest_boundary + 2.0
    near = np.floor((m - 1.0) / ahead) * (2.0 * t + 2.0 * c - ahead * follow)
    turns = np.where(_is_one_of(schedule, "cross_1f1b"), np.maximum(turns, near), turns)
    waits = np.maximum(np.where(_is_one_of(schedule, "zb_h1", "zbv"), pairs, turns), 0.0)
    bubble = split_bubble_seconds(
        schedule=schedule, pp=p, busiest_stage_seconds=t, forward_seconds=forward_seconds, weight_seconds=weight
    )
    return np.asarray(m * follow + bubble + trip + np.where(trip > 0.0, waits, 0.0))


def split_bubble_seconds(
    *,
    schedule: Ints,
    pp: Numeric,
    busiest_stage_seconds: Numeric,
    forward_seconds: Numeric,
    weight_seconds: Numeric,
) -> Floats:
    """What filling and draining add to the work of the busiest rank, without delay.

        zb_h1 (p-1)(F + B - W)   zbv (p-1) max(F, B, W, 2(B - W))/2   dualpipe (p/2-1)(F + B - W)
        cross_1f1b (p-1) t       cross_ud, cross_wave (p-1) F         cross_ud_sub (p-1) F/2

    Source: zb_h1: Qi et al. 2023 (2401.10241), table 2; the others but 1F1B's: read off simulations of these orders.
    """
    p, t = np.asarray(pp, dtype=float), np.asarray(busiest_stage_seconds, dtype=float)
    forward, weight = np.asarray(forward_seconds, dtype=float), np.asarray(weight_seconds, dtype=float)
    backward = t - forward - weight
    turned = np.maximum(np.maximum(forward, backward), np.maximum(weight, 2.0 * (backward - weight)))
    bubbles = {
        "zb_h1": (p - 1.0) * (t - 2.0 * weight),
        "zbv": (p - 1.0) * turned / 2.0,
        "dualpipe": np.maximum(p / 2.0 - 1.0, 0.0) * (t - 2.0 * weight),
        "cross_1f1b": (p - 1.0) * t,
        "cross_ud": (p - 1.0) * forward,
        "cross_ud_sub": (p - 1.0) * forward / 2.0,
        "cross_wave": (p - 1.0) * forward,
    }
    return np.select([_is_one_of(schedule, name) for name in SPLIT], [bubbles[name] for name in SPLIT], 0.0)


def _is_one_of(schedule: Ints, *names: str) -> Bools:
    return np.isin(schedule, [SCHEDULES.index(name) for name in names])
