"""Structures with every degree that goes with them: filtered, bounded, simulated one by one while they may be best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from crosszone.core.plan import RANK_ORDER, RECOMPUTES, SCHEDULES, SHARDS, IdleGpus, Plan, Replica
from crosszone.core.tables import EVERY_LAYER, Bools, Floats, Ints, PlanTable, ReplicaTable, StageTable
from crosszone.frameworks import as_summed, expressible, recomputes_alike
from crosszone.planner.blocks import Blocks, blocks
from crosszone.planner.general import placed_stages, recomputed_layers
from crosszone.planner.options import divisors
from crosszone.planner.shares import Shares, fastest_shares
from crosszone.planner.structure import Structure
from crosszone.timeline.evaluate import Evaluation, evaluate
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed, keyed
from crosszone.timeline.margin import least_recompute_layers, memory_margin
from crosszone.timeline.rows import Settings, Tables
from crosszone.timeline.steps import Steps

NONE, FULL = RECOMPUTES.index("none"), RECOMPUTES.index("full")
ONE_F_ONE_B, INTERLEAVED = SCHEDULES.index("1f1b"), SCHEDULES.index("interleaved_1f1b")
PLAYED_ROUNDS = 6
"""Of p microbatches: as many of a long pipeline count as played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degrees:
    """What is crossed with structures: candidates of each degree."""

    framework: tuple[int, ...]
    microbatch_size: tuple[int, ...]
    num_virtual_stages: tuple[int, ...]
    shard: tuple[int, ...]
    ep: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What all trials have alike."""

    settings: Settings
    sequence_parallel: bool
    offload: str
    memory_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """One row per plan, before it is written out."""

    blocks: Blocks
    row: Ints
    """Place among the trials that were asked for."""
    structure: Ints
    framework: Ints
    microbatch_size: Ints
    num_virtual_stages: Ints
    shard: Ints
    dp_shard: Ints
    ep: Ints
    is_open: Bools
    """Microbatches are shared by speed; elsewhere every replica has as many."""
    recompute: Ints
    shares: Any
    """Of the open rows, as objects: `Shares`, or None before they are known."""

    def __len__(self) -> int:
        return len(self.structure)

    @property
    def num_stages(self) -> Ints:
        """Stages of all groups of each row: the rows of its tables."""
        return np.asarray(np.diff(self.blocks.first_stage)[self.structure])

    def structure_at(self, index: int) -> Structure:
        """Of one row."""
        return self.blocks.structures[int(self.structure[index])]

    def take(self, rows: Ints | Bools) -> Self:
        """Some of them."""
        names = [field.name for field in fields(self) if field.name != "blocks"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Trials that can be expressed and fit, with what bounds their simulated step from below."""

    trials: Trials
    steps: Steps
    bound_seconds: Floats

    @property
    def tables(self) -> Tables:
        """A row per stage."""
        return self.steps.tables

    @property
    def evaluation(self) -> Evaluation:
        """By the cost model."""
        return self.steps.evaluation

    def num_actions(self, index: int) -> int:
        """Forwards and backwards that simulating one trial plays, about: of long pipelines until they repeat."""
        first, last = np.searchsorted(self.tables.replicas.plan, [index, index + 1]).tolist()
        num_stages, num_virtual = int(self.tables.plans.pp[index]), int(self.tables.plans.num_virtual_stages[index])
        if num_stages == 1:
            return 0
        played = np.minimum(self.tables.replicas.num_microbatches[first:last], PLAYED_ROUNDS * num_stages)
        return 2 * num_stages * num_virtual * int(played.sum())


def trials(inputs: Inputs, structures: Sequence[tuple[Structure, Degrees]]) -> Trials:
    """Every legal way to fill in the degrees of each structure, recomputation left out."""
    of = blocks(inputs, [structure for structure, _ in structures])
    known: dict[Any, Ints] = {}
    parts, lengths = [], []
    for index, (structure, degrees) in enumerate(structures):
        is_alone = structure.pp == structure.tp == structure.cp == 1
        ranks = structure.tp * structure.cp * min(count for _, count in structure.groups)
        least_group = 1 if structure.cp > 1 else 2
        most_virtual, whole = _most_virtual(structure), int(of.whole[index])
        key = (structure.dp, structure.pp, whole, is_alone, most_virtual, ranks, least_group, degrees)
        if key not in known:
            known[key] = np.array(list(_crossed(inputs, *key)), dtype=np.int64).reshape(-1, 7)
        parts.append(known[key])
        lengths.append(len(known[key]))
    columns = np.concatenate(parts) if parts else np.zeros((0, 7), dtype=np.int64)
    names = ("microbatch_size", "shard", "dp_shard", "num_virtual_stages", "ep", "framework")
    return Trials(
        blocks=of, row=np.arange(len(columns)), structure=np.repeat(np.arange(len(structures)), lengths),
        is_open=columns[:, 6] > 0,
        recompute=np.zeros(len(columns), dtype=np.int64), shares=np.full(len(columns), None, dtype=object),
        **{name: columns[:, place] for place, name in enumerate(names)},
    )  # fmt: skip


