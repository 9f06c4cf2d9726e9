"""The values that each part of a plan may take on one cluster."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import RECOMPUTES, SHARDS
from crosszone.core.problem import PlanRequest
from crosszone.core.schedules import traits
from crosszone.core.tables import Ints
from crosszone.timeline.inputs import Inputs

MOST_MICROBATCH = 32
MOST_VIRTUAL_STAGES = 8
LEAST_CONTEXT_TOKENS = 2048
"""Shortest part of a sequence that context parallelism leaves a rank, unless the job file asks for more."""
MOST_TP = 64
"""Within a node or fabric. Beyond it, tensor parallelism waits for the network in every layer (runs at tp 16 and 32
across 8-GPU nodes take several times as long: docs/decisions/0002), so that only the job file may ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One array of candidates per degree; a value that the job file fixes stands alone."""

    tp: Ints
    cp: Ints
    ep: Ints
    microbatch_size: Ints
    num_virtual_stages: Ints
    recompute: Ints
    shard: Ints
    any_framework: bool
    """Do not ask what frameworks can express: to find out why none can."""
    world_size: int | None
    """Ranks that a plan must use; None: any number."""
    tries_ways: bool = False
    """Try every way for zones to agree that is allowed, where none is fixed."""


def options(
    inputs: Inputs, *, world_size: int | None = None, any_framework: bool = False, tries_ways: bool = False
) -> Options:
    """Candidates for the problem of `inputs`."""
    problem = inputs.problem
    request, model, workload = problem.plan, problem.model, problem.workload
    most_gpus = int(inputs.hardware.num_gpus.max())
    groups = [pool.node_group for pool in inputs.pools]
    near = min(most_gpus, max(max(group.gpus_per_node, group.fabric.num_gpus) for group in groups))
    least_tp = 2 if request.sequence_parallel else 1
    heads = [
        tp
        for tp in divisors(model.num_heads)
        if least_tp <= tp <= min(MOST_TP, near) and _splits_kv(model.num_kv_heads, tp)
    ]
    context = [
        cp
        for cp in powers_of_two(most_gpus)
        if workload.sequence_length % (2 * cp) == 0 and workload.sequence_length // cp >= LEAST_CONTEXT_TOKENS
    ]
    batch = [size for size in divisors(workload.global_batch_size) if size <= MOST_MICROBATCH and _is_smooth(size)]
    experts = divisors(model.num_experts) if model.num_experts else [1]
    per_layer = [v for v in divisors(model.num_layers) if v <= MOST_VIRTUAL_STAGES]
    return Options(
        tp=_only(request.tp, heads),
        cp=_only(request.cp, context or [1]),
        ep=_only(request.ep, [ep for ep in experts if ep <= most_gpus]),
        microbatch_size=_only(request.microbatch_size, batch),
        num_virtual_stages=_only(request.num_virtual_stages, _chunks(request, per_layer)),
        recompute=_only(
            None if request.recompute is None else RECOMPUTES.index(request.recompute), _recomputes(workload.attention)
        ),
        shard=_only(None if request.shard is None else SHARDS.index(request.shard), _shards(request)),
        any_framework=any_framework,
        world_size=world_size,
        tries_ways=tries_ways,
    )


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [value for value in range(1, number + 1) if number % value == 0]


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << exponent for exponent in range(max(most, 1).bit_length())]


def _recomputes(attention: str) -> list[int]:
    """Fused attention keeps no scores, so that redoing it alone saves nothing: selective is for unfused attention."""
    useless = {"selective"} if attention == "flash" else set()
    return [code for code, name in enumerate(RECOMPUTES) if name not in useless]


def _splits_kv(num_kv_heads: int, tp: int) -> bool:
    """Each rank holds whole key-value heads, or ranks share one."""
    return num_kv_heads % tp == 0 or tp % num_kv_heads == 0


def _chunks(request: PlanRequest, per_layer: list[int]) -> list[int]:
    """Virtual stages that the schedule, where it is fixed, allows."""
    if request.schedule is None:
        return per_layer
    return [chunks for chunks in per_layer if traits(request.schedule).runs_virtual_stages(chunks)]


def _shards(request: PlanRequest) -> list[int]:
    """What may be sharded: something where `dp_shard` is fixed above 1, nothing where it is fixed at 1."""
    everything = list(range(len(SHARDS)))
    if request.dp_shard is None:
        return everything
    return everything[1:] if request.dp_shard > 1 else everything[:1]


def _is_smooth(size: int) -> bool:
    """Powers of two, and three times one: what people use as microbatches."""
    return size & (size - 1) == 0 or (size % 3 == 0 and (size // 3) & (size // 3 - 1) == 0)


def _only(fixed: int | None, candidates: object) -> Ints:
    return np.array([fixed] if fixed is not None else list(candidates), dtype=np.int64)  # type: ignore[call-overload]
