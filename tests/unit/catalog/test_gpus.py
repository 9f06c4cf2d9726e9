"""Named facts of GPUs, each against the sheet or driver that prints it."""

import pytest

from crosszone.catalog import sheets
from crosszone.catalog.gpus import gpu, gpu_facts, gpu_names, gpu_sheet
from crosszone.errors import UnknownName

ISSUED = """v100-sxm2-16gb v100-sxm2-32gb a100-sxm4-40gb a100-sxm4-80gb a100-pcie-40gb a100-pcie-80gb a800-sxm4-80gb
h100-sxm5-80gb h100-pcie-80gb h100-sxm5-96gb-hbm2e h800-sxm5-80gb h20-sxm5-96gb h200-sxm-141gb gh200-96gb
b200-sxm-180gb b300-sxm-288gb gb200-nvl72 gb300-nvl72 t4-16gb l40s-48gb rtx-a6000-48gb rtx-2080-ti-11gb rtx-3060-12gb
rtx-3090-24gb rtx-4090-24gb titan-rtx-24gb mi250x-128gb mi300x-192gb mi325x-256gb mi355x-288gb ascend-910b""".split()


def test_the_catalog_has_the_gpus_that_people_use() -> None:
    assert set(ISSUED) <= set(gpu_names())


@pytest.mark.parametrize(
    ("name", "precision", "flop_per_second"),
    [
        ("a100-sxm4-80gb", "bf16", 312e12),
        ("a100-sxm4-80gb", "tf32", 156e12),
        ("h100-sxm5-80gb", "bf16", 989.4e12),
        ("h100-sxm5-80gb", "fp8", 1978.9e12),
        ("h100-pcie-80gb", "bf16", 756e12),
        ("h20-sxm5-96gb", "bf16", 148e12),
        ("b200-sxm-180gb", "bf16", 2250e12),
        ("gb200-nvl72", "bf16", 2500e12),
        ("v100-sxm2-16gb", "fp16", 125e12),
        ("mi300x-192gb", "bf16", 1307.4e12),
        ("rtx-3090-24gb", "fp16", 71e12),  # GeForce: the rate that accumulates in fp32
        ("rtx-4090-24gb", "fp16", 165.2e12),
    ],
)
def test_peak_is_dense_and_accumulates_in_fp32(name: str, precision: str, flop_per_second: float) -> None:
    assert gpu(name).peak(precision) == flop_per_second


@pytest.mark.parametrize("name", ["v100-sxm2-32gb", "v100-sxm3-32gb", "t4-16gb", "rtx-2080-ti-11gb", "titan-rtx-24gb"])
def test_volta_and_turing_have_neither_bf16_nor_tf32_nor_fp8(name: str) -> None:
    assert [gpu(name).peak(precision) for precision in ("bf16", "tf32", "fp8", "fp4")] == [None] * 4


def test_only_the_nvlink_of_the_export_parts_is_cut() -> None:
    assert gpu("a800-sxm4-80gb").fabric_bytes_per_second == 200e9
    assert gpu("h800-sxm5-80gb").fabric_bytes_per_second == 200e9
    assert gpu("a100-sxm4-80gb").fabric_bytes_per_second == 300e9
    assert gpu("h100-sxm5-80gb").fabric_bytes_per_second == 450e9
    assert gpu("a800-sxm4-80gb").peak("bf16") == gpu("a100-sxm4-80gb").peak("bf16")


@pytest.mark.parametrize(
    ("name", "memory_bytes"),
    [
        ("a100-sxm4-80gb", 81050 * 2**20),
        ("h100-sxm5-80gb", 81089 * 2**20),
        ("h200-sxm-141gb", 143156 * 2**20),
        ("v100-sxm2-16gb", 16160 * 2**20),
        ("mi250x-128gb", 65520 * 2**20),  # one die: what a process sees
    ],
)
def test_memory_is_what_a_process_sees(name: str, memory_bytes: int) -> None:
    assert gpu(name).memory_bytes == memory_bytes


