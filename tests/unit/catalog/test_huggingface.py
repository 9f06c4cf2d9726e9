"""A `config.json` becomes the model that `transformers` builds from it, or says what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from crosszone.catalog.huggingface import model_from_config, supported_model_types
from crosszone.core.model import Model
from crosszone.cost.parameters import num_parameters
from crosszone.errors import SpecError

SMALL = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
SMALL_LATENT = SMALL | {
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "n_group": 1,
    "topk_group": 1,
}
SMALL_GPT = {"n_layer": 3, "n_embd": 64, "n_head": 8, "vocab_size": 1000}
STAND_INS = {"kimi_k2": "deepseek_v3", "internlm": "llama", "internlm2": "llama"}
"""A class of `transformers` of the same shape, for each `model_type` whose class is published beside the weights."""

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("llama", SMALL),
    ("llama", SMALL | {"attention_bias": True, "mlp_bias": True, "head_dim": 20, "tie_word_embeddings": True}),
    ("llama", SMALL | {"num_key_value_heads": None}),
    ("llama", SMALL | {"sliding_window": 7, "num_experts": 8, "ffn_dim": 96}),
    ("mistral", SMALL),
    ("mixtral", SMALL | {"num_local_experts": 3}),
    ("mixtral", SMALL | {"num_experts": 3}),
    ("qwen2", SMALL | {"tie_word_embeddings": True}),
    ("qwen3", SMALL | {"head_dim": 16, "attention_bias": True}),
    ("qwen3_moe", SMALL | {"num_experts": 6, "moe_intermediate_size": 40, "head_dim": 16}),
    ("qwen3_moe", SMALL | {"num_experts": 6, "decoder_sparse_step": 2}),
    ("qwen3_moe", SMALL | {"num_experts": 6, "mlp_only_layers": [0, 2]}),
    ("deepseek_v2", SMALL_LATENT | {"q_lora_rank": None, "first_k_dense_replace": 1}),
    ("deepseek_v2", SMALL_LATENT | {"q_lora_rank": 12, "attention_bias": True, "n_shared_experts": 1}),
    ("deepseek_v3", SMALL_LATENT | {"q_lora_rank": 12, "first_k_dense_replace": 2, "num_nextn_predict_layers": 1}),
    ("gemma", SMALL | {"head_dim": 12}),
    ("gemma2", SMALL | {"head_dim": 12, "sliding_window": 8}),
    ("gemma3_text", SMALL | {"head_dim": 12}),
    ("bloom", {"n_layer": 3, "hidden_size": 64, "n_head": 8, "vocab_size": 1000}),
    ("bloom", {"n_layer": 3, "n_embed": 64, "n_head": 8, "vocab_size": 1000}),
    ("mpt", {"n_layers": 3, "d_model": 64, "n_heads": 8, "vocab_size": 1000, "no_bias": False}),
    ("falcon", {**SMALL, "multi_query": False, "parallel_attn": False, "bias": True}),
    ("falcon", {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2, "ffn_hidden_size": 80}),
    ("falcon", {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1}),
    ("gpt2", SMALL_GPT),
    ("gpt2", SMALL_GPT | {"n_inner": 100, "n_positions": 77, "tie_word_embeddings": False}),
    ("gpt_neo", {"num_layers": 4, "hidden_size": 64, "num_heads": 8, "attention_types": [[["global", "local"], 2]]}),
    ("gpt_neox", SMALL | {"attention_bias": False, "tie_word_embeddings": True}),
    ("opt", {**SMALL, "ffn_dim": 80, "word_embed_proj_dim": 32, "do_layer_norm_before": False}),
    ("opt", {**SMALL, "ffn_dim": 80, "enable_bias": False, "layer_norm_elementwise_affine": False}),
    ("opt", {**SMALL, "_remove_final_layer_norm": True}),
    ("bert", SMALL | {"type_vocab_size": 3}),
    ("bert", SMALL | {"architectures": ["BertForMaskedLM"]}),
    ("bert", SMALL | {"architectures": ["BertModel"]}),
    ("nemotron", SMALL | {"attention_bias": True, "mlp_bias": True}),
    ("gpt_oss", SMALL | {"head_dim": 10, "num_local_experts": 5, "attention_bias": False}),
    ("olmo2", SMALL | {"attention_bias": True}),
    ("llama4_text", SMALL | {"num_local_experts": 3, "intermediate_size_mlp": 120, "interleave_moe_layer_step": 2}),
    ("llama4_text", SMALL | {"num_local_experts": 3, "moe_layers": [1, 2]}),
]


def written(folder: Path, config: Any) -> Path:
    file = folder / "config.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return file


def read(folder: Path, **config: Any) -> Model:
    return model_from_config(written(folder, config))


def framework_parameters(model_type: str, keys: dict[str, Any]) -> int:
    """Parameters of what `transformers` builds from these keys, without memory; a tied table counts once."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    if model_type == "llama4_text":
        config, built = transformers.Llama4TextConfig(**keys), transformers.Llama4ForCausalLM
    else:
        config = transformers.AutoConfig.for_model(STAND_INS.get(model_type, model_type), **keys)
        built = transformers.AutoModelForCausalLM.from_config
    if model_type == "bert":
        built = getattr(transformers, keys.get("architectures", ["BertForPreTraining"])[0])
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in built(config).parameters())


