"""What the routes of what is kept say of themselves."""

from __future__ import annotations

from typing import Any

from crosszone.core.access import OPERATOR
from crosszone.server.routes import IDEMPOTENCY_KEY, LAST_EVENT, Told
from crosszone.server.schemas import file_schema, reference
from crosszone.server.sse import MEDIA_TYPE as EVENTS
from crosszone.server.work import GZIP, JSON

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag that the change is of: another one is refused with 412.",
    "schema": {"type": "string", "maxLength": 100},
}
_READ, _CHANGE = (404,), (400, 404, 408, 409, 412, 413, 415)
_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}
_TEXTS = {"type": "array", "items": _TEXT, "maxItems": 10_000}
_ENTRY = {
    "type": "object",
    "description": "Keys as an inventory has them; quantities are text with their unit.",
    "examples": [{"name": "pytorch-dev-env", "zone": "beijing-a", "gpu": "8x A100", "memory": "512 GB"}],
}
_IDS = {"type": "object", "required": ["ids"], "properties": {"ids": _TEXTS}}
_IMPORT = {
    "type": "object",
    "required": ["format"],
    "properties": {
        "format": {"type": "string", "enum": ["yaml", "csv", "hostfile", "slurm", "kubernetes"]},
        "text": {
            "type": "string",
            "description": "Of the file. Without it Slurm, or kubectl, is asked on the server's machine.",
        },
        "defaults": {"type": "object", "description": "Keys that entries take where they do not have them."},
        "try": {"type": "boolean", "description": "Say what it would do, and do nothing."},
    },
    "examples": [{"format": "csv", "text": "name,zone,gpu\na,east,8x A100\n"}],
}
_LINK = {
    "type": "object",
    "required": ["from", "to", "path"],
    "properties": {
        "from": _TEXT,
        "to": _TEXT,
        "path": {"type": "object", "description": "As a job file has a link, without its zones."},
        "both": {"type": "boolean", "description": "Whether the way back is the same; true where absent."},
    },
    "examples": [{"from": "east", "to": "west", "path": {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}}],
}
TASK_EXAMPLE: dict[str, Any] = {
    "taskName": "llama-finetuning",
    "datasetId": "dataset-001",
    "datasetVersionId": "version-001",
    "modelId": "llama-3-8b",
    "launchMode": "existing",
    "distributedConfig": {
        "enabled": True,
        "nodeIds": ["env-001", "env-003"],
        "masterNode": "env-001",
        "framework": "pytorch-fsdp",
        "strategy": {"dataParallel": 16, "pipelineParallel": 1, "tensorParallel": 1, "zeroStage": 3},
    },
    "workload": {"sequence_length": 4096, "global_batch_size": 64},
    "deployment": {"steps": 1000},
}
_TASK: dict[str, Any] = {
    "type": "object",
    "required": ["taskName", "datasetId", "datasetVersionId"],
    "properties": {
        **dict.fromkeys(("taskName", "datasetId", "datasetVersionId", "modelId", "budget"), _TEXT),
        "launchMode": {"type": "string", "enum": ["existing", "new", "export", "simulate"]},
        "distributedConfig": {"type": "object"},
        "workload": {"type": "object", "description": "As a job file has it."},
        "deployment": {"type": "object", "description": "Options of deploy: backend device steps data checkpoints."},
        "priority": _WHOLE,
    },
    "examples": [TASK_EXAMPLE],
}
_DRAFT = {
    "type": "object",
    "description": "What creating a task takes, right or wrong.",
    "examples": [TASK_EXAMPLE],
}
_AGAIN = {
    "type": "object",
    "properties": {name: _TASK["properties"][name] for name in ("taskName", "budget", "priority")},
    "examples": [{"taskName": "once more"}],
}
_ASSET = {"type": "object", "examples": [{"name": "Wikipedia", "size": "20 GB", "zone": "beijing-a"}]}
FOLLOWED = "Server-sent events. With `Accept: text/event-stream` those to come are waited for, until a task is over."
_HAS_ALL = {204: "The client has all events, and none is waited for."}
_LISTED = "A page; the header Link has the next one."


def _json(name: str) -> dict[str, Any]:
    return {JSON: reference(name)}


