"""Each stage of each plan: peak memory of one rank, and how tools would count it.

Three counts, each of the one before and more. Allocated: the tensors. Reserved: with what the allocator holds beyond
them. Device: with CUDA context and communicators, as nvidia-smi shows it. An allocator keeps free blocks while there is
room and gives them back when memory is short: they are in what tools show, and not in what a plan needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import schedule
from crosszone.core.tables import Bools, Floats, unique
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.layer import BACKWARD_LAUNCH_RATIO
from crosszone.cost.memory import StateBytes, state_bytes
from crosszone.timeline.agreement_memory import agreement_bytes
from crosszone.timeline.stages import GRADIENTS, IS_SPLIT, OPTIMIZER, PARAMETERS, StageView, is_late

GATHERED_UNITS = 2.0
"""Layers whose weights are whole at once where they are gathered and the plan does not say how many are prefetched: the
one at work and the next."""
MASTER_GRADIENT_BYTES = DTYPE_BYTES["fp32"]
"""Per parameter of the optimizer's own copy of the gradients, which it makes where they are kept in 16 bits."""
POOL_BYTES = 1.3e8
"""That the allocator keeps whatever the run: segments of 2 and 20 MiB that small tensors fill in part, workspaces of
cuBLAS (32 MiB for each thread that launches on Hopper). Fitted to nanotron's smallest runs, 1 to 4 GB."""
EXCHANGES_PER_LAYER = 2.0
"""Outputs of attention and of the FFN, each of which is reduced and scattered over the tensor-parallel ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBytes:
    """One value per stage row: peak memory of a rank of the run's fullest stage."""

    weight: Floats
    gradient: Floats
    optimizer: Floats
    activation: Floats
    buffer: Floats
    """At their largest: gathered weights, a gradient bucket, logits or a layer's backward, the step's own copies."""
    fragmentation: Floats
    """Held by the allocator and of no use, however short memory is."""
    context: Floats
    """CUDA context, libraries and communicators."""
    cached: Floats
    """Free blocks that the allocator keeps as long as there is room for them."""
    host: Floats
    """Offloaded state, which is not in `total`."""

    @property
    def allocated(self) -> Floats:
        """Tensors: PyTorch's max_memory_allocated."""
        return self.weight + self.gradient + self.optimizer + self.activation + self.buffer

    @property
    def reserved(self) -> Floats:
        """What the allocator holds in a run: PyTorch's max_memory_reserved."""
        return self.allocated + self.fragmentation + self.cached

    @property
    def device(self) -> Floats:
        """What nvidia-smi shows of a run."""
        return self.reserved + self.context

    @property
    def overhead(self) -> Floats:
        """What is no tensor of the training and needed all the same."""
        return self.fragmentation + self.context

    @property
    def total(self) -> Floats:
        """What a rank needs, and what decides whether it fits."""
        return self.allocated + self.overhead


def stage_bytes(view: StageView, *, with_cached: bool = True) -> StageBytes:
    """Peak memory of one rank of each stage row; `cached`, which no plan needs, only where asked for."""
    needed = bytes_by_recomputed(view)(view.recomputed_fraction)
    if not with_cached:
        return needed
    room = view.inputs.hardware.memory_bytes[view.stages.pool] - needed.total
    cached = np.clip(_free_blocks(view, needed.activation + needed.buffer), 0.0, np.maximum(room, 0.0))
    return replace(needed, cached=cached)


def bytes_by_recomputed(view: StageView) -> Callable[[Floats], StageBytes]:
    """What ranks of each stage row need, without `cached`, as a function of its `recomputed_fraction`."""
    workload, plans = view.inputs.problem.workload, view.plans
    copies = state_bytes(workload, weights_are_master=False)
    master = state_bytes(workload, weights_are_master=True)
    is_master = view.fact("weights_are_master").astype(bool)
    weight = _held(view, np.where(is_master, master.weight, copies.weight), PARAMETERS)
    states = _held(view, np.where(is_master, master.optimizer, copies.optimizer), OPTIMIZER)
    agreeing = agreement_bytes(view)
    states = states + agreeing.state
    host = np.where(plans.offloads_optimizer, states, 0.0)
    beside = np.maximum(np.where(is_master, 0.0, _step_gradient_bytes(view, copies)), agreeing.passing)
    gradient, backward_gradient = _gradients(view, copies), _backward_gradients(view, copies)
    reduced_or_gathered = _buffers(view, copies)
    fragmentation_fraction = view.fact("fragmentation_fraction")
    context = view.fact("context_bytes") + view.fact("communicator_bytes") * _num_communicators(view)
    num_held = in_flight(view)
    activations = _activations_by_recomputed(view)

    def needed(recomputed_fraction: Floats) -> StageBytes:
        of_one, working = activations(recomputed_fraction)
        activation = of_one * num_held
        buffer = np.maximum(reduced_or_gathered + working, beside - activation)
        buffer = np.maximum(buffer, backward_gradient - activation / num_held) + agreeing.error
        tensors = weight + gradient + states - host + activation + buffer
        return StageBytes(
            weight=weight,
            gradient=gradient,
            optimizer=states - host,
            activation=activation,
            buffer=buffer,
            fragmentation=fragmentation_fraction * tensors,
            context=context,
            cached=np.zeros(len(plans)),
            host=host + agreeing.host,
        )

    return needed


