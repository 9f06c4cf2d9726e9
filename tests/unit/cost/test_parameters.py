"""Parameter counts against shapes small enough to add up by hand."""

from dataclasses import replace

import pytest

from crosszone.core.model import LayerKind, Model
from crosszone.cost.parameters import (
    LayerParameters,
    embedding_parameters,
    final_norm_parameters,
    head_parameters,
    layer_parameters,
    norm_parameters,
    num_active_parameters,
    num_expert_parameters,
    num_parameters,
    token_table_parameters,
)

DENSE = LayerKind(is_moe=False, window_size=None)
SPARSE = LayerKind(is_moe=True, window_size=None)

LLAMA = Model(
    name="small-llama",
    num_layers=3,
    hidden_size=10,
    ffn_size=7,
    num_heads=4,
    num_kv_heads=2,
    head_size=3,
    vocab_size=50,
)
GPT = replace(
    LLAMA,
    name="small-gpt",
    num_kv_heads=4,
    gated_ffn=False,
    tied_embeddings=True,
    qkv_bias=True,
    attention_output_bias=True,
    ffn_bias=True,
    norm="layernorm",
    norm_bias=True,
    position="learned",
    num_position_rows=16,
)
MOE = replace(LLAMA, name="small-moe", num_experts=8, experts_per_token=2, expert_ffn_size=5)


def test_llama_layer_by_hand() -> None:
    # Queries 10*12, keys and values 2*10*6, output 12*10, gate, up and down 3*10*7; two norms of 10.
    assert layer_parameters(LLAMA, DENSE) == LayerParameters(sharded=120 + 120 + 120 + 210, replicated=20, expert=0)


def test_biases_of_row_parallel_matrices_are_replicated() -> None:
    # Column-parallel: q, k, v have 36 biases and the way up 7. Row-parallel: output and way down, 10 each.
    without = layer_parameters(
        replace(GPT, qkv_bias=False, attention_output_bias=False, ffn_bias=False, norm_bias=False), DENSE
    )
    with_biases = layer_parameters(GPT, DENSE)
    assert with_biases.sharded - without.sharded == 36 + 7
    assert with_biases.replicated - without.replicated == 10 + 10 + 2 * 10


@pytest.mark.parametrize(("qk_norm", "num_weights"), [("none", 0), ("head", 6), ("full", 12 + 6)])
def test_norms_of_queries_and_keys_are_replicated(qk_norm: str, num_weights: int) -> None:
    layer = layer_parameters(replace(LLAMA, qk_norm=qk_norm), DENSE)
    plain = layer_parameters(LLAMA, DENSE)
    assert (layer.replicated - plain.replicated, layer.sharded - plain.sharded) == (num_weights, 0)


def test_sinks_go_with_their_heads() -> None:
    sharded = layer_parameters(replace(LLAMA, attention_sinks=True), DENSE).sharded
    assert sharded - layer_parameters(LLAMA, DENSE).sharded == 4


def test_latent_attention_by_hand() -> None:
    model = replace(LLAMA, num_kv_heads=4, q_lora_rank=6, kv_lora_rank=5, rope_head_size=1, value_head_size=2)
    # Up: q 6*12, kv 5*4*(2+2), output 8*10. Down: 10*6 and 10*(5+1). Norms 6 + 5, and the layer's two of 10.
    layer = layer_parameters(model, DENSE)
    assert layer.sharded == 72 + 80 + 80 + 210
    assert layer.replicated == 60 + 60 + 11 + 20


def test_latent_attention_without_query_rank_projects_directly() -> None:
    model = replace(LLAMA, num_kv_heads=4, kv_lora_rank=5, rope_head_size=1, value_head_size=2)
    layer = layer_parameters(model, DENSE)
    assert layer.sharded == 10 * 12 + 80 + 80 + 210
    assert layer.replicated == 60 + 5 + 20


def test_latent_attention_biases_are_of_the_down_projections_and_the_output() -> None:
    model = replace(LLAMA, q_lora_rank=6, kv_lora_rank=5, rope_head_size=1, value_head_size=2)
    biased = layer_parameters(replace(model, qkv_bias=True, attention_output_bias=True), DENSE)
    plain = layer_parameters(model, DENSE)
    assert biased.replicated - plain.replicated == 6 + (5 + 1) + 10
    assert biased.sharded == plain.sharded


