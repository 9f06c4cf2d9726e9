"""Each stage of each plan: seconds per microbatch and parameters of one rank."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS
from crosszone.core.schedules import traits
from crosszone.core.tables import Bools, Floats, Ints, PlanTable, StageTable
from crosszone.cost.collectives import Path, all_gather_seconds
from crosszone.cost.layer import LayerCost
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import (
    embedding_parameters,
    final_norm_parameters,
    head_parameters,
    layer_parameters,
    token_table_parameters,
)
from crosszone.cost.pipeline import SPLIT
from crosszone.timeline.inputs import Inputs, modes_of
from crosszone.timeline.keys import KeyCosts, Keyed
from crosszone.timeline.rows import Settings, Tables
from crosszone.timeline.zone_groups import ZoneGroups, group_path, where_path, zone_groups, zone_path

SELECTIVE, FULL = RECOMPUTES.index("selective"), RECOMPUTES.index("full")
OPTIMIZER, GRADIENTS, PARAMETERS = (SHARDS.index(name) for name in ("optimizer", "gradients", "parameters"))
COPIES = np.array([traits(name).num_copies for name in SCHEDULES])
"""Per schedule: stages whose parameters a rank holds."""
IS_SPLIT = np.isin(SCHEDULES, SPLIT)
"""Per schedule: weight gradients are a pass of their own."""
CONTENTION_FRACTION = 0.2
"""Of an exchange that is hidden behind compute, the seconds that it costs all the same: its kernels take
multiprocessors and memory bandwidth. Fitted to published FSDP runs on A100 and H100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """Rows of a StageTable with all that their costs depend on, side by side."""

    inputs: Inputs
    settings: Settings
    plans: PlanTable
    """A row per stage row."""
    stages: StageTable
    num_microbatches: Ints
    num_replicas: Ints
    """Of the row's replica group."""
    groups: ZoneGroups
    """Who agrees with whom inside each zone."""
    crosses_dp: Bools
    """Replicas of the row's plan lie in several zones."""
    costs: KeyCosts
    key: Ints
    layers: tuple[Floats, ...]
    """Per kind of layer: how many the fullest stage of the run holds."""
    dense: Floats
    """Parameters of one rank outside routed experts, before any sharding."""
    expert: Floats
    """The same in routed experts."""
    num_shards: Floats
    """Ranks over which `shard` divides."""
    expert_shards: Floats

    @property
    def parameters(self) -> Floats:
        """Held by one rank before any sharding over data-parallel ranks."""
        return self.dense + self.expert

    @property
    def recomputed_fraction(self) -> Floats:
        """Share of the layers of the run's fullest stage that the plan's `recompute` is for.

        Where layers are of several kinds, each kind has that share: which of them come first is not looked into.
        """
        return self.recomputed_fraction_of(self.stages.recompute_layers)

    def recomputed_fraction_of(self, recompute_layers: Ints) -> Floats:
        """The same, were it these first layers of each virtual stage."""
        first = recompute_layers * self.plans.num_virtual_stages
        return np.asarray(np.minimum(first / np.maximum(self.stages.num_layers, 1), 1.0))

    @property
    def ranks(self) -> Floats:
        """That hold the row's part of the model in its pool, one of each replica and sequence part."""
        return (self.num_replicas * self.plans.cp).astype(float)

    @property
    def bucket_bytes(self) -> Floats:
        """Gradients that are reduced in one call: the plan's, or the framework's."""
        wanted = self.settings.bucket_bytes
        return self.fact("gradient_bucket_bytes") if wanted is None else np.full(len(self.plans), wanted)

    @property
    def overlaps_reduce(self) -> Floats:
        """1 where gradients are reduced while the last backward of their stage still runs."""
        is_scattered = (self.plans.shard == OPTIMIZER) | (self.plans.shard == GRADIENTS)
        found = np.where(is_scattered, self.fact("overlaps_sharded_reduce"), self.fact("overlaps_gradient_reduce"))
        return np.asarray(found * np.where(self.plans.pp > 1, self.fact("overlaps_in_pipeline"), 1.0))

    @property
    def overlaps_weight_gather(self) -> Floats:
        """1 where sharded weights are gathered ahead: as the plan says, or as the framework does."""
        wanted = self.settings.prefetch
        found = self.fact("overlaps_weight_gather").astype(float)
        return found if wanted is None else np.full(len(self.plans), float(wanted > 0))

    def fact(self, name: str) -> Floats:
        """A number of each row's framework."""
        values = [getattr(framework, name) for framework in self.inputs.frameworks]
        if all(value == values[0] for value in values):
            return np.full(len(self.plans), values[0])
        return np.array(values)[self.plans.framework]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeconds:
    """One value per stage row, of one rank and microbatch."""

    forward: Floats
    """Of the run's fullest stage."""
    backward: Floats
    """With recomputation, loss and what gathering weights adds."""
    weight: Floats
    """Part of backward that makes weight gradients: GEMMs of as many FLOP as those of the forward, and adding up."""
    mean: Floats
    """Forward and backward of the run's average stage."""
    gather_exposed: Floats
    """Part of forward and backward in which weights were waited for."""
    gather: Floats
    """All of gathering weights and scattering gradients, hidden or not."""
    accumulation: Floats
    """Part of backward in which gradients were added to those of earlier microbatches."""


