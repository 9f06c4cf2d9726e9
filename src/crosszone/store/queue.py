"""Tasks that somebody has to see to, in their order; a lease says who does."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from crosszone.core.task import DRAFT, FINAL_STATES, PART_TRANSITIONS, VALIDATED, Task
from crosszone.store import leases, rows
from crosszone.store.ids import new_id
from crosszone.store.leases import Lease
from crosszone.store.tables import attempts, queue, tasks
from crosszone.store.tables import leases as lease_table

PAGE = 500
"""Tasks that are put into the queue at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One task in the queue."""

    id: str
    task_id: str
    priority: int
    """Higher goes first."""
    not_before_seconds: float
    """Since 1970, UTC; it is left alone until then."""
    created_seconds: float


def lease_name(task_id: str) -> str:
    """Of the right to act for a task."""
    return f"drive/{task_id}"


def fill(connection: sa.Connection) -> int:
    """Put every task into the queue that is neither a draft nor over, and not there; how many.

    Whoever writes a task need not think of the queue, and none is forgotten.
    """
    is_in = sa.select(queue.c.task_id)
    is_meant = tasks.c.state.not_in([DRAFT, *FINAL_STATES]) & tasks.c.id.not_in(is_in)
    columns = (tasks.c.id, tasks.c.priority, tasks.c.created_seconds)
    found = connection.execute(sa.select(*columns).where(is_meant).order_by(tasks.c.id).limit(PAGE)).all()
    for row in found:
        made = Waiting(
            id=new_id("wait", row.created_seconds),
            task_id=row.id,
            priority=row.priority,
            not_before_seconds=row.created_seconds,
            created_seconds=row.created_seconds,
        )
        rows.add(connection, queue, made)
    return len(found)


def waiting(connection: sa.Connection, *, now_seconds: float) -> tuple[Waiting, ...]:
    """What nobody holds and whose time has come, in one statement: what was begun first, then by priority and age."""
    is_held = lease_table.c.holder.is_not(None) & (lease_table.c.expires_seconds > now_seconds)
    is_new = sa.case((tasks.c.state == VALIDATED, 1), else_=0)
    wanted = (
        sa.select(queue)
        .join(tasks, tasks.c.id == queue.c.task_id)
        .outerjoin(lease_table, lease_table.c.name == sa.literal(lease_name("")).concat(queue.c.task_id))
        .where((queue.c.not_before_seconds <= now_seconds) | tasks.c.is_stop_asked)
        .where(sa.not_(sa.func.coalesce(is_held, sa.false())))
        .order_by(is_new, tasks.c.priority.desc(), queue.c.created_seconds, queue.c.task_id)
    )
    return tuple(rows.noun(Waiting, row) for row in connection.execute(wanted))


def take(connection: sa.Connection, task_id: str, holder: str, *, for_seconds: float, now_seconds: float) -> Lease:
    """The right to act for a task. Conflict where another holds it."""
    return leases.take(connection, lease_name(task_id), holder, for_seconds=for_seconds, now_seconds=now_seconds)


def put_off(connection: sa.Connection, task_id: str, until_seconds: float) -> None:
    """Leave a task alone until then, whoever takes it."""
    connection.execute(sa.update(queue).where(queue.c.task_id == task_id).values(not_before_seconds=until_seconds))


def not_before_seconds(connection: sa.Connection, task_id: str) -> float:
    """Until when a task is left alone; 0 where it is in no queue."""
    wanted = sa.select(queue.c.not_before_seconds).where(queue.c.task_id == task_id)
    return float(connection.execute(wanted).scalar_one_or_none() or 0.0)


def remove(connection: sa.Connection, task_id: str) -> None:
    """Nobody has to see to it any more."""
    connection.execute(sa.delete(queue).where(queue.c.task_id == task_id))


def begun(connection: sa.Connection) -> tuple[Task, ...]:
    """Tasks that have an attempt which is not over: what uses GPUs."""
    over = [state for state, after in PART_TRANSITIONS.items() if not after]
    tried = sa.select(attempts.c.task_id).where(attempts.c.state.not_in(over))
    found = connection.execute(sa.select(tasks).where(tasks.c.id.in_(tried)).order_by(tasks.c.id))
    return tuple(rows.noun(Task, row) for row in found)