@pytest.mark.parametrize(
    ("name", "gpus_per_node", "num_rails", "gigabit", "fabric_num_gpus"),
    [
        ("v100-sxm2-16gb", 8, 4, 100, 8),
        ("v100-sxm3-32gb", 16, 8, 100, 16),
        ("a100-sxm4-80gb", 8, 8, 200, 8),
        ("h100-sxm5-80gb", 8, 8, 400, 8),
        ("gb200-nvl72", 4, 4, 400, 72),  # the fabric is wider than the node
        ("rtx-3090-24gb", 4, 1, 10, 4),
    ],
)
def test_the_standard_system(name: str, gpus_per_node: int, num_rails: int, gigabit: int, fabric_num_gpus: int) -> None:
    part = gpu(name)
    assert (part.system_gpus_per_node, part.system_num_rails) == (gpus_per_node, num_rails)
    assert part.system_network_bytes_per_second == num_rails * gigabit * 1e9 / 8
    assert part.fabric_num_gpus == fabric_num_gpus


def test_cards_without_a_switch_talk_over_pcie() -> None:
    part = gpu("a100-pcie-80gb")
    assert part.fabric_kind == "pcie"
    assert part.fabric_bytes_per_second == part.pcie_bytes_per_second
    assert part.pcie_bytes_per_second == pytest.approx(31.5e9, rel=1e-3)


def test_the_unpublished_peak_lies_between_its_neighbours_and_says_that_it_is_estimated() -> None:
    peak = next(fact for fact in gpu_facts("h100-sxm5-96gb-hbm2e") if fact.name == "peak_flop_per_second.bf16")
    assert 835e12 < peak.value < 989e12  # H100 NVL, H100 SXM5: torchtitan's footnote
    assert peak.is_estimated
    assert "not published" in peak.note


def test_what_nobody_published_is_none() -> None:
    assert gpu("gb300-nvl72").num_sms is None
    assert gpu("ascend-910b").tdp_watts is None


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a100", "a100-sxm4-80gb"),
        ("A100", "a100-sxm4-80gb"),
        ("a100-40gb", "a100-sxm4-40gb"),
        ("h100", "h100-sxm5-80gb"),
        ("v100", "v100-sxm2-16gb"),
        ("mi300x", "mi300x-192gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb"),  # as the driver prints it
        ("NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"),
        ("NVIDIA GeForce RTX 3090", "rtx-3090-24gb"),
        ("Tesla V100-SXM2-32GB", "v100-sxm2-32gb"),
        ("RTX_4090", "rtx-4090-24gb"),
        ("A100 SXM4 80 GB", "a100-sxm4-80gb"),
    ],
)
def test_people_and_drivers_write_names_in_many_ways(written: str, name: str) -> None:
    assert gpu(written).name == name


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        gpu("a100-sxm4-800gb")
    assert 'unknown gpu "a100-sxm4-800gb"' in str(caught.value)
    assert "a100-sxm4-80gb" in str(caught.value)


def test_a_named_gpu_reads_one_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    parse = sheets._parse
    monkeypatch.setattr(sheets, "_parse", lambda text: read.append(text) or parse(text))
    sheets.sheet.cache_clear()
    gpu("l40s-48gb")
    gpu("l40s")
    assert len(read) == 2  # by its name, then by its alias: never the whole folder


def test_facts_carry_source_and_date() -> None:
    facts = {fact.name: fact for fact in gpu_facts("a100")}
    assert facts["fabric.bytes_per_second"].value == 300e9
    assert "1758950" in facts["peak_flop_per_second.bf16"].source
    assert facts["peak_flop_per_second.bf16"].retrieved == "2026-11-20"
    assert gpu("a100").source.startswith("G. Lockwood, A100")


def test_the_sheet_says_how_a_gcd_is_counted() -> None:
    assert "gpus_per_node: 8" in gpu_sheet("mi250x").text("note")