def stage_view(inputs: Inputs, tables: Tables, keys: Keyed) -> StageView:
    """Put side by side what the costs of each stage row depend on."""
    stages, replica = tables.stages, tables.stages.replica
    row = tables.keyed_rows()[replica]
    plans = tables.keyed_plans.take(row)
    layers = _layers_by_kind(inputs, stages)
    dense, expert = _parameters(inputs, plans, stages, layers)
    copies = COPIES[plans.schedule]
    if (copies != 1).any():
        dense, expert = copies * dense, copies * expert
    num_shards = np.where(plans.shard > 0, plans.dp_shard * plans.cp, 1).astype(float)
    spread = np.where(plans.ep > 1, plans.tp / plans.ep, 1.0)
    return StageView(
        inputs=inputs,
        settings=tables.settings,
        plans=plans,
        stages=stages,
        num_microbatches=tables.replicas.num_microbatches[replica],
        num_replicas=tables.replicas.num_replicas[replica],
        groups=zone_groups(inputs, tables),
        crosses_dp=np.array([len(layout.ring) > 1 for layout in tables.layouts])[plans.layout],
        costs=keys.costs,
        key=keys.key(row, stages.pool, modes_of(inputs, plans)),
        layers=layers,
        dense=dense,
        expert=expert,
        num_shards=num_shards,
        expert_shards=np.maximum(num_shards * spread, 1.0),
    )


def _layers_by_kind(inputs: Inputs, stages: StageTable) -> tuple[Floats, ...]:
    """Layers of each kind in the fullest stage of each run: the run's mix, scaled to that stage."""
    if len(inputs.kinds) == 1:
        return (stages.num_layers.astype(float),)
    end = stages.first_layer + stages.run_layers
    scale = stages.num_layers / np.maximum(stages.run_layers, 1)
    return tuple((before[end] - before[stages.first_layer]) * scale for before in inputs.layers_before)


def _parameters(
    inputs: Inputs, plans: PlanTable, stages: StageTable, layers: tuple[Floats, ...]
) -> tuple[Floats, Floats]:
    """Parameters of one rank outside and inside routed experts. Source: `cost.parameters` says what divides what."""
    model = inputs.problem.model
    expert_ways = np.where(plans.ep > 1, plans.ep, plans.tp)
    dense, expert = np.zeros(len(plans)), np.zeros(len(plans))
    for kind, count in zip(inputs.kinds, layers, strict=True):
        layer = layer_parameters(model, kind)
        dense += count * (layer.sharded / plans.tp + layer.replicated)
        expert += count * (layer.expert / expert_ways)
    head = head_parameters(model) / plans.tp + final_norm_parameters(model)
    if model.tied_embeddings:  # the last stage holds its own copy of the table unless it is also the first
        head = head + np.where(stages.has_embedding, 0.0, token_table_parameters(model) / plans.tp)
    dense += stages.has_embedding * (embedding_parameters(model) / plans.tp) + stages.has_head * head
    return dense, expert


