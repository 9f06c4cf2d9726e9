"""A real Slurm (munged, slurmctld and a slurmd per node, of Debian) in a temporary folder takes and runs our jobs.

Nodes are slurmds of this machine at 127.0.0.1, 127.0.0.2, ...; their GPUs are devices that every Linux has. Everything
that is started here ends with the fixture, by its process id, whether tests pass or not.
"""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.frameworks import rendered_frameworks
from crosszone.errors import InfeasiblePlan

A100, V100 = "a100-sxm4-80gb", "v100-sxm2-16gb"
GPUS_PER_NODE = (2, 2, 2, 1, 3, 1)
"""Of node0, node1, ..."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo", "squeue", "scancel")
CONFIGURATION = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=1,sched_interval=1
GresTypes=gpu
ReturnToService=2
MpiDefault=none
KillWait=10
SlurmdParameters=config_overrides
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP
PartitionName=others Nodes=ALL State=UP
PartitionName=west Nodes=node5 State=UP
PartitionName=east Nodes=node3 State=UP
"""


def found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


class Cluster:
    """A running Slurm; `environment` makes its programs talk to it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PYTHON": sys.executable}
        self._stack = stack
        self._configure()
        stack.callback(self._end_what_is_left)
        self._start("munged", "--foreground", "--force", *self._munge_files())
        self._wait(lambda: (folder / "munge.socket").exists(), "munged")
        self._start("slurmctld", "-D", "-c")
        for index in range(len(GPUS_PER_NODE)):
            self._start("slurmd", "-D", "-N", f"node{index}")
        self._wait(self._is_idle, "nodes")
        stack.callback(self.cancel_all)

    def call(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        around = {**self.environment, **more}
        return subprocess.run(command, env=around, capture_output=True, text=True, timeout=500, check=False, cwd="/")

    def cancel_all(self) -> None:
        """No job is left, and every node is free."""
        self.call("scancel", "--full", "--signal=KILL", "--user", self._user())
        self.call("scancel", "--user", self._user())
        self._wait(lambda: not self.call("squeue", "--noheader").stdout and self._is_idle(), "the end of all jobs")

    def _configure(self) -> None:
        for name in ("state", *(f"spool-node{index}" for index in range(len(GPUS_PER_NODE)))):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        host = socket.gethostname().partition(".")[0]
        ports = free_ports(len(GPUS_PER_NODE) + 1)
        nodes = [
            f"NodeName=node{index} NodeHostname={host} NodeAddr=127.0.0.{index + 1} Port={ports[index]} CPUs=4 "
            f"RealMemory=4000 Gres=gpu:{count}"
            for index, count in enumerate(GPUS_PER_NODE)
        ]
        text = CONFIGURATION.format(
            host=host, port=ports[-1], user=self._user(), folder=self.folder, nodes="\n".join(nodes)
        )
        (self.folder / "slurm.conf").write_text(text)
        devices = [
            f"NodeName=node{index} Name=gpu File={device}\n"
            for index, count in enumerate(GPUS_PER_NODE)
            for device in DEVICES[:count]
        ]
        (self.folder / "gres.conf").write_text("".join(devices))
        version = self.call(str(found("slurmctld")), "-V").stdout
        is_old = int((re.findall(r"(\d+)\.\d+", version) or ["22"])[0]) < 23  # there is no "disabled" yet
        (self.folder / "cgroup.conf").write_text(f"CgroupPlugin={'cgroup/v1' if is_old else 'disabled'}\n")

    def _munge_files(self) -> list[str]:
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        return [f"--{option}={self.folder}/munge.{name}" for option, name in names.items()]

    def _start(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.out").open("a") as out:
            process = subprocess.Popen(
                [str(found(program)), *arguments], env=self.environment, stdout=out, stderr=out, start_new_session=True
            )
        self._stack.callback(end, process)

    def _is_idle(self) -> bool:
        states = self.call("sinfo", "--noheader", "--Node", "--format=%T").stdout.split()
        return bool(states) and set(states) == {"idle"}

    def _wait(self, is_there: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + 60.0
        while not is_there():
            if time.monotonic() > until:
                told = "".join(path.read_text(errors="replace")[-1500:] for path in self.folder.glob("*.[lo][ou][gt]"))
                pytest.fail(f"waited in vain for {what}: {told}")
            time.sleep(0.1)

    def _end_what_is_left(self) -> None:
        """slurmstepds and job processes outlive their slurmd; all of them carry this cluster's SLURM_CONF."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes().split(b"\0"):
                    os.kill(int(path.parent.name), signal.SIGKILL)
            except OSError:
                continue

    @staticmethod
    def _user() -> str:
        return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Cluster]:
    missing = [program for program in PROGRAMS if found(program) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install munge slurmctld slurmd slurm-client")
    with ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("slurm"), stack)


