"""A task over two local nodes: asked for, trained on CPUs, robbed of a rank and of its launcher, and finished."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from crosszone import service
from crosszone.processes import marked
from crosszone.service.control import task_folder
from crosszone.store import journal, records, reservations, telemetry
from crosszone.store.opened import Store, open_store
from e2e.task_server import Server, rank_process, running_server, until

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow

NUM_STEPS = 250


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    yield from running_server(tmp_path, num_north=1)


@pytest.fixture
def store(server) -> Iterator[Store]:
    """What the server keeps, looked at beside it."""
    found = open_store(str(server.folder / "state.sqlite"))
    yield found
    found.close()


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
