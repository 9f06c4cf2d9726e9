"""Peak memory of one rank: state by what shards it, activations by what is kept, buffers, overhead."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.model import LayerKind, Model
from crosszone.core.tables import Bools, Floats, Numeric
from crosszone.core.workload import DTYPE_BYTES, OPTIMIZER_MOMENTS, Workload
from crosszone.cost.flop import value_head_size

NORM_STATISTICS_BYTES = 8.0
"""Mean and inverse deviation that a fused attention or norm keeps per token and head or row, fp32."""
TIGHT_FRACTION = 0.92
"""Above this share of the capacity a plan is called tight: there runs that ran and runs that failed overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBytes:
    """Bytes of one parameter's state on a rank that holds it unsharded."""

    weight: float
    gradient: float
    optimizer: float
    reduction: float
    """Of the gradient as it is sent to be reduced."""
    gathered_weight: float
    """Of the copy that computes, where weights are gathered or cast."""


def state_bytes(workload: Workload, *, weights_are_master: bool) -> StateBytes:
    """bf16 training with AdamW: 2 + 4 + (4 + 4 + 4) bytes, or 4 + 4 + 8 where the fp32 weights are themselves the
    master.

    Source: Rajbhandari et al. 2020 (ZeRO), sec. 3.1, with fp32 gradients (Megatron-LM's main_grad, FSDP's reduce
    dtype).
    """
    dtypes = workload.dtypes
    moments = OPTIMIZER_MOMENTS[workload.optimizer] * DTYPE_BYTES[dtypes.moments]
    compute = DTYPE_BYTES[dtypes.weights]
    master = 0.0 if dtypes.master_weights is None else DTYPE_BYTES[dtypes.master_weights]
    keeps_copy = master > 0.0 and not weights_are_master
    return StateBytes(
        weight=master if master > 0.0 and weights_are_master else compute,
        gradient=DTYPE_BYTES[dtypes.gradients],
        optimizer=moments + (master if keeps_copy else 0.0),
        reduction=DTYPE_BYTES[dtypes.gradient_reduction],
        gathered_weight=compute,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationBytes:
    """Bytes of one microbatch in one layer, one value per key."""

    kept: tuple[Floats, Floats, Floats]
    """Held from forward to backward with recompute none, selective, full (the order of core.plan.RECOMPUTES)."""
    working: Floats
    """Live at once while one layer runs: what full recomputation restores."""


def activation_bytes(
    model: Model,
    kind: LayerKind,
    workload: Workload,
    *,
    microbatch_size: Numeric,
    tp: Numeric,
    cp: Numeric,
    sequence_parallel: Bools,
) -> ActivationBytes:
    """What one layer keeps of one microbatch.

    Per token, in elements: inputs of both norms and of both blocks 4h (divided by tp only with sequence parallelism);
    q, k, v and the attention's output q + k + v + v'; the FFN's hidden tensors 3f gated (up, gate, product) or 2f.
    Heads and f are divided by tp. Unfused attention adds per head and pair of tokens softmax, dropout mask and output:
    2.5 elements of 2 bytes; selective recomputation drops exactly those. Full keeps the layer's input h.
    For h = q = k = v = f/4 without gate this is Korthikanti et al. 2022, eq. 1-4: sbh(34 + 5 a s / h), less the masks
    of dropout outside attention (2sbh), which current models do not use.
    """
    size = DTYPE_BYTES[workload.dtypes.activations]
    tokens = np.asarray(microbatch_size, dtype=float) * workload.sequence_length / np.asarray(cp)
    hidden = model.hidden_size / np.where(sequence_parallel, tp, 1)
    value = model.num_heads * value_head_size(model)
    qkv = model.num_heads * model.head_size + model.num_kv_heads * (model.head_size + value_head_size(model))
    if model.kv_lora_rank:
        qkv = 2 * model.num_heads * model.head_size + value + model.kv_lora_rank + model.q_lora_rank
    branches = 3.0 if model.gated_ffn else 2.0
    routed = model.experts_per_token * model.expert_ffn_size + model.shared_expert_ffn_size
    ffn = branches * (routed if kind.is_moe else model.ffn_size)
    dispatched = 2.0 * model.experts_per_token * hidden if kind.is_moe else 0.0
    statistics = NORM_STATISTICS_BYTES * model.num_heads
    linear = tokens * (size * (4.0 * hidden + dispatched + (qkv + value + ffn) / tp) + statistics / tp)
    scores = 0.0
    if workload.attention == "unfused":
        scores = 2.5 * size * model.num_heads * workload.sequence_length * tokens / tp
    full = tokens * size * hidden
    return ActivationBytes(kept=(linear + scores, linear, full), working=linear + scores)


def logit_buffer_bytes(
    model: Model, workload: Workload, *, microbatch_size: Numeric, tp: Numeric, cp: Numeric, logit_bytes: Numeric
) -> Floats:
    """Logits of one microbatch at the loss: tokens x vocabulary/tp, `logit_bytes` each for all live copies."""
    tokens = np.asarray(microbatch_size, dtype=float) * workload.sequence_length / np.asarray(cp)
    return np.asarray(tokens * model.vocab_size / np.asarray(tp) * logit_bytes)


def verdict(peak_bytes: float, capacity_bytes: float) -> str:
    """fits | tight | does not fit."""
    if peak_bytes > capacity_bytes:
        return "does not fit"
    return "tight" if peak_bytes > TIGHT_FRACTION * capacity_bytes else "fits"
