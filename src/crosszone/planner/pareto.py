"""The front: plans than which none is better in time, cost and risk at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.explanation import ParetoPlan
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.tables import Bools, Floats, Ints
from crosszone.planner.general import to_plan
from crosszone.planner.limits import objectives, total_dollars, wall_dollars, without_price
from crosszone.planner.table import Scan, Scored
from crosszone.planner.wall import layout_failures_per_second
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.money import rents_per_second, sum_of

MOST_PLANS = 12
"""Plans of the front that are predicted in full."""
BOX_RATIO = 1.01
"""Plans that differ by less in every axis count as one: below what predictions miss anyway."""
SAME_RATIO = 1.005
"""Predicted plans that differ by less are shown once, as in the ranking."""
NUM_AXES = 3

Predict = Callable[[Plan], RankedPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A predicted plan in the three axes; infinite where one is unknown."""

    ranked: RankedPlan
    rank: int | None
    axes: tuple[float, ...]


def pareto(
    inputs: Inputs, found: Scan, ranked: Sequence[RankedPlan], predict: Predict, *, num_shown: int
) -> tuple[ParetoPlan, ...]:
    """The front of all candidates that keep the limits, the fastest first.

    Time is that of the finish (of the step, without an end), cost all that is paid, risk the number of failures that
    are expected until then. Candidates are compared by the estimate, to 1 %; of the front at most `MOST_PLANS` are
    predicted, its ends among them, and with `ranked`, of which the first `num_shown` have a rank, compared again. What
    is unknown counts as worst.
    """
    known = {one.plan for one in ranked}
    points = [
        _point(inputs.problem, one, rank if rank <= num_shown else None) for rank, one in enumerate(ranked, start=1)
    ]
    others = [plan for plan in dict.fromkeys(_plans(inputs, found)) if plan not in known]
    points += [_point(inputs.problem, predict(plan), None) for plan in others]
    best = _distinct(_undominated(points))
    best = [best[int(row)] for row in _thinned(np.array([one.axes for one in best]).reshape(-1, NUM_AXES))]
    return tuple(_told(inputs.problem, one, best) for one in best)


def missing(inputs: Inputs) -> str:
    """A sentence on prices that the front lacks; empty where it has all."""
    names, keys = without_price(inputs)
    if not names:
        return ""
    return f"Unknown: {names}; plans that need it are compared by time and risk alone. Write {keys}."


def axes(inputs: Inputs, part: Scored) -> Floats:
    """[rows, 3]: wall seconds, dollars and expected failures of a step, by the estimate; infinite where unknown."""
    ratio = part.wall_ratio
    seconds = part.step_seconds * ratio
    dollars = wall_dollars(part.dollars, part.egress_dollars, ratio)
    failures = seconds * _failures_per_second(inputs, part)
    columns = np.stack([seconds, dollars, failures], axis=1)
    return np.where(np.isnan(columns), np.inf, columns)


def undominated(boxes: Ints) -> Bools:
    """Rows of which no other is as good in every column and better in one; alike rows all stay."""
    left = np.lexsort(boxes.T[::-1])
    keep = np.zeros(len(boxes), dtype=np.bool_)
    while len(left):
        first = boxes[left[0]]
        same = (boxes[left] == first).all(axis=1)
        keep[left[same]] = True
        left = left[~(boxes[left] >= first).all(axis=1)]
    return keep


def _failures_per_second(inputs: Inputs, part: Scored) -> Floats:
    """Of what each row needs: its share of the nodes of its pools, and the paths between its zones."""
    plans, layout = part.rows.plans(), part.rows.layout
    pools = sorted({pool for chain in layout.chains for pool in chain})
    num_gpus = sum(inputs.pools[pool].node_group.num_gpus for pool in pools)
    nodes, links = layout_failures_per_second(inputs, layout)
    return np.asarray(nodes * (plans.tp * plans.cp * plans.pp * plans.dp) / num_gpus + links)


def _plans(inputs: Inputs, found: Scan) -> list[Plan]:
    """Candidates on the front by the estimate, thinned."""
    parts = [_front_of(inputs, part, number) for number, part in enumerate(found.scored)]
    if not parts:
        return []
    values = np.concatenate([one[0] for one in parts])
    where = np.concatenate([one[1] for one in parts])
    index = _front(values)
    index = index[_thinned(values[index])]
    rows = [(found.scored[int(number)], int(row)) for number, row in where[index]]
    return [to_plan(inputs, part.rows.take(np.array([row])).tables(), 0) for part, row in rows]


def _front_of(inputs: Inputs, part: Scored, number: int) -> tuple[Floats, Ints]:
    """(axes, [number of the part, row]) of the part's own front, of the rows that keep the limits."""
    allowed = np.flatnonzero(np.isfinite(objectives(inputs.problem, part)))
    values = axes(inputs, part)[allowed]
    index = _front(values)
    return values[index], np.stack([np.full(len(index), number), allowed[index]], axis=1)


