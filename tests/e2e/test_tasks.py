"""A task over two local nodes: asked for, trained on CPUs, robbed of a rank and of its launcher, and finished."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.processes import kill_marked, marked
from crosszone.service.control import task_folder
from crosszone.store import journal, records, reservations, telemetry
from crosszone.store.opened import Store, open_store

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow

LIMIT_SECONDS = 300.0
NUM_STEPS = 250


class Server:
    """A server of its own process, with the worker that it starts; killed and started again over the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        """Until it answers."""
        command = [sys.executable, "-m", "crosszone.cli", "serve", "--port", "0", "--json"]
        database = ["--database", str(self.folder / "state.sqlite")]
        around = {**os.environ, "PYTHON": sys.executable}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *database], env=around, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        told = ""
        while not told.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            assert line, (self.folder / "server.log").read_text()
            told += line
        self.url = json.loads(told)["url"]

    def kill(self) -> None:
        """As the kernel ends a process where memory runs out."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As a service is stopped; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=LIMIT_SECONDS)

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """The JSON of an answer that is no error."""
        body = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": "one"}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            return json.loads(answer.read())


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    found = Server(tmp_path)
    found.start()
    for name in ("north", "south"):
        entry = {"id": f"{name}-1", "name": f"{name}-1", "zone": name, "status": "running"}
        found.ask("POST", "environments", {**entry, "gpu": "1x a100-sxm4-80gb", "price": "2 USD/h"})
    yield found
    found.kill()
    for logs in tmp_path.glob("tasks/*/attempt-*/logs/*Z-*"):  # each run has a folder of its name
        kill_marked(logs.name)


@pytest.fixture
def store(server) -> Iterator[Store]:
    """What the server keeps, looked at beside it."""
    found = open_store(str(server.folder / "state.sqlite"))
    yield found
    found.close()


def until(condition: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"{what} never came"
        time.sleep(0.1)


def rank_process(run_id: str, rank: int) -> int:
    """The process that trains a rank."""
    for pid in marked(run_id):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in variables:
            return pid
    raise AssertionError(f"no process of {run_id} is rank {rank}")


def launcher_process(run_id: str) -> int:
    """torchrun, which has no rank; the first that the run started."""
    found = [pid for pid in marked(run_id) if b"torch.distributed.run" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return min(found)


def folder_of(store: Store, task_id: str) -> Path:
    return Path(str(service.task_attempts(store, task_id)[-1].attempt.folder))


def step_of(store: Store, task_id: str) -> int:
    return service.run_status(folder_of(store, task_id)).step or 0


def state_of(store: Store, task_id: str) -> str:
    found = service.training_task(store, task_id).state
    assert found != "failed", service.task_history(store, task_id)[-1]
    return found


def create(server: Server, small_task: dict) -> str:
    small_task["distributedConfig"]["strategy"]["dataParallel"] = 2  # each rank loads torch at each of its starts
    deployment = {"backend": "local", "device": "cpu", "steps": NUM_STEPS}
    data = server.ask("POST", "training-tasks", {**small_task, "deployment": deployment})["data"]
    assert data["status"] == "initializing"
    return str(data["taskId"])


def test_a_task_survives_its_rank_its_launcher_and_its_server(server, store, small_task) -> None:
    task_id = create(server, small_task)

    def state() -> str:
        return state_of(store, task_id)

    until(lambda: state() == "running", "the first step")
    first = service.task_attempts(store, task_id)[-1].attempt
    run = service.run_status(folder_of(store, task_id)).run
    assert run is not None
    until(lambda: list((task_folder(store) / task_id / "checkpoints").glob("step-*")), "a checkpoint")

    os.kill(rank_process(run.run_id, 1), signal.SIGKILL)  # torchrun starts the ranks again
    server.kill()  # and its worker with it: nobody sees it for a while
    server.start()
    until(lambda: restarts(store, first.id), "the restart")
    assert state() == "running"

    until(lambda: step_of(store, task_id) > restarts(store, first.id)[-1]["first_step"], "a step after it")
    os.kill(launcher_process(run.run_id), signal.SIGKILL)  # nobody is left to start them again
    until(lambda: state() == "recovering", "the recovery")
    until(lambda: state() == "running", "the second attempt")
    until(lambda: step_of(store, task_id) > 0, "a step of it")
    shown = server.ask("GET", f"training-tasks/{task_id}/progress")["run"]
    assert shown["step_seconds"] - shown["predicted"]["step_seconds"] != 0.0  # comparing is subtracting
    until(lambda: state() == "succeeded", "the end")
    check_end(store, task_id)
    assert server.end() == 0


def restarts(store: Store, attempt_id: str) -> list[dict[str, int]]:
    with store.state.reading() as connection:
        found = journal.events_after(connection, 0, subject_id=attempt_id)
    return [each.body for each in found if each.kind == "attempt_restarted"]


def check_end(store: Store, task_id: str) -> None:
    """Two attempts, the second from a whole checkpoint; measured beside predicted; nothing is held, nothing runs."""
    first, second = (each.attempt for each in service.task_attempts(store, task_id))
    assert (first.state, second.state) == ("failed", "ended")
    assert second.resumed_step is not None
    assert second.resumed_step > 0
    assert second.lost_seconds is not None
    with store.state.reading() as connection:
        assert reservations.reserved(connection) == ()
        run = next(each for each in records.listed_runs(connection).rows if each.attempt_id == second.id)
    assert run.measurement is not None
    assert run.prediction is not None
    assert run.measurement["step_seconds"] - run.prediction["step_seconds"] != 0.0  # comparing is subtracting
    with store.telemetry.reading() as connection:
        steps = [each.step for each in telemetry.samples_of(connection, second.id, "loss")]
        words = telemetry.lines_after(connection, second.id, rank=0)
    assert steps == list(range(second.resumed_step + 1, NUM_STEPS + 1))
    assert any('"event": "end"' in line.text for line in words)
    for tried in (first, second):
        status = service.run_status(str(tried.folder))
        assert status.run is not None
        assert marked(status.run.run_id) == ()


def test_a_task_that_is_stopped_has_saved_and_is_gone(server, store, small_task) -> None:
    task_id = create(server, small_task)
    until(lambda: state_of(store, task_id) == "running", "the first step")
    run = service.run_status(folder_of(store, task_id)).run
    assert run is not None
    server.ask("POST", f"training-tasks/{task_id}/stop")
    until(lambda: state_of(store, task_id) == "stopped", "the stop")
    assert marked(run.run_id) == ()
    assert service.run_status(folder_of(store, task_id)).state == "stopped"
