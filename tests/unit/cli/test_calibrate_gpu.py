"""`crosszone calibrate` without a table: this machine's GPU, or why it cannot be timed."""

import json
import sys

import pytest

from crosszone.core.measured_gpu import GpuState, MeasuredGpu, StreamTiming, measured_gpu
from crosszone.runtime import measure as measuring

H100 = "NVIDIA H100 80GB HBM3"
JOB = """
model: llama-2-7b
workload: {sequence_length: 4096, global_batch_size: 64}
cluster:
  zones:
    - {name: home, nodes: [{count: 1, gpu: h100-sxm5-80gb, gpus_per_node: 8}]}
framework: {name: megatron}
plan: {tp: 4, pp: 1, microbatch_size: 1, recompute: none}
"""


def timed(memory_fraction: float, name: str = H100) -> MeasuredGpu:
    """A GPU of which only memory was timed; an H100's sheet says 3.35 TB/s."""
    moved = 2.0**30
    return MeasuredGpu(
        name=name,
        memory_bytes=8.5e10,
        num_sms=132,
        torch_version="2.13.0",
        cuda_version="13.0",
        date="2026-11-21",
        elapsed_seconds=60.0,
        before=GpuState(),
        after=GpuState(sm_hertz=1.485e9, max_sm_hertz=1.98e9, power_limit_watts=700.0),
        gemms=(),
        attentions=(),
        streams=(StreamTiming(operation="copy", moved_bytes=moved, seconds=moved / (3.35e12 * memory_fraction)),),
        kernel_launch_seconds=4.2e-6,
        skipped=("fp8 product 1 x 1 x 1: no kernel.",),
    )


@pytest.fixture
def with_gpu(monkeypatch):
    """Lets this machine have a GPU on which memory reaches a share of its peak."""

    def make(memory_fraction: float = 0.5, name: str = H100) -> None:
        monkeypatch.setattr(measuring, "gpu_name", lambda: name)
        monkeypatch.setattr(measuring, "measure", lambda *, on_progress: timed(memory_fraction, name))

    return make


@pytest.fixture
def job(tmp_path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return str(path)


def test_what_was_timed_is_written_shown_and_used(run, with_gpu, job, tmp_path) -> None:
    with_gpu(0.5)
    output = tmp_path / "gpu.json"
    done = run("calibrate", "-o", str(output), "--json")
    assert done.code == 0, done.err
    written = json.loads(output.read_text(encoding="utf-8"))
    (found,) = written["calibrations"]
    assert found["gpu"] == "h100-sxm5-80gb"
    assert found["efficiency"]["memory_fraction"] == pytest.approx(0.5, rel=1e-3)
    assert found["efficiency"]["gemm_fraction"] is None
    assert measured_gpu(written["measured_gpus"][0]) == timed(0.5)
    assert {key: done.json[key] for key in written} == written
    assert done.json["shares"][0]["catalog_value"] == 0.85

    plain = run("predict", job, "--json").json
    ours = run("predict", job, "--calibration", str(output), "--json").json
    assert ours["step_seconds"] > 1.02 * plain["step_seconds"]
    (assumed,) = [text for text in ours["assumed"] if text.startswith("calibration: ")]
    assert "memory_fraction 0.5" in assumed
    assert H100 in assumed


def test_faster_memory_makes_faster_steps(run, with_gpu, job, tmp_path) -> None:
    seconds = []
    for fraction in (0.5, 0.85, 1.0):
        with_gpu(fraction)
        assert run("calibrate", "-o", str(tmp_path / "gpu.json")).code == 0
        seconds.append(run("predict", job, "--calibration", str(tmp_path / "gpu.json"), "--json").json["step_seconds"])
    assert seconds[0] > seconds[1] > seconds[2]


def test_the_screen_shows_the_gpu_the_shares_and_what_was_left_out(run, with_gpu, tmp_path) -> None:
    with_gpu(0.5)
    done = run("calibrate", "-o", str(tmp_path / "gpu.json"))
    assert done.code == 0, done.err
    (line,) = [line.split() for line in done.out.splitlines() if line.split()[:1] == ["memory_fraction"]]
    assert line[1:] == ["0.5", "0.85", "1", "-"]
    for text in (H100, "75% of its maximum", "700 W", "no kernel.", "catalog's hold: attention_backward_fraction"):
        assert text in done.out
    assert done.err == f"Wrote {tmp_path / 'gpu.json'}\n"


def test_no_torch_is_exit_4_and_nothing_is_written(run, monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = run("calibrate", "-o", str(tmp_path / "gpu.json"), "--json")
    assert done.code == 4
    (found,) = done.json["errors"]
    assert found["code"] == "no_torch"
    assert "crosszone[train]" in found["hint"]
    assert "--from" in found["hint"]
    assert not (tmp_path / "gpu.json").exists()


def test_no_gpu_is_exit_4(run, monkeypatch, tmp_path) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run("calibrate", "-o", str(tmp_path / "gpu.json"))
    assert done.code == 4
    assert "sees no GPU on this machine" in done.err


def test_a_gpu_that_the_catalog_does_not_know_is_bad_input(run, with_gpu, tmp_path) -> None:
    with_gpu(name="NVIDIA H101 80GB")
    done = run("calibrate", "-o", str(tmp_path / "gpu.json"), "--json")
    assert done.code == 2
    assert done.json["errors"][0]["where"] == "this machine"
    assert not (tmp_path / "gpu.json").exists()


def test_shares_that_no_gpu_has_fail_and_nothing_is_written(run, with_gpu, tmp_path) -> None:
    with_gpu(2.0)
    done = run("calibrate", "-o", str(tmp_path / "gpu.json"), "--json")
    assert done.code == 1
    assert done.json["errors"][0]["code"] == "not_plausible"
    assert not (tmp_path / "gpu.json").exists()


def test_a_folder_that_is_not_there_is_told_before_a_minute_is_spent(run, with_gpu, monkeypatch, tmp_path) -> None:
    with_gpu()
    monkeypatch.setattr(measuring, "measure", lambda **_: pytest.fail("measured in vain"))
    done = run("calibrate", "-o", str(tmp_path / "none" / "gpu.json"))
    assert done.code == 2
