"""Routes of tasks that are driven: how they stand, what their ranks say and measure, runs that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query, Request, Response

from crosszone.core.codec import to_json
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.sse import Event, News, PolledLog, event_response
from crosszone.server.stored import Stored, is_followed, noun_response
from crosszone.server.task_routes import PATH
from crosszone.service.run_table import run_table
from crosszone.service.task_faults import task_checkpoints, task_faults
from crosszone.service.task_progress import TaskLines, task_lines, task_links, task_orphans, task_progress, task_samples

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

CSV = "text/csv"
Number = Annotated[int | None, Query(ge=1, le=10**6)]
Rank = Annotated[int | None, Query(ge=0, le=10**7)]
Step = Annotated[int, Query(ge=-1, le=10**12)]
Name = Annotated[str, Query(min_length=1, max_length=100)]


def add_progress_routes(app: FastAPI, store: Store) -> None:
    """Add them."""
    stored = Stored(store)
    _add_of_tasks(app, stored)
    _add_of_all(app, stored)


def _add_of_tasks(app: FastAPI, stored: Stored) -> None:
    async def progress(task_id: str) -> Response:
        return noun_response(await stored.ask(task_progress, task_id))

    async def log(request: Request, task_id: str, attempt: Number = None, rank: Rank = None) -> Response:
        await stored.ask(task_lines, task_id, 0, attempt=attempt, rank=rank)

        async def look(number: int) -> News:
            return _lines(await stored.ask(task_lines, task_id, number, attempt=attempt, rank=rank))

        return await event_response(request, PolledLog(look, is_followed=is_followed(request)))

    async def samples(
        task_id: str, name: Name, attempt: Number = None, rank: Rank = None, after_step: Step = -1
    ) -> Response:
        found = await stored.ask(task_samples, task_id, name, attempt=attempt, after_step=after_step, rank=rank)
        rows = [{"rank": each.rank, "step": each.step, "seconds": each.seconds, "value": each.value} for each in found]
        return noun_response({"schema_version": 1, "name": name, "samples": rows})

    async def links(task_id: str, attempt: Number = None) -> Response:
        found = await stored.ask(task_links, task_id, attempt=attempt)
        return noun_response({"schema_version": 1, "links": found})

    async def faults(task_id: str) -> Response:
        return noun_response({"schema_version": 1, "faults": await stored.ask(task_faults, task_id)})

    async def checkpoints(task_id: str) -> Response:
        return noun_response({"schema_version": 1, "checkpoints": await stored.ask(task_checkpoints, task_id)})

    path = f"{PATH}/{{task_id}}"
    app.add_api_route(f"{path}/faults", faults, methods=["GET"], **operation("task_faults"))
    app.add_api_route(f"{path}/checkpoints", checkpoints, methods=["GET"], **operation("task_checkpoints"))
    app.add_api_route(f"{path}/links", links, methods=["GET"], **operation("task_links"))
    app.add_api_route(f"{path}/progress", progress, methods=["GET"], **operation("task_progress"))
    app.add_api_route(f"{path}/log", log, methods=["GET"], **operation("task_log"))
    app.add_api_route(f"{path}/samples", samples, methods=["GET"], **operation("task_samples"))


def _add_of_all(app: FastAPI, stored: Stored) -> None:
    async def table() -> Response:
        return Response((await stored.ask(run_table)).text, media_type=CSV)

    async def left_out() -> Response:
        found = await stored.ask(run_table)
        return noun_response({"schema_version": 1, "num_rows": found.num_rows, "left_out": to_json(found.left_out)})

    async def orphans() -> Response:
        return noun_response({"schema_version": 1, "orphans": to_json(await stored.ask(task_orphans))})

    app.add_api_route(f"{API_PATH}/run-table", table, methods=["GET"], **operation("run_table"))
    app.add_api_route(f"{API_PATH}/run-table/left-out", left_out, methods=["GET"], **operation("run_table_left_out"))
    app.add_api_route(f"{API_PATH}/orphans", orphans, methods=["GET"], **operation("orphans"))


def _lines(found: TaskLines) -> News:
    events = [
        Event(number=line.sequence, kind="line", data={"rank": line.rank, "seconds": line.seconds, "text": line.text})
        for line in found.lines
    ]
    return News(events=events, is_ended=found.is_ended)
