"""Who drives which task: the next ones in their order that can go, with all that they need, or nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosszone.control import attempts
from crosszone.control.admission import obstacles, refusals
from crosszone.core.environment import Environment
from crosszone.core.task import EXPORT, FAILED, SIMULATE, VALIDATED, Cause, Task
from crosszone.errors import Finding
from crosszone.store import environments as inventory
from crosszone.store import queue, reservations, tasks
from crosszone.store.database import Connection
from crosszone.store.leases import Lease

HOLDING = ("reserved", "queued")
"""Obstacles that go away by waiting for nodes: nobody behind such a task may take what it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task that is this worker's to drive."""

    task_id: str
    lease: Lease


def claim(
    connection: Connection, holder: str, *, root: Path, for_seconds: float, now_seconds: float, most: int
) -> tuple[Claim, ...]:
    """Take up to `most` tasks. In the same transaction: attempt, GPUs, port.

    Tasks that were begun come first; then by priority, and of equal ones the oldest. A task that waits for nodes lets
    those behind it start on others, and on none of its own, so that a large one is not overtaken for ever.
    """
    queue.fill(connection)
    taken: list[Claim] = []
    waited_for: set[str] = set()
    for each in queue.waiting(connection, now_seconds=now_seconds):
        if len(taken) == most:
            break
        task = tasks.one(connection, each.task_id)
        is_new = _is_new(connection, task)
        if is_new:
            if _refused(connection, task, holder, now_seconds):
                continue
            found = _obstacles(connection, task, waited_for)
            if found:
                if any(finding.code in HOLDING for finding in found):
                    waited_for |= _places(task)
                continue
        lease = queue.take(connection, task.id, holder, for_seconds=for_seconds, now_seconds=now_seconds)
        if is_new:
            cause = Cause(code="claimed", text="Its turn came.")
            attempts.begin(
                connection,
                task,
                _main_first(task),
                root=root,
                lease=lease,
                cause=cause,
                actor=holder,
                now_seconds=now_seconds,
            )
        taken.append(Claim(task_id=task.id, lease=lease))
    return tuple(taken)


def why_waiting(connection: Connection, task: Task) -> tuple[Finding, ...]:
    """What must change before a task that is in the queue can start; none where it only waits for a worker."""
    return (*refusals(task), *_obstacles(connection, task, set())) if _is_new(connection, task) else ()


def _is_new(connection: Connection, task: Task) -> bool:
    """Whether it needs nodes and has none yet."""
    needs_nodes = task.launch_mode not in (EXPORT, SIMULATE) and not task.is_stop_asked
    return needs_nodes and task.state == VALIDATED and not tasks.attempts_of(connection, task.id)


def _refused(connection: Connection, task: Task, holder: str, now_seconds: float) -> bool:
    found = refusals(task)
    if found:
        cause = Cause(code=found[0].code, text=" ".join(str(each) for each in found))
        tasks.move(connection, task, FAILED, cause, actor=holder, now_seconds=now_seconds)
        queue.remove(connection, task.id)
    return bool(found)


def _obstacles(connection: Connection, task: Task, waited_for: set[str]) -> tuple[Finding, ...]:
    begun = queue.begun(connection)
    places = sorted(_places(task))
    reserved = reservations.reserved(connection, places)
    return (
        *(_queued(place) for place in places if place in waited_for),
        *obstacles(
            task,
            _environments(connection, [task, *begun]),
            reserved=reserved,
            holders=tasks.names_of_attempts(connection, sorted({each.attempt_id for each in reserved})),
            quotas=reservations.all_quotas(connection, task.owner),
            begun=begun,
        ),
    )


def _environments(connection: Connection, touching: Sequence[Task]) -> dict[str, Environment]:
    ids = sorted(set().union(*(_places(each) for each in touching)))
    return {each.id: each for each in inventory.by_id(connection, ids)}


def _places(task: Task) -> set[str]:
    return {node.environment_id for node in task.nodes if node.environment_id is not None}


def _main_first(task: Task) -> tuple[str, ...]:
    ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
    return tuple(sorted(ids, key=lambda key: key != task.main_node))


def _queued(place: str) -> Finding:
    return Finding(code="queued", message="a task that came first waits for it.", where=place)
