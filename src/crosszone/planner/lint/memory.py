"""Memory of GPUs and of hosts, and what sharding does for it."""

from collections.abc import Iterator
from dataclasses import replace

from crosszone import units
from crosszone.core.plan import RECOMPUTES, SHARDS, Plan
from crosszone.core.prediction import Memory, StageMemory
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, passed, warned
from crosszone.timeline.fit import plan_memory
from crosszone.timeline.inputs import inputs

ZERO = "Rajbhandari et al. 2020 (ZeRO), sec. 5"
PARTS = ("optimizer_bytes", "gradient_bytes", "weight_bytes")
"""What SHARDS split, one more part with each."""


def _memory_headroom(case: Case) -> Judgement:
    memory, plan = case.prediction.memory, case.plan
    peak, capacity = units.format_bytes(memory.peak_bytes), units.format_bytes(memory.capacity_bytes)
    text = f"the fullest GPU needs {peak} of {capacity}: {memory.verdict}."
    if memory.verdict == "fits":
        return passed(text)
    settings: tuple[str, ...]
    if plan.recompute != RECOMPUTES[-1] or plan.recompute_layers is not None:
        fix, settings = "Compute more activations again.", (f"plan.recompute={RECOMPUTES[-1]}",)
    elif plan.microbatch_size > 1:
        fix, settings = "Take microbatches of 1.", ("plan.microbatch_size=1",)
    elif plan.dp > 1 and plan.shard != SHARDS[-1]:
        fix, settings = "Shard more, as the rule sharding says.", ()
    else:
        fix, settings = "Take more stages or a larger tp, or let the planner search.", case.freeing
    return (warned if memory.fits else failed)(text, fix, *settings)


def _sharding(case: Case) -> Judgement | None:
    plan, memory = case.plan, case.prediction.memory
    if plan.dp == 1:
        return None
    if not memory.fits and plan.shard != SHARDS[-1]:
        return _missing(case)
    whole = max(unsharded_bytes(stage, plan) / stage.capacity_bytes for stage in memory.stages)
    over = f"shard {plan.shard} over {plan.dp_shard} of dp {plan.dp}"
    if plan.shard == "none":
        return passed(f"shard none: the states of {plan.dp} replicas fit whole.")
    text = f"{over}: unsharded, the fullest GPU would need about {units.format_fraction(whole)} of its memory"
    inside = _fewest_replicas(plan)
    if "dp" not in plan.zone_axis or plan.dp_shard <= inside:
        return passed(f"{text}; shards stay inside a zone.")
    text += f", and shards cross zones, of which one holds {inside} {'replica' if inside == 1 else 'replicas'}"
    if whole < TIGHT_FRACTION:
        return warned(f"{text}: nothing needs it.", "Keep the states whole.", "plan.shard=none", "plan.dp_shard=null")
    if plan.shard == "parameters" and inside > 1 and plan.dp % inside == 0:
        fix = f"Shard inside zones, over {inside}, if it fits."
        return warned(f"{text}: weights cross zones in every microbatch.", fix, f"plan.dp_shard={inside}")
    if plan.shard == "parameters":
        return warned(
            f"{text}: weights cross zones in every microbatch.", "Put stages in zones instead.", *case.freeing
        )
    return passed(f"{text}; it needs that memory.")


def unsharded_bytes(stage: StageMemory, plan: Plan) -> float:
    """What a GPU of the stage would need if nothing were sharded: each sharded part as often as it is shared."""
    parts = PARTS[: SHARDS.index(plan.shard)]
    return stage.total_bytes + (plan.dp_shard - 1) * sum(_part_bytes(stage, part) for part in parts)


