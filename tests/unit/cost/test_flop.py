"""FLOP against published formulas and sums by hand."""

from dataclasses import replace

import numpy as np
import pytest

from crosszone.core.model import LayerKind, Model
from crosszone.cost.flop import attention_flop, attention_pairs, forward_flop, layer_gemms, model_flop
from crosszone.cost.parameters import layer_parameters

DENSE = LayerKind(is_moe=False, window_size=None)
SPARSE = LayerKind(is_moe=True, window_size=None)


def gemm_flop(model: Model, kind: LayerKind = DENSE, *, tokens: float = 1.0, tp: float = 1.0, ep: float = 1.0) -> float:
    gemms = layer_gemms(model, kind, tokens=tokens, tp=tp, ep=ep)
    return sum(float(2 * gemm.m * gemm.n * gemm.k * gemm.count) for gemm in gemms)


def without_recomputation(model: Model, s: int) -> float:
    """F = 96 B s l h^2 (1 + s/6h + V/16lh) of Narayanan et al. 2021, appendix, for B = 1, less its second forward.

    Layers run forward twice and backward, 4 forwards in all, 24 s h^2 (1 + s/6h) each; the head (the term in V) is not
    recomputed. So 24 s l h^2 (1 + s/6h) comes off.
    """
    h, layers = model.hidden_size, model.num_layers
    published = 96 * s * layers * h**2 * (1 + s / (6 * h) + model.vocab_size / (16 * layers * h))
    return published - 24 * s * layers * h**2 * (1 + s / (6 * h))


def test_gpt3_without_mask_is_the_published_formula(gpt3: Model) -> None:
    assert model_flop(replace(gpt3, is_causal=False), 2048) == pytest.approx(
        without_recomputation(gpt3, 2048), rel=1e-12
    )


def test_the_mask_takes_half_of_attention(gpt3: Model) -> None:
    # s(s+1)/2 of s^2 pairs are left, 4h FLOP each forward and 8h backward: 12h * s(s-1)/2 less in every layer.
    s, h, layers = 2048, gpt3.hidden_size, gpt3.num_layers
    less = layers * 12 * h * s * (s - 1) / 2
    assert model_flop(gpt3, s) == pytest.approx(without_recomputation(gpt3, s) - less, rel=1e-12)


def test_backward_is_twice_forward(llama: Model) -> None:
    assert model_flop(llama, 4096) == 3 * forward_flop(llama, 4096)


def test_a_token_costs_two_flop_a_weight(llama: Model, mla: Model) -> None:
    # Kaplan et al. 2020, sec. 2.1: 2N, of what multiplies (no norms).
    for model in (llama, replace(llama, num_kv_heads=4), replace(llama, gated_ffn=False), mla):
        weights = layer_parameters(model, DENSE)
        norms = model.num_layer_norms * model.hidden_size + model.kv_lora_rank + model.q_lora_rank
        assert gemm_flop(model) == 2 * (weights.total - norms)


def test_grouped_queries_shrink_keys_and_values_only(llama: Model) -> None:
    # 28 of 32 key and value heads gone: 2 * h * 2 * 28 * d FLOP a token.
    less = gemm_flop(llama) - gemm_flop(replace(llama, num_kv_heads=4))
    assert less == 2 * 4096 * 2 * 28 * 128


def test_a_gate_is_a_second_product_up(llama: Model) -> None:
    assert gemm_flop(llama) - gemm_flop(replace(llama, gated_ffn=False)) == 2 * 4096 * 11008


def test_latent_attention_by_hand(mla: Model) -> None:
    names = {gemm.name: float(gemm.n * gemm.k) for gemm in layer_gemms(mla, DENSE, tokens=1.0, tp=1.0, ep=1.0)}
    assert names["query_down"] == 4096 * 1536
    assert names["query_up"] == 1536 * 32 * 192
    assert names["kv_down"] == 4096 * (512 + 64)
    assert names["kv_up"] == 512 * 32 * (192 - 64 + 128)
    assert names["attention_output"] == 32 * 128 * 4096
    direct = {gemm.name for gemm in layer_gemms(replace(mla, q_lora_rank=0), DENSE, tokens=1.0, tp=1.0, ep=1.0)}
    assert "query" in direct
    assert "query_down" not in direct


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_tensor_parallelism_divides_the_work(llama: Model, tp: int) -> None:
    assert gemm_flop(llama, tp=tp) == pytest.approx(gemm_flop(llama) / tp)