def in_flight(view: StageView) -> Floats:
    """Most microbatches whose activations a rank of each stage row holds at once."""
    plans, result = view.plans, np.zeros(len(view.plans))
    for code in unique(plans.schedule).tolist():
        count = schedule(SCHEDULES[code]).in_flight(
            view.stages.stage, plans.pp, view.num_microbatches, plans.num_virtual_stages
        )
        result = np.where(plans.schedule == code, count, result)
    return result


def _free_blocks(view: StageView, working: Floats) -> Floats:
    """Blocks of tensors that come and go, `working`; states stay where they were put and leave none free."""
    pending = _num_pending(view) * view.costs.activations[0].gathered[view.key]
    return view.fact("cached_fraction") * working + pending + POOL_BYTES


def _num_pending(view: StageView) -> Floats:
    """Freed inputs of tensor-parallel exchanges, a whole sequence each, that the allocator cannot use again yet.

    A tensor that a collective reads on its own stream is free for the CPU long before the GPU has got that far; its
    block waits (PyTorch's record_stream). How many wait is how far the CPU is ahead: `num_pending_exchanges` at most,
    as the queue of launches is finite, and no further back than the last time that the CPU waited.
    Without a pipeline that is the last step: two a layer where a step is one microbatch, else as many as may be.
    With one it is the last message: two a layer, in forward and backward, if the GPU is slower than the CPU; and while
    the pipeline fills, two a layer for each microbatch in flight but two. Where messages are late none waits.
    """
    limit = view.fact("num_pending_exchanges")
    if not limit.any():
        return np.zeros(len(view.plans))
    of_one = EXCHANGES_PER_LAYER * np.sum(view.layers, axis=0)
    held = in_flight(view)
    alone = np.where(view.num_microbatches > 1, limit, of_one)
    ahead = np.where(_gpu_is_slower(view), np.where(view.num_microbatches > held, limit, of_one), 0.0)
    piped = np.where(is_late(view), 0.0, np.maximum(ahead, of_one * (held - 2.0)))
    return np.minimum(limit, np.where(view.plans.pp > 1, piped, alone))


def _gpu_is_slower(view: StageView) -> Bools:
    """Layers take the GPU longer than the CPU takes to issue them."""
    keys, key = view.costs.keys, view.key
    issue = np.broadcast_to(keys.launch_seconds + keys.stall_seconds, keys.tp.shape)[key]
    spare = np.zeros(len(view.plans))
    for cost, count in zip(view.costs.layers, view.layers, strict=True):
        for each, ratio in ((cost.forward, 1.0), (cost.backward, BACKWARD_LAUNCH_RATIO)):
            spare += count * ((each.compute - each.launch + each.communication)[key] - ratio * issue)
    return np.asarray(spare > 0.0)


def _held(view: StageView, size: Floats | float, level: int) -> Floats:
    """Bytes of a state of `size` bytes a parameter that sharding from `level` on divides."""
    divided = view.plans.shard >= level
    dense = view.dense / np.where(divided, view.num_shards, 1.0)
    return np.asarray(size * (dense + view.expert / np.where(divided, view.expert_shards, 1.0)))


def _gradients(view: StageView, copies: StateBytes) -> Floats:
    """Gradients as they are summed, and those in the weights' format where both are kept.

    Buckets that are never freed hold them once more, for replicas to reduce: none where there is one replica.
    """
    is_bucketed = view.fact("keeps_gradient_buckets") * (view.plans.dp * view.plans.cp > 1)
    is_twice = np.maximum(view.fact("keeps_narrow_gradients"), is_bucketed)
    return _held(view, copies.gradient + _narrow_bytes(copies) * is_twice, GRADIENTS)


