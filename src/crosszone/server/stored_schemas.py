"""JSON Schemas of what is kept."""

from __future__ import annotations

from typing import Any

from crosszone.server.schemas import noun_schemas

_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}


def stored_schemas() -> dict[str, Any]:
    """The schemas of answers about what is kept, by name."""
    from crosszone.core.environment import STATUSES
    from crosszone.core.task import LAUNCH_MODES, TASK_STATES
    from crosszone.service.inventory import ChosenCluster, EnvironmentPage, Imported
    from crosszone.service.stored import DeploymentPage
    from crosszone.service.tasks import TaskPage

    schemas = noun_schemas(EnvironmentPage, Imported, ChosenCluster, TaskPage)
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
    return {**schemas, "TaskEnvelope": _envelope()}


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
