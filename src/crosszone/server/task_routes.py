"""Routes of training tasks: created as the form has always sent them, listed, followed, stopped."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from crosszone import service
from crosszone.core.codec import to_json
from crosszone.core.task import EXPORT, TaskFilter
from crosszone.core.task_request import UNAVAILABLE, ExaminedTask
from crosszone.errors import CrossZoneError, Finding
from crosszone.server.body import JSON, object_request
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.pool import Pool
from crosszone.server.problems import INVALID, Refused, refused
from crosszone.server.sse import event_response
from crosszone.server.stored import (
    Stored,
    actor,
    event_log,
    expected_version,
    is_followed,
    noun_response,
    page_response,
)

PATH = f"{API_PATH}/training-tasks"
MOST_KEY_CHARACTERS = 200
Words = Annotated[list[str], Query(max_length=100)]
Text = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=2000)]


def add_task_routes(app: FastAPI, stored: Stored, pool: Pool) -> None:
    """Add what answers for tasks; `pool` works out what a request for one comes to."""
    _add_create(app, stored, pool)
    _add_list(app, stored)
    _add_one(app, stored)
    _add_events(app, stored)


def creation_key(request: Request) -> str | None:
    """The Idempotency-Key of a request that creates something. Refused."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MOST_KEY_CHARACTERS and key.isprintable()):
        message = f"it has {len(key)} characters; 1 to {MOST_KEY_CHARACTERS} printable ones are taken."
        raise Refused.of(INVALID, message, where="Idempotency-Key", hint="Take a UUID.")
    return key


def _add_create(app: FastAPI, stored: Stored, pool: Pool) -> None:
    async def create(request: Request) -> Response:
        return await _created(request, await object_request(request))

    async def again(request: Request, deployment_id: str) -> Response:
        changed = await object_request(request)
        return await _created(request, await stored.ask(service.request_again, deployment_id, changed, body=changed))

    async def asked(deployment_id: str) -> Response:
        found = await stored.ask(service.request_again, deployment_id, {})
        return noun_response({"schema_version": 1, "request": found})

    async def _created(request: Request, value: dict[str, Any]) -> Response:
        key, who = creation_key(request), actor(request)
        created = await stored.ask(service.answered_before, value, actor=who, key=key, body=value)
        if created is None:
            examined = await _examined(value)
            told = (request, "task_create", 201)
            what = (service.keep_task, value, examined)
            created = await stored.change(*told, *what, actor=who, key=key, body=value)
        return Response(created.body, created.status, created.headers, JSON)

    async def _examined(value: dict[str, Any]) -> ExaminedTask:
        facts = await stored.ask(service.task_facts, value, body=value)
        try:
            done = await pool.answer("examine", {"value": value, "facts": facts})
        except CrossZoneError as error:
            raise refused(error, value) from None
        found: ExaminedTask = pickle.loads(done.content)
        return found

    async def examine(request: Request) -> Response:
        value = await object_request(request)
        task: ExaminedTask | None = None
        errors: Sequence[Finding] = ()
        try:
            task = await _examined(value)
        except Refused as refusal:
            if refusal.kind.status != INVALID.status:
                raise
            errors = refusal.findings
            if {each.code for each in errors} == {UNAVAILABLE}:  # for now: what it would come to is told all the same
                with contextlib.suppress(Refused):
                    task = await _examined({**value, "launchMode": EXPORT})
        told = [{"message_zh": "", **to_json(each)} for each in errors]
        return noun_response({"schema_version": 1, "task": task, "errors": told})

    app.add_api_route(f"{PATH}/examine", examine, methods=["POST"], **operation("task_examine"))
    app.add_api_route(PATH, create, methods=["POST"], **operation("task_create"))
    path = f"{API_PATH}/deployments/{{deployment_id}}/tasks"
    app.add_api_route(f"{path}/newest", asked, methods=["GET"], **operation("deployment_request"))
    app.add_api_route(path, again, methods=["POST"], **operation("deployment_again"))


def _add_list(app: FastAPI, stored: Stored) -> None:
    async def listed(
        request: Request,
        state: Words = [],  # noqa: B006 - FastAPI copies it
        launch_mode: Words = [],  # noqa: B006
        text: Text = "",
        sort: Text = "-created",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        wanted = TaskFilter(states=tuple(state), launch_modes=tuple(launch_mode), text=text)
        page = await stored.ask(service.training_tasks, wanted, sort=sort, limit=limit, cursor=cursor)
        return page_response(request, page)

    app.add_api_route(PATH, listed, methods=["GET"], **operation("task_list"))


def _add_one(app: FastAPI, stored: Stored) -> None:
    async def one(task_id: str) -> Response:
        return noun_response(await stored.ask(service.training_task, task_id))

    async def attempts(task_id: str) -> Response:
        return noun_response({"schema_version": 1, "attempts": await stored.ask(service.task_attempts, task_id)})

    async def transitions(task_id: str) -> Response:
        return noun_response({"schema_version": 1, "transitions": await stored.ask(service.task_history, task_id)})

    async def stop(request: Request, task_id: str) -> Response:
        expected = expected_version(request)
        told = (request, "task_stop", 202)
        what = (service.ask_task_to_stop, task_id)
        found = await stored.change(*told, *what, target=task_id, actor=actor(request), expected_version=expected)
        return noun_response(found, status=202)

    path = f"{PATH}/{{task_id}}"
    app.add_api_route(path, one, methods=["GET"], **operation("task"))
    app.add_api_route(f"{path}/attempts", attempts, methods=["GET"], **operation("task_attempts"))
    app.add_api_route(f"{path}/transitions", transitions, methods=["GET"], **operation("task_transitions"))
    app.add_api_route(f"{path}/stop", stop, methods=["POST"], **operation("task_stop"))


def _add_events(app: FastAPI, stored: Stored) -> None:
    async def of_one(request: Request, task_id: str) -> Response:
        await stored.ask(service.training_task, task_id)
        return await event_response(request, event_log(stored, task_id, is_followed=is_followed(request)))

    async def of_all(request: Request) -> Response:
        return await event_response(request, event_log(stored, None, is_followed=is_followed(request)))

    app.add_api_route(f"{PATH}/{{task_id}}/events", of_one, methods=["GET"], **operation("task_events"))
    app.add_api_route(f"{API_PATH}/events", of_all, methods=["GET"], **operation("events"))
