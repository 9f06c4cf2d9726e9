"""horovodrun commands of bundles under the parser and the host assignment of Horovod's own source.

Its last release has no wheel; the runner is pure Python, so that the unpacked source is enough. It runs in a process of
its own, beside nothing that stands in for compiled parts.
"""

import hashlib
import json
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.frameworks.horovod import SOURCE_SHA256, VERSION

PROGRAM = """
import json, sys
from horovod.runner import launch
from horovod.runner.common.util import hosts
answers = []
for words in json.load(sys.stdin):
    sys.argv = ["horovodrun", *words]
    found = launch.parse_args()
    slots = hosts.get_host_assignments(hosts.parse_hosts(found.hosts), found.num_proc)
    hosts.parse_hosts_and_slots(found.hosts)
    answers.append({
        "num_ranks": found.num_proc, "gloo": found.use_gloo, "start_timeout": found.start_timeout,
        "interfaces": sorted(found.nics or []), "command": found.command,
        "ranks": [[slot.rank, slot.hostname, slot.local_rank] for slot in slots],
    })
print(json.dumps(answers))
"""
NODES = [("10.0.0.1", 2), ("10.1.0.1", 1), ("node-c.example", 3)]


@pytest.fixture(scope="session")
def source(pytestconfig: pytest.Config) -> Path:
    """Horovod's source; downloaded once, and kept among pytest's own files."""
    pytest.importorskip("psutil")
    pytest.importorskip("cloudpickle")
    around = pytestconfig.cache.mkdir("horovod")  # type: ignore[union-attr]
    folder = around / f"horovod-{VERSION}"
    if not (folder / "horovod").is_dir():
        archive = around / f"horovod-{VERSION}.tar.gz"
        words = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", str(around)]
        command = [sys.executable, "-m", "pip", "--quiet", "download", f"horovod=={VERSION}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"horovod could not be downloaded: {done.stderr.strip().splitlines()[-1:]}")
        with tarfile.open(archive) as file:
            file.extractall(around, filter="data")
    return folder


def rendered(backend: str, **options: Any) -> Bundle:
    zones = [
        {
            "name": f"zone{index}",
            "nodes": [
                {
                    "count": 1,
                    "gpu": "a100-sxm4-80gb",
                    "gpus_per_node": size,
                    "network": "100 Gbit/s",
                    "addresses": [address],
                    "interface": "eth1",
                }
            ],
        }
        for index, (address, size) in enumerate(NODES)
    ]
    job = {
        "model": {"parameters": "125M"},
        "workload": {"sequence_length": 512, "global_batch_size": 24, "precision": "fp32"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}},
        "plan": {"dp": 6, "microbatch_size": 2},
    }
    return service.deploy(
        service.read(job), framework="horovod", backend=backend, num_steps=10, checkpoints="none", **options
    )


def words_of(bundle: Bundle, path: str) -> list[str]:
    """What follows `python -m horovod.runner.launch`."""
    (line,) = (line for line in bundle.text(path).splitlines() if line.startswith("exec "))
    words = shlex.split(line)
    assert words[2:4] == ["-m", "horovod.runner.launch"]
    return words[4:]


def answers(source: Path, commands: list[list[str]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(commands),
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_horovodrun_puts_ranks_where_the_plan_has_them(source) -> None:
    over_ssh = rendered("ssh")
    local = rendered("local", device="cpu")
    far, near = answers(source, [words_of(over_ssh, "launch/zone-0/agent-0.sh"), words_of(local, "run_training.sh")])
    assert far["num_ranks"] == near["num_ranks"] == 6
    assert far["gloo"]
    assert far["interfaces"] == ["eth1"]
    assert far["start_timeout"] == over_ssh.launch.timeouts.rendezvous_seconds
    expected = [
        [agent.first_rank + index, agent.address, index]
        for agent in over_ssh.launch.agents
        for index in range(agent.num_ranks)
    ]
    assert far["ranks"] == expected
    assert near["ranks"] == [[rank, "localhost", rank] for rank in range(6)]
    assert far["command"][1:] == ["-m", "crosszone.runtime.train", "configs/train.json"]


@pytest.mark.slow
def test_the_source_that_bundles_fetch_is_the_one_that_was_read(source) -> None:
    archive = source.with_name(f"horovod-{VERSION}.tar.gz")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SOURCE_SHA256
    for path in ("CMakeLists.txt", "horovod/torch/CMakeLists.txt"):
        assert "set(CMAKE_CXX_STANDARD 14)" in (source / path).read_text()
