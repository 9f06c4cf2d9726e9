"""`crosszone run` on real local bundles: to the end, to a failure, to Ctrl-C; and left to itself."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crosszone import service

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

JOB: dict[str, Any] = {
    "model": {
        "num_layers": 2,
        "hidden_size": 64,
        "ffn_size": 128,
        "num_heads": 4,
        "num_kv_heads": 2,
        "vocab_size": 512,
    },
    "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
    "cluster": {
        "zones": [
            {"name": "north", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]},
            {"name": "south", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 1}]},
        ],
        "links": [{"between": ["north", "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
    },
    "plan": {"dp": 3, "microbatch_size": 2},
}
COMMAND = (sys.executable, "-m", "crosszone.cli")
LIMIT_SECONDS = 400.0


def on_one_node(num_gpus: int) -> dict[str, Any]:
    """The job on fewer ranks, for what does not depend on their number: each of them imports torch."""
    nodes = [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": num_gpus}]
    return {**JOB, "cluster": {"zones": [{"name": "north", "nodes": nodes}]}, "plan": {**JOB["plan"], "dp": num_gpus}}


@pytest.fixture
def deployed(tmp_path) -> Iterator[Callable[..., Path]]:
    """Renders a local bundle, and sees that nothing of it runs on after the test."""
    folder = tmp_path / "bundle"

    def deploy(*, job: dict[str, Any] = JOB, entry_text: str | None = None, num_steps: int = 10) -> Path:
        entry = tmp_path / "mine.py"
        entry.write_text(entry_text or "")
        options = {"entry": str(entry)} if entry_text else {}
        bundle = service.deploy(
            service.read(job), framework="ddp", backend="local", device="cpu", num_steps=num_steps, **options
        )
        service.write_bundle(bundle, folder)
        return folder

    yield deploy
    if folder.is_dir():
        service.stop_run(folder, is_forced=True)


def crosszone(*arguments: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "PYTHON": sys.executable, "COLUMNS": "100"}
    return subprocess.run(
        [*COMMAND, *arguments], env=around, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )


def processes_below(folder: Path) -> dict[int, str]:
    """Every process of this machine that speaks of the bundle, however it was started and whoever its parent is."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and int(entry.name) != os.getpid():
            found[int(entry.name)] = words[:200].decode(errors="replace")
    return found


