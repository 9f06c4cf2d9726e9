"""What is minimised, under which limits, and what to say where no plan keeps them or a price is unknown."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crosszone import units
from crosszone.core.layout import Layout
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.tables import Floats
from crosszone.planner.table import Scan, Scored
from crosszone.planner.wall import plan_wall_ratio, step_data_dollars
from crosszone.timeline.inputs import Inputs

TIMED = ("time", "goodput")
"""Objectives that are a time; the others are money."""
HOPELESS_RATIO = 1e6
"""Stands for a training that never ends where such trainings are ranked among themselves: by their steps."""
MOST_LISTED = 4
"""Zones or links that are named in a sentence."""


def objective(
    problem: Problem,
    step_seconds: Floats,
    dollars: Floats,
    egress_dollars: Floats,
    wall_ratio: float = 1.0,
    num_sequences: Floats | float = np.inf,
    slack_ratio: float = 1.0,
) -> Floats:
    """What is minimised: wall seconds, or dollars, per step. With the tokens fixed, throughput per dollar is cost.

    `dollars` holds `egress_dollars`; all are per step. Infinite where the deadline, the budget or the limit on egress
    is missed, where a replica consumes fewer sequences than it must (`num_sequences` are those of the replica with
    fewest), or where a price that decides is unknown. An unknown price breaks no limit. Time, deadline and budget are
    those of the wall time that half of all trainings stay under: `wall_ratio` is that over the time of the steps.
    `slack_ratio` widens the deadline and the budget, for values that are estimates.
    """
    goal, limits, steps = problem.objective, problem.constraints, problem.workload.num_steps
    ratio = min(wall_ratio, HOPELESS_RATIO)
    if goal.minimize in TIMED:
        value = np.asarray(step_seconds * ratio)
    else:
        paid = wall_dollars(dollars, egress_dollars, ratio)
        value = np.where(np.isnan(paid), np.inf, paid)
    if limits.min_replica_batch_size is not None:
        value = np.where(np.asarray(num_sequences) < limits.min_replica_batch_size, np.inf, value)
    if steps is None:
        return value
    bounds = (
        (step_seconds * wall_ratio, goal.deadline_seconds, slack_ratio),
        (wall_dollars(dollars, egress_dollars, wall_ratio), goal.budget_dollars, slack_ratio),
        (egress_dollars, limits.max_egress_dollars, 1.0),  # bytes are counted, not estimated
    )
    for per_step, most, slack in bounds:
        if most is not None:
            value = np.where(per_step * steps > most * slack, np.inf, value)
    return value


def simulated_objective(
    inputs: Inputs,
    layout: Layout,
    plan: Plan,
    seconds: float,
    *,
    rent_dollars_per_second: float,
    egress_dollars: float,
) -> float:
    """`objective` of one plan whose simulated step takes so long: rent grows with it, `egress_dollars` do not."""
    egress = egress_dollars + step_data_dollars(inputs.problem, plan, seconds)
    one = np.array([seconds]), np.array([rent_dollars_per_second * seconds + egress]), np.array([egress])
    ratio = plan_wall_ratio(inputs, layout, plan, seconds)
    return float(objective(inputs.problem, *one, ratio, float(plan.fewest_sequences))[0])


def objectives(problem: Problem, part: Scored, *, slack_ratio: float = 1.0) -> Floats:
    """What is minimised, of every row."""
    fewest, ratio = num_sequences(problem, part), part.wall_ratio
    return objective(
        problem, part.step_seconds, part.dollars, part.egress_dollars, ratio, fewest, slack_ratio=slack_ratio
    )


def num_sequences(problem: Problem, part: Scored) -> Floats | float:
    """Sequences a step of each row's replica with fewest; infinite where nothing asks."""
    if problem.constraints.min_replica_batch_size is None:
        return np.inf
    space = part.rows.space
    _, fewest = space.like_replicas(problem.workload.global_batch_size)
    return np.asarray((fewest * space.plans.microbatch_size)[part.rows.row], dtype=float)


