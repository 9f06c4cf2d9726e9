"""The measuring loop, on the processor with tiny shapes: no GPU is needed to know that it counts and stops."""

import json
import sys

import pytest

from crosszone.core.codec import to_json
from crosszone.core.measured_gpu import GpuState, measured_gpu
from crosszone.errors import PreflightFailed
from crosszone.runtime.nvidia_smi import state_of

torch = pytest.importorskip("torch")

from crosszone.runtime import kernels  # noqa: E402 - needs torch
from crosszone.runtime.measure import GRID, Grid, gpu_name, measure  # noqa: E402

TINY = Grid(
    gemms=((64, 64, 64), (64, 128, 64)),
    sequence_lengths=(32, 64),
    attention_tokens=64,
    num_heads=2,
    head_size=16,
    stream_tensor_bytes=(2**12, 2**14),
    timing_seconds=0.01,
)


@pytest.fixture(scope="module")
def progress() -> list[float]:
    return []


@pytest.fixture(scope="module")
def measured(progress):
    return measure("cpu", grid=TINY, limit_seconds=5.0, on_progress=progress.append)


def test_everything_in_the_grid_is_timed(measured) -> None:
    assert measured.skipped == ()
    assert [(each.precision, each.m, each.n, each.k) for each in measured.gemms] == [
        ("bf16", 64, 64, 64),
        ("bf16", 64, 128, 64),
    ]
    assert [(each.batch_size, each.sequence_length) for each in measured.attentions] == [(2, 32), (1, 64)]
    assert [(each.operation, each.moved_bytes) for each in measured.streams] == [
        ("copy", 2 * 2**12),
        ("add", 3 * 2**12),
        ("copy", 2 * 2**14),
        ("add", 3 * 2**14),
    ]
    seconds = [each.seconds for each in (*measured.gemms, *measured.streams)]
    seconds += [each.forward_seconds for each in measured.attentions]
    seconds += [each.backward_seconds for each in measured.attentions]
    assert all(0.0 < each < 1.0 for each in [*seconds, measured.kernel_launch_seconds])


def test_it_says_where_and_when(measured) -> None:
    assert measured.name == "cpu"
    assert measured.torch_version == torch.__version__
    assert len(measured.date) == len("2026-11-21")
    assert measured.before == GpuState()
    assert 0.0 < measured.elapsed_seconds < 20.0


def test_json_and_back_is_the_same(measured) -> None:
    assert measured_gpu(json.loads(json.dumps(to_json(measured)))) == measured


def test_progress_grows_to_one(measured, progress) -> None:
    assert progress == sorted(progress)
    assert len(progress) == 9
    assert progress[-1] == 1.0


def test_time_that_is_over_skips_the_rest_and_says_so() -> None:
    measured = measure("cpu", grid=TINY, limit_seconds=0.0)
    assert measured.gemms == ()
    assert measured.kernel_launch_seconds is None
    assert len(measured.skipped) == 9
    assert measured.skipped[1] == "bf16 product 64 x 64 x 64: 0 s were over."


def test_a_kernel_that_does_not_run_here_is_skipped_with_its_reason(monkeypatch) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("No available kernel. Aborting execution.\nmore")

    monkeypatch.setattr(kernels, "attention", refuse)
    measured = measure("cpu", grid=TINY, limit_seconds=5.0)
    assert measured.attentions == ()
    assert measured.skipped == tuple(
        f"flash2 attention over {length}: No available kernel. Aborting execution." for length in (32, 64)
    )
    assert len(measured.gemms) == 2


def test_the_median_of_batches_counts(monkeypatch) -> None:
    # warm-up has no look at the clock; then one run, then five batches of ten
    batches = iter([0.01, 0.1, 0.3, 0.1, 9.0, 0.1])
    monkeypatch.setattr(kernels, "_batch_seconds", lambda run, device, num_runs: next(batches))
    seconds = kernels.seconds_per_run(lambda: None, torch.device("cpu"), limit_seconds=0.51)
    assert seconds == pytest.approx(0.1 / 10)


def test_a_run_longer_than_its_share_is_timed_once(monkeypatch) -> None:
    batches = iter([2.0, 2.5])
    monkeypatch.setattr(kernels, "_batch_seconds", lambda run, device, num_runs: next(batches))
    assert kernels.seconds_per_run(lambda: None, torch.device("cpu"), limit_seconds=0.5) == 2.5


def test_the_product_is_the_product() -> None:
    out = kernels.gemm(3, 5, 7, "bf16", torch.device("cpu"))()
    assert isinstance(out, torch.Tensor)
    assert out.shape == (3, 5)


def test_the_narrow_product_is_scaled_back() -> None:
    torch.manual_seed(1)
    out = kernels.gemm(64, 64, 256, "fp8", torch.device("cpu"))()
    assert isinstance(out, torch.Tensor)
    assert out.dtype == torch.bfloat16
    assert out.float().std().item() == pytest.approx(256**0.5, rel=0.1)  # sums of 256 products of normal numbers


def test_larger_products_take_longer() -> None:
    device = torch.device("cpu")
    small, large = (
        kernels.seconds_per_run(kernels.gemm(size, size, size, "bf16", device), device, limit_seconds=0.1)
        for size in (32, 512)
    )
    assert large > 5.0 * small


def test_the_grid_tells_the_main_loop_from_the_overhead() -> None:
    at_one_tile = {k for m, n, k in GRID.gemms if (m, n) == (8192, 8192)}
    assert max(at_one_tile) >= 16 * min(at_one_tile)
    assert all(size % 64 == 0 for shape in GRID.gemms for size in shape)


def test_no_gpu_is_said_with_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PreflightFailed, match="sees no GPU") as caught:
        gpu_name()
    assert "--from" in caught.value.findings[0].hint


def test_no_torch_is_said_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PreflightFailed, match="needs torch") as caught:
        gpu_name()
    assert "crosszone[train]" in caught.value.findings[0].hint


def test_what_nvidia_smi_prints_is_read_in_base_units() -> None:
    assert state_of("1755, 1980, 412.30, 700.00, 58, 570.124.06\n") == GpuState(
        sm_hertz=1.755e9,
        max_sm_hertz=1.98e9,
        power_watts=412.3,
        power_limit_watts=700.0,
        temperature_celsius=58.0,
        driver_version="570.124.06",
    )


@pytest.mark.parametrize("text", ["", "No devices were found", "1, 2"])
def test_what_is_no_answer_is_unknown(text) -> None:
    assert state_of(text) == GpuState()


def test_what_the_driver_does_not_say_is_none() -> None:
    found = state_of("[N/A], 1980, [Not Supported], 700.00, 58, 570.124.06")
    assert (found.sm_hertz, found.power_watts, found.power_limit_watts) == (None, None, 700.0)


def test_a_gpu_that_runs_nothing_is_no_mistake_of_ours(monkeypatch) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(kernels, "gemm", refuse)
    with pytest.raises(PreflightFailed, match="runs no product: CUDA out of memory"):
        measure("cpu", grid=TINY, limit_seconds=1.0)
