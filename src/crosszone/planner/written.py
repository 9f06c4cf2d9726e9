"""A plan whose stages or replicas a person wrote: placed as written, without a search."""

import dataclasses
from collections import Counter

from crosszone.core.plan import RANK_ORDER, RECOMPUTES, IdleGpus, Plan, Replica, Stage, Sync
from crosszone.core.pools import Pool, pools
from crosszone.core.problem import PlanRequest, Problem, ReplicaRequest, StageRequest
from crosszone.core.schedules import traits
from crosszone.errors import Finding, InfeasiblePlan, SpecError
from crosszone.frameworks import as_summed, framework_facts, supports
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_step_seconds

INTERLEAVED = "interleaved_1f1b"
Place = tuple[str, int]
"""Zone and index of one of its node groups."""


def is_written(request: PlanRequest) -> bool:
    """Whether stages or replicas are fixed one by one."""
    return bool(request.stages or request.replicas)


def written_plan(problem: Problem, framework: str) -> Plan:
    """The plan of `problem` for `framework`; degrees that are absent are 1, dp fills the GPUs of the fullest zone.

    Errors: SpecError where a zone has fewer GPUs than the stages placed in it need or is excluded, or microbatches do
    not add up, or stages are interleaved by an unknown number.
    """
    request = problem.plan
    virtual = _num_virtual_stages(request)
    tp, cp, pp = request.tp or 1, request.cp or 1, _num_stages(request)
    stages = request.stages or _even_stages(problem.model.num_layers, pp)
    replicas = request.replicas or _one_chain(problem, stages, tp * cp)
    _refuse_excluded(problem, replicas)
    size = request.microbatch_size or 1
    groups = _groups(problem, stages, replicas, tp * cp)
    dp = sum(replica.num_replicas for replica in replicas)
    recompute = request.recompute or "none"
    plan = Plan(
        framework=framework,
        tp=tp,
        pp=pp,
        cp=cp,
        ep=request.ep or 1,
        dp=dp,
        dp_shard=request.dp_shard or (dp if (request.shard or "none") != "none" else 1),
        num_virtual_stages=virtual,
        microbatch_size=size,
        schedule=request.schedule or (INTERLEAVED if virtual > 1 else "1f1b"),
        sequence_parallel=tp > 1 if request.sequence_parallel is None else request.sequence_parallel,
        shard=request.shard or "none",
        recompute=recompute,
        offload=request.offload or "none",
        rank_order=request.rank_order or RANK_ORDER,
        sync=request.sync or Sync(),
        bucket_bytes=request.bucket_bytes,
        prefetch=request.prefetch,
        overlap_fraction=request.overlap_fraction,
        stages=_stages(stages, groups, tp, dp, (recompute, request.recompute_layers)),
        replicas=_replicas(problem, replicas, groups, size),
        idle_gpus=_idle(problem, replicas, groups, tp * cp),
    )
    return as_summed(_with_own_degrees(plan, replicas, problem.workload.global_batch_size), request)


def _with_own_degrees(plan: Plan, written: tuple[ReplicaRequest, ...], batch: int) -> Plan:
    """The plan with what its replicas do otherwise; all of them say how many microbatches they have."""
    if not any(replica.own for replica in written):
        return plan
    alike, found = plan.degrees_of(dataclasses.replace(plan.replicas[0], own=None)), []
    for replica, wanted in zip(plan.replicas, written, strict=True):
        fixed = dataclasses.asdict(wanted.own) if wanted.own else {}
        if "shard" in fixed and fixed["shard"] == "none":
            fixed["dp_shard"] = 1
        if fixed.get("recompute"):  # and of as many layers as is written beside it
            own = dataclasses.replace(alike, recompute_layers=fixed.pop("recompute_layers"))
        else:
            own = alike
        own = dataclasses.replace(own, **{name: value for name, value in fixed.items() if value is not None})
        found.append(dataclasses.replace(replica, own=None if own == alike else own))
    plan = dataclasses.replace(plan, replicas=tuple(found))
    shares = tuple(dataclasses.replace(replica, weight=plan.sequences_of(replica) / batch) for replica in plan.replicas)
    return dataclasses.replace(plan, replicas=shares)


def best_written(problem: Problem, frameworks: tuple[str, ...]) -> Plan:
    """The written plan for the framework that runs it fastest of `frameworks`.

    Errors: InfeasiblePlan with every reason where none can express it; SpecError as `written_plan`.
    """
    plan = written_plan(problem, frameworks[0])
    plans = [as_summed(dataclasses.replace(plan, framework=name), problem.plan) for name in frameworks]
    reasons = {plan.framework: supports(plan.framework, plan) for plan in plans}
    able = [plan for plan in plans if not reasons[plan.framework]]
    if not able:
        every = [why for one in reasons.values() for why in one]
        raise InfeasiblePlan(*(Finding(code="not_expressible", message=why, where="plan") for why in every))
    prepared = inputs(problem, tuple(framework_facts(plan.framework) for plan in able))
    return min(able, key=lambda plan: plan_step_seconds(prepared, plan))


