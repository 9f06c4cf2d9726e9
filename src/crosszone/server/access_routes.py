"""Routes of tokens, quotas and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query, Request, Response

from crosszone import service
from crosszone.core.access import VIEWER
from crosszone.core.codec import to_json
from crosszone.server.body import object_request
from crosszone.server.callers import caller_of
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.stored import Stored, noun_response

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, le=2**62)]


def add_access_routes(app: FastAPI, store: Store) -> None:
    """Add them."""
    stored = Stored(store)
    _add_tokens(app, stored)
    _add_quotas(app, stored)
    _add_logs(app, stored)


def _add_tokens(app: FastAPI, stored: Stored) -> None:
    async def listed() -> Response:
        found = await stored.ask(service.all_tokens)
        return noun_response({"schema_version": 1, "tokens": [service.token_json(each) for each in found]})

    async def create(request: Request) -> Response:
        entry = await object_request(request)
        told = (request, "token_create", 201)
        target = f"{entry.get('name')} {entry.get('scope', VIEWER)}"
        made = await stored.change(*told, service.issue_token, entry, target=target, body=entry)
        return noun_response({**to_json(made), "token": service.token_json(made.token)}, status=201)

    async def revoke(request: Request, token_id: str) -> Response:
        await stored.change(request, "token_revoke", 204, service.revoke_token, token_id, target=token_id)
        return Response(status_code=204)

    path = f"{API_PATH}/tokens"
    app.add_api_route(path, listed, methods=["GET"], **operation("token_list"))
    app.add_api_route(path, create, methods=["POST"], **operation("token_create"))
    app.add_api_route(f"{path}/{{token_id}}", revoke, methods=["DELETE"], **operation("token_revoke"))


def _add_quotas(app: FastAPI, stored: Stored) -> None:
    async def listed() -> Response:
        return noun_response(service.quotas_json(await stored.ask(service.quotas)))

    async def keep(request: Request) -> Response:
        entry = await object_request(request)
        told = (request, "quota_set", 200)
        target = f"{entry.get('owner')} {entry.get('resource')} {entry.get('most')}"
        found = await stored.change(*told, service.set_quota, entry, target=target, body=entry)
        return noun_response(service.quotas_json(found))

    path = f"{API_PATH}/quotas"
    app.add_api_route(path, listed, methods=["GET"], **operation("quota_list"))
    app.add_api_route(path, keep, methods=["PUT"], **operation("quota_set"))


def _add_logs(app: FastAPI, stored: Stored) -> None:
    async def who(request: Request) -> Response:
        return noun_response({"schema_version": 1, **to_json(caller_of(request))})

    async def audit(before: Before = None, limit: Limit = 100) -> Response:
        found = await stored.ask(service.audit_log, before=before, limit=limit)
        return noun_response({"schema_version": 1, "entries": found})

    app.add_api_route(f"{API_PATH}/access", who, methods=["GET"], **operation("access"))
    app.add_api_route(f"{API_PATH}/audit", audit, methods=["GET"], **operation("audit"))
