"""Framework, formats, kernel, recomputation and sharding from the texts that tables use."""

import re
from importlib import resources

import pytest

from crosszone.catalog.frameworks import framework
from crosszone.errors import SpecError
from crosszone.verify import software
from crosszone.verify.hardware import gpu_of
from crosszone.verify.software import (
    _entries,
    attention_of,
    dtypes_of,
    recompute_of,
    shard_degree,
    shard_of,
    software_of,
)


def dtypes(row):
    return dtypes_of(row, gpu_of(row), software_of(row))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Megatron-LM/Core r0.8.0", "megatron"),
        ("Megatron-Bridge/Megatron-Core", "megatron"),
        ("NeMo/Megatron-Core", "megatron"),
        ("Megatron-DeepSpeed", "deepspeed"),
        ("Megatron-LM + DeepSpeed", "deepspeed"),
        ("GPT-NeoX (Megatron+DeepSpeed)", "deepspeed"),
        ("torchtitan", "torchtitan"),
        ("Composer/llm-foundry FSDP", "fsdp"),
        ("PyTorch FSDP1 + torch.compile", "fsdp"),
        ("lit-gpt/Lightning", "fsdp"),
        ("nanotron (1F1B)", "megatron"),
        ("Aleph Alpha scaling (in-house, Megatron-like)", "megatron"),
        ("flash-attention training code (Lightning)", "ddp"),
        ("Horovod", "horovod"),
    ],
)
def test_frameworks_by_their_text(make_row, text, name) -> None:
    facts = software_of(make_row(framework=text)).facts
    # An older generation may have a sheet of its own, called after the framework.
    assert facts.name.startswith(name)


def test_a_framework_that_stands_in_is_listed_as_assumed(make_row) -> None:
    row = make_row(framework="Primus pipeline 1f1b")
    software_of(row)
    assert any('its facts stand for "Primus pipeline 1f1b"' in text for text in row.assumed)


def test_a_framework_of_its_own_is_not(make_row) -> None:
    row = make_row()
    software_of(row)
    assert row.assumed == []


def test_a_blank_or_unknown_framework_is_the_nearest_in_kind(make_row) -> None:
    sharded = make_row(framework="", tp="1", zero_stage="3")
    assert software_of(sharded).facts.name == "fsdp"
    assert "framework fsdp: not stated." in sharded.assumed
    unknown = make_row(framework="Brandnew")
    assert software_of(unknown).facts.name == "megatron"
    assert 'framework megatron: "Brandnew" is unknown.' in unknown.assumed


def test_year_and_mode_narrow_an_entry(make_row, monkeypatch) -> None:
    entries = (
        {"pattern": "megatron", "sheet": "deepspeed", "until_year": 2022},
        {"pattern": "megatron", "sheet": "ddp", "mode": "tp-comm-overlap"},
        {"pattern": "megatron", "sheet": "megatron"},
    )
    monkeypatch.setattr(software, "_entries", lambda: entries)
    assert software_of(make_row(year="2021")).facts.name == "deepspeed"
    assert software_of(make_row(year="2024", fsdp_mode="--tp-comm-overlap")).facts.name == "ddp"
    assert software_of(make_row(year="2024")).facts.name == "megatron"
    assert software_of(make_row(year="")).facts.name == "megatron"  # of today


@pytest.mark.parametrize("entry", _entries(), ids=lambda entry: entry["pattern"])
def test_every_entry_names_a_sheet_and_keys_that_the_file_explains(entry) -> None:
    assert framework(entry["sheet"]).name == entry["sheet"]
    text = resources.files("crosszone.verify").joinpath("frameworks.toml").read_text(encoding="utf-8")
    explained = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert [key for key in entry if not re.search(rf"\b{key}\b", explained)] == []


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("bf16", "bf16"),
        ("fp16", "fp16"),
        ("mxfp8", "fp8"),
        ("fp8 (TE, delayed scaling hybrid; current recipe of the time)", "fp8"),
        ("float8 tensorwise", "fp8"),
        ("amp_bf16", "bf16"),
        ("tf32", "tf32"),
    ],
)
def test_precisions(make_row, text, precision) -> None:
    assert dtypes(make_row(gpu="H100-SXM5-80GB", precision=text)).compute == precision


def test_fp4_needs_a_gpu_that_has_it(make_row) -> None:
    assert dtypes(make_row(gpu="B200", precision="nvfp4")).compute == "fp4"
    with pytest.raises(SpecError, match="a100-sxm4-80gb has no fp4 rate"):
        dtypes(make_row(precision="nvfp4"))


def test_an_unknown_precision_is_told(make_row) -> None:
    with pytest.raises(SpecError, match='precision is "posit16"'):
        dtypes(make_row(precision="posit16"))


@pytest.mark.parametrize(("gpu", "precision"), [("V100-SXM2-32GB", "fp16"), ("A100", "bf16"), ("B200", "bf16")])
def test_a_blank_precision_is_the_generations(make_row, gpu, precision) -> None:
    row = make_row(gpu=gpu, precision="")
    assert dtypes(row).compute == precision
    assert any(text.startswith(f"precision {precision}") for text in row.assumed)


def test_pure_mixed_precision_keeps_gradients_narrow(make_row) -> None:
    assert dtypes(make_row()).gradients == "fp32"
    assert dtypes(make_row(precision="bf16", fsdp_mode="FULL_SHARD (PURE mixed precision)")).gradients == "bf16"


