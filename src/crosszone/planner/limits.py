"""What is minimised, under which limits, and what to say where no plan keeps them or a price is unknown."""

import numpy as np

from crosszone import units
from crosszone.core.problem import Problem
from crosszone.core.tables import Floats
from crosszone.planner.table import Scan, Scored
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.totals import num_steps


def objective(
    problem: Problem, step_seconds: Floats, dollars: Floats, egress_dollars: Floats, wall_ratio: float = 1.0
) -> Floats:
    """What is minimised: seconds, or dollars, per step. With the tokens fixed, throughput per dollar is cost.

    `dollars` holds `egress_dollars`; all are per step. Infinite where the deadline, the budget or the limit on egress
    is missed, or a price that decides is unknown. An unknown price breaks no limit. Deadline and budget hold for the
    wall time that half of all trainings stay under: `wall_ratio` is that over the time of the steps.
    """
    goal, most_egress, steps = problem.objective, problem.constraints.max_egress_dollars, num_steps(problem)
    value = step_seconds if goal.minimize == "time" else np.where(np.isnan(dollars), np.inf, dollars)
    if steps is None:
        return value
    wall = step_seconds * wall_ratio
    paid = wall_dollars(dollars, egress_dollars, wall_ratio)
    limits = ((wall, goal.deadline_seconds), (paid, goal.budget_dollars), (egress_dollars, most_egress))
    for per_step, most in limits:
        if most is not None:
            value = np.where(per_step * steps > most, np.inf, value)
    return value


def wall_dollars(dollars: Floats, egress_dollars: Floats, wall_ratio: float) -> Floats:
    """`dollars` of steps with the GPUs' time of checkpoints, restarts and evaluation; egress stays as it is."""
    return np.asarray(dollars + (dollars - egress_dollars) * (wall_ratio - 1.0))


def unmet(inputs: Inputs, found: Scan) -> str:
    """Why none of the plans that fit is an answer: the limits with the best that can be had, or the missing price."""
    problem = inputs.problem
    if problem.objective.minimize != "time" and all(np.isnan(part.dollars).all() for part in found.scored):
        return f"Plans fit in memory, but none can be ranked by money. {unpriced(inputs)}".rstrip()
    bounds = _bounds(problem, found.scored)
    # Each limit alone may be kept, and only all of them together not.
    missed = [text for text, least, most in bounds if least > most] or [text for text, _, _ in bounds]
    return f"Plans fit in memory, but none keeps every limit: {'; '.join(missed)}."


def unpriced(inputs: Inputs) -> str:
    """Names what has no price where money decides; empty where nothing lacks one."""
    problem = inputs.problem
    limited, is_money = num_steps(problem) is not None, problem.objective.minimize != "time"
    needs_rent = is_money or (limited and problem.objective.budget_dollars is not None)
    needs_egress = needs_rent or (limited and problem.constraints.max_egress_dollars is not None)
    used = [zone for zone in problem.cluster.zones if zone.name not in problem.constraints.exclude_zones]
    inside = {zone.name for zone in used}
    names = [zone.name for zone in used if any(group.dollars_per_gpu_second is None for group in zone.node_groups)]
    ways = [
        f"{link.from_zone} to {link.to_zone}"
        for link in problem.cluster.links
        if link.egress_dollars_per_byte is None and {link.from_zone, link.to_zone} <= inside
    ]
    texts, keys = [], []
    if needs_rent and names:
        texts.append(f"the price of GPUs in {', '.join(names)}")
        keys.append("`price` in those nodes")
    if needs_egress and ways:
        texts.append(f"the egress price from {', '.join(ways)}")
        keys.append("`egress_price` in those links")
    if not texts:
        return ""
    effect = "plans that need it are left out" if is_money else "what needs it was not held to the limits"
    return f"Unknown: {' and '.join(texts)}; {effect}. Write {' and '.join(keys)}."


def _bounds(problem: Problem, scored: tuple[Scored, ...]) -> list[tuple[str, float, float]]:
    """(words, least that any plan needs by the estimate, most that is allowed) of each limit."""
    goal, steps = problem.objective, num_steps(problem) or np.nan
    found = []
    if goal.deadline_seconds is not None:
        least, most = _least([part.step_seconds * part.wall_ratio for part in scored]) * steps, goal.deadline_seconds
        times = units.format_seconds(least), units.format_seconds(most)
        found.append((f"the fastest takes about {times[0]}, the deadline is {times[1]}", least, most))
    if goal.budget_dollars is not None:
        least, most = (
            _least([wall_dollars(part.dollars, part.egress_dollars, part.wall_ratio) for part in scored]) * steps,
            goal.budget_dollars,
        )
        sums = units.format_dollars(least), units.format_dollars(most)
        found.append((f"the cheapest costs about {sums[0]}, the budget is {sums[1]}", least, most))
    if problem.constraints.max_egress_dollars is not None:
        least = _least([part.egress_dollars for part in scored]) * steps
        most = problem.constraints.max_egress_dollars
        sums = units.format_dollars(least), units.format_dollars(most)
        found.append((f"the least egress costs about {sums[0]}, the limit is {sums[1]}", least, most))
    return found


def _least(columns: list[Floats]) -> float:
    """The least known value; NaN where all are unknown."""
    known = np.concatenate([column[~np.isnan(column)] for column in columns])
    return float(known.min()) if len(known) else float("nan")