STATE_ROUTES = {
    "environment_list": Told(
        summary="Environments, and what all of them have together",
        description=f"{_LISTED} Totals are of all pages, read at the same moment.",
        contents=_json("EnvironmentPage"),
    ),
    "environment_add": Told(
        summary="Add an environment",
        contents=_json("Environment"),
        errors=_CHANGE,
        status=201,
        body=_ENTRY,
        scope=OPERATOR,
    ),
    "environment": Told(summary="One environment", contents=_json("Environment"), errors=_READ),
    "environment_change": Told(
        summary="Change keys of an environment",
        description="Null takes a value away.",
        contents=_json("Environment"),
        errors=_CHANGE,
        parameters=(IF_MATCH,),
        body=_ENTRY,
        scope=OPERATOR,
    ),
    "environment_remove": Told(
        summary="Forget an environment",
        contents={},
        errors=(404, 409, 412),
        parameters=(IF_MATCH,),
        status=204,
        scope=OPERATOR,
    ),
    "environment_import": Told(
        summary="Add or change all environments that a file tells of",
        description="All of it, or nothing where anything is wrong.",
        contents=_json("Imported"),
        errors=_CHANGE,
        body=_IMPORT,
        scope=OPERATOR,
    ),
    "environment_probe": Told(
        summary="Look at environments over ssh, and at the paths between their zones",
        contents=_json("Imported"),
        errors=_CHANGE,
        body=_IDS,
        scope=OPERATOR,
    ),
    "environment_cluster": Told(
        summary="The cluster of a job file that chosen environments are",
        contents=_json("ChosenCluster"),
        errors=_CHANGE,
        body={**_IDS, "properties": {"ids": _TEXTS, "main_node": _TEXT}},
    ),
    "environment_paths": Told(
        summary="What is known of the path from each of these environments to each other one",
        contents=_json("EnvironmentPaths"),
        errors=_CHANGE,
        body=_IDS,
    ),
    "zone_links": Told(summary="What is known of the paths between zones", contents=_json("ZoneLinks"), errors=()),
    "zone_link_set": Told(
        summary="Tell what a path between two zones can do",
        contents={},
        errors=_CHANGE,
        status=204,
        body=_LINK,
        scope=OPERATOR,
    ),
    "assets": Told(summary="Data sets or models that tasks can name", contents=_json("Assets"), errors=(404,)),
    "asset_set": Told(
        summary="Tell what a version of a data set, or a model, is",
        contents={JSON: {"type": "object"}},
        errors=_CHANGE,
        body=_ASSET,
        scope=OPERATOR,
    ),
    "task_create": Told(
        summary="Create a training task",
        description="Everything that is wrong is told at once, each error in English (`message`) and Chinese "
        "(`message_zh`). `status` in the answer is `initializing` until it runs; `state` says more.",
        contents=_json("TaskEnvelope"),
        errors=_CHANGE,
        parameters=(IDEMPOTENCY_KEY,),
        status=201,
        body=_TASK,
        scope=OPERATOR,
    ),
    "task_examine": Told(
        summary="What a request for a training task comes to",
        description="As creating it would tell; what is wrong with it is part of the answer. Where nothing "
        "is wrong but that an environment cannot take it now, both are told. Nothing is kept.",
        contents=_json("TaskExamination"),
        errors=_CHANGE,
        body=_DRAFT,
    ),
    "task_list": Told(summary="Training tasks", description=_LISTED, contents=_json("TaskPage")),
    "task": Told(summary="One training task", contents=_json("Task"), errors=_READ),
    "task_attempts": Told(
        summary="Every try of a task, with its zones, nodes and ranks",
        contents=_json("TaskAttempts"),
        errors=_READ,
    ),
    "task_transitions": Told(
        summary="Every step in the life of a task, with its cause", contents=_json("TaskTransitions"), errors=_READ
    ),
    "task_events": Told(
        summary="What happens to a task, as it happens",
        description=FOLLOWED,
        contents={EVENTS: _TEXT},
        errors=(404,),
        others=_HAS_ALL,
        parameters=(LAST_EVENT,),
    ),
    "task_stop": Told(
        summary="Ask a task to stop",
        description="One that nothing runs of is stopped at once. Asking again changes nothing.",
        contents=_json("Task"),
        errors=(404, 409, 412),
        parameters=(IF_MATCH,),
        status=202,
        scope=OPERATOR,
    ),
    "events": Told(
        summary="What happens to all tasks, as it happens",
        description=FOLLOWED,
        contents={EVENTS: _TEXT},
        others=_HAS_ALL,
        parameters=(LAST_EVENT,),
    ),
    "deployment_list": Told(summary="Rendered bundles", description=_LISTED, contents=_json("DeploymentPage")),
    "deployment": Told(summary="One rendered bundle", contents=_json("Deployment"), errors=_READ),
    "deployment_archive": Told(summary="The files of a bundle", contents={GZIP: file_schema(GZIP)}, errors=_READ),
    "deployment_changes": Told(
        summary="How a bundle differs from another one, `since`", contents=_json("DeploymentChanges"), errors=(404,)
    ),
    "deployment_request": Told(
        summary="What the newest task of a bundle asked for", contents=_json("DeploymentTask"), errors=_READ
    ),
    "deployment_again": Told(
        summary="Create a new task of what a bundle was made for",
        description="The newest task that refers to the bundle is asked for again, with what the body says otherwise; "
        "everything is examined anew.",
        contents=_json("TaskEnvelope"),
        errors=_CHANGE,
        parameters=(IDEMPOTENCY_KEY,),
        status=201,
        body=_AGAIN,
        scope=OPERATOR,
    ),
    "deployment_remove": Told(
        summary="Forget a bundle; tasks that are over do without",
        contents={},
        errors=(404, 409),
        status=204,
        scope=OPERATOR,
    ),
}
