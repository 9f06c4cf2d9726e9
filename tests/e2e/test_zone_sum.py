"""What zones are predicted to send is what a bundle sends: two zones on a wire that is emulated, counted by it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosszone import service

pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = [pytest.mark.slow, pytest.mark.soak]  # tests/unit/runtime/test_zone_sum.py is of every run

ADDRESSES = {"north": "10.84.0.1", "south": "10.84.0.2"}
BYTES_PER_SECOND = 12.5e6
RTT_SECONDS = 0.030
NUM_STEPS, FIRST_COUNTED = 10, 2
EVERY = 10
LOCAL = {
    "diloco": {"every": EVERY},
    "diloco in 8 bits": {"every": EVERY, "codecs": {"pseudogradients": "int8_block"}},
    "streaming_diloco": {"every": EVERY, "fragments": 2},
}
"""Ways in which zones step by themselves; two rounds are counted, after the first and before what ends the run."""
WITHIN = 0.1
"""TCP's headers and acknowledgements, and the words that ranks exchange beside gradients."""
LIMIT_SECONDS = 240.0
PORT = 29531


def job(method: str, **sync: object) -> dict:
    nodes = {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}
    return {
        "model": {"num_layers": 2, "hidden_size": 256, "ffn_size": 1024, "num_heads": 4, "vocab_size": 512},
        "workload": {"sequence_length": 16, "global_batch_size": 4, "precision": "fp32"},
        "cluster": {
            "zones": [
                {"name": name, "nodes": [{**nodes, "addresses": [address], "interface": "wide0"}]}
                for name, address in ADDRESSES.items()
            ],
            "links": [{"between": list(ADDRESSES), "bandwidth": "100 Mbit/s", "rtt": "30 ms"}],
        },
        "plan": {"dp": 4, "microbatch_size": 1, "sync": {"method": method, **sync}},
        "constraints": {"allow": ["local_sgd", "compression"]},
    }


def carried_bytes(space: str) -> int:
    """What has come out of the wire so far: what its queue dropped was sent once more, and did not cross."""
    shown = subprocess.run(
        ["ip", "-n", space, "-s", "-j", "link", "show", "wide0"], check=True, capture_output=True, text=True
    )
    return int(json.loads(shown.stdout)[0]["stats64"]["rx"]["bytes"])


def measured(folder: Path, spaces: dict[str, str], *, first: int, last: int) -> tuple[float, list[float]]:
    """Bytes on the wire of a step, and the seconds of each from `first` to `last`, by the run's log and the wire."""
    around = {**os.environ, "PYTHON": sys.executable}
    started = [
        subprocess.Popen(
            ["ip", "netns", "exec", space, str(folder / f"launch/zone-{index}/agent-{index}.sh")],
            env=around, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for index, space in enumerate(spaces.values())
    ]  # fmt: skip
    log, seen, deadline = folder / "logs/rank-0.jsonl", dict[int, int](), time.monotonic() + LIMIT_SECONDS
    while any(process.poll() is None for process in started) and time.monotonic() < deadline:
        num_steps = log.read_text().count('"event": "step"') if log.is_file() else 0
        seen.setdefault(num_steps, carried_bytes(spaces["south"]))
        time.sleep(0.01)
    told = [process.communicate(timeout=LIMIT_SECONDS) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    seconds = [row["step_seconds"] for row in rows if row["event"] == "step"][first:last]
    start = min(step for step in seen if step >= first)
    end = max(step for step in seen if step <= last)
    return (seen[end] - seen[start]) / (end - start), seconds


@pytest.fixture
def compared(tmp_path, namespaces, wide_link):
    """`compared(name, job, port, first, last)`: (bytes predicted, step predicted, bytes measured, steps measured)."""

    def compare(name: str, job: dict, port: int, first: int, last: int) -> tuple[float, float, float, list[float]]:
        bundle = service.deploy(
            service.read(job), framework="ddp", backend="bare", device="cpu", num_steps=last + 1, checkpoints="none",
            port=port,
        )  # fmt: skip
        service.write_bundle(bundle, tmp_path / name)
        prediction = json.loads(bundle.text("metadata.json"))["prediction"]
        with namespaces("n", "s") as made:
            spaces = dict(zip(ADDRESSES, made.values(), strict=True))
            with wide_link(list(made.values()), list(ADDRESSES.values()), BYTES_PER_SECOND, RTT_SECONDS):
                moved, seconds = measured(tmp_path / name, spaces, first=first, last=last)
        found = prediction["links"][0]["step_bytes"], prediction["step_seconds"], moved, seconds
        print(name, "predicted", found[:2], "measured", moved, statistics.median(seconds), statistics.fmean(seconds))  # noqa: T201
        return found

    return compare


def test_a_sum_once_per_zone_sends_what_was_predicted_and_is_faster(compared) -> None:
    found = {
        method: compared(method, job(method), PORT + offset, FIRST_COUNTED, NUM_STEPS - 1)
        for offset, method in enumerate(("flat", "hierarchical"))
    }
    for expected, _, moved, _ in found.values():
        assert moved == pytest.approx(expected, rel=WITHIN)
    assert statistics.median(found["hierarchical"][3]) < statistics.median(found["flat"][3])


@pytest.mark.parametrize("name", LOCAL)
def test_zones_that_step_by_themselves_send_what_was_predicted(name, compared) -> None:
    port = PORT + 2 + list(LOCAL).index(name)
    expected, _, moved, _ = compared(name, job(name.split()[0], **LOCAL[name]), port, EVERY, 3 * EVERY)
    assert moved == pytest.approx(expected, rel=WITHIN)
