"""The whole training that a plan's step adds up to: time, failures, money, energy."""

from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.core.prediction import Costs, Link
from crosszone.core.problem import Problem
from crosszone.timeline.dataset import reading
from crosszone.timeline.finish import Outlook, outlook
from crosszone.timeline.money import costs_of, energy_joules
from crosszone.timeline.threats import plan_footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """None where the tokens of the training, or a price, are unknown."""

    train_seconds: float | None
    outlook: Outlook
    costs: Costs
    energy_joules: float | None
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]


def totals(
    problem: Problem, plan: Plan, links: tuple[Link, ...], *, step_seconds: float, step_dollars: float | None
) -> Totals:
    """Of `plan`, whose step takes `step_seconds` and sends what `links` say for `step_dollars` of egress."""
    steps = problem.workload.num_steps
    data = reading(problem, plan, links, step_seconds)
    footprint = plan_footprint(plan, {(link.from_zone, link.to_zone) for link in links})
    whole = outlook(problem, footprint, step_seconds, data.wait_ratio)
    train_seconds = None if steps is None else steps * step_seconds
    return Totals(
        train_seconds=train_seconds,
        outlook=whole,
        costs=costs_of(
            problem,
            plan,
            train_seconds=train_seconds,
            step_egress_dollars=None if steps is None or step_dollars is None else steps * step_dollars,
            dataset_egress_dollars=None if steps is None else data.egress_dollars,
            reliability=whole.reliability,
        ),
        energy_joules=energy_joules(problem, plan, whole.reliability.wall_seconds or train_seconds),
        assumed=whole.assumed + data.assumed,
        warnings=whole.warnings + data.warnings,
    )
