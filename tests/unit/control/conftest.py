"""A clock that is set by hand, and a backend without processes: folders are real, runs are what a test says."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from crosszone.control.claim import claim
from crosszone.control.drive import step
from crosszone.control.evidence import Look
from crosszone.control.session import Place, Session
from crosszone.core.bundle import Bundle, BundleFile, Launch
from crosszone.core.environment import Environment
from crosszone.core.run import (
    ENDED,
    FAILED,
    LOST,
    NEVER_STARTED,
    RUNNING,
    STOPPED,
    PredictedRun,
    ProcessIdentity,
    Run,
    RunFailure,
    RunStatus,
)
from crosszone.core.task import DRAFT, EXISTING, VALIDATED, Cause, Task, TaskNode
from crosszone.core.timeouts import timeouts
from crosszone.errors import CrossZoneError
from crosszone.launch.record import write_run
from crosszone.store import environments as inventory
from crosszone.store import tasks
from crosszone.store.database import Database
from crosszone.store.history import STATE, TELEMETRY

NOW = 1_763_000_000.0
GRACE_SECONDS = 30.0
PREDICTION = {
    "num_gpus": 2,
    "step_seconds": 0.5,
    "tokens_per_second": 800.0,
    "tokens_per_second_per_gpu": 400.0,
    "model_flop_per_second_per_gpu": 1e12,
    "intervals": [],
    "memory": {"peak_bytes": 9e9, "stages": []},
    "reliability": None,
    "gpu_dollars": 100.0,
    "egress_dollars": 5.0,
}
NUM_STEPS = 100


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class FakeHands:
    """Runs whose every fact a test sets."""

    def __init__(self, clock):
        self.clock = clock
        self.runs: dict[Path, dict] = {}
        self.done: list[str] = []
        self.ways = []
        self.faults: dict[str, CrossZoneError] = {}
        self.findings = []
        self.saved_step = 0
        self.stop_leaves = 0
        self.seen_paths = []
        self.looks = []
        self.path_fault = None

    def fail(self, what):
        self.done.append(what)
        if what in self.faults:
            raise self.faults[what]

    def render(self, task, way):
        self.fail("render")
        self.ways.append(way)
        manifest = {
            "kind": "crosszone-bundle",
            "fingerprint": "abc",
            "framework": "ddp",
            "request": {"backend": "local", "device": "cpu", "num_steps": NUM_STEPS},
            "problem": {"model": {"name": "m"}},
            "plan": {"dp": 2},
            "prediction": PREDICTION,
            "files": {},
            "nodes": list(way.nodes),
            "port": way.port,
        }
        launch = Launch(
            agents=(),
            argv=(),
            environment=(),
            device="cpu",
            port=1,
            timeouts=timeouts(rtt_seconds=0.0, p99_step_seconds=1.0, checkpoint_stall_seconds=0.0),
            zones=(),
        )
        files = (BundleFile(path="metadata.json", text=json.dumps(manifest)),)
        return Bundle(files=files, launch=launch, assumed=(), warnings=())

    def write(self, bundle, folder):
        self.fail("write")
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        for file in bundle.files:
            (folder / file.path).write_text(file.text)

    def preflight(self, folder):
        self.fail("preflight")
        return self.findings

    def start(self, folder):
        self.fail("start")
        run = Run(
            run_id=f"run-{len(self.runs)}",
            backend="local",
            framework="ddp",
            world_size=2,
            num_steps=NUM_STEPS,
            python="python3",
            log_folder="logs/run",
            log_sizes=(),
            grace_seconds=GRACE_SECONDS,
            supervisor=ProcessIdentity(pid=1, start_ticks=1, boot_id="x"),
            started_seconds=self.clock(),
            state=RUNNING,
        )
        write_run(folder / "logs", run)
        self.runs[folder] = {"run": run, "num_processes": 3, "step": None, "grown": None, "nodes": None}
        self.log(folder, event="start", first_step=self.saved_step + 1)

    def log(self, folder, **record):
        with (folder / "logs/rank-0.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.runs[folder]["grown"] = self.clock()

    def train(self, first, last, *, saved=None, seconds=0.5):
        folder = self.newest
        for number in range(first, last + 1):
            facts = {"loss": 1.0 / number, "memory": {"peak_bytes": 1e9, "capacity_bytes": None}, "data_seconds": 0.1}
            rates = {"tokens_per_second": 800.0, "model_flop_per_second_per_gpu": None}
            self.log(folder, event="step", step=number, step_seconds=seconds, **facts, **rates)
        self.runs[folder]["step"] = last
        if saved is not None:
            self.log(folder, event="checkpoint", step=saved)
            self.saved_step = saved

    @property
    def newest(self):
        return list(self.runs)[-1]

    def set(self, **facts):
        self.runs[self.newest] |= facts

    def record(self, state, exit_code=None, failure=None):
        found = self.runs[self.newest]
        found["run"] = dataclasses.replace(
            found["run"], state=state, exit_code=exit_code, failure=failure, ended_seconds=self.clock()
        )
        write_run(self.newest / "logs", found["run"])

    def kill_rank(self, rank=1):
        """A rank is killed: the supervisor sees it, ends the rest, and writes it down."""
        failure = RunFailure(rank=rank, exit_code=-9, num_restarts=0, log="x", lines=())
        self.record(FAILED, 1, failure)
        self.set(num_processes=0)

    def end(self):
        self.record(ENDED, 0)
        self.set(num_processes=0)

    def look(self, folder):
        self.done.append("look")
        if "look" in self.faults:
            return Look(status=None, reason=str(self.faults["look"]))
        found = self.runs.get(folder)
        if found is None:
            return Look(status=self.status(NEVER_STARTED, None, None))
        run, num_processes = found["run"], found["num_processes"]
        seen = num_processes or "runs" in dict(found["nodes"] or ()).values()
        state = run.state if run.state != RUNNING or seen else LOST
        return Look(
            status=self.status(state, run, found["step"]),
            num_processes=num_processes,
            nodes=found["nodes"],
            grown_seconds=found["grown"],
        )

    def status(self, state, run, newest):
        predicted = PredictedRun(
            step_seconds=0.5,
            low_seconds=None,
            high_seconds=None,
            level=None,
            tokens_per_second=1.0,
            tokens_per_second_per_gpu=1.0,
            model_flop_per_second_per_gpu=1.0,
            peak_bytes=1.0,
            gpus=(),
        )
        unknown = dict.fromkeys(("loss", "step_seconds", "elapsed_seconds", "remaining_seconds", "measurement"))
        facts = {"reason": f"it is {state}.", "run": run, "num_processes": None, "step": newest}
        return RunStatus(state=state, predicted=predicted, device="cpu", **facts, **unknown)

    def paths(self, folder, *, has_rates):
        self.looks.append(has_rates)
        if self.path_fault:
            raise self.path_fault
        return self.seen_paths

    def stop(self, folder, *, is_forced):
        self.fail("stop")
        found = self.runs.get(folder)
        if found is not None and found["run"].state == RUNNING:
            found["run"] = dataclasses.replace(found["run"], state=STOPPED, exit_code=0)
            found["num_processes"] = self.stop_leaves


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hands(clock):
    return FakeHands(clock)


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upgraded")
    for name, history in (("state", STATE), ("telemetry", TELEMETRY)):
        database = Database(str(folder / f"{name}.sqlite"))
        with database.writing() as connection:
            history.upgrade(connection)
        database.close()
    return folder


@pytest.fixture
def place(upgraded, tmp_path, hands, clock):
    files = {name: str(shutil.copy(upgraded / f"{name}.sqlite", tmp_path)) for name in ("state", "telemetry")}
    # Nothing of this is for a power failure: without waiting for the disk the tests take a tenth of the time.
    state = Database(files["state"], synchronous="OFF", busy_seconds=2.0)
    telemetry = Database(files["telemetry"], synchronous="OFF")
    folders = {"state": state, "telemetry": telemetry, "root": tmp_path / "tasks"}
    made = Place(name="worker-1", hands=hands, clock=clock, beside=lambda work: work(), **folders)
    yield made
    state.close()
    telemetry.close()


@pytest.fixture
def add_environments(place):
    def add(*names, **fields):
        made = {"zone": "east", "gpu": "a100-sxm4-80gb", "num_gpus": 2, "created_seconds": NOW, "updated_seconds": NOW}
        made |= {"dollars_per_gpu_second": 0.001, "status": "running"}
        with place.state.writing() as connection:
            for number, name in enumerate(names, start=1):
                own = {"id": name, "name": name, "zone": name, "addresses": (f"10.0.0.{number}",)}
                inventory.add(connection, [Environment(**{**made, **own, **fields})])

    return add


@pytest.fixture
def add_task(place):
    """A validated task on some environments of two GPUs each."""

    def add(key="task-1", environments=("north", "south"), **fields):
        nodes = tuple(
            TaskNode(environment_id=each, name=each, zone=each, node_rank=rank, first_rank=2 * rank, num_ranks=2)
            for rank, each in enumerate(environments)
        )
        made = {
            "id": key,
            "name": key,
            "state": DRAFT,
            "launch_mode": EXISTING,
            "request": {"taskName": key},
            "job": {"model": "llama-3-8b"},
            "nodes": nodes,
            "main_node": environments[0] if environments else None,
            "framework": "ddp",
            "num_gpus": 2 * len(nodes),
            "prediction": None,
            "created_seconds": NOW,
            "updated_seconds": NOW,
        }
        cause = Cause(code="asked")
        with place.state.writing() as connection:
            task = tasks.add(connection, Task(**{**made, **fields}), cause, actor="ann", now_seconds=NOW)
            return tasks.move(connection, task, VALIDATED, cause, actor="ann", now_seconds=NOW)

    return add


@pytest.fixture
def take(place):
    """Claims what waits, as a worker does; its sessions by task."""

    def claimed(name="worker-1", *, for_seconds=15.0, most=10):
        named = dataclasses.replace(place, name=name)
        with place.state.writing() as connection:
            found = claim(
                connection, name, root=place.root, for_seconds=for_seconds, now_seconds=place.clock(), most=most
            )
        return {each.task_id: Session(named, each) for each in found}

    return claimed


@pytest.fixture
def held(add_environments, add_task, take):
    """One task on two nodes, just taken."""
    add_environments("north", "south")
    add_task()
    return take()["task-1"]


@pytest.fixture
def drive(clock):
    """Steps a task, waiting as long as it says, and no less than
    `every_seconds`, until it is in a state or `seconds` have gone; how often it stepped."""

    def until(session, state=None, *, seconds=0.0, every_seconds=0.0):
        end, count = clock.now + seconds, 0
        while state is None or session.newest()[0].state != state:
            count += 1
            wait = step(session)
            assert state is None or count < 500, session.newest()
            if wait is None or (state is None and clock.now >= end):
                break
            clock.now += max(wait, every_seconds)
        return count

    return until


@pytest.fixture
def life(place):
    """The states that a task has been in, with the causes."""

    def states(task_id="task-1", level="task"):
        with place.state.reading() as connection:
            found = tasks.history(connection, task_id)
        return [(each.to_state, each.cause.code) for each in found if each.level == level]

    return states