def timed(inputs: Inputs, asked: Trials, fixed: Fixed, recomputes: Sequence[int]) -> Timed | None:
    """Of these the ones that can be expressed and fit, or None; what fits without recomputation tries none."""
    kept: list[Trials] = []
    left = asked
    keys = keyed(inputs, _plan_table(inputs, asked, fixed))  # what is recomputed makes no difference
    for recompute in sorted(recomputes):
        left = replace(left, recompute=np.full(len(left), recompute))
        can = _expressible(inputs, left, fixed)
        able, unable = left.take(can), left.take(~can)
        if not len(able):
            continue
        able = _balanced(inputs, able, fixed, keys)
        tables = tables_of(inputs, able, fixed)
        fits = memory_margin(inputs, tables, keys.take(able.row), fixed.memory_fraction) >= 0.0
        kept.append(able.take(fits))
        left = _stacked([able.take(~fits), unable]) if recompute == NONE else left
    found = _stacked(kept) if kept else asked.take(np.zeros(0, dtype=np.int64))
    if not len(found):
        return None
    tables, keys = tables_of(inputs, found, fixed), keys.take(found.row)
    if inputs.problem.plan.recompute is None:
        tables = _with_least(inputs, tables, keys, fixed)
    steps = Steps.of(inputs, tables, keys)
    bound = pipeline_bound(tables, steps.evaluation)
    return Timed(trials=found, steps=steps, bound_seconds=bound + steps.rest_seconds(bound))


def _with_least(inputs: Inputs, tables: Tables, keys: Keyed, fixed: Fixed) -> Tables:
    """The same plans, which fit, recomputing no more layers than they must."""
    is_full = tables.plans.recompute == FULL
    if not is_full.any():
        return tables
    least = least_recompute_layers(
        inputs, tables.take(is_full), keys.take(is_full), memory_fraction=fixed.memory_fraction,
        is_alike=recomputes_alike(inputs.frameworks),
    )  # fmt: skip
    layers = tables.stages.recompute_layers.copy()
    layers[is_full[tables.replicas.plan[tables.stages.replica]]] = least
    return replace(tables, stages=replace(tables.stages, recompute_layers=layers))


def pipeline_bound(tables: Tables, evaluation: Evaluation) -> Floats:
    """Seconds that no order of work undercuts, per plan; tables have a row per stage.

    A stage works off all its microbatches; before its first, one forward has passed all stages before it, and after its
    last, one backward goes back through them. A link takes one message at a time.
    """
    stages, replicas = tables.stages, tables.replicas
    virtual = tables.plans.num_virtual_stages[replicas.plan[stages.replica]]
    both = evaluation.seconds.forward + evaluation.seconds.backward
    microbatches = replicas.num_microbatches[stages.replica]
    on_the_way = both / virtual + 2.0 * evaluation.boundary.outer_seconds
    passed = np.cumsum(on_the_way) - on_the_way
    first = np.searchsorted(stages.replica, np.arange(len(replicas)))
    before = np.maximum(passed - passed[first][stages.replica], 0.0) * (1.0 - 1e-9)
    busy = np.maximum(before + microbatches * both, microbatches * evaluation.boundary.transfer_seconds)
    return tables.most(busy)


def tables_of(inputs: Inputs, found: Trials, fixed: Fixed) -> Tables:
    """The trials as tables with a row per stage."""
    of = found.blocks
    plan, group = of.groups_of(found.structure)
    row, stage = of.stages_of(found.structure)
    num_groups = np.diff(of.first_group)[found.structure]
    before = np.cumsum(num_groups) - num_groups
    rank, held = of.stage[stage], of.layers[stage]
    return Tables(
        layouts=of.layouts,
        plans=_plan_table(inputs, found, fixed),
        replicas=ReplicaTable(
            plan=plan, num_replicas=of.num_replicas[group], num_microbatches=_microbatches(inputs, found, plan)
        ),
        stages=StageTable(
            replica=before[row] + of.group[stage],
            pool=of.pool[stage],
            stage=rank,
            num_stages=np.ones(len(row), dtype=np.int64),
            first_layer=of.first_layer[stage],
            run_layers=held,
            num_layers=held,
            recompute_layers=np.full(len(row), inputs.problem.plan.recompute_layers or EVERY_LAYER),
            has_embedding=rank == 0,
            has_head=rank == of.pp[found.structure][row] - 1,
        ),
        settings=fixed.settings,
    )