def wall_dollars(dollars: Floats, egress_dollars: Floats, wall_ratio: float) -> Floats:
    """`dollars` of steps with the GPUs' time of checkpoints, restarts and evaluation; egress stays as it is.

    Where a training never ends (`wall_ratio` is infinite), GPUs that cost nothing still cost nothing.
    """
    rent = np.asarray(dollars - egress_dollars)
    return np.asarray(egress_dollars + (rent * wall_ratio if math.isfinite(wall_ratio) else _never_ending(rent)))


def _never_ending(rent: Floats) -> Floats:
    return np.where(rent > 0.0, np.inf, rent)


def achieved(problem: Problem, prediction: Prediction) -> float | None:
    """What the job minimises, of one plan as predicted; None where it is unknown.

    Seconds: the finish that half of all trainings stay under; without an end, the step (over its useful share where
    goodput is asked for). Money: dollars of the whole training, or of a step where nobody said how long it is.
    """
    if problem.objective.minimize in TIMED:
        seconds = prediction.finish.p50_seconds
        if seconds is not None:
            return seconds
        useful = prediction.goodput_fraction if problem.objective.minimize == "goodput" else None
        return prediction.step_seconds / useful if useful else prediction.step_seconds
    return total_dollars(prediction)


def total_dollars(prediction: Prediction) -> float | None:
    """Of the whole training, as far as all of it is known."""
    if prediction.costs is not None and prediction.costs.total_dollars is not None:
        return prediction.costs.total_dollars
    if prediction.gpu_dollars is None or prediction.egress_dollars is None:
        return None
    return prediction.gpu_dollars + prediction.egress_dollars


def unlimited(problem: Problem) -> tuple[Problem, ...]:
    """The job without deadline and budget: for the least time where there was a deadline, for the least money where
    there was a budget."""
    goal, found = problem.objective, []
    free = replace(goal, deadline_seconds=None, budget_dollars=None)
    if problem.workload.num_steps is None:
        return ()
    if goal.deadline_seconds is not None:
        found.append(replace(problem, objective=replace(free, minimize="time")))
    if goal.budget_dollars is not None:
        found.append(replace(problem, objective=replace(free, minimize="cost")))
    return tuple(found)


def keeps(problem: Problem, prediction: Prediction) -> bool:
    """Whether a plan, as predicted, keeps the deadline and the budget."""
    goal = problem.objective
    pairs = (
        (prediction.finish.p50_seconds, goal.deadline_seconds),
        (total_dollars(prediction), goal.budget_dollars),
    )
    return not any(value is not None and most is not None and value > most for value, most in pairs)


def unmet(inputs: Inputs, found: Scan, nearest: Sequence[Prediction] = ()) -> str:
    """Why none of the plans that fit is an answer: the limits with the best that can be had, or the missing price.

    `nearest`: the plans that come nearest to the limits, simulated, whose numbers then stand for those of the estimate.
    """
    problem = inputs.problem
    if problem.objective.minimize not in TIMED and all(np.isnan(part.dollars).all() for part in found.scored):
        return f"Plans fit in memory, but none can be ranked by money. {unpriced(inputs)}".rstrip()
    bounds = _bounds(problem, found.scored, nearest)
    # Each limit alone may be kept, and only all of them together not.
    missed = [text for text, least, most in bounds if least > most] or [text for text, _, _ in bounds]
    return f"Plans fit in memory, but none keeps every limit: {'; '.join(missed)}."


