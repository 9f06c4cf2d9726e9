"""The few candidates of a scan that are worth a simulation: the best of each class, and the best of other shapes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import Plan
from crosszone.core.tables import Floats, Ints, PlanTable
from crosszone.planner.binding import has_limits
from crosszone.planner.bounds import layout_class
from crosszone.planner.general import to_plan
from crosszone.planner.limits import objectives, simulated_objective
from crosszone.planner.table import Scan, Scored
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import codes, keyed
from crosszone.timeline.rows import Settings
from crosszone.timeline.steps import Steps, stacked
from crosszone.timeline.tabulate import tabulate

PER_CLASS = 12
"""Plans simulated of each class (one zone, replicas across zones, stages across zones): the best by the estimate, so
that an error of the estimate that one class shares cannot hide another. Of stages across zones, interleaved ones are
estimated worse than 1F1B, which fills half of the places."""
NUM_SHAPES = 6
"""Of these, places that are kept for the best of other blocks and depths: single moves may make more of them."""
MOST_BEHIND = 8
"""Of further blocks and depths, the best by the estimate, which climbs may start from."""
ESTIMATE_MARGIN = 1.15
"""A plan whose estimate exceeds the best simulated step of its class by more is not simulated."""
Timed = list[tuple[float, Plan]]
"""(objective, plan) of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One row of one scored table."""

    value: float
    """What is minimised, by the estimate."""
    scored: Scored
    index: int


def best_of_classes(inputs: Inputs, found: Scan) -> list[tuple[Timed, Timed]]:
    """Of each class of plans: the best, simulated; and by the estimate those behind them that climbs may start from.

    Ways for zones to agree are classes of their own; so are plans that miss a limit by no more than an estimate errs.
    """
    classes: dict[tuple[bool, bool, str, bool], list[Candidate]] = {}
    for part in found.scored:
        kind = layout_class(part.rows.layout, part.rows.space.settings.sync.method)
        classes.setdefault((*kind, False), []).extend(_best_rows(inputs, part, PER_CLASS))
        if has_limits(inputs.problem):
            classes.setdefault((*kind, True), []).extend(_near_misses(inputs, part, PER_CLASS))
    return [_simulated(inputs, *_varied(listed)) for listed in classes.values()]


def _best_rows(inputs: Inputs, part: Scored, most_rows: int) -> list[Candidate]:
    """The best, and the best of each shape."""
    values = objectives(inputs.problem, part)
    rows = dict.fromkeys([*_least_rows(values, most_rows), *_best_of_shapes(part, values)])
    return _candidates(part, values, rows)


def _best_of_shapes(part: Scored, values: Floats) -> list[int]:
    """Of the rows with the same blocks and depth the best."""
    shape, _ = codes(tuple(column[part.rows.row] for column in _shape_columns(part)))
    order = np.argsort(values, kind="stable")
    _, first = np.unique(shape[order], return_index=True)
    return [int(row) for row in order[first]]


def _near_misses(inputs: Inputs, part: Scored, most_rows: int) -> list[Candidate]:
    """Rows that miss a limit by the estimate, by no more than it may be wrong."""
    kept = np.isfinite(objectives(inputs.problem, part))
    near = objectives(inputs.problem, part, slack_ratio=ESTIMATE_MARGIN)
    values = np.where(kept, np.inf, near)
    return _candidates(part, values, _least_rows(values, most_rows))


def _least_rows(values: Floats, most_rows: int) -> list[int]:
    last = np.partition(values, min(most_rows, len(values)) - 1)[min(most_rows, len(values)) - 1]
    near = np.flatnonzero(values <= last)
    rows: list[int] = near[np.argsort(values[near], kind="stable")][:most_rows].tolist()
    return rows


def _candidates(part: Scored, values: Floats, rows: Iterable[int]) -> list[Candidate]:
    return [Candidate(value=float(values[row]), scored=part, index=row) for row in rows if np.isfinite(values[row])]


def _varied(listed: list[Candidate]) -> list[list[Candidate]]:
    """(the best of a class, in order; the best of further shapes), the last places for shapes that have none yet.

    Of candidates with the same value the simplest stands for all: dp and cp trade places, chains run either way.
    """
    simplest: dict[float, Candidate] = {}
    for one in sorted(listed, key=_order):
        simplest.setdefault(_rounded(one.value), one)
    ranked, num_best = list(simplest.values()), PER_CLASS - NUM_SHAPES
    shapes = {_shape(one) for one in ranked[:num_best]}
    first: dict[tuple[int, ...], int] = {}
    for place, one in enumerate(ranked[num_best:], start=num_best):
        first.setdefault(_shape(one), place)
    others = [place for shape, place in first.items() if shape not in shapes]
    chosen = dict.fromkeys([*range(num_best), *others[:NUM_SHAPES], *range(num_best, len(ranked))])
    best = sorted(list(chosen)[:PER_CLASS])
    behind = [place for place in others if place not in best][:MOST_BEHIND]
    return [[ranked[place] for place in places if place < len(ranked)] for places in (best, behind)]


def _shape(candidate: Candidate) -> tuple[int, ...]:
    row = candidate.scored.rows.row[candidate.index]
    return tuple(int(column[row]) for column in _shape_columns(candidate.scored))


def _shape_columns(part: Scored) -> tuple[Ints, Ints, Ints]:
    """Blocks and depth of all plans of its space."""
    plans = part.rows.space.plans
    return plans.tp, plans.cp, plans.pp


def _order(candidate: Candidate) -> tuple[float, ...]:
    """By value to five digits, then the simpler plan."""
    rows = candidate.scored.rows
    plans, row = rows.space.plans, rows.row[candidate.index]
    simpler = (plans.cp, plans.pp, plans.tp, plans.shard, plans.num_virtual_stages, plans.microbatch_size)
    return (_rounded(candidate.value), *(float(column[row]) for column in simpler))


def _rounded(value: float) -> float:
    """To five digits."""
    return float(f"{value:.5g}")


def _simulated(inputs: Inputs, listed: list[Candidate], further: list[Candidate]) -> tuple[Timed, Timed]:
    """(objective, plan) of candidates that may be the best of their class, and by the estimate of those behind them."""
    if not listed:  # all of them break a limit
        return [], []
    found: Timed = []
    behind: Timed = []
    best = float("inf")
    every = [*listed, *further]
    for index, (candidate, (plan, steps, place)) in enumerate(zip(every, _placed(inputs, every), strict=True)):
        if candidate.value > ESTIMATE_MARGIN * best or index >= len(listed):
            behind.append((candidate.value, plan))
            continue
        value = _simulated_value(inputs, candidate, plan, steps.seconds(inputs, place))
        if np.isfinite(value):
            found.append((value, plan))
            best = min(best, value)
    return found, behind


def _placed(inputs: Inputs, listed: list[Candidate]) -> list[tuple[Plan, Steps, int]]:
    """Each candidate as a plan, and its place in a table of all that have the same settings."""
    rows = [candidate.scored.rows.take(np.array([candidate.index])) for candidate in listed]
    plans = [to_plan(inputs, row.tables(), 0) for row in rows]
    keys = keyed(inputs, PlanTable.stack([row.plans() for row in rows]))
    alike: dict[Settings, list[int]] = {}
    for index, row in enumerate(rows):
        alike.setdefault(row.space.settings, []).append(index)
    found: dict[int, tuple[Plan, Steps, int]] = {}
    for places in alike.values():
        tables = stacked([tabulate(inputs, plans[index]) for index in places])
        steps = Steps.of(inputs, tables, keys.take(np.array(places)))
        found |= {index: (plans[index], steps, place) for place, index in enumerate(places)}
    return [found[index] for index in range(len(rows))]


def _simulated_value(inputs: Inputs, candidate: Candidate, plan: Plan, seconds: float) -> float:
    """The objective at the simulated time."""
    scored, row = candidate.scored, candidate.index
    rent = float(scored.dollars[row] - scored.egress_dollars[row]) / float(scored.step_seconds[row])
    return simulated_objective(
        inputs, scored.rows.layout, plan, seconds,
        rent_dollars_per_second=rent, egress_dollars=float(scored.egress_dollars[row]),
    )  # fmt: skip