def until(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"{what} never came"
        time.sleep(0.1)


def test_a_run_goes_to_its_end_with_measured_steps_beside_predicted_ones(deployed) -> None:
    folder = deployed()
    done = crosszone("run", str(folder))
    assert done.returncode == 0, done.stderr
    assert "step 10 of 10" in done.stdout
    assert "predicted" in done.stdout
    assert "these ranks ran on CPUs" in done.stdout
    measured = json.loads((folder / "logs/measurement.json").read_text())
    prediction = json.loads((folder / "metadata.json").read_text())["prediction"]
    assert measured["step_seconds"] - prediction["step_seconds"] != 0.0  # the same names: comparing is subtracting
    assert (measured["num_steps"], measured["num_gpus"], measured["fingerprint"]) == (9, 3, prediction["fingerprint"])
    assert measured["tokens_per_second"] == pytest.approx(12 * 32 / measured["step_seconds"])
    assert measured["global_batch_tokens"] == prediction["global_batch_tokens"]
    assert [rank["rank"] for rank in measured["ranks"]] == [0, 1, 2]
    assert measured["last_loss"] < measured["first_loss"]
    status = json.loads(crosszone("status", str(folder), "--json").stdout)
    assert (status["state"], status["step"], status["run"]["exit_code"]) == ("ended", 10, 0)
    assert status["predicted"]["step_seconds"] == prediction["step_seconds"]
    words = crosszone("logs", str(folder)).stdout
    assert '[rank 0] {"schema_version": 1, "event": "end"' in words
    assert crosszone("logs", str(folder), "--rank", "3").returncode == 2
    assert not processes_below(folder)


FAILING = """
import os, sys, time
from torch import distributed, ones
distributed.init_process_group("gloo")
distributed.all_reduce(ones(1))
if distributed.get_rank() == 1:
    raise ValueError("the data ends in the middle of a word")
distributed.all_reduce(ones(1))  # its peers fail here, on the broken connection, at the same moment
distributed.all_reduce(ones(1))
"""


ENDED = r"(ended with exit code 1|was ended by signal 6 \(SIGABRT\))"
"""Threads of gloo may abort an interpreter that ends by an exception, on a busy machine."""


def test_the_rank_that_failed_first_is_named_with_its_last_lines(deployed) -> None:
    folder = deployed(job=on_one_node(2), entry_text=FAILING)  # each start of a rank imports torch
    done = crosszone("run", str(folder))
    assert done.returncode == 1
    assert re.match(rf"Failed: Rank 1 failed first: it {ENDED}, after 3 restarts\.", done.stdout)
    assert "ValueError: the data ends in the middle of a word" in done.stderr
    assert "rank 1, logs/" in done.stderr
    failure = json.loads(crosszone("status", str(folder), "--json").stdout)["run"]["failure"]
    assert (failure["rank"], failure["exit_code"]) in ((1, 1), (1, -signal.SIGABRT))
    assert any("ValueError: the data ends in the middle of a word" in line for line in failure["lines"][-2:])
    assert "ValueError" in crosszone("logs", str(folder), "--rank", "1").stdout
    assert "ValueError" not in crosszone("logs", str(folder), "--rank", "0").stdout
    assert not processes_below(folder)


STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
rank = os.environ["RANK"]
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
pathlib.Path("logs", "ready-" + rank).write_text(str(child.pid))
time.sleep(600)
"""
"""A rank that leaves a child in a session of its own, which does not hear SIGTERM."""


def test_ctrl_c_leaves_no_process(deployed) -> None:
    folder = deployed(entry_text=STUBBORN)
    around = {**os.environ, "PYTHON": sys.executable}
    running = subprocess.Popen([*COMMAND, "run", str(folder)], env=around, stderr=subprocess.PIPE, text=True)
    until(lambda: len(list(folder.glob("logs/ready-*"))) == 3, "the ranks")
    before = processes_below(folder)
    children = [int(path.read_text()) for path in folder.glob("logs/ready-*")]
    assert len(before) >= 8, "crosszone, its supervisor, torchrun, three ranks, their children"
    again = crosszone("run", str(folder))
    assert again.returncode == 4
    assert "it runs already, since" in again.stderr
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=LIMIT_SECONDS)
    assert running.returncode == 130
    assert "no process is left" in said
    assert not processes_below(folder)
    assert not [pid for pid in (*before, *children) if Path(f"/proc/{pid}/environ").exists() and alive(pid)]
    assert service.run_status(folder).state == "stopped"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_detached_run_is_followed_and_stopped_with_its_state_saved(deployed) -> None:
    folder = deployed(job=on_one_node(2), num_steps=1_000_000)
    started = crosszone("run", str(folder), "--detach", "--json")
    assert started.returncode == 0, started.stderr
    assert json.loads(started.stdout)["state"] == "running"

    def step() -> int:
        return service.run_status(folder).step or 0

    until(lambda: step() > 2, "the third step")
    shown = crosszone("status", str(folder))
    assert shown.returncode == 0
    assert shown.stdout.startswith("Running")
    assert "of 1000000" in shown.stdout
    assert "was predicted" in shown.stdout
    stopped = json.loads(crosszone("stop", str(folder), "--json").stdout)
    assert stopped["state"] == "stopped"
    events = [json.loads(line) for line in (folder / "logs/rank-0.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events[-2:]] == ["checkpoint", "stopped"], "it was asked, not forced"
    assert stopped["step"] == events[-1]["step"]
    assert stopped["measurement"]["num_steps"] == events[-1]["step"] - 1
    assert not processes_below(folder)
    assert crosszone("stop", str(folder)).returncode == 0


@pytest.mark.soak  # others stop and save
def test_a_stop_that_cannot_save_says_so(deployed) -> None:
    folder = deployed(job=on_one_node(1), num_steps=1_000_000)
    assert crosszone("run", str(folder), "--detach").returncode == 0
    until(lambda: (service.run_status(folder).step or 0) > 2, "the third step")
    (folder / "checkpoints").write_text("a file, where checkpoints should be\n")
    done = crosszone("stop", str(folder), "--json")
    assert done.returncode == 1
    stopped = json.loads(done.stdout)
    assert stopped["state"] == "unsaved"
    unsaved = stopped["run"]["unsaved"]
    assert (unsaved["first_step"], unsaved["last_step"], unsaved["rank"]) == (1, stopped["step"], 0)
    assert unsaved["reason"].startswith("NotADirectoryError: [Errno 20]")
    assert not processes_below(folder)
