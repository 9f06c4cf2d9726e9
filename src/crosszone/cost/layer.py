"""Time of one transformer layer on one rank for one microbatch, forward and backward, in named pieces.

Everything here is an array over "keys": the distinct (GPU, framework, tp, cp, ep, microbatch, sequence parallel) of a
search. Plans are millions, keys are thousands.
"""

from dataclasses import dataclass

import numpy as np

from crosszone.core.model import LayerKind, Model
from crosszone.core.tables import Bools, Floats, Numeric
from crosszone.core.workload import DTYPE_BYTES, Workload
from crosszone.cost.collectives import Path, all_gather_seconds, all_reduce_seconds, all_to_all_seconds
from crosszone.cost.flop import Gemm, attention_flop, layer_gemms, value_head_size
from crosszone.cost.gemm import ALIGNMENT, gemm_seconds

FLASH_BACKWARD_FLOP_RATIO = 2.5
"""Five products against two, one of them the recomputed scores. Source: Dao 2023 (FlashAttention-2), sec. 4.1."""
GROUPED_GEMM_FRACTION = 0.85
"""Rate of a grouped product over experts against one product of the same size; fitted to published MoE runs (NVIDIA
Megatron-Bridge, Hopper and Blackwell)."""
PERMUTATION_BYTES = 12.0
"""Bytes moved per routed token and hidden element in one pass: fused gather, scatter and weighting each read and write
2-byte elements."""
UNFUSED_PRODUCTS = (2.0, 4.0)
"""Batched products that write or read the score matrix once: scores and weighted values forward, two gradients of each
backward."""
UNFUSED_SCORE_PASSES = (4.0, 4.5)
"""Reads and writes of the 2-byte score matrix between those products. Forward: causal softmax in 0.5 (the lower half)
and out 1, dropout in 1, out 1 and its 1-byte mask 0.5. Backward: dropout in 1, out 1 and mask 0.5, softmax in 0.5 twice
and out 1. Counted in Megatron-LM v2's fused causal softmax
(megatron/fused_kernels/scaled_upper_triang_masked_softmax.h)."""
NORM_BACKWARD_RATIO = 1.5
"""Passes of a norm's backward over its forward where each is a kernel of its own: input, gradient and statistics are
read where the forward reads input and statistics."""
RING_COLLECTIVES = 5.0
"""Rings of one pass through a layer, mean of four forward and six backward."""
NARROW_CAST_BYTES = 4.0
"""Per element of a product's 16-bit operand that becomes fp8 or fp4: read 2, write 1 by rows and 1 by columns, because
the backward products need the transpose. Source: NVIDIA, Transformer Engine user guide, "Using FP8"."""
BACKWARD_LAUNCH_RATIO = 1.2
"""CPU time to issue a layer's backward over its forward; fitted to launch-bound runs of small models."""
LAUNCH_NORM = 4.0
"""Exponent that joins GPU time g and CPU time c, (g^4 + c^4)^(1/4): the larger wins, near a tie they add a little."""