@pytest.mark.parametrize("model_type", supported_model_types())
def test_keys_left_out_take_the_default_of_the_class(model_type: str, tmp_path: Path) -> None:
    keys: dict[str, Any] = {}
    if model_type.startswith("internlm"):
        keys = {"vocab_size": 103168, "attention_bias": True}  # the defaults that differ from llama's
    elif model_type == "nemotron":
        keys = {"num_key_value_heads": 48}  # the class cannot build its own default, null
    assert num_parameters(read(tmp_path, model_type=model_type)) == framework_parameters(model_type, keys)


@pytest.mark.parametrize(("model_type", "keys"), VARIANTS)
def test_count_is_that_of_the_framework(model_type: str, keys: dict[str, Any], tmp_path: Path) -> None:
    expected = framework_parameters(model_type, keys)
    assert num_parameters(read(tmp_path, model_type=model_type, **keys)) == expected


def test_the_supported_families_are_those_of_the_catalog() -> None:
    assert set(supported_model_types()) >= set(
        "llama mistral mixtral qwen2 qwen3 qwen3_moe deepseek_v2 deepseek_v3 kimi_k2 gemma gemma2 gemma3_text bloom "
        "mpt internlm internlm2 falcon gpt2 gpt_neox opt bert nemotron gpt_oss olmo2".split()
    )


def test_a_llama_config_becomes_a_model(tmp_path: Path) -> None:
    shape = read(tmp_path, model_type="llama", max_position_embeddings=512, _name_or_path="org/Small-Llama", **SMALL)
    assert shape == Model(
        name="Small-Llama",
        family="Llama",
        num_layers=4,
        hidden_size=64,
        ffn_size=96,
        num_heads=8,
        num_kv_heads=2,
        head_size=8,
        vocab_size=1000,
        max_positions=512,
        source="config.json, model_type llama",
    )


def test_a_folder_stands_for_its_config_and_gives_the_name(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    written(folder, {"model_type": "gpt2"})
    assert model_from_config(folder) == model_from_config(str(folder / "config.json"))
    assert model_from_config(folder).name == "my-model"


def test_another_file_name_gives_the_name(tmp_path: Path) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps({"model_type": "gpt2"}), encoding="utf-8")
    assert model_from_config(file).name == "tiny"


LLAMA_3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    ("keys", "base", "factor"),
    [
        ({"rope_theta": 500000.0}, 500000.0, 1.0),
        ({"rope_theta": 500000.0, "rope_scaling": None}, 500000.0, 1.0),
        ({"rope_theta": 500000, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, **LLAMA_3}}, 500000.0, 8.0),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}, 1e6, 1.0),
        ({"rope_theta": 1e4, "rope_scaling": {"type": "yarn", "factor": 40}}, 1e4, None),
        ({"rope_theta": 1e4, "rope_scaling": {"type": "llama3", "factor": 8.0, "low_freq_factor": 2.0}}, 1e4, None),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}, None, None),
        ({}, None, None),
    ],
)
def test_rotary_positions_are_read_where_they_are_written(keys, base, factor, tmp_path: Path) -> None:
    found = model_from_config(written(tmp_path, {"model_type": "llama", **SMALL, **keys}))
    assert (found.rope_base, found.rope_scaling_factor) == (base, factor)


