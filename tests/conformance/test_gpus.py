"""Every GPU of the catalog: complete, plausible, sourced, and reachable by each of its names."""

import re
from collections import Counter

import pytest

from crosszone.catalog.gpus import gpu, gpu_names, gpu_sheet

PRECISIONS = {"fp32", "tf32", "fp16", "bf16", "fp8", "fp4"}
KNOWN_FIGURES = {
    *(f"peak_flop_per_second.{precision}" for precision in PRECISIONS),
    "vector_flop_per_second",
    "memory_bytes",
    "memory_bytes_per_second",
    "l2_bytes",
    "num_sms",
    "boost_hertz",
    "tdp_watts",
    "pcie_bytes_per_second",
    "fabric.num_gpus",
    "fabric.bytes_per_second",
    "system.gpus_per_node",
    "system.num_rails",
    "system.network_bytes_per_second",
}
TEXTS = {"name", "title", "vendor", "generation", "year", "form_factor", "marketed_memory", "note"} | {
    "fabric.kind",
    "system.name",
}
PER_DIE = {"mi250x-128gb"}  # sold by the module, seen by a process as two GPUs


@pytest.fixture(params=gpu_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_sheet_is_called_as_its_file(name: str) -> None:
    assert gpu_sheet(name).name == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


def test_no_figure_or_text_is_unknown_to_the_reader(name: str) -> None:
    sheet = gpu_sheet(name)
    assert {figure.name for figure in sheet.figures} <= KNOWN_FIGURES
    assert {key for key, _ in sheet.texts} <= TEXTS


def test_every_figure_is_positive_and_has_a_source_and_a_date(name: str) -> None:
    for figure in gpu_sheet(name).figures:
        assert figure.value > 0, figure
        assert figure.source, figure
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", figure.retrieved), figure
        assert figure.note or not figure.is_estimated, f"{figure.name} is estimated: say how"


def test_figures_have_the_size_of_such_things(name: str) -> None:
    """A slipped prefix or a bit taken for a byte lands outside."""
    part = gpu(name)
    assert 5e12 < part.vector_flop_per_second < 2e14
    assert 10e9 < part.memory_bytes < 310e9
    assert 0.25e12 < part.memory_bytes_per_second < 9e12
    assert part.fabric_bytes_per_second is not None
    assert 10e9 < part.fabric_bytes_per_second < 1e12
    assert part.system_network_bytes_per_second is not None
    assert 1e9 < part.system_network_bytes_per_second < 1e12
    assert part.fabric_kind in {"nvlink", "xgmi", "hccs", "pcie"}
    assert part.pcie_bytes_per_second is None or 15e9 < part.pcie_bytes_per_second < 65e9


def test_peaks_grow_as_the_formats_shrink(name: str) -> None:
    peaks = dict(gpu(name).peak_flop_per_second)
    assert set(peaks) <= PRECISIONS
    assert "fp16" in peaks
    order = [peaks[key] for key in ("fp32", "tf32", "fp16", "fp8", "fp4") if key in peaks]
    assert order == sorted(order)
    assert peaks.get("bf16", peaks["fp16"]) == peaks["fp16"]
    assert peaks["fp16"] > 1.9 * gpu(name).vector_flop_per_second


def test_a_process_sees_less_memory_than_was_sold_but_not_much_less(name: str) -> None:
    sold = int(gpu_sheet(name).text("marketed_memory").removesuffix(" GB"))
    share = gpu(name).memory_bytes / (sold * 2**30) * (2 if name in PER_DIE else 1)
    assert 0.91 < share < 1


def test_every_alias_leads_here_and_to_one_part_only(name: str) -> None:
    for alias in gpu_sheet(name).aliases:
        assert gpu(alias).name == name


def test_no_alias_is_a_name_or_stands_twice() -> None:
    counts = Counter(alias for name in gpu_names() for alias in gpu_sheet(name).aliases)
    assert [alias for alias, count in counts.items() if count > 1] == []
    assert counts.keys() & set(gpu_names()) == set()