KERNEL_GAP_FRACTION = 0.25
"""GPU time lost between dependent kernels (drain, start, fill: about 2 us each), over the CPU time to issue them (about
8 us each); lost even where the GPU is the slower of the two. Checked on launch-bound runs of small models."""
MAX_GAP_SECONDS = 1e-4
"""Of a layer's forward: some 50 kernels, however slowly the CPU issues them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKeys:
    """One row per key. Rates are what the hardware achieves, not its peaks."""

    tp: Floats
    cp: Floats
    ep: Floats
    microbatch_size: Floats
    sequence_parallel: Bools
    gemm_flop_per_second: Floats
    """Main loop, compute precision."""
    wide_flop_per_second: Floats
    """Main loop, 16-bit (or the compute precision where that is wider): LM head, attention, gradients kept in bf16."""
    gemm_overhead_depth: Floats
    num_sms: Floats
    attention_flop_per_second: Floats
    attention_backward_flop_per_second: Floats
    unfused_attention_flop_per_second: Floats
    memory_bytes_per_second: Floats
    elementwise_factor: Floats
    launch_seconds: Floats
    logit_traffic_bytes: Floats
    tp_overlap_fraction: Floats
    domain_size: Floats
    """GPUs that share a fabric."""
    path: Path
    norm_traffic_bytes: Numeric = 0.0
    tp_step_seconds: Numeric = 0.0
    """Latency of each step of a tensor-parallel ring that leaves the fabric."""
    sends_token_once: Bools | bool = False
    """A token crosses to each node once, however many of its experts are there."""
    ep_overlap_fraction: Numeric = 0.0
    expert_launch_seconds: Numeric = 0.0
    stall_seconds: Numeric = 0.0
    """Added to the time to issue a layer's forward; hides behind GPU time as that does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Seconds of one direction through one layer, one value per key."""

    gemm: Floats
    attention: Floats
    elementwise: Floats
    launch: Floats
    """What the CPU adds where it issues kernels more slowly than the GPU runs them, and the gaps between kernels."""
    tp: Floats
    """Tensor-parallel communication that is exposed."""
    tp_overlapped: Floats
    cp: Floats
    ep: Floats

    @property
    def compute(self) -> Floats:
        """All but communication."""
        return self.gemm + self.attention + self.elementwise + self.launch

    @property
    def communication(self) -> Floats:
        """Exposed communication."""
        return self.tp + self.cp + self.ep

    @property
    def total(self) -> Floats:
        """Seconds that pass."""
        return self.compute + self.communication


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One kind of layer."""

    forward: Pass
    backward: Pass
    attention_again: Floats
    """Seconds of redoing the attention core alone (selective recomputation, Korthikanti et al. 2022)."""
    operations_again: Floats
    """Seconds of redoing all but attention and every second product (torchtitan's selective recomputation)."""


def layer_cost(model: Model, kind: LayerKind, workload: Workload, keys: LayerKeys) -> LayerCost:
    """Forward and backward of one layer of `kind` for every key."""
    tokens = keys.microbatch_size * workload.sequence_length / keys.cp
    gemms = layer_gemms(model, kind, tokens=tokens, tp=keys.tp, ep=keys.ep)
    element_bytes = DTYPE_BYTES[workload.dtypes.activations]
    forward_gemm = sum((_forward_seconds(gemm, keys, element_bytes) for gemm in gemms), start=np.zeros(()))
    backward_gemm = sum((_backward_seconds(gemm, keys, element_bytes) for gemm in gemms), start=np.zeros(()))
    attention = _attention_seconds(model, kind, workload, keys)
    elementwise = _elementwise_seconds(model, kind, keys, tokens, element_bytes)
    if DTYPE_BYTES[workload.dtypes.compute] < element_bytes:
        casts = _cast_seconds(model, kind, keys, tokens)
        elementwise = elementwise[0] + casts[0], elementwise[1] + casts[1]
    exchange = _exchange_seconds(model, kind, keys, tokens, element_bytes)
    ring = _context_seconds(model, keys, tokens, element_bytes)
    waits = keys.expert_launch_seconds if kind.is_moe else 0.0
    forward, backward = (
        _one_pass(keys, gemm, attention[step], elementwise[step], exchange, ring[step], launch, waits)
        for step, (gemm, launch) in enumerate(((forward_gemm, 1.0), (backward_gemm, BACKWARD_LAUNCH_RATIO)))
    )
    half = 0.5 * (forward.gemm + forward.tp)
    return LayerCost(
        forward=forward,
        backward=backward,
        attention_again=attention[0],
        operations_again=half + forward.elementwise + forward.cp + forward.ep,
    )


def _one_pass(
    keys: LayerKeys,
    gemm: Floats,
    attention: Floats,
    elementwise: Floats,
    exchange: tuple[Floats, Floats],
    ring: Floats,
    launch_ratio: float,
    waits: Numeric,
) -> Pass:
    tp, ep = exchange
    exposed_tp = tp * (1.0 - keys.tp_overlap_fraction)
    exposed_cp = np.maximum(ring - attention, 0.0)
    busy = gemm + attention + elementwise + exposed_tp + exposed_cp + ep
    issue = (keys.launch_seconds + keys.stall_seconds) * launch_ratio
    gaps = np.minimum(KERNEL_GAP_FRACTION * keys.launch_seconds, MAX_GAP_SECONDS) * launch_ratio
    launch = (busy**LAUNCH_NORM + issue**LAUNCH_NORM) ** (1.0 / LAUNCH_NORM) - busy + gaps + waits * launch_ratio
    return Pass(
        gemm=gemm,
        attention=attention,
        elementwise=elementwise,
        launch=launch,
        tp=exposed_tp,
        tp_overlapped=tp - exposed_tp,
        cp=exposed_cp,
        ep=ep,
    )


def _rate(gemm: Gemm, keys: LayerKeys) -> Floats:
    return keys.gemm_flop_per_second * (GROUPED_GEMM_FRACTION if gemm.is_expert else 1.0)


def _forward_seconds(gemm: Gemm, keys: LayerKeys, element_bytes: float) -> Floats:
    return gemm.count * _gemm(gemm.m, gemm.n, gemm.k, _rate(gemm, keys), keys, element_bytes)


def _backward_seconds(gemm: Gemm, keys: LayerKeys, element_bytes: float) -> Floats:
    """Gradient of the input, (m x n)(n x k), and of the weight, (k x m)(m x n)."""
    rate = _rate(gemm, keys)
    inputs = _gemm(gemm.m, gemm.k, gemm.n, rate, keys, element_bytes)
    weights = _gemm(gemm.k, gemm.n, gemm.m, rate, keys, element_bytes)
    return gemm.count * (inputs + weights)


def _gemm(m: Floats, n: Floats, k: Floats, rate: Floats, keys: LayerKeys, element_bytes: float) -> Floats:
    return gemm_seconds(
        m,
        n,
        k,
        flop_per_second=rate,
        num_sms=keys.num_sms,
        overhead_depth=keys.gemm_overhead_depth,
        memory_bytes_per_second=keys.memory_bytes_per_second,
        element_bytes=element_bytes,
    )


def _attention_seconds(model: Model, kind: LayerKind, workload: Workload, keys: LayerKeys) -> tuple[Floats, Floats]:
    """Scores, softmax and weighted values, forward and backward.

    Flash: FLOP of the unmasked pairs at the fused kernel's rate, backward 2.5 times the FLOP. Unfused: each product
    runs over the whole square with heads padded to whole tiles, bound by its FLOP or by its pass over the scores;
    softmax and dropout are further passes. Context parallelism divides all evenly.
    """
    sequences = keys.microbatch_size / (keys.tp * keys.cp)
    if workload.attention == "flash":
        flop = sequences * attention_flop(model, kind, workload.sequence_length)
        forward = flop / keys.attention_flop_per_second
        backward = FLASH_BACKWARD_FLOP_RATIO * flop / keys.attention_backward_flop_per_second
        return forward, backward
    scores = sequences * float(workload.sequence_length) ** 2 * model.num_heads
    pass_seconds = scores * 2.0 / keys.memory_bytes_per_second
    padded_head_size = ALIGNMENT * np.ceil((model.head_size + value_head_size(model)) / 2.0 / ALIGNMENT)
    product_seconds = 2.0 * scores * padded_head_size / keys.unfused_attention_flop_per_second
    product_seconds = np.maximum(product_seconds, pass_seconds)
    forward, backward = (
        products * product_seconds + passes * pass_seconds
        for products, passes in zip(UNFUSED_PRODUCTS, UNFUSED_SCORE_PASSES, strict=True)
    )
    return forward, backward


def _elementwise_seconds(
    model: Model, kind: LayerKind, keys: LayerKeys, tokens: Floats, element_bytes: float
) -> tuple[Floats, Floats]:
    """Norms, residuals, activation functions, rotations: bytes over memory bandwidth.

    Counted per token at 2 bytes an element, each fused kernel reading and writing once. Forward: 20h for two norms,
    residual additions and dropout; 6f (gated) or 4f for the activation; 4(q + 2kv) for rotation and layout. Backward:
    28h and 10f or 6f and the same for q, k, v. Only sequence parallelism divides the parts in h; tp divides the others.
    `elementwise_factor` is what the framework's kernels move over that count; norms that are not fused move
    `norm_traffic_bytes` more per element forward and half as much again backward.
    """
    h, qkv, f = _widths(model, kind, keys)
    forward_f, backward_f = (6.0, 10.0) if model.gated_ffn else (4.0, 6.0)
    scale = keys.elementwise_factor * (element_bytes / 2.0) * tokens / keys.memory_bytes_per_second
    permutation = PERMUTATION_BYTES * model.experts_per_token * h if kind.is_moe else 0.0
    forward = scale * (20.0 * h + forward_f * f + 4.0 * qkv + permutation)
    backward = scale * (28.0 * h + backward_f * f + 4.0 * qkv + permutation)
    norms = keys.norm_traffic_bytes * h * tokens / keys.memory_bytes_per_second
    return forward + norms, backward + NORM_BACKWARD_RATIO * norms


def _cast_seconds(model: Model, kind: LayerKind, keys: LayerKeys, tokens: Floats) -> tuple[Floats, Floats]:
    """Casting the operands of narrow products: inputs forward, gradients of outputs backward.

    Forward 2h + v + f elements a token (inputs of qkv, FFN up, attention output, FFN down), backward 2h + qkv + f or 2f
    (gated); the parts in h are divided by tp only with sequence parallelism. Weights are cast once a step: left out.
    """
    h, qkv, f = _widths(model, kind, keys)
    value = model.num_heads * value_head_size(model) / keys.tp
    branches = 2.0 if model.gated_ffn else 1.0
    scale = NARROW_CAST_BYTES * tokens / keys.memory_bytes_per_second
    return scale * (2.0 * h + value + f), scale * (2.0 * h + qkv + branches * f)


def _widths(model: Model, kind: LayerKind, keys: LayerKeys) -> tuple[Floats, Floats, Floats]:
    """(hidden, query with key and value, FFN) elements of a token on one rank."""
    hidden = model.hidden_size / np.where(keys.sequence_parallel, keys.tp, 1.0)
    qkv = model.num_heads * model.head_size + model.num_kv_heads * (model.head_size + value_head_size(model))
    routed = model.experts_per_token * model.expert_ffn_size + model.shared_expert_ffn_size
    return hidden, qkv / keys.tp, (routed if kind.is_moe else model.ffn_size) / keys.tp


def _exchange_seconds(
    model: Model, kind: LayerKind, keys: LayerKeys, tokens: Floats, element_bytes: float
) -> tuple[Floats, Floats]:
    """Tensor- and expert-parallel communication of one pass (forward and backward move the same).

    tp: two all-reduces of the hidden states, or with sequence parallelism their two halves apart (Korthikanti et al.
    2022, sec. 4.2.2). Across nodes each of a ring's tp - 1 steps has its latency, too, in `RING_COLLECTIVES` rings:
    four halves forward; six backward, where inputs are gathered again. ep: tokens go to their experts and back,
    experts_per_token copies of each.
    """
    message = tokens * model.hidden_size * element_bytes
    tp = 2.0 * all_reduce_seconds(keys.tp, np.minimum(keys.tp, keys.domain_size), message, keys.path)
    leaves = keys.tp > keys.domain_size
    tp = tp + leaves * RING_COLLECTIVES * (keys.tp - 1.0) * keys.tp_step_seconds
    if not kind.is_moe:
        return tp, np.zeros_like(tp)
    routed = message * model.experts_per_token / keys.tp
    copies = np.where(keys.sends_token_once, model.experts_per_token, 1)
    inside = np.minimum(keys.ep, keys.domain_size)
    ep = 2.0 * all_to_all_seconds(keys.ep, inside, routed, keys.path, num_copies=copies)
    ep = ep * (1.0 - np.asarray(keys.ep_overlap_fraction))
    return tp, ep


def _context_seconds(model: Model, keys: LayerKeys, tokens: Floats, element_bytes: float) -> tuple[Floats, Floats]:
    """Keys and values travel around the cp ring once forward; with their gradients, twice that backward.

    Hidden behind attention as far as that lasts. Source: Liu, Zaharia, Abbeel 2023 (Ring Attention), sec. 3.
    """
    width = model.num_kv_heads * (model.head_size + value_head_size(model)) / keys.tp
    message = tokens * keys.cp * width * element_bytes
    ranks_per_domain = np.clip(keys.domain_size // keys.tp, 1.0, keys.cp)
    once = all_gather_seconds(keys.cp, ranks_per_domain, message, keys.path)
    return once, 2.0 * once


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeCost:
    """What the first and the last stage do besides layers, one value per key."""

    embedding_forward: Floats
    embedding_backward: Floats
    head_forward: Floats
    head_backward: Floats
    loss: Floats
    """Softmax, cross-entropy and their backward: part of the backward time."""


def edge_cost(model: Model, workload: Workload, keys: LayerKeys) -> EdgeCost:
    """Embedding (bytes only), LM head (tokens x vocabulary/tp x hidden, 16-bit) and loss (bytes per logit)."""
    tokens = keys.microbatch_size * workload.sequence_length / keys.cp
    element_bytes = DTYPE_BYTES[workload.dtypes.activations]
    h, width = model.hidden_size * np.ones_like(tokens), model.vocab_size / keys.tp
    rows = tokens * h * element_bytes / keys.memory_bytes_per_second
    rate = keys.wide_flop_per_second
    forward = _gemm(tokens, width, h, rate, keys, element_bytes)
    backward = _gemm(tokens, h, width, rate, keys, element_bytes) + _gemm(h, width, tokens, rate, keys, element_bytes)
    return EdgeCost(
        embedding_forward=2.0 * rows,
        embedding_backward=4.0 * rows,
        head_forward=forward,
        head_backward=backward,
        loss=tokens * width * keys.logit_traffic_bytes / keys.memory_bytes_per_second,
    )