@pytest.mark.parametrize(
    ("model_type", "keys", "fraction"),
    [
        ("gpt_neox", "{}", 0.25),
        ("gpt_neox", '{"rotary_pct": 0.5}', 0.5),
        ("gpt_neox", '{"rotary_pct": 0.5, "rope_parameters": {"partial_rotary_factor": 1.0}}', 1.0),
        ("nemotron", "{}", 0.5),
        ("nemotron", '{"partial_rotary_factor": 0.75}', 0.75),
        ("nemotron", '{"partial_rotary_factor": "half"}', 0.5),
        ("llama", '{"partial_rotary_factor": 0.5}', 1.0),  # its class does not read it
    ],
)
def test_the_part_of_a_head_that_is_rotated(model_type: str, keys: str, fraction: float, tmp_path: Path) -> None:
    assert read(tmp_path, model_type=model_type, **SMALL, **json.loads(keys)).rotary_fraction == fraction


def test_gpt_neox_has_its_own_name_for_the_base(tmp_path: Path) -> None:
    assert read(tmp_path, model_type="gpt_neox", **SMALL, rotary_emb_base=20000).rope_base == 20000.0


def test_latent_attention_is_read(tmp_path: Path) -> None:
    shape = read(tmp_path, model_type="deepseek_v3", **SMALL_LATENT | {"q_lora_rank": 12, "n_shared_experts": 2})
    assert (shape.head_size, shape.value_head_size, shape.rope_head_size) == (12, 6, 4)
    assert (shape.q_lora_rank, shape.kv_lora_rank, shape.num_kv_heads) == (12, 16, 8)
    assert (shape.num_shared_experts, shape.shared_expert_ffn_size, shape.experts_per_token) == (2, 48, 2)


def test_experts_of_a_token_that_nobody_stated_are_marked_assumed(tmp_path: Path) -> None:
    shape = read(tmp_path, model_type="deepseek_v2")
    assert shape.experts_per_token == 6
    assert shape.assumed == ("experts_per_token",)
    assert read(tmp_path, model_type="deepseek_v2", num_experts_per_tok=4).assumed == ()


WINDOWS: list[tuple[str, dict[str, Any], list[int | None]]] = [
    ("mistral", {"sliding_window": 16}, [16] * 4),
    ("mistral", {"sliding_window": None}, [None] * 4),
    ("llama", {"sliding_window": 16}, [None] * 4),
    ("qwen2", {"sliding_window": 16, "use_sliding_window": False}, [None] * 4),
    (
        "qwen2",
        {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 3},
        [None, None, None, 16],
    ),
    ("gemma2", {"sliding_window": 16}, [16, None, 16, None]),
    ("gemma3_text", {"sliding_window": 16, "sliding_window_pattern": 3}, [16, 16, None, 16]),
    (
        "gemma3_text",
        {"sliding_window": 16, "layer_types": ["sliding_attention"] * 3 + ["full_attention"]},
        [16] * 3 + [None],
    ),
    (
        "gpt_oss",
        {"sliding_window": 16, "layer_types": ["full_attention", "sliding_attention"] * 2},
        [None, 16, None, 16],
    ),
    ("llama4_text", {"attention_chunk_size": 16}, [16, 16, 16, None]),
    ("llama4_text", {"attention_chunk_size": 16, "no_rope_layers": [0, 1, 1, 1]}, [None, 16, 16, 16]),
]


@pytest.mark.parametrize(("model_type", "keys", "windows"), WINDOWS)
def test_windows_fall_on_the_layers_that_have_them(
    model_type: str, keys: dict[str, Any], windows: list[int | None], tmp_path: Path
) -> None:
    shape = read(tmp_path, model_type=model_type, **SMALL | keys)
    assert [kind.window_size for kind in shape.layer_kinds()] == windows


@pytest.mark.parametrize(
    ("keys", "has_experts"),
    [
        ({}, [True] * 4),
        ({"decoder_sparse_step": 2}, [False, True, False, True]),
        ({"mlp_only_layers": [0]}, [False, True, True, True]),
        ({"mlp_only_layers": [1, 2]}, [True, False, False, True]),
        ({"mlp_only_layers": [0, 1, 2, 3]}, [False] * 4),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [1]}, [False, False, False, True]),
    ],
)
def test_experts_fall_on_the_layers_that_have_them(
    keys: dict[str, Any], has_experts: list[bool], tmp_path: Path
) -> None:
    shape = read(tmp_path, model_type="qwen3_moe", **SMALL | keys)
    assert [kind.is_moe for kind in shape.layer_kinds()] == has_experts


