"""A plan held fast while its problem changes: only what a person set is another, and what must follow from it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from crosszone.core.model import Model
from crosszone.core.plan import RECOMPUTES, Plan, Replica, Stage, Sync, zone_plans
from crosszone.core.pools import pools
from crosszone.core.problem import PlanRequest, Problem
from crosszone.errors import Finding, InfeasiblePlan, SpecError
from crosszone.frameworks import as_summed, supports
from crosszone.frameworks.rules import SUMS
from crosszone.planner.complete import complete, placed
from crosszone.timeline.threats import idle_gpus, working_gpus

Place = tuple[str | int, ...]
"""Keys and indices of a job file, from its top."""

PLACED = frozenset({"tp", "pp", "cp", "dp", "stages", "replicas", "idle_gpus"})
"""Keys of `plan` that decide which GPU does what: where one is set, the plan is placed anew."""
HELD = tuple(
    field.name
    for field in dataclasses.fields(PlanRequest)
    if field.name not in {*PLACED, "sync", "is_sync_method_open", "dp_shard", "microbatch_size"}
)
"""Keys of `plan` that are values of the plan as they stand."""
SYNC_FIELDS = {"streams": "num_streams", "fragments": "num_fragments", "delay": "num_delay_steps"}
"""Fields of `Sync` that the job file calls otherwise."""
DECIDE_SUM = ("framework", "cp", "shard", "dp_shard", "replicas")
"""Fields of a plan from which it follows which sum its framework runs."""
OF_REPLICAS = frozenset({"microbatch_size", "dp_shard", "shard", "recompute", "recompute_layers"})
"""Keys of `plan` that replicas may have of their own; what is set is set for all."""
SEARCH_AGAIN = "`crosszone plan` searches a plan for this job."


def pinned(problem: Problem, plan: Plan, places: Sequence[Place]) -> Plan:
    """`plan` with what is set at `places`, all of which `problem` has already.

    Microbatches are shared as before where the batch or their size changes, replicas of an excluded zone go, GPUs that
    are new stay idle. Where a degree is set, stages and replicas are placed anew, and `dp` follows unless it is set.
    Where `plan` as a whole is set, as by `plan=null`, the plan is the changed job's own.
    Errors: SpecError or InfeasiblePlan where the changed job leaves no room for the plan, with all reasons.
    """
    if ("plan",) in places:
        return complete(problem)
    keys = plan_keys(places)
    changed = _set_values(problem, plan, places)
    if keys & PLACED:
        changed = placed(dataclasses.replace(problem, plan=_request(problem, changed, keys)))
    else:
        remaining = _without_excluded(problem, changed)
        is_whole = remaining is changed and changed.num_sequences == problem.workload.global_batch_size
        changed = _placed(problem, remaining, must_share=not is_whole)
    if any(getattr(changed, name) != getattr(plan, name) for name in DECIDE_SUM):
        changed = as_summed(changed, problem.plan)
    check_plan(problem, changed)
    return changed


def plan_keys(places: Sequence[Place]) -> set[str]:
    """The keys of `plan` at or below which something is set."""
    return {str(place[1]) for place in places if place[0] == "plan" and len(place) > 1}


def check_plan(problem: Problem, plan: Plan) -> None:
    """Raise SpecError or InfeasiblePlan, with every reason why `plan` is not one of `problem`."""
    found = [*_room(problem, plan), *_arithmetic(problem, plan)]
    if found:
        raise SpecError(*found)
    at_hand = problem.constraints.frameworks
    if at_hand and plan.framework not in at_hand:
        message = f"the plan is for {plan.framework}, which is not among {', '.join(at_hand)}."
        raise InfeasiblePlan.of(message, where="constraints.frameworks", hint=SEARCH_AGAIN)
    reasons = supports(plan.framework, plan)
    if reasons:
        raise InfeasiblePlan(*(Finding(code="not_expressible", message=why, where="plan") for why in reasons))


def misfits(model: Model, plan: Plan) -> list[Finding]:
    """Why `plan` is no plan of `model`, on whatever cluster."""
    num_layers = sum(stage.num_layers for stage in plan.stages)
    wrong = {
        "model": num_layers != model.num_layers
        and f"the plan's stages hold {num_layers} layers, {model.name} has {model.num_layers}.",
        "plan.tp": model.num_heads % plan.tp and f"tp {plan.tp} does not divide the model's {model.num_heads} heads.",
        "plan.ep": plan.ep > 1
        and (model.num_experts or 1) % plan.ep
        and f"ep {plan.ep} does not divide the model's {model.num_experts} experts.",
    }
    return _illegal(wrong)


def _set_values(problem: Problem, plan: Plan, places: Sequence[Place]) -> Plan:
    """The plan with the values that were set; those that place it are left for later."""
    request, found = problem.plan, dict[str, Any]()
    keys = plan_keys(places)
    for name in keys & set(HELD):
        found[name] = getattr(request, name)
    if keys & OF_REPLICAS:
        found["replicas"] = _alike(plan)
    nullable = {"bucket_bytes", "prefetch", "overlap_fraction"}
    found = {name: value for name, value in found.items() if value is not None or name in nullable}
    if "microbatch_size" in keys:
        found["microbatch_size"] = request.microbatch_size or plan.microbatch_size
    if "shard" in found or "dp_shard" in keys:
        shard = found.get("shard", plan.shard)
        found["dp_shard"] = 1 if shard == "none" else request.dp_shard or (plan.dp if plan.dp_shard == 1 else 0)
        found["dp_shard"] = found["dp_shard"] or plan.dp_shard
    if keys & {"recompute", "recompute_layers"}:
        found["stages"] = _recomputing(request, plan)
    found.pop("recompute_layers", None)
    if "sync" in keys:
        found["sync"] = _sync(problem, plan.sync, places)
    if any(place[0] == "framework" for place in places) and problem.framework is not None:
        found["framework"] = problem.framework
    return dataclasses.replace(plan, **found)


def _alike(plan: Plan) -> tuple[Replica, ...]:
    """The replicas without degrees of their own: to be shared anew in the proportions of their sequences."""
    if not plan.has_own_degrees:
        return plan.replicas
    return tuple(
        dataclasses.replace(one, own=None, num_microbatches=plan.sequences_of(one) // one.num_replicas)
        for one in plan.replicas
    )


def _recomputing(request: PlanRequest, plan: Plan) -> tuple[Stage, ...]:
    """Stages that all recompute what the job file says."""
    kind = request.recompute or plan.recompute
    layers = None if kind == RECOMPUTES[0] else request.recompute_layers
    return tuple(dataclasses.replace(stage, recompute=kind, recompute_layers=layers) for stage in plan.stages)


def _sync(problem: Problem, sync: Sync, places: Sequence[Place]) -> Sync:
    """How zones agree, with the keys below `plan.sync` that were set."""
    wanted = problem.plan.sync or Sync()
    for place in places:
        if place == ("plan", "sync"):
            return wanted
        if place[:2] != ("plan", "sync"):
            continue
        name = SYNC_FIELDS.get(str(place[2]), str(place[2]))
        value = getattr(wanted, name)
        if name == "codecs":
            streams = {str(place[3])} if len(place) > 3 else {stream for stream, _ in (*sync.codecs, *wanted.codecs)}
            kept = {stream: codec for stream, codec in sync.codecs if stream not in streams}
            value = tuple((kept | {stream: codec for stream, codec in wanted.codecs if stream in streams}).items())
        sync = dataclasses.replace(sync, **{name: value})
    return sync


def _request(problem: Problem, plan: Plan, keys: set[str]) -> PlanRequest:
    """What the search that places the plan anew must keep."""
    written, held = problem.plan, {name: getattr(plan, name) for name in HELD}
    degrees = {name: getattr(written if name in keys else plan, name) for name in ("tp", "pp", "cp")}
    shards = written.dp_shard if "dp_shard" in keys else None
    if degrees["tp"] is None:
        degrees["tp"] = plan.tp
    if degrees["tp"] == 1 or "tp" in keys:
        held["sequence_parallel"] = written.sequence_parallel if "sequence_parallel" in keys else None
    general = {name: getattr(written, name) for name in ("stages", "replicas", "idle_gpus")}
    return PlanRequest(
        **{**held, **degrees, **general},
        dp=written.dp if "dp" in keys else None,
        dp_shard=shards,
        microbatch_size=plan.microbatch_size,
        sync=plan.sync,
        is_sync_method_open=written.leaves_sum_open and plan.sync.method in SUMS,
    )


def _without_excluded(problem: Problem, plan: Plan) -> Plan:
    """The plan without the replicas of zones that the job excludes. SpecError where part of a replica is there."""
    excluded = set(problem.constraints.exclude_zones) & set(plan.zones)
    if not excluded:
        return plan
    left = tuple(replica for replica in plan.replicas if not excluded & set(replica.zones))
    is_cut = any(excluded & set(replica.zones) and not set(replica.zones) <= excluded for replica in plan.replicas)
    if is_cut or not left:
        names = ", ".join(sorted(excluded))
        message = f"the plan needs {names}, which exclude_zones excludes."
        raise SpecError.of(message, where="constraints.exclude_zones", hint=SEARCH_AGAIN, code="conflict")
    if plan.has_own_degrees and len({replica.zones for replica in left}) == 1:
        plan = next(part for part in zone_plans(plan) if part.zones == left[0].zones)
        left = plan.replicas
    dp = sum(replica.num_replicas for replica in left)
    shards = plan.dp_shard if dp % plan.dp_shard == 0 or plan.has_own_degrees else dp
    stages = tuple(_settled(dataclasses.replace(stage, dp=dp), index, left) for index, stage in enumerate(plan.stages))
    return dataclasses.replace(plan, dp=dp, dp_shard=shards, replicas=left, stages=stages)


def _settled(stage: Any, index: int, replicas: Sequence[Replica]) -> Any:
    """The stage with its zone, if all replicas that are left keep it in the same one."""
    places = {(replica.zones[index], replica.node_groups[index]) for replica in replicas}
    zone, group = places.pop() if len(places) == 1 else (None, None)
    return dataclasses.replace(stage, zone=zone, node_group=group)


def _placed(problem: Problem, plan: Plan, *, must_share: bool) -> Plan:
    """The plan with its microbatches shared out again if they must be, and the GPUs that it leaves alone."""
    replicas = _shared(problem, plan) if must_share else plan.replicas
    plan = dataclasses.replace(plan, replicas=replicas)
    return dataclasses.replace(plan, idle_gpus=idle_gpus(problem.cluster, plan))


def _shared(problem: Problem, plan: Plan) -> tuple[Replica, ...]:
    """The replicas with the microbatches of the changed batch, in the proportions of before.

    What does not come out whole goes, one microbatch each, to the replicas that lose most by rounding down.
    """
    batch, size = problem.workload.global_batch_size, plan.microbatch_size
    if plan.has_own_degrees:
        message = f"zones with degrees of their own share {plan.num_sequences} sequences, and {batch} are to be shared."
        raise SpecError.of(message, where="workload.global_batch_size", hint=SEARCH_AGAIN, code="not_divisible")
    if batch % size:
        message = f"microbatch_size {size} does not divide the {batch} sequences of a step."
        raise SpecError.of(message, where="plan.microbatch_size", hint=SEARCH_AGAIN, code="not_divisible")
    total = batch // size
    if total < plan.dp:
        message = f"a step has {total} microbatches of {size}, too few for {plan.dp} replicas."
        raise SpecError.of(message, where="workload.global_batch_size", hint=SEARCH_AGAIN, code="not_divisible")
    before = sum(replica.num_replicas * replica.num_microbatches for replica in plan.replicas)
    wanted = [Fraction(replica.num_microbatches * total, before) for replica in plan.replicas]
    counts = [max(int(share), 1) for share in wanted]
    spare = total - sum(replica.num_replicas * count for replica, count in zip(plan.replicas, counts, strict=True))
    order = sorted(range(len(counts)), key=lambda index: counts[index] - wanted[index])
    extra = dict.fromkeys(order, 0)
    for index in order:
        extra[index] = min(max(spare, 0), plan.replicas[index].num_replicas)
        spare -= extra[index]
    if spare:
        message = f"{total} microbatches cannot be shared among the {plan.dp} replicas as the plan's were."
        raise SpecError.of(message, where="workload.global_batch_size", hint=SEARCH_AGAIN, code="not_divisible")
    found: Counter[tuple[tuple[str, ...], tuple[int, ...], int]] = Counter()
    for index, (replica, count) in enumerate(zip(plan.replicas, counts, strict=True)):
        for num, each in ((extra[index], count + 1), (replica.num_replicas - extra[index], count)):
            if num:
                found[replica.zones, replica.node_groups, each] += num
    return tuple(
        Replica(
            num_replicas=num,
            zones=zones,
            node_groups=groups,
            num_microbatches=each,
            weight=num * each / total,
        )
        for (zones, groups, each), num in found.items()
    )


def _room(problem: Problem, plan: Plan) -> list[Finding]:
    """GPUs that the plan uses and the cluster lacks."""
    has = {(pool.zone.name, pool.node_group_index): pool.node_group.num_gpus for pool in pools(problem.cluster)}
    found = []
    for (zone, group), need in working_gpus(plan).items():
        if (zone, group) not in has:
            message = f"the plan uses {need} GPUs in node group {group} of {zone}, which the cluster does not have."
        elif need > has[zone, group]:
            message = f"the plan uses {need} GPUs in {zone}, node group {group}, which has {has[zone, group]}."
        else:
            continue
        found.append(Finding(code="too_few_gpus", message=message, where="cluster.zones", hint=SEARCH_AGAIN))
    return found


def _arithmetic(problem: Problem, plan: Plan) -> list[Finding]:
    """Products and divisions that do not come out."""
    length = problem.workload.sequence_length
    done, parts = plan.num_sequences, zone_plans(plan) if plan.has_own_degrees else (plan,)
    wrong = {
        "plan.cp": plan.cp > 1
        and length % (2 * plan.cp)
        and f"2*cp = {2 * plan.cp} does not divide the sequence length {length}.",
        "plan.schedule": plan.schedule == "interleaved_1f1b"
        and plan.num_virtual_stages == 1
        and "interleaved_1f1b needs num_virtual_stages above 1, the plan has 1.",
        "plan.dp_shard": " ".join(
            f"dp_shard {one.dp_shard} does not divide dp {one.dp}." for one in parts if one.dp % one.dp_shard
        )
        or None,
        "workload.global_batch_size": done != problem.workload.global_batch_size
        and f"the plan's replicas consume {done} sequences a step, the job has {problem.workload.global_batch_size}.",
    }
    return misfits(problem.model, plan) + _illegal(wrong)


def _illegal(wrong: Mapping[str, object]) -> list[Finding]:
    """Of each place what is wrong there; what is no text is right."""
    return [
        Finding(code="illegal_plan", message=message, where=where, hint=SEARCH_AGAIN)
        for where, message in wrong.items()
        if isinstance(message, str)
    ]
