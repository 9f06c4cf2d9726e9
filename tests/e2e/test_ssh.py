"""An ssh bundle on real sshds: two nodes on loopback, each with a home and a host key of its own."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crosszone import service
from crosszone.processes import kill_marked
from crosszone.service.control import worker as open_worker
from crosszone.store.opened import Store

pytest.importorskip("torch")
pytest.importorskip("transformers")

ADDRESSES = ("127.0.0.1", "127.0.0.2")
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
LIMIT_SECONDS = 400.0
MODEL = {
    "num_layers": 2,
    "hidden_size": 64,
    "ffn_size": 128,
    "num_heads": 4,
    "num_kv_heads": 2,
    "vocab_size": 512,
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="there is no sshd (openssh-server)"),
    pytest.mark.skipif(sys.platform != "linux", reason="loopback answers on 127.0.0.2 on Linux only"),
]


@dataclass(frozen=True)
class Nodes:
    """Two machines that only their keys open."""

    folder: Path
    config: Path
    """As `ssh -F` reads it."""
    servers: tuple[subprocess.Popen[bytes], ...]
    """What answers on each, in the order of `ADDRESSES`."""

    def home(self, address: str) -> Path:
        """Where a login on a node arrives."""
        return self.folder / address

    @property
    def environment(self) -> dict[str, str]:
        """Of who runs a bundle's programs."""
        return {**os.environ, "SSH_CONFIG": str(self.config), "FOLLOW_SECONDS": "0.5", "COLUMNS": "100"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def server(folder: Path, address: str, port: int) -> subprocess.Popen[bytes]:
    """An sshd on one address. Its logins find a home of their own, and the Python of the tests as the node's."""
    home = folder / address
    home.mkdir()
    host_key = key(folder / f"{address}.key")
    arrive = f'cd {home} && HOME={home} PYTHON={sys.executable} bash -c "$SSH_ORIGINAL_COMMAND"'
    config = folder / f"{address}.sshd"
    config.write_text(
        f"ListenAddress {address}\nPort {port}\nHostKey {host_key}\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\nForceCommand {arrive}\n"
    )
    assert SSHD is not None, "skipped else"
    return subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=(folder / f"{address}.log").open("wb"))


@pytest.fixture
def nodes(tmp_path) -> Iterator[Nodes]:
    folder = tmp_path / "nodes"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # its own place to give up rights in, made by its service elsewhere
    user, port = key(folder / "user"), free_port()
    servers = [server(folder, address, port) for address in ADDRESSES]
    known = "".join(f"[{address}]:{port} {(folder / f'{address}.key.pub').read_text()}" for address in ADDRESSES)
    (folder / "known_hosts").write_text(known)
    config = folder / "config"
    config.write_text(
        f"Port {port}\nUser {getpass.getuser()}\nIdentityFile {user}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\n"
    )
    try:
        for address in ADDRESSES:
            until(lambda address=address: answers(address, port), f"sshd on {address}")
        yield Nodes(folder=folder, config=config, servers=tuple(servers))
    finally:
        for logs in tmp_path.glob("bundle/logs/*Z-*"):  # each run has a folder of its name
            kill_marked(logs.name)
        for rank in ranks_at_work(folder):
            os.kill(rank, signal.SIGKILL)
        for each in servers:
            each.terminate()
            each.wait()


def answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def until(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"{what} never came"
        time.sleep(0.1)


def deployed(folder: Path, *, num_steps: int) -> Path:
    """Two ranks on the first node, one on the second."""
    zones = [
        {
            "name": name,
            "nodes": [
                {
                    "count": 1,
                    "gpu": "a100-sxm4-80gb",
                    "gpus_per_node": num_gpus,
                    "addresses": [address],
                    "interface": "lo",
                }
            ],
        }
        for name, num_gpus, address in (("north", 2, ADDRESSES[0]), ("south", 1, ADDRESSES[1]))
    ]
    job = {
        "model": MODEL,
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": {
            "zones": zones,
            "links": [{"between": ["north", "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
        },
        "plan": {"dp": 3, "microbatch_size": 2},
    }
    bundle = service.deploy(
        service.read(job),
        framework="ddp",
        backend="ssh",
        device="cpu",
        num_steps=num_steps,
        checkpoints="none",
        port=free_port(),
    )
    service.write_bundle(bundle, folder)
    return folder


def program(nodes: Nodes, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env=nodes.environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )


def crosszone(nodes: Nodes, *argv: str) -> subprocess.CompletedProcess[str]:
    return program(nodes, sys.executable, "-m", "crosszone.cli", *argv)


def ranks_at_work(folder: Path) -> list[int]:
    """Processes that a bundle's program on the nodes of a folder has started, in whatever session."""
    mark = f"CROSSZONE_AGENT={folder}/".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_a_bundle_is_copied_started_followed_and_measured_over_ssh(nodes, tmp_path) -> None:
    folder = deployed(tmp_path / "bundle", num_steps=10)
    done = crosszone(nodes, "run", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    copies = [next(nodes.home(address).glob("crosszone-*")) for address in ADDRESSES]
    assert [sorted(path.name for path in copy.glob("logs/rank-*")) for copy in copies] == [
        ["rank-0.jsonl", "rank-1.jsonl"],
        ["rank-2.jsonl"],
    ]
    assert "step 10 of 10" in done.stdout
    measured = json.loads((folder / "logs/measurement.json").read_text())
    assert [rank["rank"] for rank in measured["ranks"]] == [0, 1, 2]
    assert '[rank 0] {"schema_version": 1, "event": "end"' in crosszone(nodes, "logs", str(folder)).stdout
    assert '"event": "end"' in crosszone(nodes, "logs", str(folder), "--rank", "0").stdout
    assert not ranks_at_work(nodes.folder)


@pytest.mark.soak  # the other one goes the same way to its end
def test_a_run_over_ssh_outlives_who_follows_it_and_is_stopped_on_all_nodes(nodes, tmp_path) -> None:
    folder = deployed(tmp_path / "bundle", num_steps=1_000_000)
    assert crosszone(nodes, "run", str(folder), "--detach").returncode == 0

    def step() -> int:
        program(nodes, str(folder / "fetch_logs.sh"))
        return service.run_status(folder).step or 0

    until(lambda: step() > 2, "the third step")
    run = service.run_status(folder).run
    assert run is not None
    os.kill(run.supervisor.pid, signal.SIGKILL)  # as if the machine that follows had been switched off
    assert kill_marked(run.run_id) == ()
    status = json.loads(crosszone(nodes, "status", str(folder), "--json").stdout)
    assert status["state"] == "running", "what is not followed is not dead"
    assert status["reason"] == "Nobody here follows it: agent-0 runs, agent-1 runs."
    assert crosszone(nodes, "run", str(folder)).returncode == 4
    assert len(ranks_at_work(nodes.folder)) >= 5, "two launchers and three ranks"
    stopped = crosszone(nodes, "stop", str(folder), "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout)["state"] == "stopped"
    assert not ranks_at_work(nodes.folder)
    states = [line.split()[-1] for line in program(nodes, str(folder / "status_training.sh")).stdout.splitlines()]
    assert states[0] == "143", "ended by SIGTERM; the other node may have ended with it before it was asked"
    assert "runs" not in states


def test_an_unknown_host_key_is_refused(nodes, tmp_path) -> None:
    folder = deployed(tmp_path / "bundle", num_steps=1)
    (nodes.folder / "known_hosts").write_text("")
    done = program(nodes, str(folder / "run_training.sh"))
    assert done.returncode != 0
    assert "Host key verification failed" in done.stderr
    assert not list(nodes.home(ADDRESSES[0]).iterdir())


@pytest.fixture
def driven(nodes, tmp_path, monkeypatch) -> Iterator[Store]:
    """A store with both nodes in its inventory, and a worker that drives its tasks."""
    for name in ("SSH_CONFIG", "FOLLOW_SECONDS"):
        monkeypatch.setenv(name, nodes.environment[name])
    store = service.open_store(str(tmp_path / "state.sqlite"))
    for name, num_gpus, address in (("north", 2, ADDRESSES[0]), ("south", 1, ADDRESSES[1])):
        entry = {"id": f"{name}-1", "name": f"{name}-1", "zone": name, "status": "running"}
        more = {"gpu": f"{num_gpus}x a100-sxm4-80gb", "addresses": [address], "interface": "lo"}
        service.add_environment(store, {**entry, **more})
    worker = open_worker(store)
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield store
    worker.end()
    thread.join(LIMIT_SECONDS)
    store.close()
    for logs in tmp_path.glob("tasks/*/attempt-*/logs/*Z-*"):
        kill_marked(logs.name)


@pytest.mark.soak
def test_a_task_loses_its_main_node_and_goes_on_without_it(nodes, driven, small_task, tmp_path) -> None:
    checkpoints = tmp_path / "checkpoints"
    small_task["distributedConfig"]["masterNode"] = "north-1"
    deployment = {"backend": "ssh", "device": "cpu", "steps": 1_000_000, "checkpoints": str(checkpoints)}
    created = service.create_task(driven, {**small_task, "deployment": deployment}, actor="ann")
    task_id = created.headers["Location"].rpartition("/")[2]

    def state() -> str:
        return service.training_task(driven, task_id).state

    until(lambda: state() == "running" and bool(list(checkpoints.glob("step-*"))), "a checkpoint")
    lost = nodes.home(ADDRESSES[0])
    nodes.servers[0].kill()  # the machine is off: nothing on it runs, and it does not answer
    nodes.servers[0].wait()
    for pid in ranks_at_work(lost):
        os.kill(pid, signal.SIGKILL)
    until(lambda: state() == "recovering", "the recovery")
    until(lambda: state() == "running", "the second attempt")
    first, second = service.task_attempts(driven, task_id)
    assert first.attempt.main_node == "north-1"
    assert {part.name: part.state for part in first.parts if part.level == "node"} == {
        "north-1": "failed",
        "south-1": "stopped",
    }
    assert second.attempt.main_node == "south-1"
    assert second.attempt.resumed_step is not None
    assert second.attempt.resumed_step > 0
    assert second.attempt.lost_seconds is not None
    service.ask_task_to_stop(driven, task_id, actor="ann")
    until(lambda: state() == "stopped", "the stop")
    assert not ranks_at_work(nodes.folder)
