"""JSON Schemas of what is kept."""

from __future__ import annotations

from typing import Any

from crosszone.core.access import SCOPES
from crosszone.server.schemas import noun_schemas, reference

_TEXT, _WHOLE, _NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def stored_schemas() -> dict[str, Any]:
    """The schemas of answers about what is kept, by name."""
    from crosszone.core.access import Caller
    from crosszone.core.environment import STATUSES, EnvironmentPath
    from crosszone.core.path_watch import LEVELS
    from crosszone.core.run import RunStatus
    from crosszone.core.task import LAUNCH_MODES, TASK_STATES, Transition
    from crosszone.core.task_request import ExaminedTask
    from crosszone.service.access import QuotaUse
    from crosszone.service.inventory import ChosenCluster, EnvironmentPage, Imported
    from crosszone.service.measured_timeline import MeasuredTimeline
    from crosszone.service.saved import RunPage
    from crosszone.service.task_faults import FAULTS, TaskCheckpoint, TaskFault
    from crosszone.service.task_progress import ComparedFigure, TaskLink
    from crosszone.service.tasks import TaskPage, TriedTask

    schemas = noun_schemas(EnvironmentPage, Imported, ChosenCluster, TaskPage, RunPage, TaskLink, Caller, QuotaUse)
    schemas |= noun_schemas(EnvironmentPath, ExaminedTask, TriedTask, Transition, RunStatus, ComparedFigure)
    schemas |= noun_schemas(TaskFault, TaskCheckpoint, MeasuredTimeline)
    schemas["TaskFault"]["properties"]["kind"]["enum"] = list(FAULTS)
    schemas["TaskFaults"] = _list_of("faults", reference("TaskFault"))
    schemas["TaskCheckpoints"] = _list_of("checkpoints", reference("TaskCheckpoint"))
    schemas["EnvironmentPaths"] = _list_of("paths", reference("EnvironmentPath"))
    prediction = _or_null(reference("Prediction"))
    schemas["ExaminedTask"]["properties"]["prediction"] = prediction
    schemas["Task"]["properties"]["prediction"] = prediction
    schemas["TaskLink"]["properties"]["level"]["enum"] = list(LEVELS)
    schemas["TaskLinks"] = _list_of("links", reference("TaskLink"))
    schemas["Environment"]["properties"]["status"]["enum"] = list(STATUSES)
    schemas["Task"]["properties"]["state"]["enum"] = list(TASK_STATES)
    schemas["Task"]["properties"]["launch_mode"]["enum"] = list(LAUNCH_MODES)
    return {
        **schemas,
        **_followed(),
        **_deployments(),
        **_registry(),
        **_access(),
        "SavedRun": _saved_run(),
        "TaskEnvelope": _envelope(),
    }


def _followed() -> dict[str, Any]:
    """What is told of a task that is driven."""
    finding = _object(dict.fromkeys(("code", "message", "where", "hint"), _TEXT))
    progress = {
        "schema_version": _WHOLE,
        **dict.fromkeys(("task_id", "state"), _TEXT),
        "waits_for": {"type": "array", "items": finding},
        "attempt": _or_null(reference("Attempt")),
        "run": _or_null(reference("RunStatus")),
        "unseen": _TEXT,
        "compared": {"type": "array", "items": reference("ComparedFigure")},
        "spent_dollars": _or_null(_NUMBER),
    }
    sample = {**dict.fromkeys(("rank", "step"), _WHOLE), **dict.fromkeys(("seconds", "value"), _NUMBER)}
    samples = _list_of("samples", _object(sample))
    samples["properties"]["name"] = _TEXT
    return {
        "TaskExamination": _examination(finding),
        "TaskProgress": _object(progress, "How a task stands now. Null is not yet, or cannot be seen."),
        "TaskAttempts": _list_of("attempts", reference("TriedTask")),
        "TaskTransitions": _list_of("transitions", reference("Transition")),
        "TaskSamples": samples,
    }


def _examination(finding: dict[str, Any]) -> dict[str, Any]:
    error = _object({**finding["properties"], "message_zh": _TEXT})
    properties = {
        "schema_version": _WHOLE,
        "task": _or_null(reference("ExaminedTask")),
        "errors": {"type": "array", "items": error},
    }
    described = "What a request for a task comes to; null where more is wrong than that an environment takes none now."
    return _object(properties, described)


