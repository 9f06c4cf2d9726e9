"""The model of a row: own columns, the catalog by name, written defaults."""

import pytest

from crosszone.catalog.models import model as catalog_model
from crosszone.errors import SpecError
from crosszone.verify.shape import VOCAB_SIZE, model_of

BLANK = dict.fromkeys(
    ("layers", "hidden", "ffn_hidden", "heads", "kv_heads", "head_dim", "vocab", "gated_mlp", "tied_embeddings",
     "attn_type"), "",
)  # fmt: skip


def test_all_columns_make_the_model_and_nothing_is_assumed(make_row) -> None:
    row = make_row()
    model = model_of(row)
    assert (model.num_layers, model.hidden_size, model.ffn_size, model.num_heads) == (40, 6144, 24576, 48)
    assert (model.vocab_size, model.gated_ffn, model.tied_embeddings) == (51200, False, True)
    assert row.assumed == []


def test_a_name_of_the_catalog_fills_blank_columns(make_row) -> None:
    row = make_row(**BLANK, model="Llama-3-8B")
    assert model_of(row) == catalog_model("llama-3-8b")
    assert any(text.endswith("the catalog's.") for text in row.assumed)


def test_columns_win_over_the_catalog(make_row) -> None:
    row = make_row(**(BLANK | {"vocab": "128000"}), model="LLaMA-13B")
    model = model_of(row)
    assert (model.vocab_size, model.num_layers) == (128000, 40)


def test_a_name_with_another_depth_is_another_model(make_row) -> None:
    shape = {"layers": "4", "hidden": "4096", "heads": "32", "kv_heads": "8", "gated_mlp": "yes"}
    row = make_row(**(BLANK | shape), model="Llama-3-8B")
    model = model_of(row)
    assert model.num_layers == 4
    assert model.vocab_size == VOCAB_SIZE
    assert f"vocab {VOCAB_SIZE}: not stated." in row.assumed


def test_blank_columns_take_their_defaults_and_say_so(make_row) -> None:
    row = make_row(**(BLANK | {"layers": "12", "hidden": "1024"}), model="ours")
    model = model_of(row)
    assert (model.num_heads, model.num_kv_heads, model.head_size) == (8, 8, 128)
    assert (model.ffn_size, model.vocab_size, model.gated_ffn, model.tied_embeddings) == (4096, 50304, False, True)
    names = {text.split()[0] for text in row.assumed}
    assert names == {"heads", "kv_heads", "gated_mlp", "ffn_hidden", "vocab", "tied_embeddings"}


def test_few_kv_heads_mean_a_gated_ffn_and_its_own_head(make_row) -> None:
    row = make_row(**(BLANK | {"layers": "12", "hidden": "1024", "heads": "8", "kv_heads": "2"}), model="ours")
    model = model_of(row)
    assert (model.gated_ffn, model.tied_embeddings, model.norm) == (True, False, "rmsnorm")


def test_an_unknown_name_without_shape_is_skipped_by_name(make_row) -> None:
    with pytest.raises(SpecError, match='the catalog has no model "GPT-194B"'):
        model_of(make_row(**BLANK, model="GPT-194B"))


def test_half_a_shape_that_is_not_the_catalogs_is_skipped(make_row) -> None:
    with pytest.raises(SpecError, match="not that of llama-3-8b: 32 layers of 4096"):
        model_of(make_row(**(BLANK | {"layers": "4"}), model="Llama-3-8B"))


def test_a_name_in_brackets_is_ignored(make_row) -> None:
    assert model_of(make_row(**BLANK, model="Llama-3-8B (ours)")).num_layers == 32


@pytest.mark.parametrize("text", ["hybrid Mamba-2/attention/MoE", "sparse/hybrid attention", "linear attention"])
def test_what_is_no_attention_is_skipped(make_row, text) -> None:
    with pytest.raises(SpecError, match="only attention over all or a window"):
        model_of(make_row(attn_type=text))


def test_latent_attention_is_read_from_its_text(make_row) -> None:
    text = "MLA(q_lora1536,kv_lora512,qk_nope128,qk_rope64,v128)"
    model = model_of(make_row(attn_type=text, head_dim="128"))
    assert (model.head_size, model.rope_head_size, model.value_head_size) == (192, 64, 128)
    assert (model.q_lora_rank, model.kv_lora_rank) == (1536, 512)


def test_a_latent_model_of_the_catalog_keeps_its_head_size(make_row) -> None:
    model = model_of(make_row(**(BLANK | {"head_dim": "128"}), model="DeepSeek-V3"))
    assert model.head_size == 192


def test_windows(make_row) -> None:
    every = model_of(make_row(attn_type="MHA, sliding-window(512)"))
    assert {kind.window_size for kind in every.layer_kinds()} == {512}
    half = model_of(make_row(attn_type="GQA, alternating sliding-window(128)/full"))
    assert [kind.window_size for kind in half.layer_kinds()[:4]] == [128, None, 128, None]


def test_experts(make_row) -> None:
    cells = {"moe_experts": "64", "moe_topk": "6", "moe_ffn_hidden": "1408", "moe_shared_ffn": "2816"}
    model = model_of(make_row(**cells, moe_dense_layers="1"))
    assert (model.num_experts, model.experts_per_token, model.expert_ffn_size) == (64, 6, 1408)
    assert (model.num_shared_experts, model.shared_expert_ffn_size, model.num_dense_layers) == (1, 2816, 1)
    assert [kind.is_moe for kind in model.layer_kinds()[:3]] == [False, True, True]


def test_experts_without_sizes_take_the_ffns(make_row) -> None:
    row = make_row(moe_experts="8")
    model = model_of(row)
    assert (model.experts_per_token, model.expert_ffn_size) == (2, 24576)
    assert "moe_topk 2: not stated." in row.assumed


def test_no_experts_is_dense(make_row) -> None:
    assert model_of(make_row(moe_experts="0")).num_experts == 0


def test_more_experts_per_token_than_there_are_is_told(make_row) -> None:
    with pytest.raises(SpecError, match="9 of 8 experts"):
        model_of(make_row(moe_experts="8", moe_topk="9"))