def test_latent_down_projections_are_repeated_on_every_rank(mla: Model) -> None:
    down = 2 * 4096 * (1536 + 512 + 64)
    assert gemm_flop(mla, tp=4) == pytest.approx((gemm_flop(mla) - down) / 4 + down)


def test_more_ranks_than_key_value_heads_repeat_a_head(llama: Model) -> None:
    grouped = replace(llama, num_kv_heads=4)
    qkv = next(gemm for gemm in layer_gemms(grouped, DENSE, tokens=1.0, tp=8.0, ep=1.0) if gemm.name == "qkv")
    assert float(qkv.n) == (32 / 8 + 2) * 128


def test_a_token_passes_its_experts_and_the_router(mixtral: Model) -> None:
    dense = gemm_flop(replace(mixtral, num_experts=0, ffn_size=2 * 14336))
    assert gemm_flop(mixtral, SPARSE, tokens=1024.0) == pytest.approx(1024 * (dense + 2 * 4096 * 8))


def test_a_shared_expert_sees_every_token(mixtral: Model) -> None:
    more = gemm_flop(replace(mixtral, shared_expert_ffn_size=1000), SPARSE) - gemm_flop(mixtral, SPARSE)
    assert more == 2 * 3 * 4096 * 1000


@pytest.mark.parametrize(("tp", "ep"), [(1, 2), (2, 2), (4, 2), (1, 8), (2, 8), (4, 4), (4, 1)])
def test_experts_do_the_same_work_however_they_are_spread(mixtral: Model, tp: int, ep: int) -> None:
    # A rank of ep*(dp) ones holds E/ep experts, and works on the tokens of ep ranks: its own share in all.
    experts = [g for g in layer_gemms(mixtral, SPARSE, tokens=4096.0, tp=tp, ep=ep) if g.is_expert]
    work = sum(float(2 * gemm.m * gemm.n * gemm.k * gemm.count) for gemm in experts)
    assert work == pytest.approx(2 * 3 * 4096 * 14336 * 2 * 4096 / tp)
    assert all(float(gemm.count) == 8 / ep for gemm in experts)


def test_whole_experts_keep_their_width_and_tensor_parallel_ones_are_cut(mixtral: Model) -> None:
    def widths(ep: int) -> set[float]:
        gemms = layer_gemms(mixtral, SPARSE, tokens=4096.0, tp=4.0, ep=ep)
        return {float(gemm.k) for gemm in gemms if gemm.name == "expert_down"}

    assert widths(2) == {14336}
    assert widths(1) == {14336 / 4}


@pytest.mark.parametrize(
    ("length", "window", "is_causal", "pairs"),
    [
        (4, None, True, 10),  # 1 + 2 + 3 + 4
        (4, None, False, 16),
        (6, 3, True, 15),  # 1 + 2 + 3 + 3 + 3 + 3
        (6, 1, True, 6),
        (6, 6, True, 21),
        (6, 99, True, 21),  # a window longer than the sequence is none
        (6, 2, False, 12),
        (1, None, True, 1),
    ],
)
def test_pairs_that_the_mask_leaves(length: int, window: int | None, is_causal: bool, pairs: float) -> None:
    assert attention_pairs(length, window, is_causal=is_causal) == pairs


def test_pairs_are_those_of_the_mask() -> None:
    for length, window in ((7, 3), (16, 5), (9, 9)):
        query, key = np.indices((length, length))
        mask = (key <= query) & (key > query - window)
        assert attention_pairs(length, window, is_causal=True) == mask.sum()


def test_attention_multiplies_queries_with_keys_and_weights_with_values(llama: Model) -> None:
    one = attention_flop(llama, DENSE, 100)
    assert one == 2 * 5050 * 32 * (128 + 128)
    assert attention_flop(replace(llama, value_head_size=64), DENSE, 100) == 2 * 5050 * 32 * (128 + 64)


def test_local_layers_attend_less(llama: Model) -> None:
    mixed = replace(llama, window_size=1024, global_every=2)
    whole, local = (attention_flop(llama, LayerKind(is_moe=False, window_size=size), 4096) for size in (None, 1024))
    assert forward_flop(llama, 4096) - forward_flop(mixed, 4096) == pytest.approx(2 * (whole - local))


def test_the_head_multiplies_even_where_its_table_is_tied(llama: Model) -> None:
    assert forward_flop(replace(llama, tied_embeddings=True), 64) == forward_flop(llama, 64)
    more = forward_flop(replace(llama, vocab_size=64000), 64) - forward_flop(llama, 64)
    assert more == 2 * 64 * 4096 * 32000
