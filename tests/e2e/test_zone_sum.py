"""The sum that a plan predicts is the one that its bundle runs: two zones on a wire that is emulated, counted by it."""

from __future__ import annotations

import json
import os
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
WITHIN = 0.1
"""TCP's headers and acknowledgements, and the words that ranks exchange beside gradients."""
LIMIT_SECONDS = 240.0
PORT = 29531


def job(method: str) -> dict:
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
        "plan": {"dp": 4, "microbatch_size": 1, "sync": {"method": method}},
    }


def sent_bytes(space: str) -> int:
    """What has gone into the wire so far."""
    shown = subprocess.run(
        ["ip", "-n", space, "-s", "-j", "link", "show", "wide0"], check=True, capture_output=True, text=True
    )
    return int(json.loads(shown.stdout)[0]["stats64"]["tx"]["bytes"])


def measured(folder: Path, spaces: dict[str, str]) -> tuple[float, float]:
    """(bytes on the wire, seconds) of a step, by the run's own log and the wire's counter."""
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
        seen.setdefault(num_steps, sent_bytes(spaces["north"]))
        time.sleep(0.01)
    told = [process.communicate(timeout=LIMIT_SECONDS) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    seconds = [row["step_seconds"] for row in rows if row["event"] == "step"][FIRST_COUNTED:]
    last = max(step for step in seen if step < NUM_STEPS)
    first = min(step for step in seen if step >= FIRST_COUNTED)
    return (seen[last] - seen[first]) / (last - first), sorted(seconds)[len(seconds) // 2]


def test_a_sum_once_per_zone_sends_what_was_predicted_and_is_faster(tmp_path, namespaces, wide_link) -> None:
    found, predicted = {}, {}
    for offset, method in enumerate(("flat", "hierarchical")):
        bundle = service.deploy(
            service.read(job(method)), framework="ddp", backend="bare", device="cpu", num_steps=NUM_STEPS,
            checkpoints="none", port=PORT + offset,
        )  # fmt: skip
        folder = tmp_path / method
        service.write_bundle(bundle, folder)
        prediction = json.loads(bundle.text("metadata.json"))["prediction"]
        predicted[method] = prediction["links"][0]["step_bytes"], prediction["step_seconds"]
        with namespaces("n", "s") as made:
            spaces = dict(zip(ADDRESSES, made.values(), strict=True))
            with wide_link(list(made.values()), list(ADDRESSES.values()), BYTES_PER_SECOND, RTT_SECONDS):
                found[method] = measured(folder, spaces)
    print("predicted", predicted, "measured", found)  # noqa: T201
    for method, (moved, _) in found.items():
        assert moved == pytest.approx(predicted[method][0], rel=WITHIN)
    assert found["hierarchical"][1] < found["flat"][1]
