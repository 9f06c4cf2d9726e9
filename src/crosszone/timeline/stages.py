"""Each stage of each plan: seconds per microbatch, parameters and memory of one rank."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS
from crosszone.core.schedules import schedule
from crosszone.core.tables import Floats, Ints, PlanTable, ReplicaTable, StageTable
from crosszone.cost.collectives import Path, all_gather_seconds
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import (
    embedding_parameters,
    final_norm_parameters,
    head_parameters,
    layer_parameters,
    token_table_parameters,
)
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import KeyCosts

SELECTIVE, FULL = RECOMPUTES.index("selective"), RECOMPUTES.index("full")
OPTIMIZER, GRADIENTS, PARAMETERS = (SHARDS.index(name) for name in ("optimizer", "gradients", "parameters"))
GATHERED_UNITS = 2.0
"""Layers whose weights are whole at once where they are gathered: the one at work and the one prefetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageColumns:
    """One value per row of a StageTable, of one rank, microbatch and the run's fullest stage."""

    forward_seconds: Floats
    backward_seconds: Floats
    """With recomputation, loss and what gathering weights adds."""
    mean_seconds: Floats
    """Forward and backward of the run's average stage."""
    gather_exposed_seconds: Floats
    """Part of forward and backward in which weights were waited for."""
    parameters: Floats
    """Held by the rank before any sharding over data-parallel ranks."""
    num_shards: Floats
    """Ranks over which `shard` divides."""
    weight_bytes: Floats
    gradient_bytes: Floats
    optimizer_bytes: Floats
    activation_bytes: Floats
    buffer_bytes: Floats
    overhead_bytes: Floats
    host_bytes: Floats
    """Offloaded state of the rank."""

    @property
    def total_bytes(self) -> Floats:
        """Peak memory of the rank."""
        state = self.weight_bytes + self.gradient_bytes + self.optimizer_bytes
        return state + self.activation_bytes + self.buffer_bytes + self.overhead_bytes


