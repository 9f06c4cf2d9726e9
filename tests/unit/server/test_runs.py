"""Saved plans, predictions and runs over HTTP, and deployments that are run again."""

from __future__ import annotations

import pytest

from crosszone import service
from crosszone.core.bundle import BundleFile
from crosszone.store import deployments, records, tasks
from crosszone.store.deployments import Deployment
from crosszone.store.records import SavedRun

RUNS, TASKS = "/api/v1/runs", "/api/v1/training-tasks"


@pytest.fixture
def store(tmp_path):
    found = service.open_store(str(tmp_path / "state.sqlite"))
    yield found
    found.close()


@pytest.fixture
def call(ask, new_application, store):
    server = new_application(store=store)

    def send(method, path, body=None, **more):
        return ask(method, path, to=server, **({} if body is None else {"json": body}), **more)

    return send


@pytest.fixture(scope="module")
def predicted(post, example):
    return post("predict", {"job": example}).json()


def test_a_prediction_is_saved_listed_fetched_and_forgotten(call, predicted):
    made = call("POST", RUNS, {"name": "one zone", "result": predicted})
    assert made.status_code == 201
    place = made.headers["location"]
    found = call("GET", place)
    assert found.json() == made.json()
    assert found.json()["plan"] == predicted["plan"]
    assert found.json()["prediction"]["step_seconds"] == predicted["step_seconds"]
    assert call("GET", place, headers={"If-None-Match": found.headers["etag"]}).status_code == 304
    (listed,) = call("GET", RUNS).json()["runs"]
    assert (listed["id"], listed["predicted_step_seconds"]) == (made.json()["id"], predicted["step_seconds"])
    assert "prediction" not in listed
    assert call("DELETE", place).status_code == 204
    assert call("GET", place).status_code == 404
    assert call("DELETE", place).status_code == 404


def test_the_first_plan_of_an_answer_is_saved(call, post, example):
    answer = post("plan", {"job": example, "top": 2}).json()
    made = call("POST", RUNS, {"name": "best", "result": answer}).json()
    assert made["plan"] == answer["plans"][0]["plan"]
    assert made["prediction"]["problem"] == answer["problem"]


def test_saved_ones_are_compared_by_id_as_their_predictions_are(call, post, predicted):
    slower = {**predicted, "step_seconds": 2 * predicted["step_seconds"]}
    ids = [
        call("POST", RUNS, {"name": name, "result": result}).json()["id"]
        for name, result in (("as it is", predicted), ("slower", slower))
    ]
    found = call("GET", f"{RUNS}/compare", params={"id": ids}).json()
    assert [side["name"] for side in found["sides"]] == ["as it is", "slower"]
    (row,) = [row for row in found["rows"] if row["name"] == "step_seconds"]
    assert row["ratios"] == [1.0, 2.0]
    assert call("GET", f"{RUNS}/compare", params={"id": ids[:1]}).status_code == 422
    assert call("GET", f"{RUNS}/compare", params={"id": [*ids, "run-none"]}).status_code == 404


def test_a_measured_run_stands_beside_its_prediction(call, store, predicted):
    measured = {**predicted, "step_seconds": 3.0}
    run = SavedRun(
        id="run-m", name="first", kind="measured", job={}, prediction=predicted, measurement=measured, created_seconds=1
    )
    with store.state.writing() as connection:
        records.add_run(connection, run)
    call("POST", RUNS, {"name": "second try", "result": predicted})
    assert [each["id"] for each in call("GET", RUNS, params={"kind": "measured"}).json()["runs"]] == ["run-m"]
    assert [each["name"] for each in call("GET", RUNS, params={"text": "TRY second"}).json()["runs"]] == ["second try"]
    other = call("GET", RUNS).json()["runs"][0]["id"]
    found = call("GET", f"{RUNS}/compare", params={"id": ["run-m", other]}).json()
    assert [side["kind"] for side in found["sides"]] == ["run", "prediction"]


def test_a_run_of_a_saved_plan_has_the_same_plan_and_inputs(call, store, post, example):
    answer = post("plan", {"job": example, "top": 1}).json()
    plan = dict(answer["plans"][0]["plan"])
    del plan["world_size"], plan["zone_axis"]  # a bundle does not keep what follows from the rest
    prediction = {"problem": answer["problem"], **answer["plans"][0]["prediction"]}
    told = {"kind": "measured", "job": {"model": "as written"}, "plan": plan, "prediction": prediction}
    run = SavedRun(id="run-m", name="run", measurement={"step_seconds": 3.0}, created_seconds=1.0, **told)
    with store.state.writing() as connection:
        records.add_run(connection, run)
    other = call("POST", RUNS, {"name": "plan", "result": answer, "job": {"model": "as written"}}).json()["id"]
    rows = call("GET", f"{RUNS}/compare", params={"id": [other, "run-m"]}).json()["rows"]
    assert {row["section"] for row in rows} > {"inputs", "plan", "measured"}
    assert [row["name"] for row in rows if row["is_different"]] == ["measurement.step_seconds"]


