"""JSON Schemas of what is kept."""

from __future__ import annotations

from typing import Any

from crosszone.core.access import SCOPES
from crosszone.server.schemas import noun_schemas, reference

_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}


def stored_schemas() -> dict[str, Any]:
    """The schemas of answers about what is kept, by name."""
    from crosszone.core.access import Caller
    from crosszone.core.environment import STATUSES
    from crosszone.core.path_watch import LEVELS
    from crosszone.core.task import LAUNCH_MODES, TASK_STATES
    from crosszone.service.access import QuotaUse
    from crosszone.service.inventory import ChosenCluster, EnvironmentPage, Imported
    from crosszone.service.saved import RunPage
    from crosszone.service.stored import DeploymentPage
    from crosszone.service.task_progress import TaskLink
    from crosszone.service.tasks import TaskPage

    schemas = noun_schemas(EnvironmentPage, Imported, ChosenCluster, TaskPage, RunPage, TaskLink, Caller, QuotaUse)
    schemas["TaskLink"]["properties"]["level"]["enum"] = list(LEVELS)
    schemas["TaskLinks"] = _list_of("links", reference("TaskLink"))
    schemas["Environment"]["properties"]["status"]["enum"] = list(STATUSES)
    schemas["Task"]["properties"]["state"]["enum"] = list(TASK_STATES)
    schemas["Task"]["properties"]["launch_mode"]["enum"] = list(LAUNCH_MODES)
    deployments = {"type": "array", "items": {"type": "object"}}
    schemas["DeploymentPage"] = {
        "type": "object",
        "description": (DeploymentPage.__doc__ or "").strip(),
        "required": ["schema_version", "deployments", "cursor"],
        "properties": {"schema_version": _WHOLE, "deployments": deployments, "cursor": {"type": ["string", "null"]}},
    }
    return {**schemas, **_access(), "SavedRun": _saved_run(), "TaskEnvelope": _envelope()}


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
