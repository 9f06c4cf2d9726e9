"""Peak memory of one rank: state by what shards it, activations by what is kept, buffers, overhead."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.model import LayerKind, Model
from crosszone.core.tables import Bools, Floats, Numeric
from crosszone.core.workload import DTYPE_BYTES, OPTIMIZER_MOMENTS, Workload
from crosszone.cost.flop import value_head_size

NORM_STATISTICS_BYTES = 8.0
"""Mean and inverse deviation that a fused attention or norm keeps per token and head or row, fp32."""
TIGHT_FRACTION = 0.90
"""Above this share of the capacity a plan is called tight. Of 960 runs by Hagemann et al. 2023 on A100, labelled ran or
out of memory, 2 % of those predicted below it failed, and 38 % of those between it and the capacity."""


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
class KeptElements:
    """What a framework keeps for backward beyond what fused kernels do, in elements; one value per key."""

    norm: Numeric = 0.0
    """Per hidden unit and norm: eager RMSNorm in fp32 keeps its fp32 input and its fp32 result."""
    attention: Numeric = 0.0
    """Per unit of the queries' width."""
    ffn: Numeric = 0.0
    """Per unit of a gated FFN's width: eager SwiGLU keeps the activation of the gate as well."""
    score: Numeric = 2.5
    """Per head and pair of tokens, all of it: softmax 1, dropout's mask 0.5, dropout's output 1."""


FUSED = KeptElements()
"""Fused kernels, and attention with dropout where it is unfused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationBytes:
    """Bytes of one microbatch in one layer, one value per key."""

    kept: tuple[Floats, Floats, Floats]
    """Held from forward to backward with recompute none, selective, full (the order of core.plan.RECOMPUTES)."""
    working: Floats
    """Live at once while one layer runs: what full recomputation restores."""
    passing: Floats
    """Gradients of tensors inside a layer that live at once while its backward runs."""
    gathered: Floats
    """The whole sequence of one norm's output, where sequence parallelism gathers it: one buffer for all layers."""


def activation_bytes(
    model: Model,
    kind: LayerKind,
    workload: Workload,
    *,
    microbatch_size: Numeric,
    tp: Numeric,
    cp: Numeric,
    sequence_parallel: Bools,
    kept: KeptElements = FUSED,
) -> ActivationBytes:
    """What one layer keeps of one microbatch, and what its backward needs besides.

    Per token, in elements: inputs of both norms and of both blocks 4h (divided by tp only with sequence parallelism);
    q, k, v and the attention's output q + k + v + v'; the FFN's hidden tensors 3f gated (up, gate, product) or 2f.
    Heads and f are divided by tp. Unfused attention adds per head and pair of tokens softmax, dropout mask and output:
    2.5 elements of 2 bytes; selective recomputation drops exactly those. Full keeps the layer's input h.
    For h = q = k = v = f/4 without gate this is Korthikanti et al. 2022, eq. 1-4: sbh(34 + 5 a s / h), less the masks
    of dropout outside attention (2sbh), which current models do not use. `kept` is what eager kernels add.

    Passing: gradients of the FFN's hidden tensors and of its input and output, which are whole on every rank; or those
    of scores and probabilities where attention is unfused, if they are larger.
    """
    size = DTYPE_BYTES[workload.dtypes.activations]
    tokens = np.asarray(microbatch_size, dtype=float) * workload.sequence_length / np.asarray(cp)
    hidden = model.hidden_size / np.where(sequence_parallel, tp, 1)
    width = _ffn_width(model, kind)
    dispatched = 2.0 * model.experts_per_token * hidden if kind.is_moe else 0.0
    hiddens = (4.0 + 2.0 * kept.norm) * hidden + dispatched
    inner = _attention_elements(model) + kept.attention * model.num_heads * model.head_size
    inner = inner + width * (3.0 + kept.ffn if model.gated_ffn else 2.0)
    linear = tokens * (size * (hiddens + inner / tp) + NORM_STATISTICS_BYTES * model.num_heads / tp)
    is_unfused = float(workload.attention == "unfused")
    pairs = is_unfused * size * model.num_heads * workload.sequence_length * tokens / tp
    branches = (3.0 if model.gated_ffn else 2.0) * width / tp
    return ActivationBytes(
        kept=(linear + kept.score * pairs, linear, tokens * size * hidden),
        working=linear + kept.score * pairs,
        passing=np.maximum(tokens * size * (2.0 * model.hidden_size + branches), 2.0 * pairs),
        gathered=tokens * size * model.hidden_size * np.where(sequence_parallel, np.asarray(tp) > 1, 0.0),
    )


def _ffn_width(model: Model, kind: LayerKind) -> float:
    """Hidden units of the FFN, or of all experts, that one token goes through."""
    routed = model.experts_per_token * model.expert_ffn_size + model.shared_expert_ffn_size
    return float(routed if kind.is_moe else model.ffn_size)


def _attention_elements(model: Model) -> float:
    """q, k, v and the attention's output of one token; with latent attention also both latents."""
    value = model.num_heads * value_head_size(model)
    if model.kv_lora_rank:
        return 2.0 * model.num_heads * model.head_size + 2.0 * value + model.kv_lora_rank + model.q_lora_rank
    kv = model.num_kv_heads * (model.head_size + value_head_size(model))
    return float(model.num_heads * model.head_size + kv + value)


def logit_buffer_bytes(
    model: Model,
    workload: Workload,
    *,
    microbatch_size: Numeric,
    tp: Numeric,
    cp: Numeric,
    logit_bytes: Numeric,
    gathered_logit_bytes: Numeric = 0.0,
) -> Floats:
    """Logits of one microbatch at the loss: tokens x vocabulary/tp, `logit_bytes` each for all live copies.

    Where logits are gathered over tp, each rank holds them for the whole vocabulary, and `gathered_logit_bytes` more.
    """
    tokens = np.asarray(microbatch_size, dtype=float) * workload.sequence_length / np.asarray(cp)
    is_whole = (np.asarray(gathered_logit_bytes) > 0.0) & (np.asarray(tp) > 1)
    whole = np.asarray(logit_bytes) + gathered_logit_bytes
    return np.asarray(tokens * model.vocab_size * np.where(is_whole, whole, np.asarray(logit_bytes) / tp))


def verdict(peak_bytes: float, capacity_bytes: float) -> str:
    """fits | tight | does not fit."""
    if peak_bytes > capacity_bytes:
        return "does not fit"
    return "tight" if peak_bytes > TIGHT_FRACTION * capacity_bytes else "fits"