def test_a_framework_may_keep_gradients_narrow(make_row) -> None:
    assert dtypes(make_row(precision="bf16", framework="Aleph Alpha scaling")).gradient_reduction == "bf16"


@pytest.mark.parametrize(("precision", "gradients"), [("fp16", "fp16"), ("bf16", "fp32")])
def test_a_framework_may_do_so_in_one_precision_alone(make_row, precision, gradients) -> None:
    """DeepSpeed's fp16 optimizer keeps gradients in fp16, its bf16 optimizer sums them in fp32."""
    row = make_row(precision=precision, framework="Megatron-DeepSpeed")
    assert dtypes(row).gradients == gradients


def test_no_flash_kernel_computes_in_fp32(make_row) -> None:
    row = make_row(flash_attention="", precision="fp32")
    assert attention_of(row) == "unfused"
    assert row.assumed == ["attention unfused: flash kernels compute in 16 bits or less."]
    assert attention_of(make_row(flash_attention="yes", precision="fp32")) == "flash"


@pytest.mark.parametrize(
    ("text", "attention"),
    [
        ("yes", "flash"),
        ("yes: flash_attention2 + RMS kernel", "flash"),
        ("yes (SDPA FA2)", "flash"),
        ("true", "flash"),
        ("no", "unfused"),
        ("no (Megatron fused softmax)", "unfused"),
        ("no: torch", "unfused"),
        ("unfused", "unfused"),
    ],
)
def test_attention(make_row, text, attention) -> None:
    row = make_row(flash_attention=text)
    assert attention_of(row) == attention
    assert row.assumed == []


def test_blank_attention_is_the_kernel_column_or_flash(make_row) -> None:
    assert attention_of(make_row(flash_attention="", attention_kernel="torch (unfused)")) == "unfused"
    row = make_row(flash_attention="")
    assert attention_of(row) == "flash"
    assert row.assumed == ["attention flash: not stated."]


@pytest.mark.parametrize(
    ("text", "recompute"),
    [
        ("full", "full"),
        ("full (partial)", "full"),
        ("selective", "selective"),
        ("none", "none"),
        ("no", "none"),
        ("yes", "full"),
        ("per-op SAC", "selective"),
    ],
)
def test_recompute(make_row, text, recompute) -> None:
    assert recompute_of(make_row(recompute=text)) == recompute


@pytest.mark.parametrize(
    ("modules", "recompute"),
    [
        ("[layernorm mla_up_proj mlp moe_act]", "none"),
        ("layernorm core_attn", "selective"),
        ("", "selective"),
        ("modules=mlp", "selective"),
    ],
)
def test_selective_recomputation_that_leaves_attention_out_is_none(make_row, modules, recompute) -> None:
    row = make_row(recompute="selective", recompute_detail=modules)
    assert recompute_of(row) == recompute
    assert any("leaves attention out" in text for text in row.assumed) == (recompute == "none")


@pytest.mark.parametrize(("dropout", "elements"), [("0", 1.0), ("0.0", 1.0), ("0.1", 2.5), ("", 2.5)])
def test_without_dropout_unfused_attention_keeps_the_softmax_alone(make_row, dropout, elements) -> None:
    facts = software_of(make_row(attention_dropout=dropout)).facts
    assert facts.score_elements == elements
    assert facts.name.endswith("no-dropout") == (elements == 1.0)  # rows of one name share one set of facts


def test_blank_recompute_is_none_and_an_unknown_one_is_told(make_row) -> None:
    row = make_row(recompute="")
    assert recompute_of(row) == "none"
    assert row.assumed == ["recompute none: not stated."]
    with pytest.raises(SpecError, match='recompute is "some"'):
        recompute_of(make_row(recompute="some"))


@pytest.mark.parametrize(
    ("stage", "mode", "shard"),
    [
        ("0", "", "none"),
        ("1", "", "optimizer"),
        ("2", "", "gradients"),
        ("3", "", "parameters"),
        ("2", "SHARD_GRAD_OP (DEFAULT mixed precision)", "gradients"),
        ("", "SHARD_GRAD_OP (DEFAULT mixed precision)", "gradients"),
        ("", "FSDP2", "parameters"),
        ("", "distributed optimizer; --overlap-grad-reduce", "optimizer"),
    ],
)
def test_shard(make_row, stage, mode, shard) -> None:
    row = make_row(zero_stage=stage, fsdp_mode=mode)
    assert shard_of(row) == shard
    assert row.assumed == []


def test_blank_shard_is_none_and_a_wrong_stage_is_told(make_row) -> None:
    row = make_row(zero_stage="")
    assert shard_of(row) == "none"
    assert row.assumed == ["shard none: not stated."]
    assert shard_of(make_row(zero_stage="ZeRO-3")) == "parameters"
    with pytest.raises(SpecError, match='zero_stage is "4"'):
        shard_of(make_row(zero_stage="4"))


def test_hybrid_sharding_stays_in_the_node(make_row) -> None:
    assert shard_degree(make_row(fsdp_mode="HSDP (shard in node, replicate across)"), dp=128, ranks_per_node=8) == 8
    assert shard_degree(make_row(fsdp_mode="Megatron-FSDP, sharding group 64"), dp=256, ranks_per_node=8) == 64
    assert shard_degree(make_row(fsdp_mode="FSDP2 full shard"), dp=128, ranks_per_node=8) == 128


def test_a_sharding_group_divides_dp(make_row) -> None:
    assert shard_degree(make_row(fsdp_mode="sharding group 64"), dp=96, ranks_per_node=8) == 48
