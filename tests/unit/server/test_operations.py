"""Operations: the same answers as the verbs give at once, later."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx
import pytest

from crosszone.errors import SpecError
from crosszone.server.access import Access
from crosszone.server.app import application
from crosszone.server.operations import Operations
from crosszone.server.pool import Pool
from crosszone.server.pools import Pools
from crosszone.server.verbs import VERBS
from crosszone.server.work import JSON, Crashed, Done

ASYNC = {"Prefer": "respond-async"}
BODY = {"job": "model: llama-3-8b\n"}


class HeldPool(Pool):
    """Answers when it is let; each answer names its request."""

    def __init__(self):
        super().__init__(num_workers=1, num_waiting=1, limit_seconds=60.0)
        self.is_ready = True
        self.let = threading.Event()
        self.outcome = None

    def _outcome(self, call, verb, request, limit_seconds):
        if not call.begin(None):
            return None
        call.on_start()
        for fraction in (0.001, 0.25, 0.5):
            call.on_progress(fraction)
        assert self.let.wait(10.0)
        return self.outcome or Done(media_type=JSON, content=json.dumps([verb, request]).encode())


def exchange(scenario):
    """Run `scenario(client, pool)` against a new application; what it returns."""

    async def run():
        pool = HeldPool()
        workers = Pools(quick=pool, long=pool)
        operations = Operations(workers, most_kept=2)
        transport = httpx.ASGITransport(app=application(Access(), workers, operations), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            try:
                return await scenario(client, pool)
            finally:
                pool.let.set()
                operations.close()

    return asyncio.run(run())


async def begin(client, body=BODY, **headers):
    return await client.post("/api/v1/plan", json=body, headers={**ASYNC, **headers})


async def until(client, path, state):
    for _ in range(500):
        found = (await client.get(path)).json()
        if found["state"] == state:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{found} is not {state}")


def test_an_operation_is_begun_followed_and_asked_for_its_result():
    async def scenario(client, pool):
        response = await begin(client)
        assert response.status_code == 202
        assert response.headers["preference-applied"] == "respond-async"
        path = response.headers["location"]
        assert response.json()["state"] == "waiting"
        assert response.json()["progress_fraction"] is None
        assert path == f"/api/v1/operations/{response.json()['id']}"
        running = await until(client, path, "running")
        assert (running["verb"], running["ended_seconds"]) == ("plan", None)
        early = await client.get(f"{path}/result")
        assert (early.status_code, early.json()["type"]) == (409, "urn:crosszone:problem:unfinished")
        pool.let.set()
        done = await until(client, path, "succeeded")
        assert done["progress_fraction"] == 1.0
        assert done["created_seconds"] <= done["started_seconds"] <= done["ended_seconds"]
        assert (await client.get(f"{path}/result")).json() == ["plan", BODY]
        events = (await client.get(f"{path}/events")).text
        assert events.count("event: state") == 3
        told = [json.loads(line[6:])["progress_fraction"] for line in events.splitlines() if line.startswith("data")]
        assert told == [None, None, 0.25, 0.5, 1.0]
        assert (await client.get(f"{path}/events", headers={"Last-Event-ID": "5"})).status_code == 204

    exchange(scenario)


def test_a_verb_that_is_quick_is_answered_at_once():
    async def scenario(client, pool):
        pool.let.set()
        response = await client.post("/api/v1/predict", json=BODY, headers=ASYNC)
        assert response.status_code == 200
        assert "preference-applied" not in response.headers

    exchange(scenario)


def test_what_came_of_an_operation_is_remembered_for_who_asks_at_once():
    async def scenario(client, pool):
        pool.let.set()
        path = (await begin(client)).headers["location"]
        await until(client, path, "succeeded")
        pool.outcome = Done(media_type=JSON, content=b"{}")
        assert (await client.post("/api/v1/plan", json=BODY)).json() == ["plan", BODY]

    exchange(scenario)


def test_a_request_that_is_wrong_fails_as_it_does_at_once():
    async def scenario(client, pool):
        pool.outcome = SpecError.of("unknown model.", where="model")
        pool.let.set()
        path = (await begin(client, {"job": {"model": "x"}})).headers["location"]
        await until(client, path, "failed")
        later, at_once = (await client.get(f"{path}/result")), (await client.post("/api/v1/plan", json={"job": {}}))
        assert later.status_code == at_once.status_code == 422
        assert later.json()["errors"][0]["pointer"] == "/job/model"
        assert (await begin(client, {"jobs": 1})).status_code == 422  # wrong at sight: nothing begins

    exchange(scenario)


def test_a_mistake_of_ours_is_told_as_one():
    async def scenario(client, pool):
        pool.outcome = Crashed(text="Traceback: secret")
        pool.let.set()
        path = (await begin(client)).headers["location"]
        await until(client, path, "failed")
        found = await client.get(f"{path}/result")
        assert found.status_code == 500
        assert "secret" not in found.text

    exchange(scenario)


def test_an_operation_that_is_given_up_is_over_at_once():
    async def scenario(client, pool):
        path = (await begin(client)).headers["location"]
        await until(client, path, "running")
        cancelled = await client.post(f"{path}/cancel")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert (await client.get(f"{path}/result")).status_code == 409
        pool.let.set()
        await asyncio.sleep(0.05)
        assert (await client.get(path)).json() == cancelled.json()
        assert (await client.post(f"{path}/cancel")).json() == cancelled.json()

    exchange(scenario)


def test_a_key_begins_one_operation_however_often_it_is_sent():
    async def scenario(client, pool):
        pool.let.set()
        first = await begin(client, **{"Idempotency-Key": "k"})
        await until(client, first.headers["location"], "succeeded")
        again = await begin(client, **{"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
        other = await begin(client, {"job": "model: other\n"}, **{"Idempotency-Key": "k"})
        assert (other.status_code, other.json()["errors"][0]["where"]) == (422, "Idempotency-Key")
        assert (await begin(client, **{"Idempotency-Key": "k" * 201})).status_code == 422
        assert (await begin(client)).json()["id"] != first.json()["id"]

    exchange(scenario)


def test_more_than_may_wait_are_sent_away_and_nothing_is_begun():
    async def scenario(client, pool):
        assert [(await begin(client)).status_code for _ in range(3)] == [202, 202, 503]

    exchange(scenario)


def test_the_oldest_that_are_over_are_forgotten():
    async def scenario(client, pool):
        pool.let.set()
        paths = []
        for number in range(4):
            paths.append((await begin(client, {"job": f"model: m{number}\n"})).headers["location"])
            await until(client, paths[-1], "succeeded")
        assert [(await client.get(path)).status_code for path in paths] == [404, 404, 200, 200]

    exchange(scenario)


@pytest.mark.parametrize("path", ["x", "x/result", "x/events"])
def test_operations_that_are_none_are_not_found(ask, path):
    assert ask("GET", f"/api/v1/operations/{path}").status_code == 404


def test_a_server_that_stops_ends_the_streams_of_events():
    async def run():
        pool = HeldPool()
        operations = Operations(Pools(quick=pool, long=pool))
        begun = operations.begin(next(verb for verb in VERBS if verb.name == "plan"), {})
        log = operations.log(begun.id)
        assert not log.is_ended
        operations.close()
        pool.let.set()
        return log.is_ended, operations.get(begun.id).state

    assert asyncio.run(run()) == (True, "cancelled")