def _deployments() -> dict[str, Any]:
    deployment = {
        **dict.fromkeys(("id", "framework", "backend", "owner"), _TEXT),
        "world_size": _WHOLE,
        "job": {"type": "object"},
        "request": {"type": "object"},
        "prediction": _or_null(reference("Prediction")),
        "warnings": {"type": "array", "items": _TEXT},
        "created_seconds": _NUMBER,
    }
    page = _list_of("deployments", reference("Deployment"))
    page["properties"]["cursor"] = {"type": ["string", "null"]}
    change = dict.fromkeys(("path", "kind", "difference"), _TEXT)
    return {
        "Deployment": _object(deployment, "One rendered bundle, and what it was made of."),
        "DeploymentPage": {**page, "description": "A part of the list of deployments."},
        "DeploymentChanges": _list_of("changes", _object(change)),
        "DeploymentTask": _object({"schema_version": _WHOLE, "request": {"type": "object"}}),
    }


def _registry() -> dict[str, Any]:
    """Paths between zones, data sets and models, as somebody told of them."""
    link = {
        **dict.fromkeys(("from_zone", "to_zone", "source"), _TEXT),
        "path": {"type": "object"},
        "seen_seconds": _NUMBER,
    }
    text_or_none, number_or_none = {"type": ["string", "null"]}, {"type": ["number", "null"]}
    asset = {
        **dict.fromkeys(("kind", "id", "version_id", "name"), _TEXT),
        "zone": text_or_none,
        "size_bytes": number_or_none,
        "num_tokens": number_or_none,
        "model": {},
        "created_seconds": _NUMBER,
    }
    listed = {"type": "array", "items": _object(asset, "A version of a data set, or a model.")}
    properties = {"schema_version": _WHOLE, "datasets": listed, "models": listed}
    return {
        "ZoneLinks": _list_of("links", _object(link)),
        "Assets": {"type": "object", "required": ["schema_version"], "properties": properties},
    }


def _saved_run() -> dict[str, Any]:
    text_or_none, object_or_none = {"type": ["string", "null"]}, {"type": ["object", "null"]}
    properties = {
        **dict.fromkeys(("id", "name", "owner"), _TEXT),
        "kind": {**_TEXT, "enum": ["predicted", "measured"]},
        **dict.fromkeys(("task_id", "attempt_id", "fingerprint"), text_or_none),
        "job": {"type": "object"},
        **dict.fromkeys(("plan", "prediction", "measurement"), object_or_none),
        "created_seconds": {"type": "number"},
    }
    return _object(properties, "A plan with its prediction, or a run: what was predicted and measured.")


def _access() -> dict[str, Any]:
    moment = {"type": ["number", "null"]}
    token = {
        **dict.fromkeys(("id", "name"), _TEXT),
        "scope": {**_TEXT, "enum": list(SCOPES)},
        "created_seconds": {"type": "number"},
        "expires_seconds": moment,
        "revoked_seconds": moment,
        "is_good": {"type": "boolean", "description": "Whether it may still be shown."},
    }
    line = {
        **dict.fromkeys(("actor", "action", "target"), _TEXT),
        **dict.fromkeys(("sequence", "status"), _WHOLE),
        "request_id": {"type": ["string", "null"]},
        "details": {"type": "object"},
        "seconds": {"type": "number"},
    }
    issued = {"schema_version": _WHOLE, "text": _TEXT, "token": reference("Token")}
    return {
        "Token": _object(token, "What is known of a token."),
        "IssuedToken": _object(issued, "A new token; nobody can be told it again."),
        "TokenList": _list_of("tokens", reference("Token")),
        "QuotaList": _list_of("quotas", reference("QuotaUse")),
        "AuditLog": _list_of("entries", _object(line, "One change that somebody asked for.")),
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}


def _list_of(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return _object({"schema_version": _WHOLE, name: {"type": "array", "items": item}})


def _envelope() -> dict[str, Any]:
    info = {
        "type": "object",
        "required": ["nodeCount", "totalGpus", "masterNode", "framework", "worldSize"],
        "properties": {
            "nodeCount": _WHOLE,
            "totalGpus": _WHOLE,
            "masterNode": {"type": ["string", "null"]},
            "framework": {"type": ["string", "null"]},
            "worldSize": _WHOLE,
            "zones": {"type": "array", "items": _TEXT},
            "isDistributed": {"type": "boolean"},
            "nodes": {"type": "array", "items": {"$ref": "#/components/schemas/TaskNode"}},
        },
    }
    data = {
        "type": "object",
        "required": ["taskId", "status", "distributedInfo", "state", "warnings"],
        "properties": {
            "taskId": _TEXT,
            "status": _TEXT,
            "distributedInfo": info,
            "taskName": _TEXT,
            "state": _TEXT,
            "launchMode": _TEXT,
            "prediction": {"type": ["object", "null"]},
            "start": {"type": ["object", "null"]},
            "transfers": {"type": "array", "items": {"type": "object"}},
            "warnings": {"type": "array", "items": _TEXT},
        },
    }
    return {
        "type": "object",
        "description": "What is answered to who created a task.",
        "required": ["code", "message", "data"],
        "properties": {"code": {"const": 200}, "message": _TEXT, "messageEn": _TEXT, "data": data},
    }
