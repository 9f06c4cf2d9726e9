"""Routes of what is kept: environments, tasks, deployments, data sets and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import FastAPI, Query, Request, Response

from crosszone import service
from crosszone.server.body import object_request
from crosszone.server.environment_routes import add_environment_routes
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.pools import Pools
from crosszone.server.responses import done_response
from crosszone.server.stored import Stored, noun_response, page_response
from crosszone.server.task_routes import add_task_routes
from crosszone.server.work import GZIP, Done, archive_of

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

KINDS = {"datasets": "dataset", "models": "model"}
Kind = Literal["datasets", "models"]
Text = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=2000)]


def add_stored_routes(app: FastAPI, workers: Pools, store: Store, *, is_demo: bool = False) -> None:
    """Add what answers for all that is kept. In a demonstration, which anybody may ask, nothing reaches out for it."""
    stored = Stored(store)
    add_environment_routes(app, stored, reaches_out=not is_demo)
    add_task_routes(app, stored, workers.long)
    _add_deployments(app, stored)
    _add_assets(app, stored)


def _add_deployments(app: FastAPI, stored: Stored) -> None:
    async def listed(request: Request, sort: Text = "-created", limit: Limit = 100, cursor: Cursor = None) -> Response:
        return page_response(
            request, await stored.ask(service.stored_deployments, sort=sort, limit=limit, cursor=cursor)
        )

    async def one(deployment_id: str) -> Response:
        return noun_response(await stored.ask(service.deployment, deployment_id))

    async def archive(request: Request, deployment_id: str) -> Response:
        files = await stored.ask(service.deployment_files, deployment_id)
        return done_response(request, Done(media_type=GZIP, content=archive_of(files)))

    async def changes(deployment_id: str, since: Text) -> Response:
        found = await stored.ask(service.deployment_changes, since, deployment_id)
        return noun_response({"schema_version": 1, "changes": found})

    async def remove(request: Request, deployment_id: str) -> Response:
        told = (request, "deployment_remove", 204)
        await stored.change(*told, service.remove_deployment, deployment_id, target=deployment_id)
        return Response(status_code=204)

    path = f"{API_PATH}/deployments"
    app.add_api_route(path, listed, methods=["GET"], **operation("deployment_list"))
    app.add_api_route(f"{path}/{{deployment_id}}", one, methods=["GET"], **operation("deployment"))
    app.add_api_route(f"{path}/{{deployment_id}}/archive", archive, methods=["GET"], **operation("deployment_archive"))
    app.add_api_route(f"{path}/{{deployment_id}}/changes", changes, methods=["GET"], **operation("deployment_changes"))
    app.add_api_route(f"{path}/{{deployment_id}}", remove, methods=["DELETE"], **operation("deployment_remove"))


def _add_assets(app: FastAPI, stored: Stored) -> None:
    async def listed(kind: Kind) -> Response:
        return noun_response({"schema_version": 1, kind: await stored.ask(service.assets, KINDS[kind])})

    async def keep(request: Request, kind: Kind, asset_id: str, version: Text = "") -> Response:
        said = await object_request(request)
        told = (request, "asset_set", 200)
        which = (KINDS[kind], asset_id, version)
        target = f"{kind}/{asset_id}"
        kept = await stored.change(*told, service.keep_asset, *which, said, target=target, body=said)
        return noun_response(kept)

    path = f"{API_PATH}/registry/{{kind}}"
    app.add_api_route(path, listed, methods=["GET"], **operation("assets"))
    app.add_api_route(f"{path}/{{asset_id}}", keep, methods=["PUT"], **operation("asset_set"))