def plan_of(inputs: Inputs, found: Timed, index: int, fixed: Fixed) -> Plan:
    """The trial written out, every stage and replica placed."""
    one, structure = found.trials.take(np.array([index])), found.trials.structure_at(index)
    groups = np.flatnonzero(found.tables.replicas.plan == index)
    stage_rows = [np.flatnonzero(found.tables.stages.replica == group) for group in groups]
    numbers: dict[str, Any] = {
        name: int(getattr(one, name)[0]) for name in ("ep", "dp_shard", "num_virtual_stages", "microbatch_size")
    }
    recompute, settings = RECOMPUTES[int(one.recompute[0])], fixed.settings
    chains = [list(chain) for chain, _ in structure.groups]
    plan = Plan(
        framework=inputs.frameworks[int(one.framework[0])].name,
        tp=structure.tp, pp=structure.pp, cp=structure.cp, dp=structure.dp,
        **numbers,
        schedule=SCHEDULES[int(_schedules(inputs, one)[0])],
        sequence_parallel=structure.tp > 1 and fixed.sequence_parallel,
        shard=SHARDS[int(one.shard[0])], recompute=recompute, offload=fixed.offload,
        rank_order=inputs.problem.plan.rank_order or RANK_ORDER, sync=settings.sync,
        bucket_bytes=settings.bucket_bytes, prefetch=settings.prefetch, overlap_fraction=settings.overlap_fraction,
        stages=placed_stages(
            inputs, list(structure.layers), chains, recomputed_layers(found.tables, stage_rows), tp=structure.tp,
            dp=structure.dp, recompute=recompute, num_virtual_stages=numbers["num_virtual_stages"],
        ),
        replicas=tuple(_replicas(inputs, structure, one)), idle_gpus=_idle(inputs, structure),
    )  # fmt: skip
    return as_summed(plan, inputs.problem.plan)  # a flat sum of one rank of each zone is one per zone


def _most_virtual(structure: Structure) -> int:
    """Virtual stages up to which each has a layer; the first may hold the embedding alone, the last the LM head."""
    ends = {0, structure.pp - 1}
    return 1 if structure.pp == 1 else min(held + (stage in ends) for stage, held in enumerate(structure.layers))


def _crossed(
    inputs: Inputs,
    dp: int,
    pp: int,
    whole: int,
    is_alone: bool,
    most_virtual: int,
    ranks: int,
    least_group: int,
    degrees: Degrees,
) -> Iterator[tuple[int, ...]]:
    """(microbatch, shard, dp_shard, virtual stages, ep, framework, whether shares are open).

    Where stages are interleaved, microbatches come in whole rounds of the ranks.
    """
    batch, fixed = inputs.problem.workload.global_batch_size, inputs.problem.plan.dp_shard
    for size in degrees.microbatch_size:
        total = batch // size
        if batch % size or total < dp:
            continue
        for shard in degrees.shard:
            for dp_shard in (1,) if shard == 0 else _shard_groups(whole, dp, fixed, least_group):
                ways = [0] if total % dp == 0 else []
                if is_alone and whole % dp_shard == 0 and total % dp_shard == 0:
                    ways.append(1)
                for way in ways:
                    for virtual in degrees.num_virtual_stages:
                        for ep in degrees.ep:
                            rounds = virtual == 1 or total // dp % pp == 0
                            if rounds and virtual <= most_virtual and ranks % ep == 0:
                                for framework in degrees.framework:
                                    yield size, shard, dp_shard, virtual, ep, framework, way


def _shard_groups(whole: int, dp: int, fixed: int | None, least: int) -> tuple[int, ...]:
    """Ranks of dp that may share one copy: a divisor of what every group of replicas holds, or all."""
    if fixed is not None:
        return (fixed,) if whole % fixed == 0 or dp == fixed else ()
    return (dp,) if least <= dp == 1 else tuple(sorted({*divisors(whole), dp} - {1}))


def _stacked(parts: Sequence[Trials]) -> Trials:
    names = [field.name for field in fields(Trials) if field.name != "blocks"]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **columns)


