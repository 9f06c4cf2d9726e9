"""Training tasks: created, listed, followed through their lives, and asked to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosszone.core.environment import Environment
from crosszone.core.task import (
    DRAFT,
    FAILED,
    FINAL_STATES,
    SIMULATE,
    STOPPED,
    SUCCEEDED,
    VALIDATED,
    Attempt,
    Cause,
    Part,
    Task,
    TaskFilter,
    Transition,
    compatible_status,
)
from crosszone.core.task_request import ExaminedTask, TaskFacts
from crosszone.errors import Finding, NotThere, PreflightFailed, SpecError

if TYPE_CHECKING:
    from crosszone.core.task_request import TaskRequest
    from crosszone.store.database import Connection
    from crosszone.store.opened import Store as Store

TASKS_PATH = "/api/v1/training-tasks"
CREATED, CREATED_ZH = "The task is created.", "训练任务创建成功"
AGAIN_KEYS = ("taskName", "budget", "priority")
"""What may be another when a deployment is run again: nothing that its files depend on."""
SERVER = "server"
"""Who does what nobody asked for by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedTask:
    """What is answered to who asked for a task: the same again to the same request under the same key."""

    status: int
    headers: dict[str, str]
    body: str
    """JSON."""

    @property
    def id(self) -> str:
        """Of the task."""
        return self.headers["Location"].rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """A part of the list of tasks."""

    schema_version: int = 1
    tasks: tuple[Task, ...]
    cursor: str | None
    """What the next page starts behind; None: this is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedTask:
    """One try of a task, and its parts."""

    attempt: Attempt
    parts: tuple[Part, ...]


def open_store(database: str | None = None, *, is_upgraded: bool = True) -> Store:
    """The store at an address, or this user's own; its tables are made or brought up to date, if so wished.

    Errors: SpecError where the address is none or a newer program wrote there; PreflightFailed where it is not reached,
    or what speaks to databases is not installed.
    """
    try:
        from crosszone.store.opened import open_store as opened
    except ModuleNotFoundError as error:
        message = f"what speaks to databases is not installed: {error}."
        raise PreflightFailed.of(message, hint="Install it: pip install 'crosszone[server]'.", code="missing") from None
    return opened(database, is_upgraded=is_upgraded)


@contextmanager
def opened_store(database: str | None = None) -> Iterator[Store]:
    """`open_store`, closed after use."""
    with closing(open_store(database)) as store:
        yield store


def create_task(store: Store, value: Mapping[str, Any], *, actor: str, key: str | None = None) -> CreatedTask:
    """Create what a request asks for, if nothing is wrong with it; under the same `key`, once.

    Errors: SpecError with everything that is wrong; InfeasiblePlan where it cannot fit; Conflict where the key came
    with another request.
    """
    from crosszone.service.task_check import examine

    kept = answered_before(store, value, actor=actor, key=key)
    return kept or keep_task(store, value, examine(value, task_facts(store, value)), actor=actor, key=key)


def answered_before(store: Store, value: Mapping[str, Any], *, actor: str, key: str | None) -> CreatedTask | None:
    """What was answered to this request under this key; None where it is new. Conflict where it was another one."""
    if key is None:
        return None
    with store.state.reading() as connection:
        return _kept(connection, value, actor, key, time.time())


def task_facts(store: Store, value: Mapping[str, Any]) -> TaskFacts:
    """What is known of what a request names, whatever is wrong with it."""
    from crosszone.service.inventory import unreachable_pairs
    from crosszone.spec.task_request import chosen_ids
    from crosszone.store import environments as inventory
    from crosszone.store import records, tasks

    ids = list(dict.fromkeys(chosen_ids(value)))
    with store.state.reading() as connection:
        known = {each.id: each for each in inventory.by_id(connection, ids)}
        chosen: tuple[Environment, ...] = tuple(known[key] for key in ids if key in known)
        links = inventory.links(connection, sorted({each.zone for each in chosen}))
        model = records.find_asset(connection, records.MODEL, str(value.get("modelId")))
        where = (str(value.get("datasetId")), str(value.get("datasetVersionId")))
        dataset = records.find_asset(connection, records.DATASET, *where)
        starting_seconds = tasks.starting_seconds(connection, ids) if ids else ()
    unreachable = unreachable_pairs(store, ids)
    return TaskFacts(
        environments=chosen,
        links=tuple((link.from_zone, link.to_zone, link.path) for link in links),
        model=None if model is None else model.model,
        dataset=None if dataset is None else _dataset_keys(dataset, {each.zone for each in chosen}),
        unreachable=unreachable,
        starting_seconds=starting_seconds,
    )


def keep_task(
    store: Store, value: Mapping[str, Any], examined: ExaminedTask, *, actor: str, key: str | None = None
) -> CreatedTask:
    """Keep a task in which nothing is wrong, with the answer to who asked for it: both, or neither.

    Conflict where the key came with another request; NotThere where an environment has gone since it was examined.
    """
    from crosszone.store import answers, tasks
    from crosszone.store import environments as inventory

    now_seconds = time.time()
    with store.state.writing() as connection:
        kept = None if key is None else _kept(connection, value, actor, key, now_seconds)
        if kept is not None:
            return kept
        inventory.several(connection, examined.request.environment_ids)
        asked = Cause(code="asked", text=f"{actor} asked for it.")
        draft = _draft(value, examined, actor, now_seconds)
        task = tasks.add(connection, draft, asked, actor=actor, now_seconds=now_seconds)
        task = _checked(connection, task, examined, now_seconds)
        headers = {"Location": f"{TASKS_PATH}/{task.id}", "ETag": f'"{task.version}"'}
        body = json.dumps(created_json(task, examined), ensure_ascii=False, allow_nan=False)
        created = CreatedTask(status=201, headers=headers, body=body)
        if key is not None:
            answer = answers.Answer(status=created.status, headers=created.headers, body=created.body)
            answers.keep(connection, actor, key, _digest(value), answer, now_seconds=now_seconds)
    return created


def created_json(task: Task, examined: ExaminedTask) -> dict[str, Any]:
    """The envelope that is answered, as `POST /api/v1/training-tasks` has always had it, and ours beside it."""
    from crosszone.core.codec import to_json

    request = examined.request
    config = task.request.get("distributedConfig") or {}
    zones = dict.fromkeys(node.zone for node in task.nodes)
    return {
        "code": 200,
        "message": CREATED_ZH,
        "messageEn": CREATED,
        "data": {
            "taskId": task.id,
            "status": compatible_status(task.state),
            "distributedInfo": {
                "nodeCount": len(task.nodes),
                "totalGpus": task.num_gpus,
                "masterNode": task.main_node,
                "framework": config.get("framework"),
                "worldSize": task.num_gpus,
                "zones": list(zones),
                "isDistributed": len(task.nodes) > 1,
                "nodes": to_json(task.nodes),
            },
            "taskName": task.name,
            "state": task.state,
            "launchMode": request.launch_mode,
            "prediction": _prediction_summary(task.prediction),
            "start": to_json(examined.start),
            "transfers": to_json(examined.transfers),
            "warnings": list(task.warnings),
        },
    }


def request_again(store: Store, deployment_id: str, changed: Mapping[str, Any]) -> dict[str, Any]:
    """The request of the newest task that refers to a deployment, with `AGAIN_KEYS` changed.

    Errors: NotThere of the deployment, or where no task refers to it any more; SpecError of a key that may not change.
    """
    from crosszone.store import deployments, tasks

    with store.state.reading() as connection:
        deployments.one(connection, deployment_id)
        task = tasks.newest_of(connection, deployment_id)
    if task is None:
        message = "no task refers to it any more, so that nobody knows on which nodes to run it."
        raise NotThere.of(message, where=deployment_id, hint="Create a task with the job that it has.")
    hint = f"Change {', '.join(AGAIN_KEYS)}, or create another task."
    unknown = [
        Finding(code="unknown_key", message=f'"{key[:50]}" cannot be changed.', where=key, hint=hint)
        for key in changed
        if key not in AGAIN_KEYS
    ]
    if unknown:
        raise SpecError(*unknown)
    return {**task.request, **changed}


def training_tasks(
    store: Store, wanted: TaskFilter, *, sort: str = "-created", limit: int = 100, cursor: str | None = None
) -> TaskPage:
    """A page of tasks. SpecError of the sort, the limit or the cursor."""
    from crosszone.store import tasks

    with store.state.reading() as connection:
        page = tasks.listed(connection, wanted, sort=sort, limit=limit, cursor=cursor)
    return TaskPage(tasks=page.rows, cursor=page.cursor)


def training_task(store: Store, key: str) -> Task:
    """The task with this id. NotThere."""
    from crosszone.store import tasks

    with store.state.reading() as connection:
        return tasks.one(connection, key)


def task_attempts(store: Store, key: str) -> tuple[TriedTask, ...]:
    """Every try of a task with its zones, nodes and ranks, the first one first. NotThere."""
    from crosszone.store import tasks

    with store.state.reading() as connection:
        tasks.one(connection, key)
        found = tasks.attempts_of(connection, key)
        return tuple(TriedTask(attempt=each, parts=tasks.parts_of(connection, each.id)) for each in found)


def task_history(store: Store, key: str) -> tuple[Transition, ...]:
    """Every step in the life of a task and of its parts, oldest first. NotThere."""
    from crosszone.store import tasks

    with store.state.reading() as connection:
        tasks.one(connection, key)
        return tasks.history(connection, key)


def ask_task_to_stop(store: Store, key: str, *, actor: str, expected_version: int | None = None) -> Task:
    """Ask for the end of a task. One that nothing runs of is stopped at once; asking again changes nothing.

    Errors: NotThere; Stale where it is not of the version that is expected.
    """
    from crosszone.store import tasks
    from crosszone.store.rows import check_version

    now_seconds = time.time()
    with store.state.writing() as connection:
        task = tasks.one(connection, key)
        check_version(task.version, expected_version, key)
        if task.state in FINAL_STATES or task.is_stop_asked:
            return task
        cause = Cause(code="asked", text=f"{actor} asked for it to stop.")
        if task.state in (DRAFT, VALIDATED) and not tasks.attempts_of(connection, key):
            return tasks.move(
                connection, task, STOPPED, cause, actor=actor, now_seconds=now_seconds, is_stop_asked=True
            )
        return tasks.change(connection, task, now_seconds=now_seconds, is_stop_asked=True)


def _kept(
    connection: Connection, value: Mapping[str, Any], actor: str, key: str, now_seconds: float
) -> CreatedTask | None:
    from crosszone.store import answers

    found = answers.kept(connection, actor, key, _digest(value), now_seconds=now_seconds)
    return None if found is None else CreatedTask(status=found.status, headers=found.headers, body=found.body)


def _digest(value: Mapping[str, Any]) -> str:
    from crosszone.store.answers import request_digest

    return request_digest("POST", TASKS_PATH, dict(value))


def _draft(value: Mapping[str, Any], examined: ExaminedTask, actor: str, now_seconds: float) -> Task:
    from crosszone.store.ids import new_id

    request: TaskRequest = examined.request
    return Task(
        id=new_id("task", now_seconds),
        name=request.name,
        state=DRAFT,
        launch_mode=request.launch_mode,
        request=dict(value),
        job=examined.job,
        nodes=examined.nodes,
        main_node=examined.main_node,
        framework=request.framework,
        num_gpus=examined.num_gpus,
        prediction=examined.prediction,
        warnings=examined.warnings,
        priority=request.priority,
        budget_dollars=request.budget_dollars,
        owner=actor,
        created_seconds=now_seconds,
        updated_seconds=now_seconds,
    )


def _checked(connection: Connection, task: Task, examined: ExaminedTask, now_seconds: float) -> Task:
    """The task as far as its request leads by itself: a draft, validated, or already simulated."""
    from crosszone.store import tasks

    if not examined.is_known:
        return task
    text = f"{len(task.nodes)} nodes, {task.num_gpus} GPUs; {len(task.warnings)} warnings."
    cause = Cause(code="checked", text=text)
    task = tasks.move(connection, task, VALIDATED, cause, actor=SERVER, now_seconds=now_seconds)
    if task.launch_mode != SIMULATE:
        return task
    if task.prediction is None:
        cause = Cause(code="not_predicted", text=" ".join(task.warnings[:1]))
        return tasks.move(connection, task, FAILED, cause, actor=SERVER, now_seconds=now_seconds)
    seconds = task.prediction["step_seconds"]
    cause = Cause(code="simulated", text=f"A step takes {seconds:.4g} s.")
    return tasks.move(connection, task, SUCCEEDED, cause, actor=SERVER, now_seconds=now_seconds)


def _dataset_keys(dataset: Any, zones: set[str]) -> dict[str, Any]:
    """What a job file has under `workload.dataset`; a zone that the task does not have is left out."""
    from crosszone import units

    said = {
        "size": None if dataset.size_bytes is None else units.format_bytes(dataset.size_bytes, digits=15),
        "tokens": None if dataset.num_tokens is None else units.format_count(dataset.num_tokens, digits=15),
        "zone": dataset.zone if dataset.zone in zones else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _prediction_summary(prediction: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    names = ("step_seconds", "tokens_per_second", "mfu", "train_seconds", "gpu_dollars", "egress_dollars")
    memory = prediction["memory"]
    return {
        **{name: prediction[name] for name in names},
        "memory": {name: memory[name] for name in ("peak_bytes", "capacity_bytes", "fits", "verdict")},
    }