def unpriced(inputs: Inputs) -> str:
    """Names what has no price where money decides; empty where nothing lacks one."""
    problem = inputs.problem
    limited, is_money = problem.workload.num_steps is not None, problem.objective.minimize not in TIMED
    needs_rent = is_money or (limited and problem.objective.budget_dollars is not None)
    needs_egress = needs_rent or (limited and problem.constraints.max_egress_dollars is not None)
    missing, keys = without_price(inputs, rent=needs_rent, egress=needs_egress)
    if not missing:
        return ""
    effect = "plans that need it are left out" if is_money else "what needs it was not held to the limits"
    return f"Unknown: {missing}; {effect}. Write {keys}."


def without_price(inputs: Inputs, *, rent: bool = True, egress: bool = True) -> tuple[str, str]:
    """(what has no price, the keys to write) of the zones that may be used; both empty where nothing lacks one."""
    problem = inputs.problem
    used = [zone for zone in problem.cluster.zones if zone.name not in problem.constraints.exclude_zones]
    inside = {zone.name for zone in used}
    names = [zone.name for zone in used if any(group.dollars_per_gpu_second is None for group in zone.node_groups)]
    ways = [
        f"{link.from_zone} to {link.to_zone}"
        for link in problem.cluster.links
        if link.egress_dollars_per_byte is None and {link.from_zone, link.to_zone} <= inside
    ]
    texts, keys = [], []
    if rent and names:
        texts.append(f"the price of GPUs in {_listed(names)}")
        keys.append("`price` in those nodes")
    if egress and ways:
        texts.append(f"the egress price from {_listed(ways)}")
        keys.append("`egress_price` in those links")
    return " and ".join(texts), " and ".join(keys)


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _bounds(
    problem: Problem, scored: tuple[Scored, ...], nearest: Sequence[Prediction]
) -> list[tuple[str, float, float]]:
    """(words, least that any plan needs, simulated where it was, most that is allowed) of each limit."""
    goal, steps = problem.objective, problem.workload.num_steps or np.nan
    found = []
    if goal.deadline_seconds is not None:
        least, most = _least([part.step_seconds * part.wall_ratio for part in scored]) * steps, goal.deadline_seconds
        least = _least_known([one.finish.p50_seconds for one in nearest], least)
        times = _told_apart(least, most)
        found.append((f"the fastest takes about {times[0]}, the deadline is {times[1]}", least, most))
    if goal.budget_dollars is not None:
        least, most = (
            _least([wall_dollars(part.dollars, part.egress_dollars, part.wall_ratio) for part in scored]) * steps,
            goal.budget_dollars,
        )
        least = _least_known([total_dollars(one) for one in nearest], least)
        sums = units.format_dollars(least), units.format_dollars(most)
        found.append((f"the cheapest costs about {sums[0]}, the budget is {sums[1]}", least, most))
    if problem.constraints.max_egress_dollars is not None:
        least = _least([part.egress_dollars for part in scored]) * steps
        most = problem.constraints.max_egress_dollars
        sums = units.format_dollars(least), units.format_dollars(most)
        found.append((f"the least egress costs about {sums[0]}, the limit is {sums[1]}", least, most))
    asked = problem.constraints.min_replica_batch_size
    if asked is not None:
        largest = max(float(np.max(num_sequences(problem, part))) for part in scored)
        text = f"no replica consumes more than {largest:g} sequences a step, min_replica_batch is {asked}"
        found.append((text, -largest, -float(asked)))
    return found


def _told_apart(least_seconds: float, most_seconds: float) -> tuple[str, str]:
    """Both times, with more digits where three do not show which is longer."""
    short = units.format_seconds(least_seconds), units.format_seconds(most_seconds)
    if short[0] != short[1]:
        return short
    return units.format_seconds(least_seconds, digits=5), units.format_seconds(most_seconds, digits=5)


def _least_known(values: Sequence[float | None], otherwise: float) -> float:
    return min((value for value in values if value is not None), default=otherwise)


def _least(columns: list[Floats]) -> float:
    """The least known value; NaN where all are unknown."""
    known = np.concatenate([column[~np.isnan(column)] for column in columns])
    return float(known.min()) if len(known) else float("nan")
