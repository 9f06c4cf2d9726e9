"""Which generation a row is of, and what its plan then looks like."""

import pytest

from crosszone.core.model import Model
from crosszone.verify.case import case_of, dealt_layers
from crosszone.verify.software import software_of


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ({"framework": "Megatron-LM", "year": "2021"}, "megatron 2021"),
        ({"framework": "Megatron-LM", "year": "2025"}, "megatron"),
        ({"framework": "Megatron-LM", "year": "2025", "fsdp_mode": "--tp-comm-overlap"}, "megatron tp-comm-overlap"),
        ({"framework": "NeMo", "year": "2024", "precision": "fp8"}, "megatron nemo-2024-fp8"),
        ({"framework": "NeMo", "year": "2024", "precision": "bf16"}, "megatron tp-comm-overlap"),
        ({"framework": "Megatron-Bridge", "fw_version": "NeMo 25.11", "year": "2025"}, "megatron bridge-2025"),
        ({"framework": "Megatron-Bridge", "fw_version": "NeMo 26.04.01", "year": "2026"}, "megatron bridge-2025"),
        ({"framework": "Megatron-Bridge", "fw_version": "NeMo 26.06", "year": "2026"}, "megatron bridge-2026"),
        ({"framework": "Megatron-DeepSpeed", "year": "2022"}, "deepspeed megatron-2022"),
        ({"framework": "nanotron (1F1B)", "year": "2025"}, "megatron nanotron-2025"),
        ({"framework": "llm-foundry FSDP", "year": "2023", "gpu": "H100-SXM5-80GB"}, "fsdp 2023-hopper"),
        ({"framework": "llm-foundry FSDP", "year": "2023"}, "fsdp 2023"),
        ({"framework": "torchtitan", "year": "2025", "notes": "AsyncTP"}, "torchtitan async-tp"),
        ({"framework": "torchtitan", "year": "2025", "precision": "fp8 rowwise"}, "torchtitan rowwise"),
    ],
)
def test_generations_by_text_year_and_mode(make_row, cells, name) -> None:
    assert software_of(make_row(**{"year": "", "gpu": "A100-SXM4-80GB", **cells})).facts.name == name


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("yes: flash_attentionv1.0.8", "flash1"),
        ("yes: flash_attention2", "flash2"),
        ("yes (SDPA FA2)", "flash2"),
        ("yes (FA3)", "best"),
        ("yes", "best"),
    ],
)
def test_a_kernel_that_the_row_names_stands_before_the_framework_s(make_row, text, kernel) -> None:
    facts = software_of(make_row(year="2025", flash_attention=text)).facts
    assert facts.attention_kernel == kernel
    assert facts.name == ("megatron" if kernel == "best" else f"megatron {kernel}")


def test_layers_are_dealt_out_with_the_head_counted() -> None:
    """A head as large as four layers: 20 parts for 4 stages; a stage is left when it has its part."""
    model = Model(
        name="playbook",
        num_layers=16,
        hidden_size=2048,
        ffn_size=8192,
        num_heads=32,
        num_kv_heads=32,
        head_size=64,
        vocab_size=131072,
    )
    assert dealt_layers(model, 1) == (16,)
    assert dealt_layers(model, 2) == (10, 6)
    assert dealt_layers(model, 4) == (5, 5, 5, 1)
    assert dealt_layers(model, 8) == (3, 2, 3, 2, 3, 2, 1, 0)


@pytest.mark.parametrize(
    ("framework", "layers", "batch", "virtual"),
    [
        ("Megatron-LM", "48", "1024", 4),
        ("Megatron-LM", "60", "1024", 3),
        ("Megatron-LM", "44", "1024", 1),  # 11 layers a stage
        ("Megatron-LM", "48", "1280", 1),  # 5 microbatches on 4 stages
        ("Megatron-DeepSpeed", "48", "1024", 1),
    ],
)
def test_virtual_stages_that_nobody_states_are_the_most_that_fit(make_row, framework, layers, batch, virtual) -> None:
    cells = {"framework": framework, "layers": layers, "global_batch": batch}
    row = make_row(**cells, tp="8", pp="4", dp="8", vpp="", micro_batch="32" if batch != "1024" else "8")
    assert case_of(row).plan.num_virtual_stages == virtual
    assert any(text.startswith(f"vpp {virtual}:") for text in row.assumed)


def test_omni_path_reaches_a_third_of_other_networks(make_row) -> None:
    slow = case_of(make_row(network="4x Omni-Path 100Gb/s per node"))
    fast = case_of(make_row(network="4x 100Gb/s per node"))
    rates = [case.problem.cluster.zones[0].node_groups[0].network_bytes_per_second for case in (slow, fast)]
    assert rates[0] == pytest.approx(0.35 * rates[1])
    assert any("Omni-Path" in text for text in slow.row.assumed)
