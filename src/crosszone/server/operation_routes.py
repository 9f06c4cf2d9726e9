"""Routes of operations: begin one with `Prefer: respond-async` (RFC 7240), ask after it, follow it, give it up."""

from __future__ import annotations

import dataclasses
import json

from fastapi import FastAPI, Request, Response

from crosszone.server.body import JSON
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.operations import Operation, Operations
from crosszone.server.problems import INVALID, Refused
from crosszone.server.responses import done_response
from crosszone.server.sse import event_response

MOST_KEY_CHARACTERS = 200
OPERATIONS_PATH = f"{API_PATH}/operations"


def prefers_async(request: Request) -> bool:
    """Whether the client would rather ask later."""
    preferences = ",".join(request.headers.getlist("prefer")).split(",")
    return any(each.partition(";")[0].strip().lower() == "respond-async" for each in preferences)


def idempotency_key(request: Request) -> str:
    """The key that tells a request sent again from a new one; empty where there is none. Refused."""
    key = request.headers.get("idempotency-key", "")
    if len(key) > MOST_KEY_CHARACTERS:
        message = f"it has {len(key)} characters; at most {MOST_KEY_CHARACTERS} are taken."
        raise Refused.of(INVALID, message, where="Idempotency-Key")
    return key


def accepted(begun: Operation) -> Response:
    """202: where to ask."""
    headers = {"Location": f"{OPERATIONS_PATH}/{begun.id}", "Preference-Applied": "respond-async"}
    return _operation_response(begun, status=202, headers=headers)


def add_operation_routes(app: FastAPI, operations: Operations) -> None:
    """Add what answers for operations."""

    async def one(operation_id: str) -> Response:
        return _operation_response(operations.get(operation_id))

    async def result(request: Request, operation_id: str) -> Response:
        return done_response(request, operations.result(operation_id))

    async def events(request: Request, operation_id: str) -> Response:
        return await event_response(request, operations.log(operation_id))

    async def cancel(operation_id: str) -> Response:
        return _operation_response(operations.cancel(operation_id))

    path = f"{OPERATIONS_PATH}/{{operation_id}}"
    app.add_api_route(path, one, methods=["GET"], **operation("operation"))
    app.add_api_route(f"{path}/result", result, methods=["GET"], **operation("operation_result"))
    app.add_api_route(f"{path}/events", events, methods=["GET"], **operation("operation_events"))
    app.add_api_route(f"{path}/cancel", cancel, methods=["POST"], **operation("operation_cancel"))


def _operation_response(found: Operation, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(dataclasses.asdict(found)), status, headers, JSON)
