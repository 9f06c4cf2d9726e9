"""Routes of saved plans, predictions and runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query, Request, Response

from crosszone import service
from crosszone.core.codec import to_json
from crosszone.server.body import JSON, object_request
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.responses import etag_response
from crosszone.server.stored import Stored, actor, noun_response, page_response
from crosszone.server.task_routes import creation_key
from crosszone.service.measured_timeline import run_timeline

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

PATH = f"{API_PATH}/runs"
Words = Annotated[list[str], Query(max_length=20)]
Ids = Annotated[list[str], Query(alias="id", max_length=20)]
Text = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=2000)]


def add_run_routes(app: FastAPI, store: Store) -> None:
    """Add them."""
    stored = Stored(store)
    _add_many(app, stored)
    _add_comparison(app, stored)  # before those of one run, whose id could be its word
    _add_one(app, stored)


def _add_many(app: FastAPI, stored: Stored) -> None:
    async def listed(
        request: Request,
        kind: Words = [],  # noqa: B006 - FastAPI copies it
        text: Text = "",
        sort: Text = "-created",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        more = {"kinds": tuple(kind), "text": text, "sort": sort, "limit": limit, "cursor": cursor}
        return page_response(request, await stored.ask(service.saved_runs, **more))

    async def save(request: Request) -> Response:
        key, entry = creation_key(request), await object_request(request)
        told = (request, "run_save", 201)
        made = await stored.change(*told, service.save_run, entry, actor=actor(request), key=key, body=entry)
        return noun_response(made, status=201, headers={"Location": f"{PATH}/{made.id}"})

    app.add_api_route(PATH, listed, methods=["GET"], **operation("run_list"))
    app.add_api_route(PATH, save, methods=["POST"], **operation("run_save"))


def _add_comparison(app: FastAPI, stored: Stored) -> None:
    async def compare(ids: Ids) -> Response:
        return noun_response(await stored.ask(service.compare_runs, tuple(ids)))

    app.add_api_route(f"{PATH}/compare", compare, methods=["GET"], **operation("run_compare"))


def _add_one(app: FastAPI, stored: Stored) -> None:
    async def one(request: Request, run_id: str) -> Response:
        found = await stored.ask(service.saved_run, run_id)
        return etag_response(request, json.dumps(to_json(found), ensure_ascii=False).encode(), JSON)

    async def timeline(run_id: str) -> Response:
        return noun_response(await stored.ask(run_timeline, run_id))

    async def remove(request: Request, run_id: str) -> Response:
        await stored.change(request, "run_remove", 204, service.remove_run, run_id, target=run_id)
        return Response(status_code=204)

    app.add_api_route(f"{PATH}/{{run_id}}", one, methods=["GET"], **operation("run"))
    app.add_api_route(f"{PATH}/{{run_id}}/timeline", timeline, methods=["GET"], **operation("run_timeline"))
    app.add_api_route(f"{PATH}/{{run_id}}", remove, methods=["DELETE"], **operation("run_remove"))