def stage_columns(
    inputs: Inputs, plans: PlanTable, replicas: ReplicaTable, stages: StageTable, costs: KeyCosts, key: Ints
) -> StageColumns:
    """All columns of `stages`; `key` is the row of `costs` that each stage row uses."""
    replica, plan = stages.replica, replicas.plan[stages.replica]
    view = _View(inputs=inputs, plans=plans.take(plan), stages=stages, costs=costs, key=key)
    layers = _layers_by_kind(inputs, stages)
    dense, expert = _parameters(view, layers)
    data_ranks = view.plans.dp_shard * view.plans.cp
    num_shards = np.where(view.plans.shard > 0, data_ranks, 1).astype(float)
    expert_shards = np.maximum(num_shards * np.where(view.plans.ep > 1, view.plans.tp / view.plans.ep, 1.0), 1.0)
    forward, backward, wait = _seconds(view, layers, dense + expert, num_shards)
    whole = stages.num_layers * stages.num_stages
    thinner = np.where(whole > 0, stages.run_layers / np.maximum(whole, 1), 1.0)
    edges = _edge_seconds(view)
    memory = _memory(view, layers, dense, expert, num_shards, expert_shards, replicas.num_microbatches[replica])
    return StageColumns(
        forward_seconds=forward,
        backward_seconds=backward,
        mean_seconds=(forward + backward - edges) * thinner + edges,
        gather_exposed_seconds=wait,
        parameters=dense + expert,
        num_shards=num_shards,
        **memory,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """Everything of one stage row side by side; `plans` has a row per stage row."""

    inputs: Inputs
    plans: PlanTable
    stages: StageTable
    costs: KeyCosts
    key: Ints

    def fact(self, name: str) -> Floats:
        values = np.array([getattr(framework, name) for framework in self.inputs.frameworks])
        return values[self.plans.framework]


def _layers_by_kind(inputs: Inputs, stages: StageTable) -> tuple[Floats, ...]:
    """Layers of each kind in the fullest stage of each run: the run's mix, scaled to that stage."""
    if len(inputs.kinds) == 1:
        return (stages.num_layers.astype(float),)
    end = stages.first_layer + stages.run_layers
    scale = stages.num_layers / np.maximum(stages.run_layers, 1)
    return tuple((before[end] - before[stages.first_layer]) * scale for before in inputs.layers_before)


def _parameters(view: _View, layers: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Parameters of one rank outside and inside routed experts. Source: `cost.parameters` says what divides what."""
    model, plans = view.inputs.problem.model, view.plans
    expert_ways = np.where(plans.ep > 1, plans.ep, plans.tp)
    dense, expert = np.zeros(len(plans)), np.zeros(len(plans))
    for kind, count in zip(view.inputs.kinds, layers, strict=True):
        layer = layer_parameters(model, kind)
        dense += count * (layer.sharded / plans.tp + layer.replicated)
        expert += count * (layer.expert / expert_ways)
    head = head_parameters(model) / plans.tp + final_norm_parameters(model)
    if model.tied_embeddings:  # the last stage holds its own copy of the table unless it is also the first
        head = head + np.where(view.stages.has_embedding, 0.0, token_table_parameters(model) / plans.tp)
    dense += view.stages.has_embedding * (embedding_parameters(model) / plans.tp) + view.stages.has_head * head
    return dense, expert


def _edge_seconds(view: _View) -> Floats:
    edge, key = view.costs.edge, view.key
    embedding = edge.embedding_forward + edge.embedding_backward
    head = edge.head_forward + edge.head_backward + edge.loss
    return view.stages.has_embedding * embedding[key] + view.stages.has_head * head[key]


def _seconds(
    view: _View, layers: tuple[Floats, ...], parameters: Floats, num_shards: Floats
) -> tuple[Floats, Floats, Floats]:
    """Forward and backward of one microbatch, and how long of it gathered weights were waited for."""
    plans, key, edge = view.plans, view.key, view.costs.edge
    forward, backward = np.zeros(len(plans)), np.zeros(len(plans))
    for cost, count in zip(view.costs.layers, layers, strict=True):
        again = (plans.recompute == FULL) * cost.forward.total[key]
        again = again + (plans.recompute == SELECTIVE) * cost.attention_again[key]
        forward += count * cost.forward.total[key]
        backward += count * (cost.backward.total[key] + again)
    wait_forward, wait_backward = _gather_waits(view, parameters, num_shards, forward, backward)
    forward += view.stages.has_embedding * edge.embedding_forward[key] + view.stages.has_head * edge.head_forward[key]
    backward += view.stages.has_embedding * edge.embedding_backward[key]
    backward += view.stages.has_head * (edge.head_backward + edge.loss)[key]
    return forward + wait_forward, backward + wait_backward, wait_forward + wait_backward


def group_path(view_pool: Ints, inputs: Inputs) -> Path:
    """Path of a group whose ranks lie in these pools."""
    hardware = inputs.hardware
    return Path(
        fabric_bytes_per_second=hardware.fabric_bytes_per_second[view_pool],
        network_bytes_per_second=hardware.network_bytes_per_second[view_pool],
        fabric_latency_seconds=hardware.collective_latency_seconds[view_pool],
        network_latency_seconds=hardware.network_latency_seconds[view_pool],
    )


def _gather_waits(
    view: _View, parameters: Floats, num_shards: Floats, forward: Floats, backward: Floats
) -> tuple[Floats, Floats]:
    """What gathering sharded weights adds to a microbatch: what of it compute does not hide.

    Forward gathers every layer once; backward gathers again and reduce-scatters the gradients. Layers are prefetched one
    ahead, so that only the excess over compute is waited for. Source: Zhao et al. 2023 (PyTorch FSDP), sec. 4.2.
    """
    gathers = (view.plans.shard == PARAMETERS) & (num_shards > 1)
    if not gathers.any():
        return np.zeros(len(forward)), np.zeros(len(forward))
    workload = view.inputs.problem.workload
    sizes = state_bytes(workload, weights_are_master=False)
    path, domain = group_path(view.stages.pool, view.inputs), view.inputs.hardware.domain_size[view.stages.pool]
    per_domain = np.clip(domain // view.plans.tp, 1.0, num_shards)
    gather = all_gather_seconds(num_shards, per_domain, parameters * sizes.gathered_weight, path)
    scatter = all_gather_seconds(num_shards, per_domain, parameters * sizes.gradient, path)
    overlap = view.fact("overlaps_weight_gather")
    wait_forward = np.where(overlap, np.maximum(gather - forward, 0.0), gather)
    wait_backward = np.where(overlap, np.maximum(gather + scatter - backward, 0.0), gather + scatter)
    return gathers * wait_forward, gathers * wait_backward


def _memory(
    view: _View,
    layers: tuple[Floats, ...],
    dense: Floats,
    expert: Floats,
    num_shards: Floats,
    expert_shards: Floats,
    num_microbatches: Ints,
) -> dict[str, Floats]:
    workload, plans = view.inputs.problem.workload, view.plans
    copies = state_bytes(workload, weights_are_master=False)
    master = state_bytes(workload, weights_are_master=True)
    is_master = view.fact("weights_are_master").astype(bool)
    weight, optimizer = np.where(is_master, master.weight, copies.weight), np.where(is_master, master.optimizer, copies.optimizer)

    def held(size: Floats | float, level: int) -> Floats:
        divided = plans.shard >= level
        return size * (dense / np.where(divided, num_shards, 1.0) + expert / np.where(divided, expert_shards, 1.0))

    optimizer_bytes = held(optimizer, OPTIMIZER)
    host = np.where(plans.offloads_optimizer, optimizer_bytes, 0.0)
    activation, working = _activations(view, layers, num_microbatches)
    tensors = held(weight, PARAMETERS) + held(copies.gradient, GRADIENTS) + optimizer_bytes - host + activation
    buffers = _buffers(view, dense + expert, num_shards, copies.gathered_weight, copies.gradient) + working
    overhead = view.fact("overhead_bytes") + view.fact("fragmentation_fraction") * (tensors + buffers)
    return {
        "weight_bytes": held(weight, PARAMETERS),
        "gradient_bytes": held(copies.gradient, GRADIENTS),
        "optimizer_bytes": optimizer_bytes - host,
        "activation_bytes": activation,
        "buffer_bytes": buffers,
        "overhead_bytes": overhead,
        "host_bytes": host,
    }


def _activations(view: _View, layers: tuple[Floats, ...], num_microbatches: Ints) -> tuple[Floats, Floats]:
    """Kept by all microbatches in flight; and the working set of recomputation plus the logits of one microbatch."""
    plans, key = view.plans, view.key
    kept, working = np.zeros(len(plans)), np.zeros(len(plans))
    for cost, count in zip(view.costs.activations, layers, strict=True):
        per_layer = np.stack(cost.kept)[plans.recompute, key]
        kept += count * per_layer
        working = np.maximum(working, (cost.working[key] - per_layer) * (count > 0))
    return kept * _in_flight(view, num_microbatches), working + view.stages.has_head * view.costs.logit_bytes[key]


def _in_flight(view: _View, num_microbatches: Ints) -> Floats:
    plans, result = view.plans, np.zeros(len(view.plans))
    for code, name in enumerate(SCHEDULES):
        rows = plans.schedule == code
        if rows.any():
            count = schedule(name).in_flight(view.stages.stage, plans.pp, num_microbatches, plans.num_virtual_stages)
            result = np.where(rows, count, result)
    return result


def _buffers(view: _View, parameters: Floats, num_shards: Floats, weight_size: float, gradient_size: float) -> Floats:
    """A bucket of gradients being reduced; whole layers where weights are gathered, with one layer's whole gradient."""
    bucket = np.minimum(view.fact("gradient_bucket_bytes"), parameters * gradient_size)
    num_layers = np.maximum(view.stages.num_layers, 1.0)
    gathered = parameters / num_layers * (GATHERED_UNITS * weight_size + gradient_size)
    gathers = (view.plans.shard == PARAMETERS) & (num_shards > 1)
    reduces = view.plans.dp * view.plans.cp > 1
    return np.where(gathers, gathered, np.where(reduces, bucket, 0.0))


def optimizer_seconds(inputs: Inputs, plans: PlanTable, columns: StageColumns, pool: Ints) -> Floats:
    """Optimizer step of one rank: gradient read, states read and written, weight written, at memory bandwidth.

    `plans` has a row per stage row. Offloaded states stay on the host: gradients go down and weights come up over PCIe,
    the host's own update is taken as hidden behind that (ZeRO-Offload, Ren et al. 2021, sec. 4.2).
    """
    sizes = state_bytes(inputs.problem.workload, weights_are_master=False)
    traffic = sizes.gradient + 2.0 * sizes.optimizer + sizes.weight
    factors = np.array([framework.optimizer_traffic_factor for framework in inputs.frameworks])[plans.framework]
    held = columns.parameters / columns.num_shards
    on_gpu = held * traffic * factors / inputs.hardware.memory_bytes_per_second[pool]
    over_host = held * (sizes.gradient + sizes.weight) / inputs.hardware.host_bytes_per_second[pool]
    return np.where(plans.offloads_optimizer, over_host, on_gpu)


