"""What every route says of itself that is not a verb: its summary, its answers, the problems that it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crosszone.core.access import VIEWER
from crosszone.server.schemas import file_schema, reference
from crosszone.server.sse import LAST_EVENT_ID
from crosszone.server.sse import MEDIA_TYPE as EVENTS
from crosszone.server.work import GZIP, HTML, JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What OpenAPI is told of one route."""

    summary: str
    description: str = ""
    contents: dict[str, Any]
    """Schema of the answer by media type."""
    errors: tuple[int, ...] = ()
    """Statuses of problems besides those that every route has."""
    others: dict[int, str] = field(default_factory=dict)
    """Other statuses without a body, and what they mean."""
    parameters: tuple[dict[str, Any], ...] = ()
    """Those that the framework cannot find in the function."""
    status: int = 200
    """Of the answer."""
    body: dict[str, Any] | None = None
    """Schema of the request's body, with an example."""
    scope: str = VIEWER
    """What who asks must be allowed to do."""


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "header", "name": name, "description": description, "schema": {"type": "string", **schema}}


PREFER = _header("Prefer", 'With "respond-async" the answer is 202 and an operation.')
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Of an operation: the same key does not begin a second one.",
    maxLength=200,
)
LAST_EVENT = _header(LAST_EVENT_ID, "The last event that came: those after it are sent.", pattern="^[0-9]{0,18}$")
_HAS_IT = {304: "The client has it already."}
_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
_OPERATION = {JSON: reference("Operation")}

ROUTES = {
    "catalog": Told(
        summary="What a job file can name, with sources",
        contents={JSON: reference("Catalog")},
        errors=(404,),
        others=_HAS_IT,
    ),
    "catalog_entry": Told(
        summary="All facts of one GPU, model, region or framework; prices, egress and links of one place",
        contents={JSON: reference("Catalog")},
        errors=(404,),
        others=_HAS_IT,
    ),
    "schema": Told(
        summary="JSON Schema of the job file",
        contents={"application/schema+json": {"type": "object"}},
        others=_HAS_IT,
    ),
    "templates": Told(
        summary="First job files, by scenario",
        contents={JSON: reference("Templates")},
        others=_HAS_IT,
    ),
    "accuracy": Told(
        summary="How near predictions were to published runs",
        contents={JSON: reference("Accuracy")},
        others=_HAS_IT,
    ),
    "configuration": Told(
        summary="What a user interface must know first",
        description="Asks for no token.",
        contents={JSON: reference("Configuration")},
    ),
    "doctor": Told(
        summary="What this machine, on which the server runs, is fit for",
        description="Other machines are not looked at for a request: `crosszone doctor` does that.",
        contents={JSON: reference("PreflightReport")},
    ),
    "operation": Told(summary="How an operation stands", contents=_OPERATION, errors=(404,)),
    "operation_result": Told(
        summary="What came of an operation",
        description="The answer of its verb, or the problem that the verb has with its request.",
        contents={JSON: {"type": "object"}} | {media: file_schema(media) for media in (GZIP, HTML)},
        errors=(404, 409),
    ),
    "operation_events": Told(
        summary="What happens to an operation, as it happens",
        description="Server-sent events `state` and `progress`; the data of each is the operation as it then is. The "
        "stream ends with the operation. Asked again after its last event, it answers 204.",
        contents={EVENTS: {"type": "string"}},
        errors=(404,),
        others={204: "It is over, and the client has all of its events."},
        parameters=(LAST_EVENT,),
    ),
    "operation_cancel": Told(
        summary="Give an operation up",
        description="What it has computed is lost. One that is over stays as it is.",
        contents=_OPERATION,
        errors=(404,),
    ),
    "healthz": Told(summary="Whether the server runs", contents={JSON: _STATUS}),
    "readyz": Told(summary="Whether all workers have loaded what they need", contents={JSON: _STATUS}),
    "metrics": Told(summary="Figures for Prometheus", contents={"text/plain": {"type": "string"}}),
}
