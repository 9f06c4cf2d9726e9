"""One plan in its general form as tables with one row per stage."""

from dataclasses import replace
from typing import Any

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, Plan, Replica
from crosszone.core.schedules import traits
from crosszone.core.tables import EVERY_LAYER, PlanTable, ReplicaTable, StageTable
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rings import best_ring
from crosszone.timeline.rows import Settings, Tables


def tabulate(inputs: Inputs, plan: Plan) -> Tables:
    """The tables of `plan`: one plan, a row per placement of replicas, a row per placement and stage.

    Replicas that lie and divide their work alike share links and agree with each other whatever their microbatches: one
    row, with the microbatches of those that have most, who finish last.
    """
    placed: dict[tuple[Any, ...], list[Replica]] = {}
    for replica in plan.replicas:
        placed.setdefault((replica.zones, replica.node_groups, replica.own), []).append(replica)
    groups = list(placed.values())
    firsts = [group[0] for group in groups]
    layout, row = _layout(inputs, plan, firsts), _plan_row(inputs, plan)
    return Tables(
        layouts=(layout,),
        plans=row,
        replicas=ReplicaTable(
            plan=np.zeros(len(groups), dtype=np.int64),
            num_replicas=np.array([sum(replica.num_replicas for replica in group) for group in groups]),
            num_microbatches=np.array([max(replica.num_microbatches for replica in group) for group in groups]),
        ),
        stages=_stage_rows(plan, layout, firsts),
        settings=Settings(
            sync=plan.sync,
            bucket_bytes=plan.bucket_bytes,
            prefetch=plan.prefetch,
            overlap_fraction=plan.overlap_fraction,
        ),
        own=_own_rows(plan, row, firsts) if plan.has_own_degrees else None,
    )


def _layout(inputs: Inputs, plan: Plan, replicas: list[Replica]) -> Layout:
    index = {(pool.zone.name, pool.node_group_index): pool.index for pool in inputs.pools}
    chains = tuple(
        tuple(index[place] for place in zip(replica.zones, replica.node_groups, strict=True)) for replica in replicas
    )
    crosses_dp = "dp" in plan.zone_axis
    zones = sorted({int(inputs.hardware.zone[pool]) for chain in chains for pool in chain}) if crosses_dp else []
    ring = best_ring(inputs.links, zones) if zones else ()
    return Layout(chains=chains, ring=ring, crosses_pp="pp" in plan.zone_axis)


def _plan_row(inputs: Inputs, plan: Plan) -> PlanTable:
    names = [framework.name for framework in inputs.frameworks]
    integers: dict[str, Any] = {
        "layout": 0,
        "framework": names.index(plan.framework),
        "tp": plan.tp,
        "pp": plan.pp,
        "cp": plan.cp,
        "ep": plan.ep,
        "dp": plan.dp,
        "dp_shard": plan.dp_shard,
        "num_virtual_stages": plan.num_virtual_stages,
        "microbatch_size": plan.microbatch_size,
        "schedule": SCHEDULES.index(plan.schedule),
        "recompute": RECOMPUTES.index(plan.recompute),
        "shard": SHARDS.index(plan.shard),
    }
    flags: dict[str, Any] = {
        "sequence_parallel": plan.sequence_parallel,
        "offloads_optimizer": plan.offload != "none",
        "is_unequal": len({replica.num_microbatches for replica in plan.replicas}) > 1,
    }
    return PlanTable(
        **{name: np.array([value], dtype=np.int64) for name, value in integers.items()},  # type: ignore[arg-type]
        **{name: np.array([value], dtype=np.bool_) for name, value in flags.items()},  # type: ignore[arg-type]
    )


def _own_rows(plan: Plan, row: PlanTable, groups: list[Replica]) -> PlanTable:
    """The plan's row for each group, with the degrees that are the group's own."""
    each = [plan.degrees_of(replica) for replica in groups]
    return replace(
        row.take(np.zeros(len(groups), dtype=np.int64)),
        microbatch_size=np.array([one.microbatch_size for one in each]),
        dp_shard=np.array([one.dp_shard for one in each]),
        shard=np.array([SHARDS.index(one.shard) for one in each]),
        recompute=np.array([RECOMPUTES.index(one.recompute) for one in each]),
    )


def _stage_rows(plan: Plan, layout: Layout, groups: list[Replica]) -> StageTable:
    num_groups, num_stages = len(layout.chains), len(plan.stages)
    layers = np.tile([stage.num_layers for stage in plan.stages], num_groups)
    ranks = np.tile(np.arange(num_stages), num_groups)
    return StageTable(
        replica=np.repeat(np.arange(num_groups), num_stages),
        pool=np.concatenate([np.array(chain, dtype=np.int64) for chain in layout.chains]),
        stage=ranks,
        num_stages=np.ones(len(ranks), dtype=np.int64),
        first_layer=np.tile([stage.first_layer for stage in plan.stages], num_groups),
        run_layers=layers,
        num_layers=layers,
        recompute_layers=np.concatenate([_recompute_layers(plan, replica) for replica in groups]),
        has_embedding=ranks == 0,
        has_head=ranks == (0 if traits(plan.schedule).placement == "v" else num_stages - 1),
    )


def _recompute_layers(plan: Plan, replica: Replica) -> list[int]:
    """Of each stage of the replica: layers of each virtual stage, or `EVERY_LAYER`."""
    of = replica.own
    again = [
        (stage.recompute, stage.recompute_layers) if of is None else (of.recompute, of.recompute_layers)
        for stage in plan.stages
    ]
    return [0 if how == RECOMPUTES[0] else EVERY_LAYER if layers is None else layers for how, layers in again]
