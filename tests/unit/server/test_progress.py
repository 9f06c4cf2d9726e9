"""How tasks that are driven get on, over HTTP: what they wait for, what an attempt says and measures, orphans."""

from __future__ import annotations

import json

import pytest

from crosszone import service
from crosszone.control.claim import claim
from crosszone.core.checkpoint import Manifest, SavedFile
from crosszone.core.codec import to_json
from crosszone.core.path_watch import PathLook
from crosszone.core.task import Cause
from crosszone.store import journal, paths, records, tasks, telemetry
from crosszone.store.records import SavedRun
from crosszone.store.telemetry import Sample

TASKS, ENVIRONMENTS = "/api/v1/training-tasks", "/api/v1/environments"
NOW = 1_763_000_000.0
JOB = {
    "model": "llama-2-7b",
    "workload": {"sequence_length": 4096, "global_batch_size": 32},
    "cluster": {"zones": [{"name": "east", "nodes": [{"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]}]},
    "framework": {"name": "fsdp"},
    "plan": {"dp": 16, "shard": "parameters"},
}


@pytest.fixture
def store(tmp_path):
    found = service.open_store(str(tmp_path / "state.sqlite"))
    service.import_environments(found, "id,name,zone,gpu,status\nenv-1,a,east,8x A100,running\n", "csv")
    yield found
    found.close()


@pytest.fixture
def call(ask, new_application, store):
    server = new_application(store=store)
    return lambda path, **more: ask("GET", path, to=server, **more)


@pytest.fixture
def task(store):
    request = {
        "taskName": "small",
        "datasetId": "d",
        "datasetVersionId": "1",
        "model": "llama-2-7b",
        "distributedConfig": {"nodeIds": ["env-1"], "framework": "fsdp"},
        "deployment": {"steps": 1000},
    }
    created = service.create_task(store, request, actor="ann")
    return created.headers["Location"]


@pytest.fixture
def attempt(store, task, tmp_path):
    """A worker has taken the task, and its ranks have said and measured something."""
    with store.state.writing() as connection:
        claim(connection, "worker", root=tmp_path / "tasks", for_seconds=15.0, now_seconds=4e9, most=9)
    (tried,) = service.task_attempts(store, task.rpartition("/")[2])
    key = tried.attempt.id
    samples = [
        Sample(run_id=key, name="step_seconds", rank=rank, step=step, seconds=NOW, value=step + rank / 10)
        for rank in (0, 1)
        for step in (1, 2)
    ]
    with store.telemetry.writing() as connection:
        telemetry.add_samples(connection, samples)
        telemetry.add_lines(connection, key, ["one", "two"], rank=None, now_seconds=NOW)
        telemetry.add_lines(connection, key, ["three"], rank=1, now_seconds=NOW)
    return tried.attempt


def test_memory_is_held_against_what_ranks_measure(call, task):
    """They ask PyTorch, which does not know of the driver's own."""
    stages = call(task).json()["prediction"]["memory"]["stages"]
    compared = {each["name"]: each["predicted"] for each in call(f"{task}/progress").json()["compared"]}
    assert compared["peak_bytes"] == max(stage["allocated_bytes"] for stage in stages)


def test_a_task_that_waits_says_for_what(call, store, task):
    found = call(f"{task}/progress").json()
    assert (found["state"], found["waits_for"], found["attempt"], found["run"]) == ("validated", [], None, None)
    service.change_environment(store, "env-1", {"draining": True})
    assert [each["code"] for each in call(f"{task}/progress").json()["waits_for"]] == ["draining"]


def test_an_attempt_that_has_no_bundle_yet_is_told_with_the_reason(call, task, attempt):
    found = call(f"{task}/progress").json()
    assert found["attempt"]["number"] == 1
    assert found["attempt"]["state"] == "pending"
    assert found["run"] is None
    assert found["unseen"] == "It is not rendered yet."


def test_an_attempt_that_never_had_a_bundle_is_told_so(call, store, task, attempt):
    with store.state.writing() as connection:
        cause = Cause(code="not_deployed", text="It cannot be rendered.")
        tasks.move_attempt(connection, attempt, "failed", cause, actor="worker", now_seconds=10.0)
    assert call(f"{task}/progress").json()["unseen"] == "It was never rendered."


def test_lines_are_events_by_number_and_rank(call, task, attempt):
    def texts(**more):
        answer = call(f"{task}/log", **more)
        data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        return [(each["rank"], each["text"]) for each in map(json.loads, data)]

    assert texts() == [(None, "one"), (None, "two"), (1, "three")]
    assert texts(params={"rank": 1}) == [(1, "three")]
    assert texts(headers={"Last-Event-ID": "2"}) == [(1, "three")]
    assert call(f"{task}/log", params={"attempt": 2}).status_code == 404
    assert call(f"{task}/log", params={"rank": -1}).status_code == 422


def test_figures_are_told_by_step_and_rank(call, task, attempt):
    found = call(f"{task}/samples", params={"name": "step_seconds", "after_step": 1}).json()
    assert [(each["rank"], each["step"], each["value"]) for each in found["samples"]] == [(0, 2, 2.0), (1, 2, 2.1)]
    assert call(f"{task}/samples", params={"name": "loss"}).json()["samples"] == []
    assert call(f"{task}/samples").status_code == 422


def test_paths_stand_beside_what_was_planned(call, store, task, attempt):
    def look(rtt_seconds):
        ends = {"from_address": "a", "to_address": "b", "from_zone": "east", "to_zone": "west"}
        return PathLook(is_open=True, rtt_seconds=rtt_seconds, planned_rtt_seconds=0.03, **ends)

    ends = {"from_environment": "env-1", "to_environment": "env-2", "attempt_id": attempt.id}
    with store.telemetry.writing() as connection:
        paths.add(connection, [paths.PathSample(seconds=at, look=look(at / 100), **ends) for at in (3.0, 9.0)])
    body = {"from_environment": "env-1", "to_environment": "env-2", "level": "warning", "attempt": 1}
    with store.state.writing() as connection:
        journal.tell(connection, "link_alarm", attempt.task_id, body, now_seconds=9.0)
    (found,) = call(f"{task}/links").json()["links"]
    assert (found["level"], found["seconds"], found["rtt_seconds"]) == ("warning", [3.0, 9.0], [0.03, 0.09])
    assert found["newest"]["planned_rtt_seconds"] == 0.03
    assert "link_alarm" in call(f"{task}/events").text


def test_faults_say_what_was_trained_again_and_how_long_it_was_down(call, store, task, attempt, tmp_path):
    with store.state.writing() as connection:
        moved = attempt
        for state, seconds in (("starting", 10.0), ("running", 20.0), ("unseen", 30.0), ("running", 34.0)):
            cause = Cause(code="c", text=state)
            moved = tasks.move_attempt(connection, moved, state, cause, actor="worker", now_seconds=seconds)
        body = {"first_step": 2, "last_step": 2}
        journal.tell(connection, "attempt_restarted", attempt.id, body, now_seconds=25.0)
        cause = Cause(code="died", text="It is gone.")
        moved = tasks.move_attempt(connection, moved, "failed", cause, actor="worker", now_seconds=40.0)
    found = call(f"{task}/faults").json()["faults"]
    assert [(each["kind"], each["seconds"], each["down_seconds"]) for each in found] == [
        ("restarted", 25.0, None),
        ("unseen", 30.0, 4.0),
        ("died", 40.0, None),
    ]
    restarted, _, died = found
    assert (restarted["resumed_step"], restarted["num_lost_steps"], restarted["lost_seconds"]) == (1, 1, 2.1)
    assert (died["text"], died["resumed_step"], died["num_lost_steps"]) == ("It is gone.", None, None)


def test_checkpoints_are_those_that_were_told_and_those_that_are_there(call, store, task, attempt, tmp_path):
    saved = [
        Sample(run_id=attempt.id, name="checkpoint_seconds", rank=0, step=step, seconds=NOW, value=0.5)
        for step in (100, 200)
    ]
    with store.telemetry.writing() as connection:
        telemetry.add_samples(connection, saved)
    assert [each["is_kept"] for each in call(f"{task}/checkpoints").json()["checkpoints"]] == [None, None]
    kept = tmp_path / "tasks" / attempt.task_id / "checkpoints" / "step-00000200"
    kept.mkdir(parents=True)
    file = SavedFile(path="a", size_bytes=7, sha256="")
    manifest = Manifest(format="dcp", step=200, consumed_samples=1, num_ranks=2, state_fields=(), files=(file,))
    (kept / "manifest.json").write_text(json.dumps(to_json(manifest)))
    first, second = call(f"{task}/checkpoints").json()["checkpoints"]
    assert (first["step"], first["attempt"], first["is_kept"], first["size_bytes"]) == (100, 1, False, None)
    assert (second["step"], second["checkpoint_seconds"], second["is_kept"], second["size_bytes"]) == (
        200,
        0.5,
        True,
        7,
    )


@pytest.mark.parametrize("path", ["faults", "checkpoints"])
def test_what_has_not_run_has_no_faults_and_no_checkpoints(call, task, path):
    assert call(f"{TASKS}/task-0/{path}").status_code == 404
    assert call(f"{task}/{path}").json()[path] == []


@pytest.mark.parametrize("path", ["progress", "log", "samples?name=loss", "links"])
def test_what_is_not_there_is_no_task_or_has_no_attempt(call, task, path):
    assert call(f"{TASKS}/task-0/{path}").status_code == 404
    if path != "progress":
        assert "no attempt yet" in call(f"{task}/{path}").json()["detail"]


def test_measured_runs_are_a_table_that_validate_reads(call, store):
    ranked = service.predict(service.read(JOB))
    facts = {"device": "NVIDIA A100-SXM4-80GB", "step_seconds": 9.0, "memory": {"peak_bytes": 5e10}}
    for number, device in enumerate((facts["device"], "cpu")):
        run = SavedRun(
            id=f"run-{number}",
            name="t",
            kind="measured",
            job=JOB,
            plan=to_json(ranked.plan),
            measurement={**facts, "device": device},
            created_seconds=NOW,
        )
        with store.state.writing() as connection:
            records.add_run(connection, run)
    answer = call("/api/v1/run-table")
    assert answer.headers["content-type"].startswith("text/csv")
    found = service.validate_bytes(answer.content)
    assert [row.id for row in found.rows if row.quantity == "step_seconds"] == ["own_run-0"]
    left = call("/api/v1/run-table/left-out").json()
    assert left["num_rows"] == 1
    assert [(each["where"], each["code"]) for each in left["left_out"]] == [("run-1", "device")]


def test_orphans_are_none_where_nothing_runs(call, task, attempt):
    assert call("/api/v1/orphans").json() == {"schema_version": 1, "orphans": []}