def test_experts_router_and_shared_experts() -> None:
    model = replace(MOE, num_shared_experts=2, shared_expert_ffn_size=4)
    layer = layer_parameters(model, SPARSE)
    assert layer.expert == 8 * 3 * 10 * 5
    assert layer.sharded == 360 + 3 * 10 * 4
    assert layer.replicated == 10 * 8 + 20
    assert layer.total == layer.expert + layer.sharded + layer.replicated


def test_expert_biases_belong_to_the_expert() -> None:
    model = replace(MOE, ffn_bias=True, router_bias=True)
    layer = layer_parameters(model, SPARSE)
    assert layer.expert == 8 * (150 + 2 * 5 + 10)
    assert layer.replicated == 80 + 8 + 20


def test_leading_layers_of_a_sparse_model_are_dense() -> None:
    model = replace(MOE, num_dense_layers=1)
    dense, sparse = layer_parameters(model, DENSE), layer_parameters(model, SPARSE)
    assert num_parameters(model) == dense.total + 2 * sparse.total + 2 * 500 + 10
    assert num_expert_parameters(model) == 2 * sparse.expert


def test_active_parameters_leave_out_the_experts_not_chosen() -> None:
    # 3 layers, 6 of 8 experts idle, 150 each.
    assert num_parameters(MOE) - num_active_parameters(MOE) == 3 * 6 * 150
    assert num_active_parameters(LLAMA) == num_parameters(LLAMA)
    assert num_expert_parameters(LLAMA) == 0


def test_ends_of_an_untied_model() -> None:
    assert token_table_parameters(LLAMA) == 500
    assert embedding_parameters(LLAMA) == 500
    assert head_parameters(LLAMA) == 500
    assert final_norm_parameters(LLAMA) == 10
    assert num_parameters(LLAMA) == 3 * 590 + 500 + 500 + 10


def test_a_tied_table_is_counted_once() -> None:
    assert head_parameters(GPT) == 0
    assert embedding_parameters(GPT) == 500 + 160
    assert norm_parameters(GPT) == final_norm_parameters(GPT) == 20


def test_a_norm_may_have_neither_weight_nor_bias() -> None:
    assert norm_parameters(replace(GPT, norm_weight=False, norm_bias=False)) == 0


def test_head_bias_is_not_tied() -> None:
    assert head_parameters(replace(GPT, head_bias=True)) == 50


def test_narrow_table_is_projected_both_ways() -> None:
    model = replace(GPT, embedding_size=4, final_norm=False)
    assert embedding_parameters(model) == 50 * 4 + 160 + 2 * 4 * 10
    assert head_parameters(replace(model, tied_embeddings=False)) == 200
    assert final_norm_parameters(model) == 0


def test_embedding_norm_and_parameters_without_a_rule_are_counted() -> None:
    assert embedding_parameters(replace(GPT, embedding_norm=True)) - embedding_parameters(GPT) == 20
    assert num_parameters(replace(GPT, num_other_parameters=9)) - num_parameters(GPT) == 9


def test_windows_change_no_parameters() -> None:
    assert num_parameters(replace(LLAMA, window_size=8, global_every=2)) == num_parameters(LLAMA)


def test_published_counts_of_two_models() -> None:
    """LLaMA-7B: 6,738,415,616 (Touvron et al. 2023, table 2: 6.7B). GPT-3 175B: 174.6e9 with a tied table."""
    llama = replace(
        LLAMA, num_layers=32, hidden_size=4096, ffn_size=11008, num_heads=32, num_kv_heads=32, head_size=128
    )
    assert num_parameters(replace(llama, vocab_size=32000)) == 6_738_415_616
    gpt3 = replace(GPT, num_layers=96, hidden_size=12288, ffn_size=49152, num_heads=96, num_kv_heads=96, head_size=128)
    assert num_parameters(replace(gpt3, vocab_size=50257, num_position_rows=2048)) == 174_604_259_328