def _narrow_bytes(copies: StateBytes) -> float:
    """Of a gradient in the weights' format, where its sum is wider."""
    return copies.gathered_weight if copies.gradient > copies.gathered_weight else 0.0


def _backward_gradients(view: StageView, copies: StateBytes) -> Floats:
    """Gradients of one whole backward, which go to their buckets and sums at its end; its activations are gone then."""
    return np.asarray(view.parameters * _narrow_bytes(copies) * view.fact("keeps_gradient_buckets"))


def _step_gradient_bytes(view: StageView, copies: StateBytes) -> Floats:
    """Gradients of 16 bits, copied to fp32 for the parameters that this rank's optimizer updates.

    Activations are gone by then: the copy counts only beyond what they took.
    """
    if copies.gradient >= MASTER_GRADIENT_BYTES or view.inputs.problem.workload.dtypes.master_weights is None:
        return np.zeros(len(view.plans))
    return np.where(view.plans.offloads_optimizer, 0.0, _held(view, MASTER_GRADIENT_BYTES, OPTIMIZER))


def _activations_by_recomputed(view: StageView) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Kept by one microbatch in flight; and the most that one of them needs beside that at a time.

    Either a layer's backward, with what recomputation restores, or the logits: by the first backward the last ones
    are gone. The buffer that gathers sequences lives all along. Layers that are not recomputed come last in each
    virtual stage: their backward is done, and what they kept is gone, before anything is restored; but not where their
    weight gradients are still to come.
    """
    plans, key = view.plans, view.key
    costs = [
        (count, cost.kept[0][key], np.stack(cost.kept)[plans.recompute, key], cost.working[key], cost.passing[key])
        for cost, count in zip(view.costs.activations, view.layers, strict=True)
    ]
    logits = view.stages.has_head * view.costs.logit_bytes[key]
    sequences = view.costs.activations[0].gathered[key]
    is_split = IS_SPLIT[plans.schedule]

    def kept_and_working(recomputed_fraction: Floats) -> tuple[Floats, Floats]:
        kept, most = np.zeros(len(plans)), logits
        gone = np.sum([(1.0 - recomputed_fraction) * count * plain for count, plain, *_ in costs], axis=0)
        gone = np.where(is_split, 0.0, gone / plans.num_virtual_stages)
        for count, plain, light, working, passing in costs:
            kept += count * (plain + recomputed_fraction * (light - plain))
            restored = np.where(recomputed_fraction > 0.0, working - light, 0.0) - gone
            most = np.maximum(most, (np.maximum(restored, 0.0) + passing) * (count > 0))
        return kept, most + sequences

    return kept_and_working


def _buffers(view: StageView, copies: StateBytes) -> Floats:
    """A bucket of gradients being reduced; where weights are gathered, whole layers with one layer's whole gradient.

    With a pipeline some frameworks gather and reduce once a step: then the stage's weights and gradients are whole.
    """
    parameters, plans = view.parameters, view.plans
    bucket = np.minimum(view.bucket_bytes, parameters * copies.gradient)
    num_layers = np.maximum(view.stages.num_layers, 1.0)
    ahead = view.settings.prefetch
    units = GATHERED_UNITS if ahead is None else np.minimum(1.0 + ahead, num_layers)
    layers = parameters / num_layers * (units * copies.gathered_weight + copies.gradient)
    keeps_all = view.fact("keeps_gathered_in_pipeline").astype(bool) & (plans.pp > 1)
    gathered = np.where(keeps_all, parameters * (copies.gathered_weight + copies.gradient), layers)
    reduced = np.where(keeps_all & (plans.shard == GRADIENTS), parameters * copies.gradient, bucket)
    gathers = (plans.shard == PARAMETERS) & (view.num_shards > 1)
    return np.where(gathers, gathered, np.where(plans.dp * plans.cp > 1, reduced, 0.0))


def _num_communicators(view: StageView) -> Floats:
    """Groups of more than one rank that a rank belongs to."""
    plans = view.plans
    degrees = np.stack([plans.tp, plans.cp, plans.ep, plans.dp, plans.pp])
    return np.asarray((degrees > 1).sum(axis=0, dtype=float))
