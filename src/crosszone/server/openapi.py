"""OpenAPI 3.1 of the server: what each operation takes, every status that it may answer, and examples."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from crosszone.core.access import ADMIN, OPERATOR, VIEWER
from crosszone.server.access_told import ACCESS_ROUTES
from crosszone.server.body import CSV, JSON
from crosszone.server.callers import needs
from crosszone.server.problems import KINDS, MEDIA_TYPE, Kind, problem_schema
from crosszone.server.progress_told import PROGRESS_ROUTES
from crosszone.server.results import result_schemas
from crosszone.server.routes import IDEMPOTENCY_KEY, PREFER, ROUTES, Told
from crosszone.server.run_told import RUN_ROUTES
from crosszone.server.schemas import JOB_FILE, file_schema, job_schemas, reference
from crosszone.server.state_told import STATE_ROUTES
from crosszone.server.verb import Verb
from crosszone.server.verbs import JOB, TABLE_EXAMPLE, VERBS
from crosszone.server.work import GZIP, HTML

API_PATH = "/api/v1"
DESCRIPTION = """The verbs of the command line over HTTP. An answer has the very JSON that the command prints with
`--json`: base units, names as in the job file. Errors are RFC 9457, all of them at once."""
_ALWAYS = (401, 421, 422, 500, 503)
_OF_VERBS = (400, 408, 413, 415)
_HEADERS = {"X-Request-ID": {"schema": {"type": "string"}, "description": "Names the request, in the log too."}}
_FOLLOWING = ("operation", "operation_result", "operation_events", "operation_cancel")
_BEGUN = {"operation_id": "$response.body#/id"}
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "Of the operation."}}


TOLD = ROUTES | STATE_ROUTES | PROGRESS_ROUTES | ACCESS_ROUTES | RUN_ROUTES
"""What every route says of itself that is not a verb."""
_FOR_WHOM = {OPERATOR: "For operators and admins.", ADMIN: "For admins."}


def operation(name: str) -> dict[str, Any]:
    """What the route `name` is told about itself."""
    verb = next((verb for verb in VERBS if verb.name == name), None)
    if verb is not None:
        return {**_named(name, VIEWER), **_verb(verb)}
    told = TOLD[name]
    return {**_named(name, told.scope), **_route(told)}


def _named(name: str, scope: str) -> dict[str, Any]:
    return {"operation_id": name, "name": name, "response_class": Response, "dependencies": [needs(scope)]}


def describe(app: FastAPI, job_schema: dict[str, Any]) -> dict[str, Any]:
    """The document."""
    found = get_openapi(
        title=app.title, version=app.version, openapi_version="3.1.0", description=DESCRIPTION, routes=app.routes
    )
    components = found.setdefault("components", {})
    components["schemas"] = {
        **result_schemas(),
        **job_schemas(job_schema),
        **{_arguments_name(verb): _arguments_schema(verb) for verb in VERBS},
        "ProblemDetails": problem_schema(),
    }
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{}, {"token": []}]
    for path in found["paths"].values():
        for each in path.values():
            if "422" in each["responses"]:  # the framework describes its own kind of answer
                each["responses"]["422"] = _problem(422)
    return found


def _route(told: Told) -> dict[str, Any]:
    success = {"description": "The answer.", "headers": _HEADERS}
    contents = {media: {"schema": schema} for media, schema in told.contents.items()}
    extra: dict[str, Any] = {"parameters": list(told.parameters)} if told.parameters else {}
    if told.body is not None:
        extra["requestBody"] = {"required": True, "content": {JSON: {"schema": told.body}}}
    return {
        "summary": told.summary,
        "description": f"{told.description} {_FOR_WHOM.get(told.scope, '')}".strip() or None,
        "status_code": told.status,
        "responses": {
            told.status: {**success, **({"content": contents} if contents else {})},
            **{status: {"description": meaning, "headers": _HEADERS} for status, meaning in told.others.items()},
            **_problems((*told.errors, *(() if told.scope == VIEWER else (403,)))),
        },
        **({"openapi_extra": extra} if extra else {}),
    }


def _verb(verb: Verb) -> dict[str, Any]:
    answer = {JSON: reference(verb.result)} if verb.result else {HTML: file_schema(HTML)}
    content: dict[str, Any] = {media: {"schema": schema} for media, schema in answer.items()}
    if verb.is_file_too:
        content[GZIP] = {"schema": file_schema(GZIP)}
    responses: dict[int, Any] = {200: {"description": "The answer.", "content": content, "headers": _HEADERS}}
    extra: dict[str, Any] = {"requestBody": _request_body(verb)}
    if verb.is_long:
        begun = {JSON: {"schema": reference("Operation")}}
        responses[202] = {
            "description": "It has begun.",
            "content": begun,
            "headers": {**_HEADERS, **_LOCATION},
            "links": {name: {"operationId": name, "parameters": _BEGUN} for name in _FOLLOWING},
        }
        extra["parameters"] = [PREFER, IDEMPOTENCY_KEY]
    return {
        "summary": verb.summary,
        "description": verb.description,
        "responses": {**responses, **_problems(_OF_VERBS)},
        "openapi_extra": extra,
    }


def _request_body(verb: Verb) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": reference(_arguments_name(verb)), "example": verb.example}}
    if verb.name == "validate":
        content[CSV] = {"schema": {"type": "string"}, "example": TABLE_EXAMPLE}
    return {"required": True, "content": content}


def _arguments_name(verb: Verb) -> str:
    return f"{verb.name.title().replace('_', '')}Arguments"


def _arguments_schema(verb: Verb) -> dict[str, Any]:
    properties = {option.name: option.schema() for option in verb.options}
    if JOB in verb.options:
        text = {"type": "string", "description": "Its YAML text."}
        properties["job"] = {"anyOf": [reference(JOB_FILE), text], "description": JOB.meaning}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [option.name for option in verb.options if option.is_required],
        "properties": properties,
    }


def _problems(statuses: tuple[int, ...]) -> dict[int, Any]:
    return {status: _problem(status) for status in sorted({*_ALWAYS, *statuses})}


def _problem(status: int) -> dict[str, Any]:
    kinds: list[Kind] = [kind for kind in KINDS if kind.status == status]
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": reference("ProblemDetails")}}
    if status == 503:  # also what readyz says
        content[JSON] = {"schema": {"type": "object"}}
    return {"description": ", or: ".join(kind.english for kind in kinds) + ".", "content": content, "headers": _HEADERS}
