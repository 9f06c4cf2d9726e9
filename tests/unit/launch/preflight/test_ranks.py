"""Ranks that are started, and what is said of what they print. A shell program stands in for Python with torch."""

import json
import time
from pathlib import Path

import pytest

from crosszone.launch.preflight import ranks

STEP = {"how": "ddp", "is_equal": True, "largest_difference": 1e-8, "tolerance": 1e-5, "least_change": 0.01}
FOUND = {
    "backend": "gloo",
    "num_ranks": 3,
    "expected_sum": 3,
    "sums": [3, 3, 3],
    "ranks": [],
    "pairs": [{"from_rank": 0, "to_rank": 1, "rtt_seconds": 1e-4, "bytes_per_second": 1e9}],
    "step": STEP,
}


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Makes a program the ranks' Python."""

    def make(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PYTHON", str(path))

    return make


def test_ready_is_said_of_ranks_that_add_up_and_step_alike() -> None:
    report = ranks.judged(FOUND)
    assert report.is_ready
    assert report.verdict == "Ready: 3 ranks met, add up, and a step of ddp is that of one process."


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sums": [3, 3, 0]}, "add up to [3, 3, 0], not each to 3"),
        ({"sums": [3, 3]}, "add up to [3, 3]"),
        ({"step": {**STEP, "is_equal": False, "largest_difference": 0.02}}, "differs from one process by 0.02"),
        ({"step": {**STEP, "is_equal": False, "least_change": 0.0}}, "weights changed by 0."),
    ],
)
def test_nothing_less_is_ready(changes, word) -> None:
    report = ranks.judged({**FOUND, **changes})
    assert not report.is_ready
    assert word in report.verdict


def test_what_ranks_print_is_found_among_the_rest(python) -> None:
    python(f"echo 'a warning'; echo '[1]'; echo '{json.dumps({'probe': FOUND})}'")
    report = ranks.run_ranks(num_ranks=3, device="cpu", framework="ddp")
    assert report.is_ready
    assert report.pairs[0].bytes_per_second == 1e9


def test_ranks_that_fail_are_not_ready_and_say_why(python) -> None:
    python("echo 'ModuleNotFoundError: No module named torch' >&2; exit 1")
    report = ranks.run_ranks(num_ranks=2, device="cpu", framework="fsdp")
    assert not report.is_ready
    assert "2 ranks ended with 1" in report.verdict
    assert report.problem == "ModuleNotFoundError: No module named torch"
    assert report.sums == ()


def test_ranks_that_hang_are_ended_with_all_that_they_started(python, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ranks, "LIMIT_SECONDS", 0.5)
    python(f"setsid sleep 60 & echo $! > {tmp_path}/pid; wait")  # as torchrun starts its ranks
    started = time.monotonic()
    report = ranks.run_ranks(num_ranks=2, device="cpu", framework="fsdp")
    assert time.monotonic() - started < 10
    assert "did not end in time" in report.verdict
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or ") Z" in stat.read_text():
            return
        time.sleep(0.05)
    pytest.fail("a child is left")


@pytest.mark.parametrize(
    ("framework", "said"), [("ddp", "ddp"), ("deepspeed", "deepspeed"), ("megatron", "fsdp"), ("horovod", "fsdp")]
)
def test_ranks_are_told_the_framework(python, tmp_path, framework, said) -> None:
    python(f'echo "$@" > {tmp_path}/words; exit 1')
    ranks.run_ranks(num_ranks=2, device="cpu", framework=framework, zero_stage=3)
    words = (tmp_path / "words").read_text().split()
    assert words[:4] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert words[-3:] == ["--device=cpu", f"--framework={said}", "--zero-stage=3"]
