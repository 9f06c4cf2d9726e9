"""What is kept, over HTTP: environments, tasks, deployments, with ETags, pages, repeated requests and events."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import io
import json
import tarfile

import httpx
import pytest

from crosszone import service
from crosszone.core.bundle import BundleFile
from crosszone.core.task import Cause
from crosszone.server.access import Access
from crosszone.store import deployments, journal
from crosszone.store import tasks as stored

TASKS, ENVIRONMENTS = "/api/v1/training-tasks", "/api/v1/environments"
SEED = {
    "taskName": "gpt3-pretraining",
    "datasetId": "dataset-001",
    "datasetVersionId": "version-001",
    "modelId": "model-001",
    "launchMode": "existing",
    "distributedConfig": {
        "enabled": True,
        "nodeIds": ["env-001", "env-003", "env-005"],
        "masterNode": "env-001",
        "framework": "deepspeed",
        "strategy": {"dataParallel": 2, "pipelineParallel": 4, "tensorParallel": 8},
    },
    "deployment": {"steps": 1000},
}
GOOD = {**SEED, "distributedConfig": {**SEED["distributedConfig"], "strategy": {"dataParallel": 14}}}
INVENTORY = """id,name,zone,gpu,cpus,memory,status,addresses
env-001,pytorch-dev-env,北京可用区A,2x A100,16,128 GB,running,192.168.1.10
env-003,llm-training-env,深圳可用区C,4x A100,32,256 GB,running,192.168.2.20
env-005,nlp-research-lab,上海可用区A,8x A100,64,512 GB,running,192.168.3.30
"""


@pytest.fixture
def store(tmp_path):
    found = service.open_store(str(tmp_path / "state.sqlite"))
    yield found
    found.close()


@pytest.fixture
def seeded(store):
    service.import_environments(store, INVENTORY, "csv")
    return store


@pytest.fixture
def server(new_application, store):
    return new_application(store=store)


@pytest.fixture
def call(ask, server):
    def send(method, path, body=None, **more):
        return (
            ask(method, path, to=server, json=body, **more)
            if body is not None
            else ask(method, path, to=server, **more)
        )

    return send


def test_the_seeds_request_is_refused_with_the_numbers(call, seeded):
    response = call("POST", TASKS, SEED)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    (error,) = response.json()["errors"]
    assert "2 × 4 × 8 = 64 processes, but the 3 nodes have 14 GPUs" in error["message"]
    assert "64 个进程" in error["message_zh"]
    assert error["pointer"] == "/distributedConfig/strategy"


def test_a_task_is_created_and_found_where_it_is_said_to_be(call, seeded):
    created = call("POST", TASKS, GOOD)
    assert created.status_code == 201
    assert created.json()["message"] == "训练任务创建成功"
    assert created.json()["data"]["distributedInfo"]["totalGpus"] == 14
    found = call("GET", created.headers["location"])
    assert found.status_code == 200
    assert found.headers["etag"] == created.headers["etag"]
    assert found.json()["id"] == created.json()["data"]["taskId"]
    assert found.json()["request"] == GOOD


def test_every_rule_is_told_at_once_in_both_languages(call, store):
    response = call("POST", TASKS, {"launchMode": "existing"}, headers={"Accept-Language": "zh-CN"})
    assert response.status_code == 422
    assert [each["message_zh"] for each in response.json()["errors"]] == [
        "请输入任务名称",
        "请选择数据集",
        "请至少选择一个开发环境",
    ]
    assert all(each["message"] and each["code"] for each in response.json()["errors"])
    assert response.json()["detail"].startswith("请输入任务名称")


def test_a_repeated_request_is_answered_again(call, seeded):
    first = call("POST", TASKS, GOOD, headers={"Idempotency-Key": "k-1"})
    again = call("POST", TASKS, GOOD, headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, first.content, first.headers["location"]) == (
        again.status_code,
        again.content,
        again.headers["location"],
    )
    other = call("POST", TASKS, {**GOOD, "taskName": "other"}, headers={"Idempotency-Key": "k-1"})
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "key_reused")
    assert len(call("GET", TASKS).json()["tasks"]) == 1
    assert call("POST", TASKS, GOOD, headers={"Idempotency-Key": "x" * 300}).status_code == 422


def test_requests_at_the_same_time_under_one_key_create_one_task(server, seeded):
    async def all_of_them():
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            post = [client.post(TASKS, json=GOOD, headers={"Idempotency-Key": "k"}) for _ in range(8)]
            return await asyncio.gather(*post)

    answers = asyncio.run(all_of_them())
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["taskId"] for answer in answers}) == 1


def test_an_environment_lives_over_http(call, store):
    created = call("POST", ENVIRONMENTS, {"name": "a", "zone": "east", "gpu": "8x H100", "memory": "1 TB"})
    assert created.status_code == 201
    place, tag = created.headers["location"], created.headers["etag"]
    assert call("GET", place).json() == created.json()
    assert created.json()["memory_bytes"] == 1e12
    changed = call("PATCH", place, {"status": "running"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["status"], changed.headers["etag"]) == (200, "running", '"2"')
    stale = call("PATCH", place, {"status": "stopped"}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:crosszone:problem:changed")
    assert call("DELETE", place, headers={"If-Match": tag}).status_code == 412
    assert call("DELETE", place, headers={"If-Match": "nonsense"}).status_code == 422
    weak = call("DELETE", place, headers={"If-Match": 'W/"2"'})
    assert (weak.status_code, weak.json()["errors"][0]["where"]) == (412, "If-Match")
    assert call("DELETE", place, headers={"If-Match": '"2"'}).status_code == 204
    assert call("GET", place).status_code == 404
    with store.state.reading() as connection:
        told = [(each.action, each.actor, each.status) for each in journal.audit_before(connection)]
    assert told == [
        ("environment_remove", "local", 204),
        ("environment_change", "local", 200),
        ("environment_add", "local", 201),
    ]


def test_what_is_wrong_with_an_environment_is_pointed_at(call, store):
    response = call("POST", ENVIRONMENTS, {"name": "a", "zone": "x", "memory": "64"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/memory")
    assert call("POST", ENVIRONMENTS, {"name": "a", "zone": "x"}).status_code == 201
    taken = call("POST", ENVIRONMENTS, {"name": "a", "zone": "x"})
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:crosszone:problem:conflict")


def test_lists_are_filtered_and_pages_follow_each_other(call, seeded):
    page = call("GET", f"{ENVIRONMENTS}?sort=-gpus&limit=2&gpu=a100-sxm4-80gb")
    assert [each["name"] for each in page.json()["environments"]] == ["nlp-research-lab", "llm-training-env"]
    assert page.json()["totals"]["num_gpus"] == 14
    following = page.headers["link"].partition(">")[0].removeprefix("<")
    rest = call("GET", following)
    assert [each["name"] for each in rest.json()["environments"]] == ["pytorch-dev-env"]
    assert "link" not in rest.headers
    one = call("GET", ENVIRONMENTS, params={"zone": ["北京可用区A", "深圳可用区C"], "text": "LLM"})
    assert [each["id"] for each in one.json()["environments"]] == ["env-003"]
    assert one.json()["totals"]["num_environments"] == 1


@pytest.mark.parametrize("query", ["sort=colour", "limit=0", "limit=x", "cursor=abc", "limit=5000"])
@pytest.mark.parametrize("path", [ENVIRONMENTS, TASKS, "/api/v1/deployments"])
def test_questions_that_make_no_sense_are_refused(call, store, path, query):
    assert call("GET", f"{path}?{query}").status_code == 422


def test_files_are_imported_and_chosen_ones_are_a_cluster(call, store):
    tried = call("POST", f"{ENVIRONMENTS}/import", {"format": "csv", "text": INVENTORY, "try": True})
    assert (tried.status_code, tried.json()["num_added"]) == (200, 3)
    assert call("GET", ENVIRONMENTS).json()["environments"] == []
    assert call("POST", f"{ENVIRONMENTS}/import", {"format": "csv", "text": INVENTORY}).json()["num_added"] == 3
    link = {"from": "北京可用区A", "to": "深圳可用区C", "path": {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}}
    assert call("PUT", "/api/v1/zone-links", link).status_code == 204
    assert len(call("GET", "/api/v1/zone-links").json()["links"]) == 2
    chosen = call("POST", f"{ENVIRONMENTS}/cluster", {"ids": ["env-001", "env-003"]}).json()
    assert (chosen["main_node"], chosen["totals"]["num_gpus"], chosen["missing_links"]) == ("env-001", 6, [])
    job = {"model": "opt-350m", "workload": {"sequence_length": 2048, "global_batch_size": 6}}
    assert call("POST", "/api/v1/predict", {"job": {**job, "cluster": chosen["cluster"]}}).status_code == 200


def test_a_request_is_examined_and_nothing_is_kept(call, seeded):
    path = {"from": "北京可用区A", "to": "深圳可用区C", "path": {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}}
    assert call("PUT", "/api/v1/zone-links", path).status_code == 204
    config = {"nodeIds": ["env-001", "env-003"], "framework": "deepspeed"}
    body = {**GOOD, "modelId": "opt-350m", "distributedConfig": config}
    found = call("POST", f"{TASKS}/examine", body).json()
    assert (found["errors"], found["task"]["num_gpus"]) == ([], 6)
    assert found["task"]["prediction"]["memory"]["fits"] is True
    found = call("POST", f"{TASKS}/examine", {**body, "taskName": "", "datasetId": ""}).json()
    assert found["task"] is None
    assert [each["message_zh"] for each in found["errors"]] == ["请输入任务名称", "请选择数据集"]
    place = f"{ENVIRONMENTS}/env-003"
    tag = {"If-Match": call("GET", place).headers["etag"]}
    assert call("PATCH", place, {"status": "unreachable"}, headers=tag).status_code == 200
    lost = call("POST", f"{TASKS}/examine", body).json()
    assert [each["code"] for each in lost["errors"]] == ["unavailable"]
    assert lost["task"]["prediction"]["step_seconds"] > 0.0  # what it would come to is told beside what is wrong
    assert call("POST", TASKS, body).status_code == 422
    assert call("GET", TASKS).json()["tasks"] == []
    paths = call("POST", f"{ENVIRONMENTS}/paths", {"ids": ["env-001", "env-003"]}).json()["paths"]
    assert [each["rtt_seconds"] for each in paths] == [0.03, 0.03]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("import", {}),
        ("import", {"format": "csv", "text": 7}),
        ("import", {"format": "excel", "text": ""}),
        ("import", {"format": "csv", "text": "", "more": 1}),
        ("cluster", {"ids": []}),
        ("cluster", {"ids": [7]}),
        ("cluster", {"ids": "env-001"}),
        ("probe", {"ids": []}),
    ],
)
def test_requests_about_many_are_read_strictly(call, seeded, path, body):
    assert call("POST", f"{ENVIRONMENTS}/{path}", body).status_code == 422


def test_what_is_not_there_is_told(call, store):
    for path in (
        f"{ENVIRONMENTS}/x",
        f"{TASKS}/x",
        f"{TASKS}/x/attempts",
        f"{TASKS}/x/transitions",
        f"{TASKS}/x/events",
    ):
        assert call("GET", path).status_code == 404, path
    assert call("POST", f"{TASKS}/x/stop").status_code == 404
    assert call("POST", f"{ENVIRONMENTS}/cluster", {"ids": ["x"]}).status_code == 404
    assert call("GET", "/api/v1/deployments/x/archive").status_code == 404


def test_a_model_is_registered_and_then_predicted(call, seeded):
    assert call("PUT", "/api/v1/registry/models/model-001", {"model": {"parameters": "1.3B"}}).status_code == 200
    data = {"name": "D", "size": "1 TB", "zone": "北京可用区A"}
    assert call("PUT", "/api/v1/registry/datasets/dataset-001?version=version-001", data).json()["size_bytes"] == 1e12
    assert [each["id"] for each in call("GET", "/api/v1/registry/models").json()["models"]] == ["model-001"]
    created = call("POST", TASKS, GOOD).json()["data"]
    assert created["state"] == "validated"
    for body in (
        {"model": {"parameters": "13"}},
        {"model": "no-such-model"},
        {"size": "1"},
        {"colour": 1},
        {"name": 7},
    ):
        assert call("PUT", "/api/v1/registry/models/m", body).status_code == 422, body


def test_a_task_is_stopped_and_its_life_is_told(call, seeded):
    place = call("POST", TASKS, GOOD).headers["location"]
    assert call("POST", f"{place}/stop", headers={"If-Match": '"9"'}).status_code == 412
    stopped = call("POST", f"{place}/stop")
    assert (stopped.status_code, stopped.json()["state"]) == (202, "stopped")
    life = call("GET", f"{place}/transitions").json()["transitions"]
    assert [(step["to_state"], step["actor"]) for step in life] == [("draft", "local"), ("stopped", "local")]
    assert call("GET", f"{place}/attempts").json()["attempts"] == []
    assert [each["state"] for each in call("GET", f"{TASKS}?state=stopped").json()["tasks"]] == ["stopped"]


def test_the_life_of_a_task_is_told_in_chinese_and_its_name_is_as_it_was_written(call, seeded):
    chinese = {"Accept-Language": "zh"}
    place = call("POST", TASKS, {**GOOD, "taskName": "asked"}).headers["location"]
    call("POST", f"{place}/stop")
    told = call("GET", f"{place}/transitions", headers=chinese)
    assert told.headers["content-language"] == "zh"
    causes = [each["cause"]["text"] for each in told.json()["transitions"] if each["cause"]["text"]]
    assert causes == ["由 local 创建。", "local 要求停止。"]
    task = call("GET", place, headers=chinese)
    assert task.json()["name"] == "asked"
    assert task.headers["etag"] == call("GET", place).headers["etag"]


def events(text):
    found = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if "id: " in block
    ]
    return [(int(each["id"]), each["event"], json.loads(each["data"])) for each in found]


def test_what_happens_to_a_task_is_told_and_gone_on_from_where_one_left(call, seeded):
    place = call("POST", TASKS, GOOD).headers["location"]
    call("POST", TASKS, {**GOOD, "taskName": "other"})
    call("POST", f"{place}/stop")
    told = events(call("GET", f"{place}/events").text)
    assert [(kind, data["to_state"]) for _, kind, data in told] == [("task_moved", "draft"), ("task_moved", "stopped")]
    first, last = told[0][0], told[-1][0]
    rest = events(call("GET", f"{place}/events", headers={"Last-Event-ID": str(first)}).text)
    assert rest == told[1:]
    assert call("GET", f"{place}/events", headers={"Last-Event-ID": str(last)}).status_code == 204
    assert call("GET", f"{place}/events", headers={"Last-Event-ID": "x"}).status_code == 422


def test_events_so_far_are_all_where_nobody_follows(call, seeded):
    place = call("POST", TASKS, GOOD).headers["location"]
    told = events(call("GET", "/api/v1/events").text)
    assert told == events(call("GET", f"{place}/events").text)
    assert call("GET", "/api/v1/events", headers={"Last-Event-ID": str(told[-1][0])}).status_code == 204


def test_events_of_others_arrive_while_one_listens(server, seeded):
    """A worker in another process writes them; the stream ends with the task."""
    created = service.create_task(seeded, {**GOOD, "modelId": "opt-350m"}, actor="ann")
    key = json.loads(created.body)["data"]["taskId"]

    async def follow():
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            followed = {"Accept": "text/event-stream"}
            reading = asyncio.ensure_future(client.get(f"{TASKS}/{key}/events", headers=followed))
            await asyncio.sleep(0.2)
            with seeded.state.writing() as connection:
                task = stored.one(connection, key)
                stored.move(connection, task, "failed", Cause(code="x"), actor="worker", now_seconds=1.0)
            return await asyncio.wait_for(reading, 10)

    told = events(asyncio.run(follow()).text)
    assert [data["to_state"] for _, _, data in told] == ["draft", "validated", "failed"]


def kept_deployment(store, *files):
    made = deployments.Deployment(
        id=deployments.deployment_id(files),
        framework="fsdp",
        backend="local",
        world_size=1,
        job={},
        request={},
        prediction=None,
        warnings=(),
        owner="ann",
        created_seconds=float(len(files)),
    )
    with store.state.writing() as connection:
        return deployments.add(connection, made, files)


def test_deployments_are_listed_compared_downloaded_and_forgotten(call, store):
    script, program = BundleFile(path="a.sh", text="#!/bin/sh\n训练\n"), BundleFile(path="b/c.py", text="pass\n")
    made = kept_deployment(store, script, program)
    other = kept_deployment(store, dataclasses.replace(program, text="return\n"))
    path = f"/api/v1/deployments/{made.id}"
    assert call("GET", path).json()["framework"] == "fsdp"
    assert [each["id"] for each in call("GET", "/api/v1/deployments").json()["deployments"]] == [made.id, other.id]
    found = call("GET", f"{path}/changes?since={other.id}").json()["changes"]
    assert [(each["path"], each["kind"]) for each in found] == [("a.sh", "added"), ("b/c.py", "changed")]
    assert "-return\n+pass\n" in found[1]["difference"]
    assert call("GET", f"{path}/changes?since={made.id}").json()["changes"] == []
    assert call("GET", f"{path}/changes").status_code == 422
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(call("GET", f"{path}/archive").content))) as archive:
        assert [(each.name, each.mode) for each in archive.getmembers()] == [
            ("bundle/a.sh", 0o755),
            ("bundle/b/c.py", 0o644),
        ]
    assert call("DELETE", path).status_code == 204
    assert call("DELETE", path).status_code == 404


def test_who_asked_is_known_by_their_token_and_the_token_is_not_kept(ask, new_application, seeded):
    import hashlib

    token = "t" * 40
    access = Access(token_digests=(hashlib.sha256(token.encode()).digest(),), host_names=None)
    server = new_application(access, store=seeded)
    headers = {"Authorization": f"Bearer {token}"}
    assert ask("POST", TASKS, to=server, json=GOOD).status_code == 401
    place = ask("POST", TASKS, to=server, json=GOOD, headers=headers).headers["location"]
    owner = ask("GET", place, to=server, headers=headers).json()["owner"]
    assert owner == f"token-{hashlib.sha256(token.encode()).hexdigest()[:12]}"
    with seeded.state.reading() as connection:
        assert token not in str(journal.audit_before(connection))


def test_the_description_names_every_route_and_its_schemas(call, store):
    found = call("GET", "/api/v1/openapi.json").json()
    assert {"/api/v1/training-tasks", "/api/v1/environments", "/api/v1/environments/import"} <= set(found["paths"])
    created = found["paths"][TASKS]["post"]
    assert set(created["responses"]) >= {"201", "409", "422"}
    assert "200" not in created["responses"]
    assert "204" in found["paths"][f"{ENVIRONMENTS}/{{environment_id}}"]["delete"]["responses"]
    names = set(found["components"]["schemas"])
    assert {"Environment", "EnvironmentPage", "Task", "TaskEnvelope", "ChosenCluster"} <= names


def test_without_a_store_there_is_nothing_kept(ask, app):
    assert ask("GET", TASKS).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (TASKS, "GET, POST"),
        (f"{ENVIRONMENTS}/env-001", "DELETE, GET, PATCH"),
        (f"{ENVIRONMENTS}/import", "POST"),
        ("/api/v1/zone-links", "GET, PUT"),
        ("/api/v1/predict", "POST"),
    ],
)
def test_other_methods_are_told_all_that_are_there(call, store, path, allowed):
    response = call("OPTIONS", path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["errors"][0]["hint"] == f"Use {allowed}."


def test_a_server_without_slurm_says_so(call, store, monkeypatch):
    monkeypatch.setenv("PATH", "")
    response = call("POST", f"{ENVIRONMENTS}/import", {"format": "slurm"})
    assert response.status_code == 422
    assert "Slurm does not answer" in response.json()["detail"]


def test_a_demonstration_reaches_out_to_nobody(ask, new_application, seeded, monkeypatch):
    """Anybody may ask it: neither ssh nor Slurm is started for them."""
    demo = new_application(store=seeded, is_demo=True)
    monkeypatch.setattr("subprocess.Popen", None)
    assert ask("POST", f"{ENVIRONMENTS}/probe", to=demo, json={"ids": ["env-001"]}).status_code == 405
    refused = ask("POST", f"{ENVIRONMENTS}/import", to=demo, json={"format": "slurm"})
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (422, "there is no environment in it.")
    assert ask("GET", ENVIRONMENTS, to=demo).json()["totals"]["num_gpus"] == 14


def test_a_change_that_cannot_be_noted_is_not_made(call, seeded, monkeypatch):
    def fail(*arguments, **more):
        raise RuntimeError("the power fails")

    monkeypatch.setattr(journal, "note", fail)
    assert call("POST", TASKS, GOOD, headers={"Idempotency-Key": "k"}).status_code == 500
    assert call("DELETE", f"{ENVIRONMENTS}/env-001").status_code == 500
    monkeypatch.undo()
    assert call("GET", TASKS).json()["tasks"] == []
    assert call("GET", f"{ENVIRONMENTS}/env-001").status_code == 200
    created = call("POST", TASKS, GOOD, headers={"Idempotency-Key": "k"})
    with seeded.state.reading() as connection:
        (noted,) = journal.audit_before(connection)
    assert (noted.action, noted.target) == ("task_create", created.json()["data"]["taskId"])
    assert noted.request_id == created.headers["x-request-id"]
