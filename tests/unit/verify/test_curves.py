"""Shares from timed kernels: a synthetic GPU whose constants are known, and what is done about bad timings."""

import dataclasses
import itertools

import numpy as np
import pytest

from crosszone.catalog.efficiency import efficiency
from crosszone.catalog.gpus import gpu
from crosszone.core.measured_gpu import AttentionTiming, GemmTiming, GpuState, MeasuredGpu, StreamTiming
from crosszone.cost.gemm import gemm_seconds
from crosszone.errors import CrossZoneError
from crosszone.verify.curves import fit_gpu

H100 = gpu("h100-sxm5-80gb")
V100 = gpu("v100-sxm2-16gb")
CATALOG = efficiency(H100)
SHAPES = (
    *((8192, 8192, k) for k in (256, 512, 1024, 2048, 4096, 8192, 16384)),
    *itertools.product((1024, 4096, 16384), (2048, 4096, 14336), (2048, 4096)),
)
TRUE = {"gemm_fraction": 0.71, "fp8_gemm_fraction": 0.6, "gemm_overhead_depth": 260.0, "memory_fraction": 0.9}


def products(sheet=H100, precisions=("bf16", "fp8"), noise=0.0, shapes=SHAPES, **constants: float):
    """Timings of a GPU with these constants, as the cost model has them."""
    true = {**TRUE, **constants}
    rng = np.random.default_rng(1)
    wide = sheet.peak("bf16") or sheet.peak("fp16")
    return tuple(
        GemmTiming(
            precision=precision,
            m=m,
            n=n,
            k=k,
            seconds=float(
                gemm_seconds(
                    m,
                    n,
                    k,
                    flop_per_second=sheet.peak(precision)
                    * true["fp8_gemm_fraction" if precision == "fp8" else "gemm_fraction"],
                    num_sms=sheet.num_sms,
                    overhead_depth=true["gemm_overhead_depth"] * sheet.peak(precision) / wide,
                    memory_bytes_per_second=sheet.memory_bytes_per_second * true["memory_fraction"],
                    element_bytes=2.0,
                )
            )
            * float(np.exp(noise * rng.standard_normal())),
        )
        for (m, n, k), precision in itertools.product(shapes, precisions)
    )


def streams(fraction: float = TRUE["memory_fraction"], sheet=H100):
    """Short streams stay in the cache and are twice as fast."""
    return tuple(
        StreamTiming(
            operation="copy",
            moved_bytes=moved,
            seconds=moved / (sheet.memory_bytes_per_second * fraction * (2.0 if moved < 2**28 else 1.0)),
        )
        for moved in (2.0**24, 2.0**28, 2.0**30)
    )