def _num_virtual_stages(request: PlanRequest) -> int:
    """As written, or what the schedule needs where that is one number."""
    shape = traits(request.schedule or "1f1b")
    if (request.num_virtual_stages or 1) >= shape.least_virtual_stages:
        return request.num_virtual_stages or 1
    if shape.most_virtual_stages is None:
        raise SpecError(_no_chunks())
    return shape.least_virtual_stages


def _no_chunks() -> Finding:
    return Finding(
        code="missing_key",
        message=f"the schedule {INTERLEAVED} needs num_virtual_stages above 1 where stages are written one by one.",
        where="plan.schedule",
        hint="Write num_virtual_stages: 2, or schedule: 1f1b.",
    )


def _refuse_excluded(problem: Problem, replicas: tuple[ReplicaRequest, ...]) -> None:
    excluded = set(problem.constraints.exclude_zones)
    names = dict.fromkeys(zone for replica in replicas for zone in replica.zones if zone in excluded)
    if names:
        raise SpecError(
            Finding(
                code="conflict",
                message=f"the plan uses {', '.join(names)}, which exclude_zones excludes.",
                where="constraints.exclude_zones",
                hint="Place those stages and replicas elsewhere, or do not exclude the zone.",
            )
        )


def _num_stages(request: PlanRequest) -> int:
    if request.stages:
        return len(request.stages)
    longest = max(len(replica.zones) for replica in request.replicas or ())
    return request.pp or longest


