"""The application: routes under `/api/v1`, and what watches a server asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from crosszone.core.retention import Retention
from crosszone.errors import Finding
from crosszone.server.access import Access
from crosszone.server.access_routes import add_access_routes
from crosszone.server.callers import Callers
from crosszone.server.catalogs import Catalogs
from crosszone.server.cleaning import keep_clean
from crosszone.server.configuration import Configuration
from crosszone.server.configuration_routes import add_configuration_route
from crosszone.server.documents import add_document_routes
from crosszone.server.guard import Guard
from crosszone.server.metrics import Metrics
from crosszone.server.openapi import API_PATH
from crosszone.server.operation_routes import add_operation_routes
from crosszone.server.operations import Operations
from crosszone.server.pools import Pools
from crosszone.server.problems import INVALID, NOT_FOUND, WRONG_METHOD, Refused, mistake, problem_response
from crosszone.server.progress_routes import add_progress_routes
from crosszone.server.run_routes import add_run_routes
from crosszone.server.stored import NounRoute
from crosszone.server.stored_routes import add_stored_routes
from crosszone.server.verb_routes import add_verb_routes
from crosszone.server.watching import add_watching_routes
from crosszone.server.web_files import WebFiles

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

logger = logging.getLogger(__name__)


def application(
    access: Access,
    workers: Pools,
    operations: Operations | None = None,
    *,
    store: Store | None = None,
    retention: Retention | None = None,
    is_tls: bool = False,
    is_demo: bool = False,
    web: WebFiles | None = None,
) -> Guard:
    """The whole application, guarded. Its workers start and end with it, and so do its operations.

    `store`: what it keeps; None: it only computes. `retention`: how long; None: as long as is usual. `web`: the user
    interface; None: there is only the API.
    """
    metrics = Metrics(version("crosszone"))
    app = FastAPI(
        title="CrossZone",
        version=version("crosszone"),
        openapi_url=None,  # ours says more, and under /api/v1
        docs_url=None,  # theirs loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(workers, store, retention or Retention()),
    )
    app.router.route_class = NounRoute
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    operations = operations or Operations(workers)
    add_verb_routes(app, workers, operations)
    add_operation_routes(app, operations)
    Catalogs(workers.quick).add_routes(app)
    add_document_routes(app, workers)
    if store is not None:
        add_stored_routes(app, workers, store, is_demo=is_demo)
        add_progress_routes(app, store)
        add_access_routes(app, store)
        add_run_routes(app, store)
    add_watching_routes(app, workers, metrics, is_demo=is_demo)
    configuration = Configuration(
        version=version("crosszone"), api_path=API_PATH, is_token_needed=access.is_token_needed, is_demo=is_demo
    )
    add_configuration_route(app, configuration)
    return Guard(app, callers=Callers(access, store), metrics=metrics, is_tls=is_tls, web=web)


def _lifespan(workers: Pools, store: Store | None, retention: Retention) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        beside = [asyncio.ensure_future(load(workers))]
        if store is not None:
            beside.append(asyncio.ensure_future(keep_clean(store, retention)))
        try:
            yield
        finally:
            for each in beside:
                each.cancel()
            workers.quick.close()
            workers.long.close()

    return lifespan


async def load(workers: Pools) -> None:
    """Start all workers. What goes wrong is for the log, too: nobody waits for this task."""
    try:
        # One after the other: who asks first waits for a quick one, which long ones would keep from the processors.
        await workers.quick.start()
        await workers.long.start()
    except Exception:
        logger.exception("the workers do not start")
        raise


async def _refusal(request: Request, error: Exception) -> Response:
    request_id = request.state.request_id
    refusal = error if isinstance(error, Refused) else mistake(request_id)
    return problem_response(refusal, request_id=request_id, accept_language=request.headers.get("accept-language", ""))


async def _http_problem(request: Request, error: Exception) -> Response:
    """A path that is not there, or not with that method."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request)
        message = f"{request.method} is not for {request.url.path}."
        refusal = Refused.of(WRONG_METHOD, message, hint=f"Use {headers.get('Allow', '')}.", headers=headers)
    else:
        message = f"there is no {request.url.path[:200]}."
        refusal = Refused.of(NOT_FOUND, message, hint=f"{API_PATH}/openapi.json says what there is.")
    return await _refusal(request, refusal)


def _allowed(request: Request) -> str:
    """The methods of all routes with the path of the first that matches; the framework tells only those of that one."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    path = next((route.path for route in routes if route.matches(request.scope)[0] is not Match.NONE), "")
    return ", ".join(sorted({method for route in routes if route.path == path for method in route.methods or ()}))


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