def _balanced(inputs: Inputs, found: Trials, fixed: Fixed, keys: Keyed) -> Trials:
    """The same with microbatches shared by speed in the open rows; those that come out equal are left to the others."""
    rows = np.flatnonzero(found.is_open)
    if not len(rows):
        return found
    alone = found.take(rows)
    alone = replace(alone, is_open=np.zeros(len(rows), dtype=np.bool_))
    tables = tables_of(inputs, alone, fixed)
    seconds = evaluate(inputs, tables, keys.take(alone.row)).seconds
    each = tables.per_replica(np.add, seconds.forward + seconds.backward)
    starts = np.searchsorted(tables.replicas.plan, np.arange(len(rows) + 1)).tolist()
    totals = inputs.problem.workload.global_batch_size // alone.microbatch_size
    shares, keep = found.shares.copy(), np.ones(len(found), dtype=np.bool_)
    for place, row in enumerate(rows.tolist()):
        own = slice(starts[place], starts[place + 1])
        counts = tables.replicas.num_replicas[own].tolist()
        shares[row] = fastest_shares(int(totals[place]), counts, each[own].tolist(), int(alone.dp_shard[place]))
        keep[row] = shares[row] is not None and not shares[row].is_equal
    return replace(found, shares=shares).take(keep)


def _schedules(inputs: Inputs, found: Trials) -> Ints:
    written = inputs.problem.plan.schedule
    if written is not None:
        return np.full(len(found), SCHEDULES.index(written))
    return np.where(found.num_virtual_stages > 1, INTERLEAVED, ONE_F_ONE_B)


def _plan_table(inputs: Inputs, found: Trials, fixed: Fixed) -> PlanTable:
    of, row = found.blocks, found.structure
    names = ("framework", "ep", "dp_shard", "num_virtual_stages", "microbatch_size", "recompute", "shard")
    return PlanTable(
        layout=of.layout[row],
        tp=of.tp[row],
        pp=of.pp[row],
        cp=of.cp[row],
        dp=of.dp[row],
        schedule=_schedules(inputs, found),
        sequence_parallel=(of.tp[row] > 1) & fixed.sequence_parallel,
        offloads_optimizer=np.full(len(found), fixed.offload != "none"),
        is_unequal=found.is_open,
        **{name: getattr(found, name) for name in names},
    )


def _microbatches(inputs: Inputs, found: Trials, plan: Ints) -> Ints:
    """Of the busiest replica of each group."""
    total = inputs.problem.workload.global_batch_size // found.microbatch_size
    each = np.maximum(total // found.blocks.dp[found.structure], 1)[plan]
    for row in np.flatnonzero(found.is_open & (found.shares != None)).tolist():  # noqa: E711 (one by one)
        first, last = np.searchsorted(plan, [row, row + 1])
        each[first:last] = found.shares[row].most
    return np.asarray(each)


def _expressible(inputs: Inputs, asked: Trials, fixed: Fixed) -> Bools:
    """Open rows count as unequal, in units of `dp_shard` replicas."""
    of, row = asked.blocks, asked.structure
    plans = _plan_table(inputs, asked, fixed)
    alike = np.where(asked.is_open, asked.dp_shard, of.whole[row])
    fewest = inputs.problem.workload.global_batch_size // asked.microbatch_size // of.dp[row]
    can = np.zeros(len(asked), dtype=np.bool_)
    for index, framework in enumerate(inputs.frameworks):
        rows = np.flatnonzero(plans.framework == index)
        if len(rows):
            can[rows] = expressible(
                framework.name, plans.take(rows), num_layers=inputs.problem.model.num_layers,
                num_microbatches=fewest[rows], num_like_replicas=alike[rows],
                fewest_replicas=of.fewest_in_a_zone[row[rows]], num_zones=of.num_zones[row[rows]],
                sync=fixed.settings.sync,
                rank_order=inputs.problem.plan.rank_order,
            )  # fmt: skip
    return can


def _replicas(inputs: Inputs, structure: Structure, one: Trials) -> Iterator[Replica]:
    total = inputs.problem.workload.global_batch_size // int(one.microbatch_size[0])
    shares = one.shares[0] if one.is_open[0] else Shares.alike(total // structure.dp, len(structure.groups))
    for (chain, _), parts in zip(structure.groups, shares.parts(structure.groups), strict=True):
        pools = [inputs.pools[pool] for pool in chain]
        for num_replicas, num_microbatches in parts:
            yield Replica(
                num_replicas=num_replicas,
                zones=tuple(pool.zone.name for pool in pools),
                node_groups=tuple(pool.node_group_index for pool in pools),
                num_microbatches=num_microbatches,
                weight=num_replicas * num_microbatches / total,
            )


def _idle(inputs: Inputs, structure: Structure) -> tuple[IdleGpus, ...]:
    used = np.zeros(len(inputs.pools), dtype=np.int64)
    for chain, count in structure.groups:
        for pool in chain:
            used[pool] += structure.tp * structure.cp * count
    return tuple(
        IdleGpus(zone=pool.zone.name, node_group=pool.node_group_index, num_gpus=int(pool.node_group.num_gpus - count))
        for pool, count in zip(inputs.pools, used, strict=True)
        if count < pool.node_group.num_gpus
    )
