"""Tasks, their attempts and the parts of these; every step of their lives is stored with its cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from crosszone.core.task import (
    ATTEMPT,
    DRAFT,
    FINAL_STATES,
    RUNNING,
    STARTING,
    TASK,
    Attempt,
    Cause,
    Part,
    Task,
    TaskFilter,
    Transition,
    following,
    follows,
)
from crosszone.errors import Conflict
from crosszone.store import rows
from crosszone.store.journal import tell
from crosszone.store.pages import Order, Page, like, order, page
from crosszone.store.tables import attempts, parts, task_environments, tasks, transitions

CALLED = "task"
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "created": tasks.c.created_seconds,
    "updated": tasks.c.updated_seconds,
    "name": tasks.c.name,
    "state": tasks.c.state,
    "priority": tasks.c.priority,
    "gpus": tasks.c.num_gpus,
}
MOVED = "task_moved"
"""Kind of the event that tells of a transition."""


def add(connection: sa.Connection, task: Task, cause: Cause, *, actor: str, now_seconds: float) -> Task:
    """Keep a new task, which is a draft."""
    assert task.state == DRAFT, "a task begins as a draft"
    rows.add(connection, tasks, task, **_searched(task))
    chosen = dict.fromkeys(node.environment_id for node in task.nodes if node.environment_id is not None)
    if chosen:
        pairs = [{"task_id": task.id, "environment_id": each} for each in chosen]
        connection.execute(sa.insert(task_environments), pairs)
    _note(connection, task.id, TASK, task.id, None, DRAFT, cause, actor=actor, now_seconds=now_seconds)
    return task


def one(connection: sa.Connection, key: str) -> Task:
    """The task with this id. NotThere."""
    return rows.one(connection, tasks, Task, key, called=CALLED)


def newest_of(connection: sa.Connection, deployment_id: str) -> Task | None:
    """The newest task that refers to a deployment; None where none does."""
    wanted = sa.select(tasks).where(tasks.c.deployment_id == deployment_id).order_by(tasks.c.id.desc()).limit(1)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else rows.noun(Task, row)


def listed(
    connection: sa.Connection,
    wanted: TaskFilter,
    *,
    sort: str = "-created",
    limit: int = 100,
    cursor: str | None = None,
) -> Page[Task]:
    """A page of those that are `wanted`. SpecError of the sort, the limit or the cursor."""
    by: Order = order(sort, SORTS)
    conditions: list[sa.ColumnElement[bool]] = [like(tasks.c.search_text, word) for word in wanted.text.split()]
    if wanted.states:
        conditions.append(tasks.c.state.in_(wanted.states))
    if wanted.launch_modes:
        conditions.append(tasks.c.launch_mode.in_(wanted.launch_modes))
    where = sa.and_(sa.true(), *conditions)
    return page(connection, tasks, Task, where=where, by=by, limit=limit, cursor=cursor)


def move(
    connection: sa.Connection,
    task: Task,
    to_state: str,
    cause: Cause,
    *,
    actor: str,
    now_seconds: float,
    **changed: Any,
) -> Task:
    """Let a task go on to another state, with other values besides. Conflict where that may not follow; Stale."""
    _check(TASK, task.id, task.state, to_state)
    ended_seconds = now_seconds if to_state in FINAL_STATES else None
    moved = dataclasses.replace(
        task, state=to_state, updated_seconds=now_seconds, ended_seconds=ended_seconds, **changed
    )
    kept = rows.replace(connection, tasks, moved, **_searched(moved))
    _note(connection, task.id, TASK, task.id, task.state, to_state, cause, actor=actor, now_seconds=now_seconds)
    return kept


def change(connection: sa.Connection, task: Task, *, now_seconds: float, **changed: Any) -> Task:
    """Keep a task with other values in the state that it is in. Stale."""
    assert "state" not in changed, "a state changes by `move` alone"
    moved = dataclasses.replace(task, updated_seconds=now_seconds, **changed)
    return rows.replace(connection, tasks, moved, **_searched(moved))


def history(connection: sa.Connection, task_id: str) -> tuple[Transition, ...]:
    """Every step in the life of a task and of its parts, oldest first."""
    wanted = sa.select(transitions).where(transitions.c.task_id == task_id).order_by(transitions.c.sequence)
    return tuple(_transition(row) for row in connection.execute(wanted))


def add_attempt(connection: sa.Connection, attempt: Attempt, cause: Cause, *, actor: str) -> Attempt:
    """Keep a new try of a task, which gets the next number. Conflict where the one before it is not over."""
    numbers = sa.select(attempts.c.id, attempts.c.number, attempts.c.state).where(attempts.c.task_id == attempt.task_id)
    before = connection.execute(numbers.order_by(attempts.c.number)).all()
    if before and following(ATTEMPT, before[-1].state):
        message = f"attempt {before[-1].number} ({before[-1].id}) is {before[-1].state}."
        raise Conflict.of(message, where=attempt.task_id, hint="End it before the next one starts.", code="not_over")
    kept = rows.add(connection, attempts, dataclasses.replace(attempt, number=len(before) + 1))
    _note(
        connection,
        attempt.task_id,
        ATTEMPT,
        attempt.id,
        None,
        attempt.state,
        cause,
        actor=actor,
        now_seconds=attempt.started_seconds,
    )
    return kept


def add_parts(
    connection: sa.Connection, attempt: Attempt, added: Sequence[Part], *, actor: str, now_seconds: float
) -> None:
    """Keep the zones, nodes and ranks of an attempt; each comes after what it is part of."""
    for part in added:
        rows.add(connection, parts, part)
        cause = Cause(code="planned", text="The plan has it.")
        where = (attempt.task_id, part.level, part.id, None, part.state, cause)
        _note(connection, *where, actor=actor, now_seconds=now_seconds)


def move_attempt(
    connection: sa.Connection,
    attempt: Attempt,
    to_state: str,
    cause: Cause,
    *,
    actor: str,
    now_seconds: float,
    **changed: Any,
) -> Attempt:
    """Let an attempt go on to another state. Conflict where that may not follow; Stale."""
    _check(ATTEMPT, attempt.id, attempt.state, to_state)
    ended_seconds = None if following(ATTEMPT, to_state) else now_seconds
    moved = dataclasses.replace(attempt, state=to_state, ended_seconds=ended_seconds, **changed)
    kept = rows.replace(connection, attempts, moved)
    where = (attempt.task_id, ATTEMPT, attempt.id, attempt.state, to_state, cause)
    _note(connection, *where, actor=actor, now_seconds=now_seconds)
    return kept


def move_part(
    connection: sa.Connection,
    attempt: Attempt,
    part: Part,
    to_state: str,
    cause: Cause,
    *,
    actor: str,
    now_seconds: float,
    **changed: Any,
) -> Part:
    """Let a zone, node or rank go on to another state. Conflict where that may not follow; Stale."""
    _check(part.level, part.id, part.state, to_state)
    kept = rows.replace(connection, parts, dataclasses.replace(part, state=to_state, **changed))
    where = (attempt.task_id, part.level, part.id, part.state, to_state, cause)
    _note(connection, *where, actor=actor, now_seconds=now_seconds)
    return kept


def attempts_of(connection: sa.Connection, task_id: str) -> tuple[Attempt, ...]:
    """All tries of a task, the first one first."""
    wanted = sa.select(attempts).where(attempts.c.task_id == task_id).order_by(attempts.c.number)
    return tuple(rows.noun(Attempt, row) for row in connection.execute(wanted))


def names_of_attempts(connection: sa.Connection, keys: Sequence[str]) -> dict[str, str]:
    """By attempt, the name of its task."""
    wanted = sa.select(attempts.c.id, tasks.c.name).join(tasks, tasks.c.id == attempts.c.task_id)
    return {row.id: row.name for row in connection.execute(wanted.where(attempts.c.id.in_(keys)))}


def parts_of(connection: sa.Connection, attempt_id: str) -> tuple[Part, ...]:
    """The zones, nodes and ranks of an attempt, in the order in which they were made."""
    wanted = sa.select(parts).where(parts.c.attempt_id == attempt_id).order_by(parts.c.id)
    return tuple(rows.noun(Part, row) for row in connection.execute(wanted))


def starting_seconds(connection: sa.Connection, environment_ids: Sequence[str]) -> tuple[float, ...]:
    """How long each task that had exactly these environments took from `starting` to `running`, oldest first."""
    chosen = set(environment_ids)
    by_task: dict[str, set[str]] = {}
    touching = sa.select(task_environments.c.task_id).where(task_environments.c.environment_id.in_(chosen))
    for row in connection.execute(sa.select(task_environments).where(task_environments.c.task_id.in_(touching))):
        by_task.setdefault(row.task_id, set()).add(row.environment_id)
    same = [key for key, environments in by_task.items() if environments == chosen]
    steps = connection.execute(
        sa.select(transitions.c.task_id, transitions.c.to_state, transitions.c.seconds)
        .where((transitions.c.level == TASK) & transitions.c.task_id.in_(same))
        .order_by(transitions.c.sequence)
    )
    found, started = [], dict[str, float]()
    for step in steps:
        if step.to_state == RUNNING and step.task_id in started:
            found.append(step.seconds - started.pop(step.task_id))
        elif step.to_state == STARTING:
            started[step.task_id] = step.seconds
    return tuple(found)


def _check(level: str, key: str, from_state: str, to_state: str) -> None:
    if not follows(level, from_state, to_state):
        may = ", ".join(following(level, from_state)) or "nothing: it is over"
        message = f"{to_state} does not follow {from_state}."
        raise Conflict.of(message, where=key, hint=f"What may follow is {may}.", code="illegal_transition")


def _note(
    connection: sa.Connection,
    task_id: str,
    level: str,
    subject_id: str,
    from_state: str | None,
    to_state: str,
    cause: Cause,
    *,
    actor: str,
    now_seconds: float,
) -> None:
    """Write a transition down, and tell those who follow."""
    step = {
        "task_id": task_id,
        "level": level,
        "subject_id": subject_id,
        "from_state": from_state,
        "to_state": to_state,
        "cause_code": cause.code,
        "cause_text": cause.text,
        "actor": actor,
        "seconds": now_seconds,
    }
    connection.execute(sa.insert(transitions).values(step))
    tell(connection, MOVED, task_id, step, now_seconds=now_seconds)


def _transition(row: sa.Row[Any]) -> Transition:
    fields = dict(row._mapping)
    cause = Cause(code=fields.pop("cause_code"), text=fields.pop("cause_text"))
    return Transition(cause=cause, **fields)


def _searched(task: Task) -> dict[str, str]:
    return {"search_text": "\n".join([task.id, task.name, task.framework or ""]).casefold()}