@pytest.fixture
def cluster(slurm) -> Iterator[Cluster]:
    yield slurm
    slurm.cancel_all()


def group(nodes: tuple[int, ...], gpus_per_node: int, gpu: str = A100, *, is_named: bool = True) -> dict[str, Any]:
    addresses = {"addresses": [f"127.0.0.{index + 1}" for index in nodes]} if is_named else {}
    sizes = {"count": len(nodes), "gpus_per_node": gpus_per_node}
    return {**sizes, "gpu": gpu, "network": "100 Gbit/s", **addresses}


THREE = [[group((node,), 2)] for node in (2, 0, 1)]
KINDS: dict[str, tuple[list[list[dict[str, Any]]], dict[str, Any]]] = {
    "one zone": ([[group((0, 1), 2)]], {"dp": 4}),
    "three zones dp": (THREE, {"dp": 6}),
    "three zones pp": (THREE, {"pp": 3, "dp": 2}),
    "uneven nodes": ([[group((3,), 1)], [group((0,), 2)], [group((4,), 3)]], {"dp": 6}),
    "mixed GPUs": ([[group((0,), 2), group((1,), 2, V100)]], {"dp": 4}),
    "chosen by Slurm": ([[group((0, 1), 2, is_named=False)]], {"dp": 4}),
    "partitions": ([[group((5,), 1, is_named=False)], [group((3,), 1, is_named=False)]], {"dp": 2}),
}
SCHEDULERS = {"partitions": ("slurm partition=west", "slurm partition=east time=60")}
ENTRY = """
import os, sys, time
from pathlib import Path
names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")
Path(sys.argv[1], os.environ["RANK"]).write_text(" ".join(os.environ.get(name, "") for name in names))
"""


def rendered(kind: str, framework: str = "ddp", **options: Any) -> Bundle:
    zones, plan = KINDS[kind]
    schedulers = SCHEDULERS.get(kind, ("slurm",) * len(zones))
    job: dict[str, Any] = {
        "model": {
            "num_layers": 6,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {"sequence_length": 32, "global_batch_size": 24, "precision": "fp32"},
        "cluster": {
            "zones": [
                {"name": f"zone{index}", "nodes": nodes, "scheduler": scheduler}
                for index, (nodes, scheduler) in enumerate(zip(zones, schedulers, strict=True))
            ]
        },
        "plan": {"microbatch_size": 1, **plan},
    }
    if len(zones) > 1:
        job["cluster"]["default_link"] = {"bandwidth": "1 Gbit/s", "rtt": "30 ms"}
    if framework == "fsdp":
        job["plan"] |= {"shard": "parameters", "dp_shard": 2 if kind == "mixed GPUs" else plan["dp"]}
    if framework == "megatron":  # fuses attention in 16 bits only
        job["workload"]["precision"] = "fp16"
    options = {"num_steps": 10, "checkpoints": "none", "port": free_ports(1)[0], **options}
    return service.deploy(service.read(job), framework=framework, backend="slurm", **options)


def written(bundle: Bundle, folder: Path) -> Path:
    service.write_bundle(bundle, folder)
    return folder


def train(cluster: Cluster, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return cluster.call(str(folder / "run_training.sh"), *arguments, **more)


def told(folder: Path) -> str:
    return "\n".join(path.read_text()[-2000:] for path in sorted((folder / "logs").glob("*.log")))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "three zones pp"])
def test_slurm_takes_the_job_of_every_kind_of_plan(slurm, tmp_path, kind) -> None:
    folder = written(rendered(kind), tmp_path / "bundle")
    done = train(slurm, folder, "--test-only")
    assert done.returncode == 0, done.stderr
    assert "to start at" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize(("framework", "kind"), list(itertools.product(rendered_frameworks(), KINDS)))
def test_slurm_takes_the_job_of_every_cell(slurm, tmp_path, framework, kind) -> None:
    try:
        bundle = rendered(kind, framework)
    except InfeasiblePlan as error:
        pytest.skip(str(error))
    done = train(slurm, written(bundle, tmp_path / "bundle"), "--test-only")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["three zones dp", "partitions", "one zone"])
def test_options_are_for_the_nodes_of_all_zones(cluster, tmp_path, kind) -> None:
    folder = written(rendered(kind), tmp_path / "bundle")
    done = train(cluster, folder, "--hold", "--partition=others", "--comment=a b", "--time=7")
    assert done.returncode == 0, done.stderr
    told = cluster.call("squeue", "--noheader", "--format=%P|%k|%l").stdout.splitlines()
    assert told == ["others|a b|7:00"] * len(KINDS[kind][0])


def test_without_options_zones_are_in_their_own_partitions(cluster, tmp_path) -> None:
    done = train(cluster, written(rendered("partitions"), tmp_path / "bundle"))
    assert done.returncode == 0, done.stderr
    assert sorted(cluster.call("squeue", "--noheader", "--format=%P").stdout.split()) == ["east", "west"]


