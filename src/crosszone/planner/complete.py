"""The plan of a job file, completed: what the person left out is searched, or placed where all else is held."""

import dataclasses
from typing import Any

import numpy as np

from crosszone.core.plan import Plan
from crosszone.core.problem import Objective, PlanRequest, Problem
from crosszone.core.schedules import traits
from crosszone.errors import Finding, InfeasiblePlan, SpecError
from crosszone.planner.explain import not_expressible
from crosszone.planner.general import to_plan
from crosszone.planner.layouts import layouts
from crosszone.planner.options import options
from crosszone.planner.search import (
    allowed_frameworks,
    allowed_inputs,
    any_plan,
    best_plan,
    first_or_nearest,
)
from crosszone.planner.table import scan
from crosszone.planner.written import best_written, is_written

DEFAULTS = {
    "cp": 1,
    "ep": 1,
    "num_virtual_stages": 1,
    "microbatch_size": 1,
    "recompute": "none",
    "offload": "none",
}
"""What a key of `plan` means where it is absent from a plan that is placed without a search."""


def complete(problem: Problem, *, is_hypothetical: bool = False) -> Plan:
    """The plan of `problem`: what its job file fixes stays, what it leaves out is searched, as `search` ranks plans.

    Where none keeps the limits or has a price: the fastest. Where nothing fits: the plan that lacks least memory.
    Stages or replicas that a person wrote are placed as written. `is_hypothetical`: what the job's framework cannot
    express is taken all the same. Errors: SpecError where no degrees use the GPUs, or a hypothetical job names no
    framework; InfeasiblePlan where no framework at hand can express any plan that the job file leaves open.
    """
    if is_hypothetical and problem.framework is None:
        hint = "Write framework, as megatron."
        raise SpecError.of("which framework's facts to predict with is not said.", where="framework", hint=hint)
    try:
        if is_written(problem.plan):
            return best_written(problem, allowed_frameworks(problem))
        return first_or_nearest(problem, _by_time(problem))
    except InfeasiblePlan:
        plan = any_plan(problem) if is_hypothetical else None
        if plan is None:
            raise
        return plan


def placed(problem: Problem) -> Plan:
    """The plan of `problem` where all that is to be chosen is where its parts lie; without a search of the rest.

    Every GPU works but those under `idle_gpus` and those of excluded zones; what is absent has its default. Whether it
    fits is for the prediction to say. Errors: SpecError where no degrees use all GPUs; InfeasiblePlan where no
    framework at hand can express them.
    """
    if is_written(problem.plan):
        return best_written(problem, allowed_frameworks(problem))
    fixed = dataclasses.replace(_by_time(problem), plan=_with_defaults(problem.plan))
    is_plain = fixed.plan.shard is None and fixed.plan.dp_shard is None
    plain = dataclasses.replace(fixed.plan, shard="none") if is_plain else fixed.plan
    world_size = _world_size(fixed)
    for request in dict.fromkeys((plain, fixed.plan)):
        plan = _best(dataclasses.replace(fixed, plan=request), world_size)
        if plan is not None:
            return plan
    nearest = _fullest(fixed) or _fullest(fixed, any_framework=True)
    if nearest is not None and nearest.world_size < world_size:
        raise SpecError(_idles(fixed, world_size, nearest))
    raise InfeasiblePlan(*(not_expressible(problem, allowed_frameworks(problem), nearest) or (_unplaced(fixed),)))


def _by_time(problem: Problem) -> Problem:
    """The same without limits and prices: what misses them is predicted all the same."""
    constraints = dataclasses.replace(problem.constraints, max_egress_dollars=None)
    return dataclasses.replace(problem, objective=Objective(), constraints=constraints)


def _best(problem: Problem, world_size: int) -> Plan | None:
    """The best plan that uses `world_size` ranks; where none fits, the best of those that do not."""
    prepared = allowed_inputs(problem)
    free = options(prepared, world_size=world_size)
    where = layouts(prepared, problem.constraints.exclude_zones)
    plan = best_plan(prepared, scan(prepared, where, free))
    return plan or best_plan(prepared, scan(prepared, where, free, memory_fraction=float("inf")))


def _fullest(problem: Problem, *, any_framework: bool = False) -> Plan | None:
    """A plan with as many ranks as any has, whether it fits or not; None where nothing can be expressed."""
    prepared = allowed_inputs(problem)
    where = layouts(prepared, problem.constraints.exclude_zones)
    most, fullest = 0, None
    for part in scan(
        prepared, where, options(prepared, any_framework=any_framework), memory_fraction=float("inf")
    ).scored:
        plans = part.rows.plans()
        world_size = plans.tp * plans.cp * plans.pp * plans.dp
        row = int(np.argmax(world_size))
        if world_size[row] > most:
            most, fullest = int(world_size[row]), part.rows.take(np.array([row]))
    return to_plan(prepared, fullest.tables(), 0) if fullest else None


def _world_size(problem: Problem) -> int:
    zones = [zone for zone in problem.cluster.zones if zone.name not in problem.constraints.exclude_zones]
    names = [zone.name for zone in zones]
    idle = sum(idle.num_gpus for idle in problem.plan.idle_gpus or () if idle.zone in names)
    return sum(zone.num_gpus for zone in zones) - idle


def _with_defaults(request: PlanRequest) -> PlanRequest:
    absent: dict[str, Any] = {name: value for name, value in DEFAULTS.items() if getattr(request, name) is None}
    if request.tp is None and request.pp is None:
        absent |= {"tp": 1, "pp": 1}
    elif request.tp is None and request.dp is not None:
        pass  # tp follows from the GPUs, pp and dp
    elif request.tp is None:
        absent["tp"] = 1
    elif request.pp is None and request.dp is None:
        absent["pp"] = 1
    if request.schedule is not None and traits(request.schedule).least_virtual_stages > 1:
        for name in ("pp", "num_virtual_stages"):  # at least 2: the best is searched
            absent.pop(name, None)
    if request.sequence_parallel:
        absent.pop("tp", None)
    return dataclasses.replace(request, **absent)


def _unplaced(problem: Problem) -> Finding:
    """Where a plan that lacks nothing is nearest: what the search does not try."""
    have, batch = _world_size(problem), problem.workload.global_batch_size
    return Finding(
        code="not_expressible",
        message=f"The search places no plan with these degrees on {have} GPUs with {batch} sequences a step.",
        where="plan",
        hint="Free a degree, or write plan.stages and plan.replicas.",
    )


def _idles(problem: Problem, world_size: int, plan: Plan) -> Finding:
    degrees = f"tp={plan.tp}, pp={plan.pp}, cp={plan.cp}, dp={plan.dp}"
    return Finding(
        code="idle_gpus",
        message=f"No plan with these degrees uses {world_size} GPUs; the nearest ({degrees}) uses {plan.world_size}.",
        where="plan",
        hint=f"Change a degree, or name the other {world_size - plan.world_size} GPUs under plan.idle_gpus.",
    )
