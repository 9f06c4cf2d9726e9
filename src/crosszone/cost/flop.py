"""FLOP that a model needs: the numerator of `mfu`, and the shapes of the products that make it up."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.model import LayerKind, Model
from crosszone.core.tables import Floats, Numeric, floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """`count` products (m x k)(k x n) on one rank. The weight is k x n, m runs over tokens."""

    name: str
    m: Floats
    n: Floats
    k: Floats
    count: Floats
    is_expert: bool = False


def value_head_size(model: Model) -> int:
    """Size of a value head: `head_size` unless the model says otherwise."""
    return model.value_head_size or model.head_size


def layer_gemms(model: Model, kind: LayerKind, *, tokens: Numeric, tp: Numeric, ep: Numeric) -> tuple[Gemm, ...]:
    """Products of one layer's forward on one rank for `tokens` tokens of a microbatch; arguments broadcast.

    Tensor parallelism divides the heads and the FFN width (Shoeybi et al. 2019, sec. 3). Experts: `ep` ranks hold
    num_experts/ep experts each; with ep > 1 an expert is whole and the tp ranks split the tokens, otherwise tp divides
    each expert's width. Routing is taken as balanced: an expert gets tokens * experts_per_token / num_experts.
    """
    rows, heads_over, experts_over = floats(tokens, tp, ep)
    return _attention_gemms(model, rows, heads_over) + _ffn_gemms(model, kind, rows, heads_over, experts_over)


def _attention_gemms(model: Model, tokens: Floats, tp: Floats) -> tuple[Gemm, ...]:
    h, heads = float(model.hidden_size), model.num_heads
    one = np.ones_like(tokens * tp)
    output = Gemm(name="attention_output", m=tokens, n=h * one, k=heads * value_head_size(model) / tp, count=one)
    if not model.kv_lora_rank:
        kv_heads = np.maximum(model.num_kv_heads / tp, 1.0)
        width = heads / tp * model.head_size + kv_heads * (model.head_size + value_head_size(model))
        return (Gemm(name="qkv", m=tokens, n=width, k=h * one, count=one), output)
    query_width, rank = heads * model.head_size, model.kv_lora_rank
    latent = Gemm(name="kv_down", m=tokens, n=(rank + model.rope_head_size) * one, k=h * one, count=one)
    key_value_width = heads * (model.head_size - model.rope_head_size + value_head_size(model)) / tp
    key_value = Gemm(name="kv_up", m=tokens, n=key_value_width, k=rank * one, count=one)
    if not model.q_lora_rank:
        return (Gemm(name="query", m=tokens, n=query_width / tp, k=h * one, count=one), latent, key_value, output)
    query_down = Gemm(name="query_down", m=tokens, n=model.q_lora_rank * one, k=h * one, count=one)
    query_up = Gemm(name="query_up", m=tokens, n=query_width / tp, k=model.q_lora_rank * one, count=one)
    return (query_down, query_up, latent, key_value, output)


def _ffn_gemms(model: Model, kind: LayerKind, tokens: Floats, tp: Floats, ep: Floats) -> tuple[Gemm, ...]:
    h, branches = float(model.hidden_size), 2.0 if model.gated_ffn else 1.0
    one = np.ones_like(tokens * tp * ep)
    if not kind.is_moe:
        return _two_products("ffn", tokens, h * one, model.ffn_size / tp, branches, one)
    router = Gemm(name="router", m=tokens / tp, n=model.num_experts * one, k=h * one, count=one)
    whole = ep > 1
    expert_tokens = tokens * model.experts_per_token / model.num_experts * np.where(whole, ep / tp, 1.0)
    width = model.expert_ffn_size / np.where(whole, 1.0, tp)
    experts = _two_products("expert", expert_tokens, h * one, width, branches, model.num_experts / ep, is_expert=True)
    if not model.shared_expert_ffn_size:
        return (router, *experts)
    shared = _two_products("shared_expert", tokens, h * one, model.shared_expert_ffn_size / tp, branches, one)
    return (router, *experts, *shared)


def _two_products(
    name: str, m: Floats, h: Floats, width: Floats, branches: float, count: Floats, *, is_expert: bool = False
) -> tuple[Gemm, Gemm]:
    up = Gemm(name=f"{name}_up", m=m, n=branches * width, k=h, count=count, is_expert=is_expert)
    return (up, Gemm(name=f"{name}_down", m=m, n=h, k=width, count=count, is_expert=is_expert))


def attention_pairs(sequence_length: int, window_size: int | None, *, is_causal: bool) -> float:
    """(query, key) pairs of one sequence and head that the mask leaves: s(s+1)/2 when causal.

    A causal window of w keys leaves w(w+1)/2 pairs for the first w queries and w for each of the others; without
    causality the window is taken as the same number of keys for every query.
    """
    s = float(sequence_length)
    w = s if window_size is None else min(float(window_size), s)
    return w * (w + 1.0) / 2.0 + (s - w) * w if is_causal else s * w


def attention_flop(model: Model, kind: LayerKind, sequence_length: int) -> float:
    """FLOP of scores and weighted values for one sequence, forward: 2 * pairs * heads * (d_qk + d_v)."""
    pairs = attention_pairs(sequence_length, kind.window_size, is_causal=model.is_causal)
    return 2.0 * pairs * model.num_heads * (model.head_size + value_head_size(model))


def forward_flop(model: Model, sequence_length: int) -> float:
    """FLOP of one sequence's forward pass: every product, the masked part of attention left out, and the LM head."""
    total, kinds = 0.0, model.layer_kinds()
    of_kind = {kind: layer_flop(model, kind, sequence_length) for kind in set(kinds)}
    for kind in kinds:
        for flop in of_kind[kind]:
            total += flop
    return total + head_flop(model, sequence_length)


def layer_flop(model: Model, kind: LayerKind, sequence_length: int) -> tuple[float, float]:
    """(products, attention) of one sequence's forward pass through one layer."""
    gemms = layer_gemms(model, kind, tokens=float(sequence_length), tp=1.0, ep=1.0)
    products = sum(float(2.0 * gemm.m * gemm.n * gemm.k * gemm.count) for gemm in gemms)
    return products, attention_flop(model, kind, sequence_length)


def head_flop(model: Model, sequence_length: int) -> float:
    """FLOP of the LM head for one sequence, forward: a product of s x h and h x V."""
    return 2.0 * sequence_length * model.hidden_size * model.vocab_size


def model_flop(model: Model, sequence_length: int) -> float:
    """FLOP of one sequence's forward and backward: a product's backward is two of the same size.

    Counts what the mathematics needs: no recomputation, causal attention once (half of the square). Source: Narayanan
    et al. 2021, appendix (there with the full square), Chowdhery et al. 2022, appendix B (MFU).
    """
    return 3.0 * forward_flop(model, sequence_length)