def stage_seconds(view: StageView) -> StageSeconds:
    """Forward and backward of one microbatch through one stage of each row."""
    plans, key, edge, stages = view.plans, view.key, view.costs.edge, view.stages
    forward, backward, weight = np.zeros(len(plans)), np.zeros(len(plans)), np.zeros(len(plans))
    for cost, count in zip(view.costs.layers, view.layers, strict=True):
        there = cost.forward.total[key]
        forward += count * there
        backward += count * (cost.backward.total[key] + _seconds_again(view, cost, there))
        weight += count * cost.forward.gemm[key]
    accumulation = _accumulation_seconds(view)
    backward += accumulation
    wait_forward, wait_backward, gather = _gather_waits(view, forward, backward)
    first = stages.has_embedding * edge.embedding_forward[key] + stages.has_head * edge.head_forward[key]
    last = stages.has_embedding * edge.embedding_backward[key]
    last = last + stages.has_head * (edge.head_backward + edge.loss)[key]
    layers = forward + backward + wait_forward + wait_backward
    thinner = stages.run_layers / (np.maximum(stages.num_layers, 1) * stages.num_stages)
    return StageSeconds(
        forward=forward + wait_forward + first,
        backward=backward + wait_backward + last,
        weight=weight + accumulation + stages.has_head * edge.head_forward[key],
        mean=layers * thinner + first + last,
        gather_exposed=wait_forward + wait_backward,
        gather=gather,
        accumulation=accumulation,
    )


def _seconds_again(view: StageView, cost: LayerCost, forward: Floats) -> Floats:
    """What recomputation adds to the backward of a layer, in the mean over those of the stage."""
    recompute = view.plans.recompute
    again = np.asarray((recompute == FULL) * forward)
    is_selective = recompute == SELECTIVE
    if is_selective.any():
        by_operation = view.fact("recomputes_operations").astype(bool)
        selective = np.where(by_operation, cost.operations_again[view.key], cost.attention_again[view.key])
        again = again + is_selective * selective
    return np.asarray(again * view.recomputed_fraction)


def _accumulation_seconds(view: StageView) -> Floats:
    """Adding the gradients of one microbatch to those before it: bytes over memory bandwidth."""
    rate = view.inputs.hardware.memory_bytes_per_second[view.stages.pool]
    return np.asarray(view.parameters * view.fact("accumulation_bytes") / rate)


def late_seconds(view: StageView) -> Floats:
    """What late messages add to a step: they block a rank once for each neighbour, both ways, in every microbatch.

    While the pipeline fills, every message on the way is late once, too: half as many as a microbatch has both ways.
    """
    plans, stages = view.plans, view.stages
    if not any(each.late_message_seconds for each in view.inputs.frameworks):
        return np.asarray(np.zeros(len(plans)))
    before = (stages.stage > 0) | (stages.num_stages > 1)
    after = (stages.stage + stages.num_stages < plans.pp) | (stages.num_stages > 1)
    count = 2.0 * (before * 1.0 + after) * (view.num_microbatches + 0.5 * (plans.pp - 1.0))
    return np.where(is_late(view), view.fact("late_message_seconds") * count, 0.0)


