"""Every model of the catalog: sourced, coherent, and with exactly the parameters that its framework class builds.

`transformers` builds each model on the meta device, from keys that `CONFIGS` derives from the catalog's fields. The
same keys, written as a `config.json`, must be read back as the catalog's shape.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from crosszone.catalog.huggingface import model_from_config
from crosszone.catalog.models import PRESETS, model, model_names, model_sheet
from crosszone.core.model import Model
from crosszone.cost.parameters import num_active_parameters, num_parameters

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

FOLDER = Path(__file__).parents[2] / "src/crosszone/catalog/data/models"
MODEL_FIELDS = {each.name for each in fields(Model)}
OTHER_KEYS = {"published_tolerance_fraction", "aliases", "retrieved", "note"}
TOLERANCE_FRACTION = 1e-4  # the promise; the counts are in fact equal

ACTIVE_PUBLISHED = {  # (active parameters as published, tolerance): what embedding and head add explains the wide ones
    "mixtral-8x7b": (12.9e9, 0.005),
    "mixtral-8x22b": (39e9, 0.01),
    "qwen3-30b-a3b": (3.3e9, 0.02),
    "qwen3-235b-a22b": (22e9, 0.01),
    "deepseek-v2": (21e9, 0.02),
    "deepseek-v3": (37e9, 0.02),
    "kimi-k2": (32.6e9, 0.01),
    "llama-4-scout-17b-16e": (17e9, 0.02),
    "deepseek-v2-lite": (2.4e9, 0.12),  # the published figure leaves out the embedding, 0.21e9
    "gpt-oss-20b": (3.6e9, 0.17),  # the published figure leaves out the embedding, 0.58e9
    "gpt-oss-120b": (5.1e9, 0.13),
    "moonlight-16b-a3b": (2.24e9 + 2 * 163840 * 2048, 0.01),  # published without embedding and head
}


def llama_keys(shape: Model) -> dict[str, Any]:
    """What llama and its many descendants share."""
    return {
        "num_hidden_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.ffn_size,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": shape.vocab_size,
        "tie_word_embeddings": shape.tied_embeddings,
        "max_position_embeddings": shape.max_positions or 131072,
        "attention_bias": shape.qkv_bias,
    }


def windowed_keys(shape: Model) -> dict[str, Any]:
    return llama_keys(shape) | {"sliding_window": shape.window_size}


def expert_keys(shape: Model) -> dict[str, Any]:
    return windowed_keys(shape) | {
        "num_local_experts": shape.num_experts,
        "num_experts_per_tok": shape.experts_per_token,
        "intermediate_size": shape.expert_ffn_size,
    }


def qwen3_moe_keys(shape: Model) -> dict[str, Any]:
    return llama_keys(shape) | {
        "num_experts": shape.num_experts,
        "num_experts_per_tok": shape.experts_per_token,
        "moe_intermediate_size": shape.expert_ffn_size,
    }


def deepseek_keys(shape: Model) -> dict[str, Any]:
    keys = llama_keys(shape) | {
        "q_lora_rank": shape.q_lora_rank or None,
        "kv_lora_rank": shape.kv_lora_rank,
        "qk_nope_head_dim": shape.head_size - shape.rope_head_size,
        "qk_rope_head_dim": shape.rope_head_size,
        "v_head_dim": shape.value_head_size,
        "n_routed_experts": shape.num_experts,
        "num_experts_per_tok": shape.experts_per_token,
        "n_shared_experts": shape.num_shared_experts,
        "moe_intermediate_size": shape.expert_ffn_size,
        "first_k_dense_replace": shape.num_dense_layers,
    }
    del keys["head_dim"]
    return keys


def llama4_keys(shape: Model) -> dict[str, Any]:
    return expert_keys(shape) | {
        "intermediate_size_mlp": shape.ffn_size,
        "interleave_moe_layer_step": shape.moe_every,
        "attention_chunk_size": shape.window_size,
    }


def gpt2_keys(shape: Model) -> dict[str, Any]:
    return {
        "n_layer": shape.num_layers,
        "n_embd": shape.hidden_size,
        "n_head": shape.num_heads,
        "n_inner": shape.ffn_size,
        "n_positions": shape.max_positions,
        "vocab_size": shape.vocab_size,
    }


def opt_keys(shape: Model) -> dict[str, Any]:
    return {
        "num_hidden_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "ffn_dim": shape.ffn_size,
        "num_attention_heads": shape.num_heads,
        "max_position_embeddings": shape.max_positions,
        "vocab_size": shape.vocab_size,
        "word_embed_proj_dim": shape.embedding_size or shape.hidden_size,
        "do_layer_norm_before": shape.final_norm,
    }


def bert_keys(shape: Model) -> dict[str, Any]:
    return {
        "num_hidden_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.ffn_size,
        "num_attention_heads": shape.num_heads,
        "max_position_embeddings": shape.max_positions,
        "vocab_size": shape.vocab_size,
    }


def bloom_keys(shape: Model) -> dict[str, Any]:
    return {
        "n_layer": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "n_head": shape.num_heads,
        "vocab_size": shape.vocab_size,
    }


def mpt_keys(shape: Model) -> dict[str, Any]:
    return {
        "n_layers": shape.num_layers,
        "d_model": shape.hidden_size,
        "n_heads": shape.num_heads,
        "max_seq_len": shape.max_positions,
        "vocab_size": shape.vocab_size,
    }


def falcon_keys(shape: Model) -> dict[str, Any]:
    return {
        "num_hidden_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "ffn_hidden_size": shape.ffn_size,
        "num_attention_heads": shape.num_heads,
        "num_kv_heads": shape.num_kv_heads,
        "new_decoder_architecture": shape.num_kv_heads > 1,
        "max_position_embeddings": shape.max_positions,
        "vocab_size": shape.vocab_size,
    }


CONFIGS: dict[str, tuple[str, Callable[[Model], dict[str, Any]]]] = {
    **dict.fromkeys(
        ("LLaMA", "Llama 2", "Llama 3", "Llama 3.1", "Llama 3.2", "TinyLlama", "InternLM", "InternLM2"),
        ("llama", llama_keys),
    ),
    **dict.fromkeys(("GPT-2", "GPT-3", "MT-NLG", "Megatron SC21"), ("gpt2", gpt2_keys)),
    "Llama 4": ("llama4_text", llama4_keys),
    "OPT": ("opt", opt_keys),
    "BERT": ("bert", bert_keys),
    "BLOOM": ("bloom", bloom_keys),
    "GPT-NeoX": ("gpt_neox", llama_keys),
    "MPT": ("mpt", mpt_keys),
    "Falcon": ("falcon", falcon_keys),
    "Mistral": ("mistral", windowed_keys),
    "Mixtral": ("mixtral", expert_keys),
    "Qwen2.5": ("qwen2", llama_keys),
    "Qwen3": ("qwen3", llama_keys),
    "Qwen3-MoE": ("qwen3_moe", qwen3_moe_keys),
    "DeepSeek-V2": ("deepseek_v2", deepseek_keys),
    "DeepSeek-V3": ("deepseek_v3", deepseek_keys),
    "Moonlight": ("deepseek_v3", deepseek_keys),
    "Kimi": ("deepseek_v3", deepseek_keys),
    "Gemma": ("gemma", llama_keys),
    "Gemma 2": ("gemma2", windowed_keys),
    "Gemma 3": ("gemma3_text", windowed_keys),
    "Nemotron-4": ("nemotron", llama_keys),
    "GPT-OSS": ("gpt_oss", expert_keys),
    "OLMo 2": ("olmo2", llama_keys),
}
"""For each family of the catalog, the `model_type` and the keys of its config."""

NOT_BUILDABLE = {"gpt3-xl": "24 heads do not divide 2048, and GPT2LMHeadModel has no head size of its own"}
BUILDABLE = [name for name in model_names() if name not in NOT_BUILDABLE]


def framework_config(shape: Model) -> Any:
    """The configuration object of `transformers` for this shape."""
    model_type, keys = CONFIGS[shape.family]
    if model_type == "llama4_text":
        return transformers.Llama4TextConfig(**keys(shape))
    return transformers.AutoConfig.for_model(model_type, **keys(shape))


def framework_parameters(config: Any) -> int:
    """Parameters of the class that trains this config, built without memory; a tied table counts once."""
    if config.model_type == "bert":
        built = transformers.BertForPreTraining
    elif config.model_type == "llama4_text":
        built = transformers.Llama4ForCausalLM
    else:
        built = transformers.AutoModelForCausalLM.from_config
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in built(config).parameters())


@pytest.mark.parametrize("name", BUILDABLE)
def test_count_is_that_of_the_framework(name: str) -> None:
    expected = framework_parameters(framework_config(model(name)))
    assert num_parameters(model(name)) == pytest.approx(expected, rel=TOLERANCE_FRACTION)


def rotation(shape: Model) -> dict[str, Any]:
    """As the releases have it."""
    found = {"rope_theta": shape.rope_base, "rope_type": "default"}
    if shape.rope_scaling_factor == 1.0:
        return found
    rule = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    return found | {"rope_type": "llama3", "factor": shape.rope_scaling_factor, **rule}


@pytest.mark.parametrize("name", BUILDABLE)
def test_its_config_json_is_read_back_as_its_shape(name: str, tmp_path: Path) -> None:
    shape = model(name)
    file = tmp_path / "config.json"
    config = framework_config(shape)
    names = ["name", "family", "source", "num_published_parameters"]
    if shape.rope_base is None:  # the class has one for all
        names += ["rope_base", "rope_scaling_factor"]
    else:
        config.rope_parameters = rotation(shape)
    file.write_text(config.to_json_string(use_diff=False), encoding="utf-8")
    # Names are not the config's; nor is a context that the catalog leaves unknown or that ALiBi does not limit.
    kept = {key: getattr(shape, key) for key in names}
    read = replace(model_from_config(file), max_positions=shape.max_positions, **kept)
    if shape.family == "Qwen3-MoE":  # all layers have experts: the width of a dense one is read but never built
        read = replace(read, ffn_size=shape.ffn_size)
    assert read == shape


def test_what_the_framework_cannot_build_is_the_buildable_shape_and_wider_attention() -> None:
    """GPT-3 XL: 8 more heads of 128 than `gpt3-1.3b`, in q, k, v (with biases) and the output of 24 layers."""
    more_columns = 8 * 128
    expected = num_parameters(model("gpt3-1.3b")) + 24 * (4 * 2048 * more_columns + 3 * more_columns)
    assert num_parameters(model("gpt3-xl")) == expected
    assert set(NOT_BUILDABLE) == {"gpt3-xl"}


@pytest.mark.parametrize("name", model_names())
def test_published_count_is_near(name: str) -> None:
    sheet = model_sheet(name)
    published = sheet.model.num_published_parameters
    assert published is not None
    assert num_parameters(sheet.model) == pytest.approx(published, rel=sheet.published_tolerance_fraction)
    # A wide tolerance says why.
    assert sheet.published_tolerance_fraction <= 0.1 or sheet.note


@pytest.mark.parametrize(("name", "published"), ACTIVE_PUBLISHED.items())
def test_published_active_count_is_near(name: str, published: tuple[float, float]) -> None:
    assert num_active_parameters(model(name)) == pytest.approx(published[0], rel=published[1])


@pytest.mark.parametrize("name", model_names())
def test_shape_is_coherent(name: str) -> None:
    shape = model(name)
    assert shape.name == name
    assert re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", name)
    assert shape.num_heads % shape.num_kv_heads == 0
    assert shape.source
    assert not shape.assumed
    assert (shape.position == "learned") == (shape.num_position_rows > 0)
    assert (shape.num_experts > 0) == (shape.experts_per_token > 0) == (shape.expert_ffn_size > 0)
    assert shape.norm == "layernorm" or not shape.norm_bias
    is_moe = [kind.is_moe for kind in shape.layer_kinds()]
    assert any(is_moe) == (shape.num_experts > 0)


@pytest.mark.parametrize("name", model_names())
def test_file_has_no_unknown_key(name: str) -> None:
    table = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert set(table) <= MODEL_FIELDS | OTHER_KEYS
    assert {"source", "retrieved", "num_published_parameters", "published_tolerance_fraction"} <= set(table)


def test_every_alias_leads_to_its_own_model() -> None:
    for name in model_names():
        for alias in model_sheet(name).aliases:
            assert model(alias).name == name
            assert model(alias.upper()).name == name


def test_no_alias_hides_a_name() -> None:
    folded = [re.sub(r"[_. ]", "-", name.casefold()) for name in model_names()]
    folded += [re.sub(r"[_. ]", "-", a.casefold()) for name in model_names() for a in model_sheet(name).aliases]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize(("name", "count"), PRESETS)
def test_presets_hold_the_counts_of_dense_models(name: str, count: int) -> None:
    assert num_parameters(model(name)) == count
    assert model(name).num_experts == 0
