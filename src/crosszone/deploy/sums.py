"""How gradients are summed between zones, which is what runs and not what a plan would like."""

from dataclasses import replace

from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.timeline.predict import predict_plan
from crosszone.units import format_seconds

FLAT, HIERARCHICAL = "flat", "hierarchical"


def sums_flat(plan: Plan) -> bool:
    """Whether every framework sums this plan's gradients over ranks of several zones in one group.

    Only replicas that are sharded in part have a group inside and one across. Stages in zones of their own send no
    gradients between them.
    """
    return "dp" in plan.zone_axis and plan.dp_shard in (1, plan.dp)


def as_summed(problem: Problem, plan: Plan) -> Plan:
    """`plan` with the sum that runs, where the job file does not say how zones agree."""
    if problem.plan.sync is not None or plan.sync.method != HIERARCHICAL or not sums_flat(plan):
        return plan
    return replace(plan, sync=replace(plan.sync, method=FLAT))


def sum_warnings(problem: Problem, plan: Plan, prediction: Prediction) -> tuple[str, ...]:
    """What the other sum would take, where `plan` is not what a person would expect; `prediction` is of `plan`."""
    is_asked, method = problem.plan.sync is not None, plan.sync.method
    if not sums_flat(plan) or method != (HIERARCHICAL if is_asked else FLAT):
        return ()
    other = replace(plan, sync=replace(plan.sync, method=FLAT if is_asked else HIERARCHICAL))
    seconds = predict_plan(problem, other, framework_facts(plan.framework)).step_seconds
    here, there = format_seconds(prediction.step_seconds), format_seconds(seconds)
    if is_asked:
        return (
            f"The plan agrees once per zone (hierarchical), {here} a step, but {plan.framework} sums over all ranks of "
            f"all zones at once: a flat sum takes {there}.",
        )
    return (
        f"{plan.framework} sums gradients over all ranks of all zones at once (sync.method: flat), {here} a step; once "
        f"per zone (hierarchical) would take {there}, which it does not do.",
    )