def is_late(view: StageView) -> Bools:
    """Messages between the stages of so many GPUs, or of such tensor parallelism, are late."""
    plans = view.plans
    num_gpus, tp = view.fact("late_message_num_gpus"), view.fact("late_message_tp")
    world_size = plans.tp * plans.cp * plans.dp * plans.pp
    return np.asarray(((num_gpus > 0.0) & (world_size >= num_gpus)) | ((tp > 0.0) & (plans.tp >= tp)))


def shard_path(view: StageView, ranks: Floats, num_shards: Floats, per_domain: Floats) -> tuple[Floats, Path]:
    """(ranks per domain, path) of the groups that shard: of the row's pool where its `ranks` fill whole groups, and so
    do those of the zone's other pools; else of all of them."""
    own, groups = group_path(view.inputs, view.stages.pool), view.groups
    if groups.is_empty:
        return per_domain, own
    spans = groups.most(np.where(ranks % num_shards > 0.0, 1.0, 0.0)) > 0.0
    inside, path = zone_path(own, groups, ranks, per_domain)
    return np.where(spans, inside, per_domain), where_path(spans, path, own)


def _gather_waits(view: StageView, forward: Floats, backward: Floats) -> tuple[Floats, Floats, Floats]:
    """What gathering sharded weights adds to forward and backward of a microbatch, and how long it takes in all.

    Forward gathers every layer once; backward gathers again and reduce-scatters the gradients. Layers are prefetched
    one ahead, so that the excess over compute is waited for. What is hidden slows compute: `CONTENTION_FRACTION` of it
    is paid. Source: Zhao et al. 2023 (PyTorch FSDP), sec. 4.2.
    """
    num_shards, parameters = view.num_shards, view.parameters
    gathers = (view.plans.shard == PARAMETERS) & (num_shards > 1)
    if not gathers.any():
        return (np.zeros(len(forward)),) * 3
    workload = view.inputs.problem.workload
    sizes = state_bytes(workload, weights_are_master=False)
    domain = view.inputs.hardware.domain_size[view.stages.pool]
    per_domain, path = shard_path(view, view.ranks, num_shards, np.clip(domain // view.plans.tp, 1.0, num_shards))
    gather = all_gather_seconds(num_shards, per_domain, parameters * sizes.gathered_weight, path)
    scatter = all_gather_seconds(num_shards, per_domain, parameters * sizes.reduction, path)
    overlap = view.overlaps_weight_gather > 0.0
    wait_forward = np.where(overlap, _paid_seconds(gather, forward), gather)
    wait_backward = np.where(overlap, _paid_seconds(gather + scatter, backward), gather + scatter)
    return gathers * wait_forward, gathers * wait_backward, gathers * (2.0 * gather + scatter)


def _paid_seconds(exchange: Floats, compute: Floats) -> Floats:
    """Of an exchange that runs beside compute: what lasts longer, and the slow-down by the part that does not."""
    return np.asarray(np.maximum(exchange - compute, 0.0) + CONTENTION_FRACTION * np.minimum(exchange, compute))


def optimizer_seconds(view: StageView) -> Floats:
    """Optimizer step of one rank: gradient read, states read and written, weight written, at memory bandwidth.

    Offloaded states stay on the host: gradients go down and weights come up over PCIe, the host's own update is taken
    as hidden behind that (ZeRO-Offload, Ren et al. 2021, sec. 4.2).
    """
    hardware, pool = view.inputs.hardware, view.stages.pool
    sizes = state_bytes(view.inputs.problem.workload, weights_are_master=False)
    traffic = sizes.gradient + 2.0 * sizes.optimizer + sizes.weight
    held = view.dense / view.num_shards + view.expert / view.expert_shards
    on_gpu = held * traffic * view.fact("optimizer_traffic_factor") / hardware.memory_bytes_per_second[pool]
    if not view.plans.offloads_optimizer.any():
        return np.asarray(on_gpu)
    over_host = held * (sizes.gradient + sizes.weight) / hardware.host_bytes_per_second[pool]
    return np.where(view.plans.offloads_optimizer, over_host, on_gpu)
