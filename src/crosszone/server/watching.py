"""Routes of what watches a server: is it there, can it answer, how much does it do, what is this machine."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

from crosszone.server import metrics as figures
from crosszone.server.body import JSON
from crosszone.server.metrics import Metrics
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.pools import Pools
from crosszone.server.responses import done_response


def add_watching_routes(app: FastAPI, workers: Pools, metrics: Metrics, *, is_demo: bool = False) -> None:
    """Add what answers for them; of its machine a demonstration, which asks nobody for a token, says nothing."""

    async def alive() -> Response:
        return Response(b'{"status": "ok"}', media_type=JSON)

    async def ready() -> Response:
        if not workers.is_ready:
            return Response(b'{"status": "loading"}', status_code=503, media_type=JSON, headers={"Retry-After": "1"})
        return Response(b'{"status": "ok"}', media_type=JSON)

    async def all_figures() -> Response:
        num_pending = {"quick": workers.quick.num_pending, "long": workers.long.num_pending}
        return Response(metrics.text(num_pending), media_type=figures.MEDIA_TYPE)

    async def doctor(request: Request) -> Response:
        return done_response(request, await workers.long.answer("doctor", {}))

    for path, route in (("/healthz", alive), ("/readyz", ready), ("/metrics", all_figures)):
        # What watches may add parameters of its own: the time, the name of a collector.
        told = operation(path.removeprefix("/"))
        app.router.add_api_route(path, route, methods=["GET"], route_class_override=APIRoute, **told)
    if not is_demo:
        app.add_api_route(f"{API_PATH}/doctor", doctor, methods=["GET"], **operation("doctor"))