def test_slurm_refuses_nodes_with_too_few_gpus(slurm, tmp_path) -> None:
    folder = written(rendered("one zone"), tmp_path / "bundle")
    job = folder / "launch/slurm/job.sh"
    job.write_text(job.read_text().replace("--gpus-per-node=2", "--gpus-per-node=3"))
    done = train(slurm, folder, "--test-only")
    assert done.returncode != 0
    assert "not available" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uneven nodes", pytest.param("partitions", marks=pytest.mark.soak)])
def test_ranks_are_where_the_plan_has_them(cluster, tmp_path, kind) -> None:
    """Each rank writes down where it is; torchrun is real."""
    pytest.importorskip("torch")
    entry, where = tmp_path / "mine.py", tmp_path / "where"
    entry.write_text(ENTRY)
    where.mkdir()
    bundle = rendered(kind, entry=str(entry), arguments=(str(where),))
    folder = written(bundle, tmp_path / "bundle")
    done = crosszone(cluster, "run", str(folder))
    assert done.returncode == 0, done.stderr + told(folder)
    nodes = {"uneven nodes": ("node3", "node0", "node4"), "partitions": ("node5", "node3")}[kind]
    world_size = bundle.launch.world_size
    for agent in bundle.launch.agents:
        for local_rank in range(agent.num_ranks):
            rank = agent.first_rank + local_rank
            *numbers, node, gpus = (where / str(rank)).read_text().split()
            assert numbers == [str(each) for each in (rank, local_rank, agent.index, world_size)]
            assert node == nodes[agent.index]
            assert len(gpus.split(",")) == agent.num_ranks


@pytest.mark.slow
def test_a_job_of_two_zones_trains(cluster, tmp_path) -> None:
    pytest.importorskip("transformers")
    folder = written(rendered("partitions", device="cpu"), tmp_path / "bundle")
    done = crosszone(cluster, "run", str(folder))
    assert done.returncode == 0, done.stderr + told(folder)
    losses = steps(folder, 1)
    assert sorted(losses) == list(range(1, 11))
    assert losses[10] < losses[1]


@pytest.mark.soak
def test_two_jobs_of_zones_with_their_own_slurm_meet(cluster, tmp_path) -> None:
    """One Slurm stands for both: each zone's bundle is submitted there by itself, the second one first."""
    pytest.importorskip("transformers")
    port = free_ports(1)[0]
    folders = [
        written(rendered("uneven nodes", device="cpu", zone=f"zone{index}", port=port), tmp_path / f"zone{index}")
        for index in range(3)
    ]
    for folder in reversed(folders[1:]):
        assert train(cluster, folder).returncode == 0
    done = train(cluster, folders[0], "--wait")
    assert done.returncode == 0, "".join(map(told, folders))
    assert sorted(steps(folders[2], 5)) == list(range(1, 11))


@pytest.mark.soak
def test_a_run_whose_time_is_up_is_saved_and_goes_on(cluster, tmp_path) -> None:
    pytest.importorskip("transformers")
    options = {"device": "cpu", "num_steps": 200, "checkpoints": str(tmp_path / "checkpoints")}
    folder = written(rendered("chosen by Slurm", **options), tmp_path / "bundle")
    assert train(cluster, folder).returncode == 0
    until = time.monotonic() + 300
    while len(steps(folder, 0)) < 3 and time.monotonic() < until:
        time.sleep(0.5)
    assert cluster.call(str(folder / "stop_training.sh")).returncode == 0
    assert "stopped; ./run_training.sh goes on" in told(folder)
    done = max(steps(folder, 0))
    assert done < 200
    assert (tmp_path / "checkpoints").is_dir()
    assert train(cluster, folder, "--wait").returncode == 0, told(folder)
    records = [json.loads(line) for line in (folder / "logs/rank-0.jsonl").read_text().splitlines()]
    assert [record["first_step"] for record in records if record["event"] == "start"] == [1, done + 1]
    assert max(steps(folder, 0)) == 200


@pytest.mark.soak
def test_slurm_asks_ranks_to_save_before_the_time_is_up(cluster, tmp_path) -> None:
    folder = written(rendered("chosen by Slurm"), tmp_path / "bundle")
    done = train(cluster, folder, "--wait", "--time=3", PYTHON=saving_python(tmp_path))
    assert done.returncode == 143, told(folder)
    assert told(folder).count("saved\n") >= 2
    assert "DUE TO TIME LIMIT" not in told(folder)


