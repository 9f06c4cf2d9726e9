"""Routes of the verbs: read the request, let a worker answer, or begin an operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response

from crosszone.server.body import CSV, JSON, body_bytes, csv_request, media_type, verb_request
from crosszone.server.openapi import operation
from crosszone.server.operation_routes import accepted, idempotency_key, prefers_async
from crosszone.server.operations import Operations
from crosszone.server.pools import Pools
from crosszone.server.problems import Refused
from crosszone.server.responses import done_response
from crosszone.server.verb import Verb
from crosszone.server.verbs import VERBS
from crosszone.server.work import GZIP, Done

CLIENT_GONE = 499
"""What the log says of a request that nobody waits for, as nginx does; it is sent to nobody."""
MISSING = "缺少必要的部署参数"
"""What CrossZoneLLM says, which its clients show."""


def add_verb_routes(app: FastAPI, workers: Pools, operations: Operations) -> None:
    """Add what answers for the verbs."""
    for verb in VERBS:
        make = _table_route if verb.name == "validate" else _older_route if verb.is_older else _route
        app.add_api_route(verb.path, make(verb, workers, operations), methods=["POST"], **operation(verb.name))


def _route(verb: Verb, workers: Pools, operations: Operations) -> Callable[..., Awaitable[Response]]:
    async def route(request: Request) -> Response:
        media_type(request, JSON)
        asked = verb_request(await body_bytes(request), verb)
        if verb.is_file_too and GZIP in request.headers.get("accept", ""):
            asked["archive"] = True
        return await _answer(request, verb, asked, workers, operations)

    return route


def _older_route(verb: Verb, workers: Pools, operations: Operations) -> Callable[..., Awaitable[Response]]:
    answer = _route(verb, workers, operations)

    async def route(request: Request) -> Response:
        try:
            return await answer(request)
        except Refused as refusal:
            is_missing = any(finding.code == "missing_key" for finding in refusal.findings)
            error = MISSING if is_missing else str(refusal.findings[0]).removeprefix("--")
            refusal.members = {"success": False, "error": error}
            raise

    return route


def _table_route(verb: Verb, workers: Pools, operations: Operations) -> Callable[..., Awaitable[Response]]:
    async def route(request: Request, all_qualities: bool = False) -> Response:
        is_table = media_type(request, JSON, CSV) == CSV
        data = await body_bytes(request)
        asked = csv_request(data, all_qualities=all_qualities) if is_table else verb_request(data, verb)
        return await _answer(request, verb, asked, workers, operations)

    return route


async def _answer(
    request: Request, verb: Verb, asked: dict[str, Any], workers: Pools, operations: Operations
) -> Response:
    key = idempotency_key(request)
    if verb.is_long and prefers_async(request):
        return accepted(operations.begin(verb, asked, idempotency_key=key))
    done = await _while_there(request, workers.answer(verb, asked))
    return Response(status_code=CLIENT_GONE) if done is None else done_response(request, done)


async def _while_there(request: Request, work: Coroutine[Any, Any, Done]) -> Done | None:
    """What comes of `work`; None where the client goes away meanwhile, as when a slider has moved on.

    What has begun is not ended, because a new worker would cost more than that.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    """Return when the client has gone. Its body has been read: nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
