"""Names, aliases, sizes: how a model of the catalog is found."""

import time

import pytest

from crosszone.catalog import models
from crosszone.catalog.models import model, model_names, model_sheet, nearest_shape
from crosszone.errors import SpecError, UnknownName

NAMED_IN_SEEDS_AND_TODAY = """llama-7b llama-13b llama-33b llama-65b llama-2-7b llama-2-13b llama-2-70b llama-3-8b
llama-3.1-8b llama-3.1-70b llama-3.1-405b llama-3.2-1b llama-3.2-3b gpt3-small gpt3-medium gpt3-large gpt3-xl gpt3-2.7b
gpt3-6.7b gpt3-13b gpt3-175b opt-125m opt-350m bert-large qwen2.5-7b qwen2.5-72b qwen3-8b qwen3-32b qwen3-30b-a3b
qwen3-235b-a22b mistral-7b-v0.1 mixtral-8x7b mixtral-8x22b deepseek-v2 deepseek-v3 moonlight-16b-a3b kimi-k2 gemma-7b
gemma-2-9b gemma-3-27b bloom-176b mpt-7b mpt-30b internlm-7b internlm2-20b falcon-40b gpt2-xl gpt-neox-20b mt-nlg-530b
nemotron-4-340b gpt-oss-20b gpt-oss-120b""".split()


def test_the_catalog_has_the_models_that_people_train() -> None:
    assert set(NAMED_IN_SEEDS_AND_TODAY) <= set(model_names())
    assert list(model_names()) == sorted(model_names())


def test_a_model_has_the_published_shape() -> None:
    shape = model("llama-3.1-70b")
    assert (shape.num_layers, shape.hidden_size, shape.ffn_size) == (80, 8192, 28672)
    assert (shape.num_heads, shape.num_kv_heads, shape.head_size) == (64, 8, 128)
    assert (shape.vocab_size, shape.max_positions) == (128256, 131072)
    assert shape.name == "llama-3.1-70b"
    assert "2407.21783" in shape.source


@pytest.mark.parametrize(
    ("name", "num_layers", "num_heads", "head_size"),
    [
        ("gpt3-small", 12, 12, 64),
        ("gpt3-medium", 24, 16, 64),
        ("gpt3-large", 24, 16, 96),
        ("gpt3-xl", 24, 24, 128),
        ("gpt3-2.7b", 32, 32, 80),
        ("gpt3-6.7b", 32, 32, 128),
        ("gpt3-13b", 40, 40, 128),
        ("gpt3-175b", 96, 96, 128),
    ],
)
def test_gpt3_has_its_published_heads(name: str, num_layers: int, num_heads: int, head_size: int) -> None:
    """Brown et al. 2020, table 2.1."""
    shape = model(name)
    assert (shape.num_layers, shape.num_heads, shape.head_size) == (num_layers, num_heads, head_size)


@pytest.mark.parametrize("name", ["gpt3-xl", "gpt3-13b", "moonlight-16b-a3b", "deepseek-v3"])
def test_a_disagreement_between_sources_is_noted(name: str) -> None:
    assert len(model_sheet(name).note) > 40


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("LLaMA-65B", "llama-65b"),
        ("llama_65b", "llama-65b"),
        (" llama 65b ", "llama-65b"),
        ("llama2-7b", "llama-2-7b"),
        ("LLaMA2-70B", "llama-2-70b"),
        ("llama-3-70b-hf", "llama-3-70b"),
        ("meta-llama/Llama-3.1-70B", "llama-3.1-70b"),
        ("llama-3-1-70b", "llama-3.1-70b"),
        ("gpt-3-175b", "gpt3-175b"),
        ("GPT-3", "gpt3-175b"),
        ("gpt2", "gpt2-small"),
        ("bert-large-uncased", "bert-large"),
        ("facebook/opt-350m", "opt-350m"),
        ("mixtral", "mixtral-8x7b"),
        ("llama-30b", "llama-33b"),
    ],
)
def test_other_spellings_are_found(written: str, name: str) -> None:
    assert model(written).name == name


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(UnknownName) as caught:
        model("lama-3.1-70")
    (finding,) = caught.value.findings
    assert finding.code == "unknown_name"
    assert 'unknown model "lama-3.1-70"' in finding.message
    assert '"llama-3.1-70b"' in finding.hint


@pytest.mark.parametrize("name", ["", "70b", "retrieved", "Touvron et al. 2023", "llama-3.1-70b.toml"])
def test_other_text_of_a_file_is_not_a_name(name: str) -> None:
    with pytest.raises(UnknownName):
        model(name)


@pytest.mark.parametrize(
    ("num_parameters", "name"),
    [
        (125e6, "gpt3-small"),
        (1e9, "tinyllama-1.1b"),
        (7e9, "llama-2-7b"),
        (8e9, "llama-3.1-8b"),
        (13e9, "llama-2-13b"),
        (30e9, "llama-33b"),
        (70e9, "llama-2-70b"),
        (175e9, "gpt3-175b"),
        (1.5e12, "megatron-sc21-1t"),
    ],
)
def test_a_size_picks_the_nearest_preset_by_ratio(num_parameters: float, name: str) -> None:
    assert nearest_shape(num_parameters).name == name


@pytest.mark.parametrize(
    ("num_parameters", "nearest"),
    [
        (9e12, ("megatron-sc21-1t (1.01T)", "megatron-sc21-530b (530B)")),
        (1e6, ("gpt3-small", "gpt3-medium")),
    ],
)
def test_a_size_far_from_every_preset_is_refused_with_the_nearest_two(num_parameters, nearest) -> None:
    with pytest.raises(SpecError) as caught:
        nearest_shape(num_parameters)
    (finding,) = caught.value.findings
    assert all(name in finding.message for name in nearest), finding.message
    assert finding.hint


@pytest.mark.parametrize("num_parameters", [0, -7e9, float("nan"), float("inf")])
def test_a_size_must_be_positive(num_parameters: float) -> None:
    with pytest.raises(SpecError):
        nearest_shape(num_parameters)


@pytest.mark.parametrize("name", ["llama-3.1-70b", "meta-llama/Llama-3.1-70B"])
def test_one_model_is_read_in_a_moment(name: str) -> None:
    def seconds() -> float:
        models._sheet.cache_clear()
        start = time.perf_counter()
        model(name)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.02


def test_layers_with_experts_or_windows_follow_the_shape() -> None:
    deepseek = [kind.is_moe for kind in model("deepseek-v3").layer_kinds()]
    assert deepseek == [False] * 3 + [True] * 58
    maverick = [kind.is_moe for kind in model("llama-4-maverick-17b-128e").layer_kinds()]
    assert maverick == [False, True] * 24
    gemma = [kind.window_size for kind in model("gemma-3-1b").layer_kinds()]
    assert gemma == ([512] * 5 + [None]) * 4 + [512] * 2
    assert {kind.window_size for kind in model("mistral-7b-v0.1").layer_kinds()} == {4096}
