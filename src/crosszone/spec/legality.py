"""Arithmetic across fields: what no single value of a job file can be wrong about alone.

Every check tells the two numbers that conflict and the nearest legal values. A value that was not written is free, and
nothing is said about it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from crosszone.core.model import Model
from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import refusal, traits
from crosszone.errors import nearest_hint
from crosszone.spec import job as spec
from crosszone.spec.degrees import AXES, divisors, legal_degrees, nearest_values, product_text
from crosszone.spec.reporting import Report
from crosszone.spec.shape import LOST_NAME
from crosszone.spec.yaml_source import Path

INTERLEAVED = "interleaved_1f1b"
PLAIN = "1f1b"
"""What one stage alone runs: a forward, then its backward."""
MANY_MICROBATCHES = 1 << 20
"""Enough for every schedule, and even."""
FULL = "full"
STANDALONE_ENDS = 2
"""Virtual stages that may hold no layer where stages are written: the embedding alone, the LM head alone."""
WEIGHT_TOLERANCE = 1e-6
"""Rounding that the sum of the replicas' weights may show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """One node group by its numbers."""

    zone: str
    index: int
    num_gpus: int
    gpus_per_node: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the checks look at."""

    job: spec.Job
    plan: spec.Plan
    model: Model | None
    """None where it could not be read."""
    groups: tuple[_Group, ...]
    """Node groups of the zones that are not excluded."""
    knows_groups: bool
    """False where a count or a zone could not be read."""
    report: Report

    @property
    def num_gpus(self) -> int:
        """GPUs that a plan may use."""
        return sum(group.num_gpus for group in self.groups)

    def refuse(self, key: str, code: str, message: str, hint: str = "") -> None:
        """Note an error at a key of the plan, or at the plan where `key` is empty."""
        self.report.refuse(("plan", key) if key else ("plan",), code, message, hint)

    def degrees(self) -> dict[str, int]:
        """The degrees that are written, or that stages and replicas imply."""
        plan = self.plan
        found = {"tp": plan.tp, "cp": plan.cp, "pp": plan.pp, "dp": plan.dp}
        if found["pp"] is None and plan.stages:
            found["pp"] = len(plan.stages)
        if found["dp"] is None and plan.replicas:
            found["dp"] = sum(replica.num_replicas or 1 for replica in plan.replicas)
        return {axis: degree for axis, degree in found.items() if degree is not None}


def check(job: spec.Job, model: Model | None, report: Report) -> None:
    """Note everything in the job file that contradicts something else in it."""
    _check_zone_names(job, report)
    case = _case(job, model, report)
    if case.knows_groups and not case.groups:
        message = f"all {len(job.cluster.zones)} zones are excluded."
        report.refuse(("constraints", "exclude_zones"), "no_zones", message, "Leave at least one.")
        return
    for one_check in (
        _check_tensor_parallel,
        _check_context_parallel,
        _check_pipeline,
        _check_schedule,
        _check_stages,
        _check_recompute,
        _check_batch,
        _check_sharding,
        _check_experts,
        _check_replicas,
        _check_idle_gpus,
        _check_world_size,
    ):
        one_check(case)


def _case(job: spec.Job, model: Model | None, report: Report) -> _Case:
    excluded = set(job.constraints.exclude_zones) if job.constraints is not None else set()
    groups = tuple(
        _Group(
            zone=zone.name,
            index=index,
            num_gpus=group.count * group.gpus_per_node,
            gpus_per_node=group.gpus_per_node,
        )
        for zone in job.cluster.zones
        for index, group in enumerate(zone.nodes)
        if zone.name not in excluded
    )
    counted = {"cluster", "zones", "nodes", "count", "gpus_per_node", "name"}
    lost_counts = [
        path for path in report.lost if path[:1] == ("cluster",) and "links" not in path and _last_key(path) in counted
    ]
    return _Case(
        job=job,
        plan=job.plan or spec.Plan(),
        model=model,
        groups=groups,
        knows_groups=not lost_counts and not report.has_lost_below(("constraints", "exclude_zones")),
        report=report,
    )


def _last_key(path: Path) -> str:
    return next(part for part in reversed(path) if isinstance(part, str))


def _check_zone_names(job: spec.Job, report: Report) -> None:
    """Zones that are named outside of `cluster` exist."""
    names = [zone.name for zone in job.cluster.zones]
    plan, constraints = job.plan or spec.Plan(), job.constraints or spec.Constraints()
    named: list[tuple[Path, str | None]] = [
        *((("constraints", "exclude_zones", i), name) for i, name in enumerate(constraints.exclude_zones)),
        *((("plan", "stages", i, "zone"), stage.zone) for i, stage in enumerate(plan.stages or ())),
        *(
            (("plan", "replicas", i, "zones", j), name)
            for i, replica in enumerate(plan.replicas or ())
            for j, name in enumerate(replica.zones)
        ),
        *((("plan", "idle_gpus", i, "zone"), idle.zone) for i, idle in enumerate(plan.idle_gpus or ())),
    ]
    if job.workload.dataset is not None:
        named.append((("workload", "dataset", "zone"), job.workload.dataset.zone))
    for path, name in named:
        if name is not None and name not in names and LOST_NAME not in names:
            report.refuse(path, "unknown_zone", f'there is no zone "{name}".', nearest_hint(name, names))


def _check_tensor_parallel(case: _Case) -> None:
    tps: list[tuple[Path, int]] = [] if case.plan.tp is None else [(("plan", "tp"), case.plan.tp)]
    stages = enumerate(case.plan.stages or ())
    tps += [(("plan", "stages", index, "tp"), stage.tp) for index, stage in stages if stage.tp is not None]
    heads = case.model.num_heads if case.model is not None else None
    for path, tp in tps:
        if heads is not None and heads % tp:
            message = f"tp {tp} does not divide the model's {heads} heads."
            case.report.refuse(path, "not_divisible", message, _legal("tp", tp, divisors(heads)))
    if case.plan.sequence_parallel and case.plan.tp == 1:
        message = "sequence_parallel is true, but tp is 1: there is nothing to split over."
        case.refuse("sequence_parallel", "conflict", message, "Set sequence_parallel: false, or tp above 1.")


def _check_context_parallel(case: _Case) -> None:
    cp, length = case.plan.cp, case.job.workload.sequence_length
    if cp is None or cp == 1 or case.report.has_lost(("workload", "sequence_length")):
        return
    if length % (2 * cp):
        # Each rank takes one part from the front and one from the back, so that causal attention is balanced.
        legal = divisors(length // 2) if length % 2 == 0 else (1,)
        message = f"2*cp = {2 * cp} does not divide the sequence length {length}."
        case.refuse("cp", "not_divisible", message, _legal("cp", cp, legal))


def _check_pipeline(case: _Case) -> None:
    pp, chunks = case.degrees().get("pp"), case.plan.num_virtual_stages or 1
    layers = case.model.num_layers if case.model is not None else None
    if pp is None or layers is None:
        return
    if chunks == 1:
        if pp > layers:
            message, hint = f"pp = {pp} stages for the model's {layers} layers.", f"Set pp to {layers} at most."
            case.refuse("pp", "too_many_stages", message, hint)
        return
    written, hint = f"pp*num_virtual_stages = {pp}*{chunks} = {pp * chunks}", _legal_chunks(case, pp, chunks, layers)
    if pp * chunks > layers + (STANDALONE_ENDS if case.plan.stages else 0):
        case.refuse("pp", "too_many_stages", f"{written} stages for the model's {layers} layers.", hint)
    elif layers % (pp * chunks) and not case.plan.stages:  # whoever writes the stages shares the layers out himself
        message = f"{written} does not divide the model's {layers} layers."
        case.refuse("num_virtual_stages", "not_divisible", message, hint)


def _legal_chunks(case: _Case, pp: int, chunks: int, layers: int) -> str:
    """Which num_virtual_stages go with this pp, and which pp with these num_virtual_stages."""
    legal_chunks = [count // pp for count in divisors(layers) if count % pp == 0]
    if case.plan.schedule == INTERLEAVED:
        legal_chunks = [count for count in legal_chunks if count > 1]
    elif pp <= layers:
        legal_chunks = [1, *(count for count in legal_chunks if count > 1)]  # without chunks, stages may be uneven
    legal_pps = [count // chunks for count in divisors(layers) if count % chunks == 0 and count > chunks]
    near = [_near("num_virtual_stages", chunks, legal_chunks), _near("pp", pp, legal_pps)]
    found = "; or ".join(text for text in near if text)
    return f"Nearest legal: {found}." if found else "Set schedule: 1f1b, without num_virtual_stages."


def _check_schedule(case: _Case) -> None:
    chunks, schedule, pp = case.plan.num_virtual_stages, case.plan.schedule, case.degrees().get("pp")
    least = traits(schedule).least_virtual_stages if schedule in SCHEDULES else 1
    if schedule in SCHEDULES and pp is not None and pp > 1:
        _check_shape(case, schedule, pp)
    if chunks is not None and chunks > 1:
        if schedule in SCHEDULES and not traits(schedule).runs_virtual_stages(chunks):
            has = "one stage" if least == 1 else f"{least} virtual stages"
            message = f"num_virtual_stages is {chunks}, but the schedule {schedule} has {has} on each rank."
            hint = f"Set schedule: {INTERLEAVED}, or num_virtual_stages: {least}."
            case.refuse("num_virtual_stages", "conflict", message, hint)
        if pp == 1:
            message = f"num_virtual_stages is {chunks}, but pp is 1: there is no pipeline."
            case.refuse("num_virtual_stages", "conflict", message, "Set num_virtual_stages: 1, or pp above 1.")
    elif schedule in SCHEDULES and least > 1 and chunks == 1:
        message = f"the schedule {schedule} needs num_virtual_stages above 1, not 1."
        case.refuse("schedule", "conflict", message, "Set num_virtual_stages: 2, or schedule: 1f1b.")
    if schedule in SCHEDULES and schedule != PLAIN and pp == 1:
        message = f"the schedule {schedule} needs pp above 1, not 1."
        case.refuse("schedule", "conflict", message, f"Set schedule: {PLAIN}, or pp above 1.")


def _check_shape(case: _Case, schedule: str, pp: int) -> None:
    """What the schedule says of pp alone; microbatches depend on what is searched."""
    if why := refusal(schedule, pp, MANY_MICROBATCHES):
        case.refuse("schedule", "conflict", f"the schedule {schedule}: {why}.", "Set schedule: 1f1b, or another pp.")


def _check_stages(case: _Case) -> None:
    stages = case.plan.stages
    if not stages:
        return
    if case.plan.pp is not None and case.plan.pp != len(stages):
        message = f"pp is {case.plan.pp}, but there are {len(stages)} stages."
        case.refuse("stages", "count_mismatch", message, f"Set pp: {len(stages)}, or delete it.")
    total = sum(stage.num_layers for stage in stages)
    if case.model is not None and total != case.model.num_layers:
        listed = "+".join(str(stage.num_layers) for stage in stages) if len(stages) <= 16 else "their sum"
        message = f"the stages hold {listed} = {total} layers, but the model has {case.model.num_layers}."
        change = case.model.num_layers - total
        hint = f"{'Add' if change > 0 else 'Take away'} {abs(change)} layer{'s' if abs(change) > 1 else ''}."
        case.refuse("stages", "wrong_sum", message, hint)
    first = 0
    for index, stage in enumerate(stages):
        if stage.first_layer is not None and stage.first_layer != first:
            path: Path = ("plan", "stages", index, "first_layer")
            message = f"first_layer is {stage.first_layer}, but the stages before hold {first} layers."
            case.report.refuse(path, "wrong_sum", message, f"Set first_layer: {first}, or delete it.")
        first += stage.num_layers
        _check_node_group(case, ("plan", "stages", index, "node_group"), stage.zone, stage.node_group)


def _check_recompute(case: _Case) -> None:
    """Whole layers are counted, not operations."""
    written: list[tuple[Path, int | None, str | None]] = [
        (("plan", "recompute_layers"), case.plan.recompute_layers, case.plan.recompute)
    ]
    for index, stage in enumerate(case.plan.stages or ()):
        kind = stage.recompute or case.plan.recompute
        written.append((("plan", "stages", index, "recompute_layers"), stage.recompute_layers, kind))
    for index, replica in enumerate(case.plan.replicas or ()):
        if replica.own is not None:
            kind = replica.own.recompute or case.plan.recompute
            written.append((("plan", "replicas", index, "own", "recompute_layers"), replica.own.recompute_layers, kind))
    for path, count, kind in written:
        if count is not None and kind != FULL:
            message = f"recompute_layers is {count}, but recompute is {kind or 'absent'}."
            case.report.refuse(path, "conflict", message, f"Set recompute: {FULL}, or delete it.")


def _check_node_group(case: _Case, path: Path, zone: str | None, node_group: int | None) -> None:
    if zone is None or node_group is None or not case.knows_groups:
        return
    num_groups = next((len(found.nodes) for found in case.job.cluster.zones if found.name == zone), None)
    if num_groups is not None and node_group >= num_groups:
        message = f'there is no node group {node_group} in zone "{zone}"; it has {num_groups}, counted from 0.'
        case.report.refuse(path, "out_of_range", message, f"Write {num_groups - 1} at most.")


def _check_batch(case: _Case) -> None:
    batch, size, dp = case.job.workload.global_batch_size, case.plan.microbatch_size, case.degrees().get("dp")
    if case.report.has_lost(("workload", "global_batch_size")):
        return
    if size is not None and batch % size:
        message = f"microbatch_size {size} does not divide the global batch of {batch} sequences."
        case.refuse("microbatch_size", "not_divisible", message, _legal("microbatch_size", size, divisors(batch)))
    if dp is not None and dp * (size or 1) > batch:
        written = f"dp*microbatch_size = {dp}*{size} = {dp * size}" if size is not None else f"dp = {dp}"
        message = f"{written} is more than the global batch of {batch} sequences: some replicas would have none."
        largest = batch // (size or 1)
        hint = f"Set dp to {largest} at most." if largest else f"Set microbatch_size to {batch} at most."
        case.refuse("dp" if case.plan.dp is not None else "replicas", "too_many_replicas", message, hint)
    least = case.job.constraints.min_replica_batch if case.job.constraints is not None else None
    if least is not None and least * (dp or 1) > batch:
        share = f"{dp} replicas have at most {batch // dp} each" if dp else f"the global batch has {batch}"
        message = f"every replica shall consume {least} sequences a step, but {share}."
        hint = f"Set it to {batch // (dp or 1)} at most." if batch >= (dp or 1) else ""
        case.report.refuse(("constraints", "min_replica_batch"), "too_many_replicas", message, hint)


def _check_sharding(case: _Case) -> None:
    dp, dp_shard = case.degrees().get("dp"), case.plan.dp_shard
    if dp_shard is None:
        return
    if any(replica.own for replica in case.plan.replicas or ()):
        return  # those of each zone: whether its framework can is judged by zones
    if dp is not None and dp % dp_shard:
        message = f"dp_shard {dp_shard} does not divide dp {dp}."
        case.refuse("dp_shard", "not_divisible", message, _legal("dp_shard", dp_shard, divisors(dp)))
    if case.plan.shard == "none" and dp_shard > 1:
        message = f"dp_shard is {dp_shard}, but shard is none: nothing is split."
        case.refuse("dp_shard", "conflict", message, "Set dp_shard: 1, or shard: optimizer.")


def _check_experts(case: _Case) -> None:
    ep, degrees = case.plan.ep, case.degrees()
    if ep is None or ep == 1:
        return
    if case.model is not None and case.model.num_experts == 0:
        message = f"ep is {ep}, but {case.model.name} has no experts."
        case.refuse("ep", "conflict", message, "Set ep: 1.")
    elif case.model is not None and case.model.num_experts % ep:
        message = f"ep {ep} does not divide the model's {case.model.num_experts} experts."
        case.refuse("ep", "not_divisible", message, _legal("ep", ep, divisors(case.model.num_experts)))
    if all(axis in degrees for axis in ("dp", "cp", "tp")):
        ranks = degrees["dp"] * degrees["cp"] * degrees["tp"]
        if ranks % ep:
            message = f"ep {ep} does not divide dp*cp*tp = {degrees['dp']}*{degrees['cp']}*{degrees['tp']} = {ranks}."
            experts = case.model.num_experts if case.model is not None else 0
            legal = divisors(math.gcd(ranks, experts)) if experts else ()
            case.refuse("ep", "not_divisible", message, _legal("ep", ep, legal))


def _check_replicas(case: _Case) -> None:
    replicas = case.plan.replicas
    if not replicas:
        return
    num_replicas = sum(replica.num_replicas or 1 for replica in replicas)
    if case.plan.dp is not None and case.plan.dp != num_replicas:
        message = f"dp is {case.plan.dp}, but there are {num_replicas} replicas."
        case.refuse("replicas", "count_mismatch", message, f"Set dp: {num_replicas}, or delete it.")
    pp = case.degrees().get("pp")
    for index, replica in enumerate(replicas):
        if len(replica.zones) > 1 and pp is not None and len(replica.zones) != pp:
            message = f"{len(replica.zones)} zones for {pp} stages."
            hint = f"Write {pp} zones, one for each stage, or one zone for all."
            case.report.refuse(("plan", "replicas", index, "zones"), "count_mismatch", message, hint)
    weights = [replica.weight for replica in replicas if replica.weight is not None]
    is_over = sum(weights) > 1 + WEIGHT_TOLERANCE
    if is_over or (len(weights) == len(replicas) and abs(sum(weights) - 1) > WEIGHT_TOLERANCE):
        message = f"the weights add up to {sum(weights):g}, not to 1."
        case.refuse("replicas", "wrong_sum", message, "Write shares of one, or leave them out.")
    else:
        _check_weights(case, replicas)
    _check_microbatches(case, replicas)


def _check_weights(case: _Case, replicas: Sequence[spec.Replica]) -> None:
    """A weight and a number of microbatches say the same thing: both may be there if they agree."""
    if any(replica.own for replica in replicas):
        return  # their microbatches may differ in size
    counts = [(r.num_replicas or 1) * r.num_microbatches for r in replicas if r.num_microbatches is not None]
    total: float = sum(counts)
    if len(counts) < len(replicas):
        if case.report.has_lost(("workload", "global_batch_size")):
            return
        total = case.job.workload.global_batch_size / (case.plan.microbatch_size or 1)
    for index, replica in enumerate(replicas):
        if replica.weight is None or replica.num_microbatches is None:
            continue
        num_replicas = replica.num_replicas or 1
        written, meant = num_replicas * replica.num_microbatches, replica.weight * total
        # A weight may be rounded, but not by as much as one microbatch.
        if abs(written - meant) >= 1:
            message = (
                f"weight {replica.weight:g} is {meant:g} of the step's {total:g} microbatches, but "
                f"num_replicas*num_microbatches = {num_replicas}*{replica.num_microbatches} = {written}."
            )
            hint = f"Write weight: {written / total:.6g}, or delete one of the two."
            case.report.refuse(("plan", "replicas", index, "weight"), "conflict", message, hint)


def _check_microbatches(case: _Case, replicas: Sequence[spec.Replica]) -> None:
    size, batch = case.plan.microbatch_size, case.job.workload.global_batch_size
    if any(replica.own for replica in replicas):
        _check_sequences(case, replicas)
        return
    counts = [(r.num_replicas or 1) * r.num_microbatches for r in replicas if r.num_microbatches is not None]
    if size is None or len(counts) < len(replicas) or case.report.has_lost(("workload", "global_batch_size")):
        return
    if sum(counts) * size != batch:
        message = (
            f"the replicas work off {sum(counts)} microbatches of {size} = {sum(counts) * size} sequences, "
            f"but the global batch has {batch}."
        )
        hint = f"Let their num_microbatches add up to {batch // size}." if batch % size == 0 else ""
        case.refuse("replicas", "wrong_sum", message, hint)


def _check_sequences(case: _Case, replicas: Sequence[spec.Replica]) -> None:
    """Where microbatches differ in size, every replica says how many it works off."""
    sequences, batch = 0, case.job.workload.global_batch_size
    is_lost = case.report.has_lost(("workload", "global_batch_size"))
    for index, replica in enumerate(replicas):
        size = (replica.own.microbatch_size if replica.own else None) or case.plan.microbatch_size or 1
        if replica.num_microbatches is None:
            message = "some replicas have degrees of their own, but this one does not say how many microbatches it has."
            case.report.refuse(("plan", "replicas", index), "missing_key", message, "Write num_microbatches.")
            return
        own = (replica.num_replicas or 1) * replica.num_microbatches * size
        sequences += own
        if replica.weight is not None and not is_lost and abs(replica.weight * batch - own) >= size:
            message = f"weight {replica.weight:g} of {batch} sequences is not the {own} of these microbatches."
            case.report.refuse(("plan", "replicas", index, "weight"), "conflict", message, "Leave weight out.")
    if sequences != batch and not is_lost:
        message = f"the replicas consume {sequences} sequences a step, but the global batch has {batch}."
        case.refuse("replicas", "wrong_sum", message, "Change num_microbatches or microbatch_size of some.")


def _check_idle_gpus(case: _Case) -> None:
    named: Counter[tuple[str, int]] = Counter()
    for index, idle in enumerate(case.plan.idle_gpus or ()):
        path: Path = ("plan", "idle_gpus", index)
        _check_node_group(case, (*path, "node_group"), idle.zone, idle.node_group)
        place = (idle.zone, idle.node_group or 0)
        named[place] += idle.num_gpus
        group = next((g for g in case.groups if (g.zone, g.index) == place), None)
        if group is not None and case.knows_groups and named[place] > group.num_gpus:
            message = (
                f'{named[place]} idle GPUs, but node group {group.index} of zone "{group.zone}" has {group.num_gpus}.'
            )
            case.report.refuse((*path, "num_gpus"), "out_of_range", message, f"Write {group.num_gpus} at most.")


def _check_world_size(case: _Case) -> None:
    """tp*cp*pp*dp is at most the GPUs; and not below them, where the degrees are fixed and nobody says which idle."""
    degrees, num_gpus = case.degrees(), case.num_gpus
    if not degrees or not case.knows_groups or case.report.has_refused(("plan", "idle_gpus")):
        return
    world_size = math.prod(degrees.values())
    # Whoever fixes the other three means no context parallelism where he is silent about it.
    are_fixed = all(axis in degrees for axis in ("tp", "pp", "dp"))
    zones = {group.zone for group in case.groups}
    num_idle = sum(idle.num_gpus for idle in case.plan.idle_gpus or () if idle.zone in zones)
    working, idle_text = num_gpus - num_idle, f", {num_idle} of them idle" if num_idle else ""
    owner = "the cluster has" if len(case.groups) == _num_groups(case.job) else "the zones that are not excluded have"
    there = f"{product_text(degrees)}, but {owner} {num_gpus} GPUs{idle_text}."
    neighbours = _neighbours(case, degrees, working) if working > 0 else ""
    if world_size > working:
        message = there if len(degrees) > 1 else there.replace(", but", " ranks, but")
        hint = f"{neighbours} Or add {world_size - working} GPUs.".lstrip()
        case.refuse("", "too_few_gpus", message, hint)
    elif world_size < working and are_fixed and not case.report.has_lost_below(("plan", "idle_gpus")):
        hint = f"{neighbours} Or name {num_gpus - world_size} GPUs in idle_gpus.".lstrip()
        case.refuse("", "too_many_gpus", there, hint)


def _num_groups(job: spec.Job) -> int:
    return sum(len(zone.nodes) for zone in job.cluster.zones)


def _neighbours(case: _Case, degrees: dict[str, int], num_gpus: int) -> str:
    """The nearest legal sets of degrees, in words."""
    heads = (case.model.num_heads,) if case.model is not None else ()
    found = legal_degrees(
        degrees,
        num_gpus=num_gpus,
        tp_divides=(*(group.gpus_per_node for group in case.groups), *heads),
        half_sequence=max(1, case.job.workload.sequence_length // 2),
        num_layers=case.model.num_layers if case.model is not None else None,
        max_replicas=case.job.workload.global_batch_size // (case.plan.microbatch_size or 1),
    )
    shown_axes = AXES if degrees.get("cp", 1) > 1 else ("tp", "pp", "dp")
    sets = ["{" + ", ".join(f"{axis}: {one[axis]}" for axis in shown_axes) + "}" for one in found]
    return f"Nearest on {num_gpus} GPUs: {' or '.join(sets)}." if sets else ""


def _legal(name: str, wanted: int, legal: Sequence[int]) -> str:
    near = _near(name, wanted, legal)
    return f"Nearest legal: {near}." if near else ""


def _near(name: str, wanted: int, legal: Sequence[int]) -> str:
    near = nearest_values(wanted, legal)
    return f"{name} {' or '.join(map(str, near))}" if near else ""
