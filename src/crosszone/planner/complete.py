"""The plan of a job file, completed: what the person left out follows, takes its default, or is placed best."""

import dataclasses

from crosszone.core.plan import Plan
from crosszone.core.problem import PlanRequest, Problem
from crosszone.errors import Finding, InfeasiblePlan
from crosszone.frameworks import framework_facts
from crosszone.planner.layouts import layouts
from crosszone.planner.options import options
from crosszone.planner.search import allowed_frameworks, best_plan, search
from crosszone.planner.table import scan
from crosszone.timeline.inputs import inputs

DEFAULTS = {
    "cp": 1,
    "ep": 1,
    "num_virtual_stages": 1,
    "microbatch_size": 1,
    "recompute": "none",
    "offload": "none",
}
"""What a key of `plan` means where it is absent from a plan that a person fixed."""


def complete(problem: Problem) -> Plan:
    """The plan of `problem`, every stage and replica placed; whether it fits is for the prediction to say.

    Without a `plan` in the job file: the plan that the search ranks first. Errors: InfeasiblePlan where no framework at
    hand can express it.
    """
    if problem.plan == PlanRequest():
        answer = search(problem, top=1)
        if answer.plans:
            return answer.plans[0].plan
        if answer.rejected:
            return answer.rejected[0].plan
    fixed = dataclasses.replace(problem, plan=_with_defaults(problem.plan))
    prepared = inputs(fixed, tuple(framework_facts(name) for name in allowed_frameworks(fixed)))
    found = scan(prepared, layouts(prepared, fixed.constraints.exclude_zones), options(prepared))
    plan = best_plan(prepared, found)
    if plan is None:
        raise InfeasiblePlan(_not_expressible(fixed))
    return plan


def _with_defaults(request: PlanRequest) -> PlanRequest:
    absent = {name: value for name, value in DEFAULTS.items() if getattr(request, name) is None}
    if request.tp is None and request.pp is None:
        absent |= {"tp": 1, "pp": 1}
    elif request.tp is None and request.dp is not None:
        pass  # tp follows from the GPUs, pp and dp
    elif request.tp is None:
        absent["tp"] = 1
    elif request.pp is None and request.dp is None:
        absent["pp"] = 1
    if request.shard is None and request.dp_shard is None:
        absent["shard"] = "none"
    return dataclasses.replace(request, **absent)


def _not_expressible(problem: Problem) -> Finding:
    names = ", ".join(allowed_frameworks(problem))
    request = {
        field.name: getattr(problem.plan, field.name)
        for field in dataclasses.fields(problem.plan)
        if getattr(problem.plan, field.name) is not None
    }
    written = ", ".join(f"{name}={value}" for name, value in request.items())
    return Finding(
        code="not_expressible",
        message=f"The plan ({written}) cannot be laid on {problem.cluster.num_gpus} GPUs by {names}.",
        where="plan",
        hint="Free a degree, change the batch so that replicas share it, or name another framework.",
    )