def _front(values: Floats) -> Ints:
    """Rows of the front, one of each box: the least of it in the order of the axes, so that none dominates it."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    boxes = _boxes(values)
    order: Ints = np.lexsort((*values.T[::-1], *boxes.T[::-1]))
    ordered = boxes[order]
    is_first = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    heads: Ints = order[is_first]
    return heads[undominated(boxes[heads])]


def _boxes(values: Floats) -> Ints:
    """Logarithms to whole steps of `BOX_RATIO`; one box for all that is unknown or nothing."""
    positive = (values > 0.0) & np.isfinite(values)
    logs = np.floor(np.log(np.where(positive, values, 1.0)) / np.log(BOX_RATIO)).astype(np.int64)
    worst, least = np.int64(1 << 40), np.int64(-(1 << 40))
    return np.where(positive, logs, np.where(np.isfinite(values), least, worst))


def _thinned(values: Floats) -> Ints:
    """At most `MOST_PLANS` rows: the least of each axis, and the others spread over time."""
    if len(values) <= MOST_PLANS:
        return np.arange(len(values))
    by_time = np.argsort(values[:, 0], kind="stable")
    ends = {int(np.argmin(values[:, axis])) for axis in range(NUM_AXES)}
    even = by_time[np.linspace(0, len(by_time) - 1, MOST_PLANS - len(ends)).round().astype(int)].tolist()
    return np.array(sorted(ends | set(even)), dtype=np.int64)


def _point(problem: Problem, ranked: RankedPlan, rank: int | None) -> Point:
    prediction = ranked.prediction
    seconds = prediction.finish.p50_seconds or prediction.step_seconds
    dollars = _dollars(problem, ranked)
    values = (seconds, dollars, _failures(prediction))
    return Point(ranked=ranked, rank=rank, axes=tuple(np.inf if value is None else float(value) for value in values))


def _dollars(problem: Problem, ranked: RankedPlan) -> float | None:
    """Of the whole training; of a step where nobody said how long it is."""
    return total_dollars(ranked.prediction) if problem.workload.num_steps else _step_dollars(problem, ranked)


def _step_dollars(problem: Problem, ranked: RankedPlan) -> float | None:
    """Rent of all GPUs in the plan's zones, and egress, of one step; None where a price is unknown."""
    rent, seconds = sum_of(*rents_per_second(problem, ranked.plan)), ranked.prediction.step_seconds
    if rent is None:
        return None
    total = rent * seconds
    for link in ranked.prediction.links:
        if link.step_bytes and link.dollars_per_hour is None:
            return None
        total += (link.dollars_per_hour or 0.0) * seconds / units.SECONDS_PER_HOUR
    return total


def _failures(prediction: Prediction) -> float | None:
    """Expected until the finish; until the end of a step where there is none."""
    reliability = prediction.reliability
    if reliability is None or reliability.mtbf_seconds is None:
        return None
    if reliability.expected_num_failures is not None:
        return reliability.expected_num_failures
    return prediction.step_seconds / reliability.mtbf_seconds


def _undominated(points: list[Point]) -> list[Point]:
    def beats(other: Point, one: Point) -> bool:
        return other.axes != one.axes and all(a <= b for a, b in zip(other.axes, one.axes, strict=True))

    return [one for one in points if not any(beats(other, one) for other in points)]


def _distinct(points: list[Point]) -> list[Point]:
    """Plans of the ranking first, then the fastest; without those that another is within `SAME_RATIO` of."""
    kept: list[Point] = []
    for one in sorted(points, key=lambda point: (point.rank is None, point.rank or 0, point.axes)):
        if not any(all(b <= SAME_RATIO * a for a, b in zip(one.axes, other.axes, strict=True)) for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda point: point.axes)


def _told(problem: Problem, one: Point, front: list[Point]) -> ParetoPlan:
    prediction = one.ranked.prediction
    reliability = prediction.reliability
    return ParetoPlan(
        plan=one.ranked.plan,
        rank=one.rank,
        step_seconds=prediction.step_seconds,
        p50_seconds=prediction.finish.p50_seconds,
        p90_seconds=prediction.finish.p90_seconds,
        total_dollars=total_dollars(prediction),
        step_dollars=_step_dollars(problem, one.ranked),
        mtbf_seconds=reliability.mtbf_seconds if reliability else None,
        expected_num_failures=reliability.expected_num_failures if reliability else None,
        failure_probability=reliability.failure_probability if reliability else None,
        reason=_reason(one, front),
    )


def _reason(one: Point, front: list[Point]) -> str:
    """What it is best in; else what it saves against the fastest, and for what."""
    best = [name for axis, name in enumerate(("fastest", "cheapest", "safest")) if _is_best(one, front, axis)]
    fastest = front[0]
    if one is fastest:
        return f"{_words(best)}."
    saved = [
        f"{units.format_fraction(1.0 - one.axes[axis] / fastest.axes[axis])} {words}"
        for axis, words in ((1, "less money"), (2, "fewer failures"))
        if np.isfinite(fastest.axes[axis]) and one.axes[axis] < fastest.axes[axis]
    ]
    slower = units.format_fraction(one.axes[0] / fastest.axes[0] - 1.0)
    lead = f"{_words(best)}: " if best else ""
    return f"{lead}{' and '.join(saved) or 'a known price'} for {slower} more time than the fastest."


def _is_best(one: Point, front: list[Point], axis: int) -> bool:
    return bool(np.isfinite(one.axes[axis])) and one.axes[axis] == min(point.axes[axis] for point in front)


def _words(names: list[str]) -> str:
    return " and ".join(names).capitalize()
