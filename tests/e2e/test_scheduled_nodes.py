"""What a pod and a rented node run, run here: they find their place and train together, with no edit."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crosszone import service

pytest.importorskip("torch")
pytest.importorskip("transformers")

HOSTS = ("127.0.0.1", "127.0.0.2")
"""Two addresses of this machine, as two nodes."""


def job(**zone: Any) -> dict[str, Any]:
    def place(index: int) -> dict[str, Any]:
        nodes = {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2 - index, "network": "100 Gbit/s"}
        return {"name": f"zone{index}", **zone, "nodes": [{**nodes, "addresses": [HOSTS[index]], "interface": "lo"}]}

    return {
        "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": {
            "zones": [place(0), place(1)],
            "links": [{"between": ["zone0", "zone1"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
        },
        "plan": {"dp": 3, "microbatch_size": 2},
    }


def bundle(value: dict[str, Any], folder: Path, backend: str, port: int, **options: Any) -> Path:
    options = {"device": "cpu", "num_steps": 3, "checkpoints": "none", "port": port, **options}
    service.write_bundle(service.deploy(service.read(value), framework="ddp", backend=backend, **options), folder)
    return folder


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOSTS[0], 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def programs(tmp_path) -> Path:
    """python3 is the one that runs the tests; ip knows addresses of this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("python3", f'exec {sys.executable} "$@"'), ("ip", 'echo "1: lo inet $5/8 scope host lo"')):
        (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def train(commands: list[tuple[list[str], dict[str, str]]], programs: Path) -> None:
    """Start all, and wait for all to end well."""
    around = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    started = [
        subprocess.Popen(words, env={**around, **variables}, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for words, variables in commands
    ]
    try:
        for process in started:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output.decode()[-3000:]
    finally:
        for process in started:
            process.kill()


def ranks(*folders: Path) -> dict[int, int]:
    """Steps of every rank that left a log."""
    found = {}
    for path in (each for folder in folders for each in (folder / "logs").glob("rank-*.jsonl")):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        found[int(path.stem.removeprefix("rank-"))] = sum(record["event"] == "step" for record in records)
    return found


@pytest.mark.slow
def test_pods_of_two_clusters_train_together(tmp_path, programs, free_port) -> None:
    """Each knows by its node's address which ranks it starts, whatever its place in its own cluster."""
    folders = [
        bundle(job(), tmp_path / f"zone{index}", "kubernetes", free_port, zone=f"zone{index}") for index in range(2)
    ]
    words = [["bash", str(folder / "launch/pod.sh"), str(index), HOSTS[index]] for index, folder in enumerate(folders)]
    train([(each, {"JOB_COMPLETION_INDEX": "0"}) for each in words], programs)
    assert ranks(*folders) == {0: 3, 1: 3, 2: 3}


@pytest.mark.soak
def test_rented_nodes_train_together(tmp_path, programs, free_port) -> None:
    """The second waits until the first is in reach, and both meet at the address that they are given."""
    value = job(region="gcp:us-central1")
    folders = [bundle(value, tmp_path / f"part{index}", "skypilot", free_port) for index in range(2)]
    commands = []
    for index, folder in enumerate(folders):
        sky = {"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NODE_IPS": HOSTS[index], "PET_MASTER_ADDR": HOSTS[0]}
        commands.append((["bash", str(folder / "launch/node.sh"), str(index)], {**sky, "HOME": str(tmp_path)}))
    train(commands, programs)
    assert ranks(*folders) == {0: 3, 1: 3, 2: 3}