def test_a_measured_step_is_told_rank_by_rank(call, store, predicted):
    ranks = [{"rank": rank, "step_seconds": 1.0 + rank, "data_seconds": 0.25, "peak_bytes": 1e9} for rank in (0, 1)]
    told = dict.fromkeys(("num_parameters", "num_microbatches", "global_batch_tokens", "tokens_per_second"))
    rates = dict.fromkeys(("tokens_per_second_per_gpu", "model_flop_per_second_per_gpu"))
    measurement = {
        **told,
        **rates,
        **dict.fromkeys(("fingerprint", "framework", "device"), "cpu"),
        "num_gpus": 2,
        "num_steps": 9,
        "step_seconds": 2.0,
        "first_loss": 2.0,
        "last_loss": 1.0,
        "low_seconds": 1.5,
        "high_seconds": 2.5,
        "memory": {"peak_bytes": 1e9, "capacity_bytes": None},
        "ranks": ranks,
    }
    run = SavedRun(id="run-1", name="mine", kind="measured", job={}, measurement=measurement, created_seconds=1.0)
    with store.state.writing() as connection:
        records.add_run(connection, run)
    found = call("GET", f"{RUNS}/run-1/timeline").json()
    assert (found["step_seconds"], found["high_seconds"], found["device"]) == (2.0, 2.5, "cpu")
    assert found["detail"]["end_seconds"] == 2.0
    drawn = {
        each["track"]["rank"]: [
            (part["category"], part["start_seconds"], part["end_seconds"]) for part in each["slices"]
        ]
        for each in found["detail"]["tracks"]
    }
    assert drawn[1] == [("data_wait", 0.0, 0.25), ("measured_step", 0.25, 2.0)]
    made = call("POST", RUNS, {"name": "a", "result": predicted}).json()
    assert call("GET", f"{RUNS}/{made['id']}/timeline").status_code == 404


def test_a_repeated_request_saves_once(call, predicted):
    body = {"name": "one", "result": predicted}
    first, again = (call("POST", RUNS, body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == again.json()
    other = call("POST", RUNS, {**body, "name": "other"}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "key_reused")
    assert len(call("GET", RUNS).json()["runs"]) == 1


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name", "/result"]),
        ({"name": "a", "result": {}}, ["/result"]),
        ({"name": "", "result": {"step_seconds": 1.0}, "job": 1, "x": 1}, ["/x", "/name", "/job"]),
        ({"name": "a", "result": {"plans": []}}, ["/result"]),
        ({"name": "a", "result": {"step_seconds": 1.0, "plan": 3}}, ["/result/plan"]),
        ({"name": "a", "result": {"step_seconds": 1.0, "fingerprint": 3}}, ["/result"]),
    ],
)
def test_everything_that_is_wrong_is_told(call, body, pointers):
    response = call("POST", RUNS, body)
    assert response.status_code == 422
    found = [each["pointer"] for each in response.json()["errors"]]
    assert found == [pointer if pointer.strip("/").split("/")[0] in body else "" for pointer in pointers]


def test_a_deployment_is_run_again_as_a_new_task(call, store):
    service.add_environment(store, {"id": "env-1", "name": "a", "zone": "east", "gpu": "8x A100", "status": "running"})
    request = {
        "taskName": "first",
        "datasetId": "d",
        "datasetVersionId": "v",
        "modelId": "llama-3-8b",
        "distributedConfig": {"nodeIds": ["env-1"], "framework": "pytorch-fsdp"},
        "deployment": {"steps": 1000},
    }
    first = call("POST", TASKS, request).json()["data"]["taskId"]
    files = (BundleFile(path="a.sh", text="true"),)
    empty = dict.fromkeys(("framework", "backend"), "x") | {"job": {}, "request": {}, "warnings": (), "owner": ""}
    made = Deployment(id=deployments.deployment_id(files), world_size=8, prediction=None, created_seconds=1.0, **empty)
    with store.state.writing() as connection:
        deployments.add(connection, made, files)
        task = tasks.one(connection, first)
        tasks.change(connection, task, now_seconds=2.0, deployment_id=made.id)
    asked = f"/api/v1/deployments/{made.id}/tasks/newest"
    assert call("GET", asked).json()["request"] == request
    again = call("POST", f"/api/v1/deployments/{made.id}/tasks", {"taskName": "second"})
    assert again.status_code == 201
    found = call("GET", again.headers["location"]).json()
    assert found["id"] != first
    assert found["request"] == {**request, "taskName": "second"}
    wrong = call("POST", f"/api/v1/deployments/{made.id}/tasks", {"modelId": "x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/modelId")
    assert call("POST", "/api/v1/deployments/none/tasks", {}).status_code == 404
