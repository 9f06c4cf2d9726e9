"""What the routes of saved plans, predictions and runs say of themselves."""

from __future__ import annotations

from typing import Any

from crosszone.core.access import OPERATOR
from crosszone.server.routes import IDEMPOTENCY_KEY, Told
from crosszone.server.schemas import reference
from crosszone.server.work import JSON

_TEXT = {"type": "string"}
_RUN: dict[str, Any] = {
    "type": "object",
    "required": ["name", "result"],
    "properties": {
        "name": {**_TEXT, "minLength": 1, "maxLength": 200},
        "result": {
            "type": "object",
            "description": "A prediction, a plan with its prediction, or an answer of plan, of which the first counts.",
        },
        "job": {"type": ["object", "null"], "description": "The job file that it is of, as an object."},
    },
    "examples": [{"name": "two zones, tp 8", "result": {"step_seconds": 2.0}}],
}
RUN_ROUTES = {
    "run_list": Told(
        summary="Saved plans, predictions and runs",
        description="A page; the header Link has the next one. `kind` is predicted or measured.",
        contents={JSON: reference("RunPage")},
    ),
    "run_save": Told(
        summary="Keep a plan or a prediction under a name",
        contents={JSON: reference("SavedRun")},
        errors=(400, 408, 413, 415),
        parameters=(IDEMPOTENCY_KEY,),
        status=201,
        body=_RUN,
        scope=OPERATOR,
    ),
    "run": Told(
        summary="One of them, whole",
        description="It never changes.",
        contents={JSON: reference("SavedRun")},
        errors=(404,),
        others={304: "The client has it already."},
    ),
    "run_timeline": Told(
        summary="The step of a run as it was measured, rank by rank, in the form of a simulated one",
        contents={JSON: reference("MeasuredTimeline")},
        errors=(404,),
    ),
    "run_remove": Told(summary="Forget one of them", contents={}, errors=(404,), status=204, scope=OPERATOR),
    "run_compare": Told(
        summary="Some of them side by side",
        description="`id` is repeated, two to twenty times; the first is what ratios and differences are against. "
        "The address can be passed on.",
        contents={JSON: reference("SideBySide")},
        errors=(404,),
    ),
}