@pytest.mark.parametrize("key", ["text_config", "language_config", "llm_config"])
def test_the_language_model_of_a_multimodal_config_is_read(key: str, tmp_path: Path) -> None:
    shape = read(
        tmp_path,
        model_type="some_vision_model",
        vision_config={"hidden_size": 9},
        **{key: {"model_type": "llama"} | SMALL},
    )
    assert (shape.family, shape.hidden_size) == ("Llama", 64)


def test_the_nested_part_inherits_what_it_leaves_out(tmp_path: Path) -> None:
    nested = {"hidden_size": 64, "num_attention_heads": 8}
    shape = read(tmp_path, model_type="gemma3", tie_word_embeddings=False, text_config=nested)
    assert (shape.family, shape.hidden_size, shape.tied_embeddings) == ("Gemma 3", 64, False)


def findings_of(folder: Path, config: Any) -> dict[str, str]:
    """The problems by place, without the file's name."""
    with pytest.raises(SpecError) as caught:
        model_from_config(written(folder, config))
    prefix = str(folder / "config.json")
    return {
        finding.where.removeprefix(prefix).removeprefix(": "): f"{finding.message} {finding.hint}"
        for finding in caught.value.findings
    }


def test_an_unknown_model_type_gets_the_supported_ones(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, model_type="lama")
    (finding,) = caught.value.findings
    assert finding.code == "unknown_model_type"
    assert '"lama"' in finding.message
    assert 'Did you mean "llama"' in finding.hint
    assert all(model_type in finding.hint for model_type in supported_model_types())


@pytest.mark.parametrize("config", [{}, {"model_type": None}])
def test_a_missing_model_type_is_said(config: dict[str, Any], tmp_path: Path) -> None:
    assert "model_type is missing" in findings_of(tmp_path, config)[""]


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    config = {"model_type": "mistral", "hidden_size": 0, "vocab_size": "many", "sliding_window": -4}
    config |= {"tie_word_embeddings": 1}
    found = findings_of(tmp_path, config)
    assert set(found) == {"hidden_size", "vocab_size", "sliding_window", "tie_word_embeddings"}
    assert "'many' is not a whole number" in found["vocab_size"]


def test_a_problem_is_said_once_and_by_the_name_that_the_file_has(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, model_type="gpt2", n_positions=-1, n_embd="wide", n_inner=0.5)
    places = [finding.where.rsplit(": ", 1)[1] for finding in caught.value.findings]
    assert sorted(places) == ["n_embd", "n_inner", "n_positions"]


def test_heads_must_divide_the_width_or_have_a_size(tmp_path: Path) -> None:
    found = findings_of(tmp_path, {"model_type": "llama", "hidden_size": 100, "num_attention_heads": 24})
    assert "100" in found["num_attention_heads"]
    assert "24" in found["num_attention_heads"]
    assert read(tmp_path, model_type="llama", hidden_size=100, num_attention_heads=24, head_dim=8).head_size == 8


def test_lists_must_have_one_entry_for_each_layer(tmp_path: Path) -> None:
    found = findings_of(
        tmp_path, {"model_type": "gemma2", "num_hidden_layers": 4, "layer_types": ["full_attention"] * 3}
    )
    assert "3 entries, but num_hidden_layers is 4" in found["layer_types"]
    found = findings_of(tmp_path, {"model_type": "gpt_neo", "num_layers": 4})
    assert "24 layers, but num_layers is 4" in found["attention_types"]
    found = findings_of(tmp_path, {"model_type": "gpt_neo", "attention_types": "global"})
    assert set(found) == {"attention_types"}
    found = findings_of(tmp_path, {"model_type": "qwen3_moe", "mlp_only_layers": 3})
    assert "not a list of layer indices" in found["mlp_only_layers"]


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[]", "JSON object")])
def test_a_file_that_is_no_config_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert message in findings_of(tmp_path, text)[""]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        model_from_config(tmp_path / "nowhere.json")
