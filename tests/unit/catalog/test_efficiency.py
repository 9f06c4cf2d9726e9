"""Shares of peaks: complete tables, plausible sizes, generations and parts."""

import tomllib
from dataclasses import fields
from importlib import resources

import pytest

from crosszone.catalog.efficiency import efficiency
from crosszone.catalog.gpus import gpu, gpu_names
from crosszone.core.efficiency import Efficiency

TABLES = tomllib.loads(
    resources.files("crosszone.catalog").joinpath("data/efficiency.toml").read_text(encoding="utf-8")
)
SHARES = {field.name for field in fields(Efficiency)} - {"generation", "is_assumed"}
GENERATIONS = [name for name in TABLES if name not in gpu_names()]


@pytest.mark.parametrize("name", GENERATIONS)
def test_every_generation_has_every_share(name: str) -> None:
    assert set(TABLES[name]) == SHARES


@pytest.mark.parametrize("name", [name for name in TABLES if name in gpu_names()])
def test_a_part_overrides_some_shares_and_says_why(name: str) -> None:
    assert "source" in TABLES[name]
    assert set(TABLES[name]) < SHARES


@pytest.mark.parametrize("name", gpu_names())
def test_shares_are_shares(name: str) -> None:
    found = efficiency(gpu(name))
    for share in SHARES:
        value = getattr(found, share)
        if share.endswith("_fraction"):
            assert 0.1 < value < 1.0, share
    assert 100 < found.gemm_overhead_depth < 1000
    assert 1e-6 < found.collective_latency_seconds <= found.network_latency_seconds < 1e-4
    assert len(found.source) > 20


def test_a_generation_that_nobody_measured_is_marked_assumed() -> None:
    assert efficiency(gpu("mi300x-192gb")).is_assumed
    assert efficiency(gpu("mi300x-192gb")).source.startswith("Assumed")
    assert not efficiency(gpu("a100-sxm4-80gb")).is_assumed


def test_grace_superchips_are_of_their_gpus_generation() -> None:
    assert efficiency(gpu("gb200-nvl72")).gemm_fraction == efficiency(gpu("b200-sxm-180gb")).gemm_fraction


def test_less_power_means_a_smaller_share_of_the_same_peak() -> None:
    full, limited = efficiency(gpu("h100-sxm5-80gb")), efficiency(gpu("h100-sxm5-96gb-hbm2e"))
    assert limited.gemm_fraction < full.gemm_fraction
    assert limited.memory_fraction == full.memory_fraction
    assert not limited.is_assumed


def test_narrow_formats_have_their_own_share() -> None:
    found = efficiency(gpu("b200-sxm-180gb"))
    assert found.main_loop_fraction("bf16") == found.main_loop_fraction("fp32") == found.gemm_fraction
    assert found.main_loop_fraction("fp8") == found.fp8_gemm_fraction
    assert found.main_loop_fraction("fp4") == found.fp4_gemm_fraction