@pytest.mark.slow
def test_a_failing_node_ends_the_others_and_its_code_is_the_jobs(cluster, tmp_path) -> None:
    folder = written(rendered("uneven nodes"), tmp_path / "bundle")
    python = tmp_path / "python"
    cases = "*node-rank=1*) echo oh no; exit 9 ;; *node-rank*) sleep 300 ;;"
    python.write_text(f'#!/usr/bin/env bash\ncase "$*" in {cases} esac\n')
    python.chmod(0o755)
    started = time.monotonic()
    done = crosszone(cluster, "run", str(folder), "--json", python=python)
    assert json.loads(done.stdout)["run"]["exit_code"] == 9, told(folder)
    assert time.monotonic() - started < 120
    assert "agent-1 on node0 ended with 9; its last lines:\noh no" in told(folder)


@pytest.mark.slow
def test_a_job_that_is_stopped_may_save_first(cluster, tmp_path) -> None:
    folder = written(rendered("partitions"), tmp_path / "bundle")
    assert train(cluster, folder, PYTHON=saving_python(tmp_path)).returncode == 0
    until = time.monotonic() + 60
    while told(folder).count("up\n") < 2 and time.monotonic() < until:
        time.sleep(0.2)
    second = train(cluster, folder)
    assert second.returncode == 1
    assert "waits or runs already" in second.stderr
    assert cluster.call(str(folder / "stop_training.sh")).returncode == 0
    assert told(folder).count("saved\n") >= 2
    job = (folder / "logs/job-id").read_text().strip()
    state = cluster.call("scontrol", "show", "job", job, "--oneliner").stdout
    assert "JobState=FAILED" in state
    assert "ExitCode=143:0" in state


def crosszone(cluster: Cluster, *words: str, python: Path | str = sys.executable) -> subprocess.CompletedProcess[str]:
    """`run` sees the end at once; `sbatch --wait` looks after 2, 10 and 42 seconds."""
    return cluster.call(sys.executable, "-m", "crosszone.cli", *words, PYTHON=str(python), COLUMNS="200")


@pytest.mark.slow
def test_crosszone_run_follows_a_job_and_stops_it(cluster, tmp_path) -> None:
    folder = written(rendered("partitions"), tmp_path / "bundle")
    saving = saving_python(tmp_path)
    started = crosszone(cluster, "run", str(folder), "--detach", "--json", python=saving)
    assert started.returncode == 0, started.stderr
    until = time.monotonic() + 60
    while told(folder).count("up\n") < 2 and time.monotonic() < until:
        time.sleep(0.2)
    job = (folder / "logs/job-id").read_text().strip()
    until = time.monotonic() + 60
    while "RUNNING" not in (shown := crosszone(cluster, "status", str(folder), python=saving).stdout):
        assert time.monotonic() < until, shown
        time.sleep(0.2)
    assert shown.startswith(f"Running: Slurm's job {job} is RUNNING.")
    stopped = crosszone(cluster, "stop", str(folder), "--json", python=saving)
    assert stopped.returncode == 0, stopped.stderr
    found = json.loads(stopped.stdout)
    assert (found["state"], found["run"]["job"], found["run"]["job_state"]) == ("stopped", job, "FAILED")
    assert told(folder).count("saved\n") >= 2
    assert not cluster.call("squeue", "--noheader").stdout


@pytest.mark.slow
@pytest.mark.parametrize(("code", "state"), [(0, "ended"), (9, "failed")])
def test_crosszone_run_ends_as_the_job_does(cluster, tmp_path, code, state) -> None:
    folder = written(rendered("partitions"), tmp_path / "bundle")
    python = tmp_path / "python"
    python.write_text(f"#!/usr/bin/env bash\necho in its own words\nexit {code}\n")
    python.chmod(0o755)
    done = crosszone(cluster, "run", str(folder), "--json", python=python)
    assert done.returncode == (1 if code else 0), done.stderr
    found = json.loads(done.stdout)
    assert (found["state"], found["run"]["exit_code"]) == (state, code)
    assert "in its own words" in crosszone(cluster, "logs", str(folder), python=python).stdout
    if code:
        assert found["reason"] == f"Slurm's job {found['run']['job']} is FAILED: it ended with exit code 9."
        assert any("ended with 9; its last lines" in line for line in found["run"]["failure"]["lines"])


def steps(folder: Path, rank: int) -> dict[int, float]:
    path = folder / "logs" / f"rank-{rank}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    return {record["step"]: record["loss"] for record in records if record["event"] == "step"}


def saving_python(folder: Path) -> str:
    """In the place of Python: a program that takes a while to end when it is asked to."""
    python = folder / "python"
    lines = (
        "#!/usr/bin/env bash",
        'case "$*" in *torch*) ;; *) exit 0 ;; esac',
        "trap 'sleep 2; echo saved; exit 1' TERM",
        "echo up",
        "for _ in {1..300}; do sleep 1; done",
    )
    python.write_text("\n".join(lines) + "\n")
    python.chmod(0o755)
    return str(python)
