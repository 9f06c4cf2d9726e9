"""What the routes of tasks that are driven say of themselves."""

from __future__ import annotations

from crosszone.server.routes import LAST_EVENT, Told
from crosszone.server.schemas import reference
from crosszone.server.sse import MEDIA_TYPE as EVENTS
from crosszone.server.work import JSON

_OBJECT, _TEXT = {"type": "object"}, {"type": "string"}
PROGRESS_ROUTES = {
    "task_progress": Told(
        summary="How a task stands: its newest attempt, measured beside predicted, or what it waits for",
        contents={JSON: reference("TaskProgress")},
        errors=(404,),
    ),
    "task_log": Told(
        summary="What the ranks of an attempt say, as they say it",
        description="Server-sent events of kind `line`. With `Accept: text/event-stream` those to come are waited for.",
        contents={EVENTS: _TEXT},
        errors=(404,),
        others={204: "The client has all lines, and none is waited for."},
        parameters=(LAST_EVENT,),
    ),
    "task_samples": Told(
        summary="Figures of an attempt by step and rank",
        description="`name` as of a prediction: step_seconds, loss, tokens_per_second, peak_bytes, ...",
        contents={JSON: reference("TaskSamples")},
        errors=(404,),
    ),
    "task_links": Told(
        summary="The paths between the nodes of an attempt, measured beside planned, and their alarms",
        contents={JSON: reference("TaskLinks")},
        errors=(404,),
    ),
    "task_faults": Told(
        summary="What went wrong with its attempts, and what was trained again",
        contents={JSON: reference("TaskFaults")},
        errors=(404,),
    ),
    "task_checkpoints": Told(
        summary="The states that it saved, how long that took, and which are still there",
        contents={JSON: reference("TaskCheckpoints")},
        errors=(404,),
    ),
    "run_table": Told(
        summary="Runs that were measured, as the table that validate and calibrate read", contents={"text/csv": _TEXT}
    ),
    "run_table_left_out": Told(summary="Runs that have no place in that table, and why", contents={JSON: _OBJECT}),
    "orphans": Told(
        summary="Runs that belong to no task, and tasks whose run is gone",
        description="Nothing is done about them.",
        contents={JSON: _OBJECT},
    ),
}
