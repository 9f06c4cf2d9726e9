"""The application: routes under `/api/v1`, and what watches a server asks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from crosszone.errors import Finding
from crosszone.server import metrics as figures
from crosszone.server.access import Access
from crosszone.server.body import JSON
from crosszone.server.catalogs import Catalogs
from crosszone.server.guard import Guard
from crosszone.server.metrics import Metrics
from crosszone.server.openapi import API_PATH, describe, operation
from crosszone.server.operation_routes import add_operation_routes
from crosszone.server.operations import Operations
from crosszone.server.pools import Pools
from crosszone.server.problems import INVALID, NOT_FOUND, WRONG_METHOD, Refused, mistake, problem_response
from crosszone.server.responses import etag_response
from crosszone.server.verb_routes import add_verb_routes

logger = logging.getLogger(__name__)

SCHEMA_JSON = "application/schema+json"


def application(access: Access, workers: Pools, operations: Operations | None = None, *, is_tls: bool = False) -> Guard:
    """The whole application, guarded. Its workers start and end with it, and so do its operations."""
    metrics = Metrics(version("crosszone"))
    app = FastAPI(
        title="CrossZone",
        version=version("crosszone"),
        openapi_url=None,  # ours says more, and under /api/v1
        docs_url=None,  # theirs loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(workers),
    )
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    operations = operations or Operations(workers)
    add_verb_routes(app, workers, operations)
    add_operation_routes(app, operations)
    Catalogs(workers.quick).add_routes(app)
    _add_schema_routes(app, workers)
    _add_watching_routes(app, workers, metrics)
    return Guard(app, access=access, metrics=metrics, is_tls=is_tls)


def _lifespan(workers: Pools) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.ensure_future(_load(workers))
        try:
            yield
        finally:
            loading.cancel()
            workers.quick.close()
            workers.long.close()

    return lifespan


async def _load(workers: Pools) -> None:
    try:
        await asyncio.gather(workers.quick.start(), workers.long.start())
    except Exception:
        logger.exception("the workers do not start")
        raise


def _add_schema_routes(app: FastAPI, workers: Pools) -> None:
    kept: dict[str, bytes] = {}

    async def schema(request: Request) -> Response:
        if "job" not in kept:
            kept["job"] = (await workers.quick.answer("schema", {})).content
        return etag_response(request, kept["job"], SCHEMA_JSON)

    async def openapi(request: Request) -> Response:
        if "api" not in kept:
            job = (await workers.quick.answer("schema", {})).content
            kept["api"] = json.dumps(describe(app, json.loads(job)), ensure_ascii=False).encode()
        return etag_response(request, kept["api"], JSON)

    app.add_api_route(f"{API_PATH}/schema", schema, methods=["GET"], **operation("schema"))
    app.add_api_route(f"{API_PATH}/openapi.json", openapi, methods=["GET"], include_in_schema=False)


def _add_watching_routes(app: FastAPI, workers: Pools, metrics: Metrics) -> None:
    async def alive() -> Response:
        return Response(b'{"status": "ok"}', media_type=JSON)

    async def ready() -> Response:
        if not workers.is_ready:
            return Response(b'{"status": "loading"}', status_code=503, media_type=JSON, headers={"Retry-After": "1"})
        return Response(b'{"status": "ok"}', media_type=JSON)

    async def all_figures() -> Response:
        num_pending = {"quick": workers.quick.num_pending, "long": workers.long.num_pending}
        return Response(metrics.text(num_pending), media_type=figures.MEDIA_TYPE)

    for path, route in (("/healthz", alive), ("/readyz", ready), ("/metrics", all_figures)):
        app.add_api_route(path, route, methods=["GET"], **operation(path.removeprefix("/")))


async def _refusal(request: Request, error: Exception) -> Response:
    request_id = request.state.request_id
    refusal = error if isinstance(error, Refused) else mistake(request_id)
    return problem_response(refusal, request_id=request_id, accept_language=request.headers.get("accept-language", ""))


async def _http_problem(request: Request, error: Exception) -> Response:
    """A path that is not there, or not with that method."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        message = f"{request.method} is not for {request.url.path}."
        refusal = Refused.of(WRONG_METHOD, message, hint=f"Use {headers.get('Allow', '')}.", headers=headers)
    else:
        message = f"there is no {request.url.path[:200]}."
        refusal = Refused.of(NOT_FOUND, message, hint=f"{API_PATH}/openapi.json says what there is.")
    return await _refusal(request, refusal)


async def _query_problem(request: Request, error: Exception) -> Response:
    """Parameters of the address that are not as they should be."""
    assert isinstance(error, RequestValidationError)
    findings = [
        Finding(code="invalid", message=f"{each['msg']}.", where=".".join(str(part) for part in each["loc"][1:]))
        for each in error.errors()
    ]
    is_of_path = any(each["loc"][0] == "path" for each in error.errors())
    return await _refusal(request, Refused(NOT_FOUND if is_of_path else INVALID, *findings))


_HANDLERS = {
    Refused: _refusal,
    HTTPException: _http_problem,
    RequestValidationError: _query_problem,
    Exception: _refusal,
}