def _even_stages(num_layers: int, pp: int) -> tuple[StageRequest, ...]:
    """Layers spread evenly, later stages taking what is left over."""
    short = pp - num_layers % pp
    return tuple(StageRequest(num_layers=num_layers // pp + (index >= short)) for index in range(pp))


def _one_chain(problem: Problem, stages: tuple[StageRequest, ...], block: int) -> tuple[ReplicaRequest, ...]:
    """One kind of replica through the zones of the stages, as many as the fullest zone has room for."""
    excluded = problem.constraints.exclude_zones
    first = next(zone.name for zone in problem.cluster.zones if zone.name not in excluded)
    zones = tuple(stage.zone or first for stage in stages)
    free = _free_gpus(problem)
    num_microbatches = problem.workload.global_batch_size // (problem.plan.microbatch_size or 1)
    most = min(max(free.values()) // block, num_microbatches)
    fitting = (dp for dp in range(most, 1, -1) if None not in _chain(dict(free), zones, stages, block * dp))
    return (ReplicaRequest(num_replicas=problem.plan.dp or next(fitting, 1), zones=zones),)


def _free_gpus(problem: Problem) -> dict[Place, int]:
    """GPUs of each node group that are not wanted idle."""
    free = {(pool.zone.name, pool.node_group_index): pool.node_group.num_gpus for pool in pools(problem.cluster)}
    for idle in problem.plan.idle_gpus or ():
        free[idle.zone, idle.node_group] -= idle.num_gpus
    return free


def _groups(
    problem: Problem, stages: tuple[StageRequest, ...], replicas: tuple[ReplicaRequest, ...], block: int
) -> list[list[Place]]:
    """(zone, node group) of every stage of every replica group: the first node group of the zone with room."""
    left = _free_gpus(problem)
    placed: list[list[Place]] = []
    lacking: list[Finding] = []
    for index, replica in enumerate(replicas):
        zones = replica.zones * len(stages) if len(replica.zones) == 1 else replica.zones
        need = block * replica.num_replicas
        chain = _chain(left, zones, stages, need)
        for place, zone, stage in zip(chain, zones, stages, strict=True):
            if place is None:
                has = max(left[found] for found in _places(left, zone, stage.node_group))
                lacking.append(_lacking(index, zone, need, has))
        placed.append([place for place in chain if place is not None])
    if lacking:
        raise SpecError(*lacking)
    return placed


def _chain(
    left: dict[Place, int], zones: tuple[str, ...], stages: tuple[StageRequest, ...], need: int
) -> list[Place | None]:
    """Where each stage finds `need` GPUs, which are taken from `left`; None where it does not."""
    chain: list[Place | None] = []
    for zone, stage in zip(zones, stages, strict=True):
        place = next((one for one in _places(left, zone, stage.node_group) if left[one] >= need), None)
        if place is not None:
            left[place] -= need
        chain.append(place)
    return chain


def _places(left: dict[Place, int], zone: str, node_group: int | None) -> list[Place]:
    return [place for place in left if place[0] == zone and node_group in (None, place[1])]


def _lacking(index: int, zone: str, need: int, has: int) -> Finding:
    return Finding(
        code="too_few_gpus",
        message=f"a stage needs tp*cp*replicas = {need} GPUs in {zone}, where no node group has more than {has} left.",
        where=f"plan.replicas[{index}]",
        hint="Place fewer replicas or stages there, or lower tp.",
    )


def _stages(
    stages: tuple[StageRequest, ...], groups: list[list[Place]], tp: int, dp: int, recompute: tuple[str, int | None]
) -> tuple[Stage, ...]:
    found, first = [], 0
    for index, stage in enumerate(stages):
        places = {chain[index] for chain in groups}
        own = stage.recompute is None and stage.recompute_layers is None
        kind, layers = recompute if own else (stage.recompute or recompute[0], stage.recompute_layers)
        zone, group = places.pop() if len(places) == 1 else (None, None)
        found.append(
            Stage(
                first_layer=first,
                num_layers=stage.num_layers,
                zone=zone,
                node_group=group,
                tp=stage.tp or tp,
                dp=stage.dp or dp,
                recompute=kind,
                recompute_layers=None if kind == RECOMPUTES[0] else layers,
            )
        )
        first += stage.num_layers
    return tuple(found)


def _replicas(
    problem: Problem, replicas: tuple[ReplicaRequest, ...], groups: list[list[Place]], microbatch_size: int
) -> tuple[Replica, ...]:
    """Replica groups with their microbatches: as written, the rest of the batch shared by the others.

    Where it cannot be shared evenly, the first of the others do one more.
    """
    total = problem.workload.global_batch_size // microbatch_size
    if any(replica.own for replica in replicas):  # whoever reads the job file has seen to it that the sum is right
        named = [replica.num_microbatches or 1 for replica in replicas]
        total = sum(replica.num_replicas * count for replica, count in zip(replicas, named, strict=True))
    replicas = tuple(_weighed(replica, index, total) for index, replica in enumerate(replicas))
    written = sum(replica.num_replicas * (replica.num_microbatches or 0) for replica in replicas)
    free = sum(replica.num_replicas for replica in replicas if replica.num_microbatches is None)
    if (free == 0 and written != total) or (free and total - written < free):
        raise SpecError(_wrong_share(total, written, free))
    share, more = divmod(total - written, free) if free else (0, 0)
    found = []
    for replica, chain in zip(replicas, groups, strict=True):
        if replica.num_microbatches is not None:
            found.append(_replica(chain, replica.num_replicas, replica.num_microbatches, total))
            continue
        busier = min(more, replica.num_replicas)
        more -= busier
        for num, count in ((busier, share + 1), (replica.num_replicas - busier, share)):
            if num:
                found.append(_replica(chain, num, count, total))
    return tuple(found)


def _weighed(replica: ReplicaRequest, index: int, total: int) -> ReplicaRequest:
    """The microbatches of one replica where a weight was written instead. Error: SpecError where they are not whole."""
    if replica.weight is None or replica.num_microbatches is not None:
        return replica
    share = replica.weight * total / replica.num_replicas
    count = round(share)
    if count < 1 or abs(share - count) > 1e-6 * total:
        raise SpecError.of(
            f"weight {replica.weight:g} of {total} microbatches over {replica.num_replicas} replicas: {share:g} each.",
            where=f"plan.replicas[{index}].weight",
            hint=f"Write {max(count, 1) * replica.num_replicas / total:g}, or num_microbatches: they must be whole.",
            code="not_divisible",
        )
    return dataclasses.replace(replica, num_microbatches=count)


def _replica(chain: list[Place], num_replicas: int, num_microbatches: int, total: int) -> Replica:
    return Replica(
        num_replicas=num_replicas,
        zones=tuple(zone for zone, _ in chain),
        node_groups=tuple(group for _, group in chain),
        num_microbatches=num_microbatches,
        weight=num_replicas * num_microbatches / total,
    )


def _wrong_share(total: int, written: int, free: int) -> Finding:
    rest = f", and the {total - written} left are too few for the other {free} replicas" if free else ""
    return Finding(
        code="wrong_sum",
        message=f"a step has {total} microbatches, the replicas name {written}{rest}.",
        where="plan.replicas",
        hint="Make num_replicas * num_microbatches add up to the batch.",
    )


def _idle(
    problem: Problem, replicas: tuple[ReplicaRequest, ...], groups: list[list[Place]], block: int
) -> tuple[IdleGpus, ...]:
    used: Counter[Place] = Counter()
    for replica, chain in zip(replicas, groups, strict=True):
        for place in chain:
            used[place] += block * replica.num_replicas
    return tuple(_left_over(pool, used) for pool in pools(problem.cluster) if _left_over(pool, used).num_gpus)


def _left_over(pool: Pool, used: Counter[Place]) -> IdleGpus:
    place = (pool.zone.name, pool.node_group_index)
    return IdleGpus(zone=place[0], node_group=place[1], num_gpus=pool.node_group.num_gpus - used[place])
