"""One try of a task as it is stored: its nodes and ranks, what it reserves, and how all of it moves together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from crosszone.control.admission import wanted
from crosszone.core.task import NODE, PENDING, RANK, ZONE, Attempt, Cause, Part, Task, follows
from crosszone.store import environments as inventory
from crosszone.store import reservations, tasks
from crosszone.store.database import Connection
from crosszone.store.ids import new_id
from crosszone.store.leases import Lease
from crosszone.store.reservations import PORT


def begin(
    connection: Connection,
    task: Task,
    nodes: Sequence[str],
    *,
    root: Path,
    lease: Lease,
    cause: Cause,
    actor: str,
    now_seconds: float,
) -> Attempt:
    """A new attempt on `nodes`, the main one first, with the GPUs and the port that it needs.

    Conflict where another attempt has them, or the attempt before it is not over.
    """
    before = tasks.attempts_of(connection, task.id)
    number = len(before) + 1
    attempt = Attempt(
        id=new_id("attempt", now_seconds),
        task_id=task.id,
        number=number,
        state=PENDING,
        main_node=nodes[0] if nodes else None,
        fencing_token=lease.fencing_token,
        folder=str(root / task.id / f"attempt-{number}"),
        started_seconds=now_seconds,
    )
    attempt = tasks.add_attempt(connection, attempt, cause, actor=actor)
    tasks.add_parts(connection, attempt, _parts(task, attempt, nodes), actor=actor, now_seconds=now_seconds)
    for old in before:
        reservations.release(connection, old.id)
    ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
    found = {each.id: each for each in inventory.several(connection, ids)}
    taken = reservations.reserved(connection, ids)
    token = lease.fencing_token
    needed = wanted(
        task,
        found,
        main_node=attempt.main_node,
        reserved=taken,
        attempt_id=attempt.id,
        fencing_token=token,
        now_seconds=now_seconds,
    )
    reservations.reserve(connection, needed)
    return attempt


def nodes_of(connection: Connection, attempt: Attempt) -> tuple[str, ...]:
    """Environments of an attempt, in the order of their ranks."""
    return tuple(part.name for part in tasks.parts_of(connection, attempt.id) if part.level == NODE)


def port_of(connection: Connection, attempt: Attempt) -> int | None:
    """At which its ranks meet; None where none is reserved."""
    found = reservations.reserved(connection, [attempt.main_node] if attempt.main_node else [])
    return next((each.number for each in found if (each.attempt_id, each.kind) == (attempt.id, PORT)), None)


def take_next_port(connection: Connection, attempt: Attempt, *, now_seconds: float) -> None:
    """In place of the port that an attempt has reserved, the next one on the same node that nobody has.

    Nothing changes where it has none.
    """
    taken = reservations.reserved(connection, [attempt.main_node] if attempt.main_node else [])
    own = next((each for each in taken if (each.attempt_id, each.kind) == (attempt.id, PORT)), None)
    if own is None:
        return
    numbers = {each.number for each in taken if each.kind == PORT}
    number = next(number for number in range(own.number + 1, own.number + len(numbers) + 2) if number not in numbers)
    reservations.reserve(connection, [dataclasses.replace(own, number=number, created_seconds=now_seconds)])
    reservations.free(connection, own)


def move_parts(
    connection: Connection, attempt: Attempt, to_state: str, cause: Cause, *, actor: str, now_seconds: float
) -> None:
    """Let all parts of an attempt go on that may."""
    for part in tasks.parts_of(connection, attempt.id):
        if follows(part.level, part.state, to_state):
            tasks.move_part(connection, attempt, part, to_state, cause, actor=actor, now_seconds=now_seconds)


def _parts(task: Task, attempt: Attempt, nodes: Sequence[str]) -> list[Part]:
    """Zones, then nodes, then ranks; ranks are counted through the nodes in their order."""
    by_id = {node.environment_id: node for node in task.nodes}
    chosen = [by_id[key] for key in nodes]
    found: list[Part] = []

    def add(level: str, name: str, parent_id: str | None, **details: str) -> str:
        # Ids of one millisecond have no order, and these are in that of ranks.
        key = f"part-{attempt.id.partition('-')[2]}-{len(found):06}"
        part = Part(
            id=key,
            attempt_id=attempt.id,
            level=level,
            name=name,
            parent_id=parent_id,
            state=PENDING,
            details=dict(details),
        )
        found.append(part)
        return key

    zones = {name: add(ZONE, name, None) for name in dict.fromkeys(node.zone for node in chosen)}
    placed = [(node, add(NODE, str(node.environment_id), zones[node.zone], called=node.name)) for node in chosen]
    for name, key in enumerate(key for node, key in placed for _ in range(node.num_ranks)):
        add(RANK, str(name), key)
    return found
