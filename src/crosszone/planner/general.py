"""A candidate row as a `Plan` in its general form."""

from typing import Any

import numpy as np

from crosszone.core.plan import RANK_ORDER, RECOMPUTES, SCHEDULES, SHARDS, IdleGpus, Plan, Replica, Stage
from crosszone.core.tables import Ints
from crosszone.planner.split import exact_shares
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables

DEGREES = ("tp", "pp", "cp", "ep", "dp", "dp_shard")


def to_plan(inputs: Inputs, tables: Tables, row: int) -> Plan:
    """The plan in row `row` of `tables`, every stage and replica placed."""
    plans = tables.plans.take(np.array([row]))
    groups = np.flatnonzero(tables.replicas.plan == row)
    stage_rows = [np.flatnonzero(tables.stages.replica == group) for group in groups]
    layers = _layers_by_stage(tables, stage_rows[0])
    chains = [_pools_by_stage(tables, rows) for rows in stage_rows]
    one: dict[str, Any] = {name: int(getattr(plans, name)[0]) for name in DEGREES}
    request = inputs.problem.plan
    return Plan(
        framework=inputs.frameworks[int(plans.framework[0])].name,
        **one,
        num_virtual_stages=int(plans.num_virtual_stages[0]),
        microbatch_size=int(plans.microbatch_size[0]),
        schedule=SCHEDULES[int(plans.schedule[0])],
        sequence_parallel=bool(plans.sequence_parallel[0]),
        shard=SHARDS[int(plans.shard[0])],
        recompute=RECOMPUTES[int(plans.recompute[0])],
        offload="optimizer" if plans.offloads_optimizer[0] else "none",
        rank_order=request.rank_order or RANK_ORDER,
        sync=tables.settings.sync,
        bucket_bytes=request.bucket_bytes,
        prefetch=request.prefetch,
        overlap_fraction=request.overlap_fraction,
        stages=placed_stages(
            inputs,
            layers,
            chains,
            recomputed_layers(tables, stage_rows),
            tp=int(plans.tp[0]),
            dp=one["dp"],
            recompute=RECOMPUTES[int(plans.recompute[0])],
            num_virtual_stages=int(plans.num_virtual_stages[0]),
        ),
        replicas=_replicas(inputs, tables, groups, chains, int(plans.microbatch_size[0])),
        idle_gpus=_idle(inputs, tables, groups, chains, one["tp"] * one["cp"]),
    )


def _layers_by_stage(tables: Tables, rows: Ints) -> list[int]:
    """Layers of each stage: a run's layers are spread evenly, the later stages taking what is left over.

    Later, because earlier stages hold the activations of more microbatches.
    """
    layers: list[int] = []
    for row in rows:
        count, total = int(tables.stages.num_stages[row]), int(tables.stages.run_layers[row])
        short = count - total % count
        layers += [total // count + (index >= short) for index in range(count)]
    return layers


def _pools_by_stage(tables: Tables, rows: Ints) -> list[int]:
    return [int(tables.stages.pool[row]) for row in rows for _ in range(int(tables.stages.num_stages[row]))]


def recomputed_layers(tables: Tables, stage_rows: list[Ints]) -> list[int]:
    """First layers of each virtual stage that each stage recomputes: most of what any replica group must."""
    stages = tables.stages
    chains = [np.repeat(stages.recompute_layers[rows], stages.num_stages[rows]) for rows in stage_rows]
    most: list[int] = np.max(np.stack(chains), axis=0).tolist()
    return most


def placed_stages(
    inputs: Inputs,
    layers: list[int],
    chains: list[list[int]],
    recompute_layers: list[int],
    *,
    tp: int,
    dp: int,
    recompute: str,
    num_virtual_stages: int,
) -> tuple[Stage, ...]:
    """Stages of so many layers, each in its pool where all chains have it in the same one."""
    starts = np.cumsum([0, *layers]).tolist()
    stages = []
    for index, (count, again) in enumerate(zip(layers, recompute_layers, strict=True)):
        pools = {chain[index] for chain in chains}
        pool = inputs.pools[pools.pop()] if len(pools) == 1 else None
        stages.append(
            Stage(
                first_layer=starts[index],
                num_layers=count,
                zone=pool.zone.name if pool else None,
                node_group=pool.node_group_index if pool else None,
                tp=tp,
                dp=dp,
                recompute=recompute if again else RECOMPUTES[0],
                recompute_layers=again if 0 < again * num_virtual_stages < count else None,
            )
        )
    return tuple(stages)


def _replicas(
    inputs: Inputs, tables: Tables, groups: Ints, chains: list[list[int]], microbatch_size: int
) -> tuple[Replica, ...]:
    """Replica groups; where the table's rounding up gives too many microbatches, some replicas do fewer."""
    total = inputs.problem.workload.global_batch_size // microbatch_size
    counts = tables.replicas.num_replicas[groups]
    shares = exact_shares(np.array([total]), counts[None, :], tables.replicas.num_microbatches[groups][None, :])[0]
    assert int(shares.sum()) == total, "the microbatches of all replicas do not add up to the batch"
    found = []
    for chain, count, share in zip(chains, counts.tolist(), shares.tolist(), strict=True):
        least, more = divmod(share, count)
        pairs = ((more, least + 1), (count - more, least))
        found += [_replica(inputs, chain, num, size, total) for num, size in pairs if num]
    return tuple(found)


def _replica(inputs: Inputs, chain: list[int], num_replicas: int, num_microbatches: int, total: int) -> Replica:
    pools = [inputs.pools[pool] for pool in chain]
    return Replica(
        num_replicas=num_replicas,
        zones=tuple(pool.zone.name for pool in pools),
        node_groups=tuple(pool.node_group_index for pool in pools),
        num_microbatches=num_microbatches,
        weight=num_replicas * num_microbatches / total,
    )


def _idle(
    inputs: Inputs, tables: Tables, groups: Ints, chains: list[list[int]], gpus_per_stage: int
) -> tuple[IdleGpus, ...]:
    used = np.zeros(len(inputs.pools), dtype=np.int64)
    for group, chain in zip(groups, chains, strict=True):
        for pool in chain:
            used[pool] += gpus_per_stage * int(tables.replicas.num_replicas[group])
    return tuple(
        IdleGpus(zone=pool.zone.name, node_group=pool.node_group_index, num_gpus=int(pool.node_group.num_gpus - count))
        for pool, count in zip(inputs.pools, used, strict=True)
        if count < pool.node_group.num_gpus
    )
