"""A program of one's own sums gradients as torch does unless it says otherwise, which our trainer does."""

from dataclasses import replace

from crosszone.core.bundle import DeployRequest
from crosszone.core.plan import Plan, Sync
from crosszone.core.prediction import Prediction
from crosszone.core.problem import PlanRequest, Problem
from crosszone.deploy.entry import ENTRY_PATH
from crosszone.frameworks import as_summed, flat_sync, framework_facts
from crosszone.frameworks.rules import HIERARCHICAL, plan_expressed
from crosszone.timeline.predict import predict_plan
from crosszone.units import format_seconds


def flat_where_open(problem: Problem) -> Problem:
    """The same with a flat sum where the job file does not say how zones agree."""
    wanted = problem.plan
    if not wanted.leaves_sum_open:
        return problem
    return replace(problem, plan=replace(wanted, sync=flat_sync(wanted.sync or Sync()), is_sync_method_open=False))


def sum_warnings(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> tuple[str, ...]:
    """What a program of one's own must do for the plan's sum, or could, in both numbers; `prediction` is of `plan`."""
    if request.entry_text is None or plan_expressed(plan).is_once_per_zone[0]:
        return ()
    is_once = plan.sync.method == HIERARCHICAL
    other = replace(plan, sync=flat_sync(plan.sync)) if is_once else as_summed(plan, PlanRequest())
    if other.sync == plan.sync:
        return ()
    seconds = predict_plan(problem, other, framework_facts(plan.framework)).step_seconds
    here, there = format_seconds(prediction.step_seconds), format_seconds(seconds)
    if is_once:
        return (
            f"The plan sums gradients once per zone (sync.method: hierarchical), {here} a step: {ENTRY_PATH} must do "
            f"so itself. {plan.framework} alone sums over all ranks of all zones at once (flat), {there}.",
        )
    return (
        f"{ENTRY_PATH} is taken to sum gradients over all ranks of all zones at once (sync.method: flat), {here} a "
        f"step; our trainer would sum once per zone (hierarchical), {there}.",
    )