def _missing(case: Case) -> Judgement:
    """It does not fit: the least sharding with which it would, by a framework that has it."""
    plan, fullest = case.plan, case.prediction.memory.fullest
    states = units.format_bytes(sum(_part_bytes(fullest, part) for part in PARTS))
    capacity = units.format_bytes(fullest.capacity_bytes)
    text = f"shard {plan.shard}: weights, gradients and optimizer take {states} of {capacity}"
    found = _least_sharded(case)
    if found is None:
        return failed(f"{text}, and no sharding over dp {plan.dp} helps.", "Take more stages or a larger tp.")
    wanted, memory = found
    other = () if wanted.framework == plan.framework else (f"framework.name={wanted.framework}",)
    text += f"; with {wanted.shard} over dp {plan.dp} the fullest needs {units.format_bytes(memory.peak_bytes)} in all."
    return failed(text, f"Shard {wanted.shard}.", f"plan.shard={wanted.shard}", "plan.dp_shard=null", *other)


def _least_sharded(case: Case) -> tuple[Plan, Memory] | None:
    """The first that has room to spare, else the first that fits at all."""
    tight = None
    for plan, memory in _sharded(case):
        if memory.verdict == "fits":
            return plan, memory
        if memory.fits and tight is None:
            tight = plan, memory
    return tight


def _sharded(case: Case) -> Iterator[tuple[Plan, Memory]]:
    """The plan with more sharded, each by the first framework that has it, with the memory that it then needs."""
    for shard in SHARDS[SHARDS.index(case.plan.shard) + 1 :]:
        wanted = replace(case.plan, shard=shard, dp_shard=case.plan.dp)
        for name in case.allowed_frameworks():
            if not supports(name, wanted):
                plan = replace(wanted, framework=name)
                yield plan, plan_memory(inputs(case.problem, (framework_facts(name),)), plan)
                break


def _part_bytes(stage: StageMemory, part: str) -> float:
    size: float = getattr(stage, part)
    return size


def _fewest_replicas(plan: Plan) -> int:
    counts: dict[str, int] = {}
    for replica in plan.replicas:
        counts[replica.zones[0]] = counts.get(replica.zones[0], 0) + replica.num_replicas
    return min(counts.values())


def _host_memory(case: Case) -> Judgement | None:
    """What waits in host memory, and a checkpoint that is copied there before it is written."""
    reliability, groups = case.prediction.reliability, case.node_groups()
    offloaded = case.prediction.host_memory_bytes or 0.0
    staged = 0.0
    if reliability is not None and case.problem.workload.checkpoint.is_async:
        most = max(group.gpus_per_node for group in groups.values())
        staged = reliability.checkpoint_bytes * most / case.plan.world_size
    need = offloaded + staged
    if need == 0.0:
        return None
    parts = f"{units.format_bytes(offloaded)} of offloaded states and {units.format_bytes(staged)} of a checkpoint"
    unknown = [zone for (zone, _), group in groups.items() if group.host_memory_bytes is None]
    if unknown:
        text = f"a node holds {parts}, and the host memory of {', '.join(dict.fromkeys(unknown))} is not written."
        return warned(text, f"Write memory in those nodes; {units.format_bytes(2 * need)} leaves room for all else.")
    have = min(group.host_memory_bytes or 0.0 for group in groups.values())
    text = f"a node holds {parts}, and has {units.format_bytes(have)}."
    if need > have:
        return failed(text, "Write checkpoints in the foreground, or offload less.", "workload.checkpoint.async=false")
    return passed(text)


RULES = (
    Rule(
        name="memory_headroom",
        about="the plan fits with room to spare",
        source="labelled runs of Hagemann et al. 2023 (arXiv 2311.05610)",
        judge=_memory_headroom,
    ),
    Rule(name="sharding", about="as much sharding as memory needs, inside zones", source=ZERO, judge=_sharding),
    Rule(
        name="host_memory",
        about="host memory holds what is offloaded and a checkpoint on its way",
        source="Rajbhandari et al. 2021 (ZeRO-Infinity, SC21), sec. 3; PyTorch torch.distributed.checkpoint.async_save",
        judge=_host_memory,
    ),
)