def attentions(sheet=H100, **fractions: tuple[float, float]):
    """Timings of each kernel at (forward, backward) shares of the 16-bit peak."""
    peak = sheet.peak("bf16") or sheet.peak("fp16")
    return tuple(
        AttentionTiming(
            kernel=kernel,
            batch_size=16384 // length,
            num_heads=32,
            head_size=128,
            sequence_length=length,
            forward_seconds=flop / (forward * peak),
            backward_seconds=2.5 * flop / (backward * peak),
        )
        for kernel, (forward, backward) in fractions.items()
        for length in (1024, 4096, 16384)
        # by hand: two products of 2 FLOP over half of the square, its diagonal included
        for flop in [4.0 * 128 * 32 * (16384 // length) * length * (length + 1) / 2.0]
    )


def measured(**fields) -> MeasuredGpu:
    kept = {
        "name": "NVIDIA H100 80GB HBM3",
        "memory_bytes": 8.5e10,
        "num_sms": 132,
        "torch_version": "2.13.0",
        "cuda_version": "13.0",
        "date": "2026-11-21",
        "elapsed_seconds": 58.0,
        "before": GpuState(),
        "after": GpuState(),
        "gemms": products(),
        "attentions": attentions(best=(0.55, 0.45), flash2=(0.40, 0.32)),
        "streams": streams(),
        "kernel_launch_seconds": 4e-6,
    }
    return MeasuredGpu(**{**kept, **fields})


def fitted(sheet=H100, **fields) -> dict[str, float]:
    report = fit_gpu(measured(**fields), sheet, efficiency(sheet))
    return {share.name: share.value for share in report.shares}


@pytest.mark.parametrize("depth", [90.0, 260.0, 900.0])
@pytest.mark.parametrize("fraction", [0.4, 0.71, 0.9])
def test_constants_behind_the_timings_are_found(fraction, depth) -> None:
    found = fitted(gemms=products(gemm_fraction=fraction, gemm_overhead_depth=depth))
    assert found["gemm_fraction"] == pytest.approx(fraction, rel=0.002)
    assert found["gemm_overhead_depth"] == pytest.approx(depth, rel=0.02)
    assert found["fp8_gemm_fraction"] == pytest.approx(TRUE["fp8_gemm_fraction"], rel=0.002)
    assert found["memory_fraction"] == pytest.approx(TRUE["memory_fraction"], rel=1e-9)


def test_noise_costs_less_than_itself_and_is_told_as_spread() -> None:
    report = fit_gpu(measured(gemms=products(noise=0.03)), H100, CATALOG)
    found = {share.name: share for share in report.shares}
    assert found["gemm_fraction"].value == pytest.approx(TRUE["gemm_fraction"], rel=0.02)
    assert found["gemm_overhead_depth"].value == pytest.approx(TRUE["gemm_overhead_depth"], rel=0.2)
    assert found["gemm_fraction"].spread_fraction == pytest.approx(0.03, rel=0.4)
    assert found["gemm_fraction"].num_timings == len(SHAPES)


def test_two_products_with_a_bad_kernel_do_not_bend_the_fit() -> None:
    gemms = list(products(precisions=("bf16",)))
    for index in (3, 9):
        gemms[index] = dataclasses.replace(gemms[index], seconds=3.0 * gemms[index].seconds)
    assert fitted(gemms=tuple(gemms))["gemm_fraction"] == pytest.approx(TRUE["gemm_fraction"], rel=0.03)


def test_products_as_short_as_launches_are_left_out() -> None:
    gemms = products(precisions=("bf16",))
    tiny = GemmTiming(precision="bf16", m=128, n=128, k=128, seconds=9e-6)
    report = fit_gpu(measured(gemms=(*gemms, tiny)), H100, CATALOG)
    assert report.shares[0].num_timings == len(gemms)
    assert report.shares[0].value == pytest.approx(TRUE["gemm_fraction"], rel=0.002)


def test_attention_of_the_fastest_kernel_and_the_ratio_of_the_other() -> None:
    found = fitted()
    assert found["attention_fraction"] == pytest.approx(0.55)
    assert found["attention_backward_fraction"] == pytest.approx(0.45)
    total = (1 / 0.55 + 2.5 / 0.45) / (1 / 0.40 + 2.5 / 0.32)
    assert found["flash2_factor"] == pytest.approx(total)


def test_flash_attention_may_be_the_fastest() -> None:
    found = fitted(attentions=attentions(best=(0.30, 0.25), flash2=(0.40, 0.32)))
    assert found["attention_fraction"] == pytest.approx(0.40)
    assert found["flash2_factor"] == 1.0


def test_flash_attention_alone_leaves_its_predictions_as_measured() -> None:
    found = fitted(attentions=attentions(flash2=(0.40, 0.32)))
    assert "flash2_factor" not in found
    assert found["attention_fraction"] * CATALOG.kernel_factor("flash2") == pytest.approx(0.40)


def test_what_was_not_timed_stays_the_catalogs_and_is_said() -> None:
    report = fit_gpu(measured(gemms=(), attentions=()), H100, CATALOG)
    assert [share.name for share in report.shares] == ["memory_fraction"]
    assert report.calibration.efficiency is not None
    assert report.calibration.efficiency.replaced(CATALOG).gemm_fraction == CATALOG.gemm_fraction
    assert report.calibration.efficiency.replaced(CATALOG).memory_fraction == pytest.approx(0.9)
    (note,) = report.notes
    assert "gemm_fraction" in note
    assert "memory_fraction" not in note


def test_a_gpu_without_bf16_and_fp8() -> None:
    gemms = products(V100, ("fp16",))
    sheet = efficiency(V100)
    found = fitted(V100, gemms=gemms, streams=streams(sheet=V100), attentions=attentions(V100, flash2=(0.3, 0.2)))
    assert found["gemm_fraction"] == pytest.approx(TRUE["gemm_fraction"], rel=0.002)
    assert found["attention_fraction"] == pytest.approx(0.3 / sheet.flash2_factor)
    assert "fp8_gemm_fraction" not in found


def test_one_depth_of_product_cannot_tell_the_overhead() -> None:
    report = fit_gpu(measured(gemms=products(shapes=((4096, 4096, 4096), (8192, 4096, 4096)))), H100, CATALOG)
    assert "gemm_fraction" not in {share.name for share in report.shares}


def test_shares_that_no_gpu_has_are_refused_all_at_once() -> None:
    fast = {"gemms": products(gemm_fraction=1.5), "streams": streams(1.3)}
    with pytest.raises(CrossZoneError) as caught:
        fit_gpu(measured(**fast), H100, CATALOG)
    messages = [finding.message for finding in caught.value.findings]
    assert "memory_fraction comes out as 1.3; it can be 0.05 to 1.1." in messages
    assert any(message.startswith("gemm_fraction comes out as 1.") for message in messages)
    assert all("h100-sxm5-80gb" in finding.hint for finding in caught.value.findings)


def test_nothing_timed_is_an_error_with_the_reasons() -> None:
    nothing = measured(gemms=(), attentions=(), streams=(), skipped=("copy of 4 bytes: no memory.",))
    with pytest.raises(CrossZoneError, match="no memory"):
        fit_gpu(nothing, H100, CATALOG)


def test_the_calibration_says_what_timed_it() -> None:
    found = fit_gpu(measured(), H100, CATALOG).calibration
    assert (found.gpu, found.compute_seconds_ratio, found.num_runs) == ("h100-sxm5-80gb", 1.0, 0)
    assert found.source == "kernels timed on NVIDIA H100 80GB HBM3 with torch 2.13.0"
    assert found.date == "2026-11-21"
