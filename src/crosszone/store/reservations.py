"""Which GPUs and ports of an environment belong to which attempt, and how much an owner may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crosszone.core.access import named_with
from crosszone.errors import Conflict, Finding
from crosszone.store import rows
from crosszone.store.tables import quotas, reservations

GPU, PORT = "gpu", "port"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One GPU or port that belongs to an attempt."""

    environment_id: str
    kind: str
    """gpu | port"""
    number: int
    """Index of the GPU on its node; the port."""
    attempt_id: str
    fencing_token: int
    """Of the lease under which the attempt was started."""
    created_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much an owner may use at once, or a team with all of its people."""

    owner: str
    resource: str
    """gpus | tasks | dollars_per_hour"""
    most: float


def reserve(connection: sa.Connection, wanted: Sequence[Reservation]) -> None:
    """Take all that is wanted. Conflict, with every GPU and port that another attempt has; then nothing is taken."""
    taken = [
        found
        for each in wanted
        if (found := _holder(connection, each)) is not None and found.attempt_id != each.attempt_id
    ]
    if taken:
        raise Conflict(*(_taken(each) for each in taken))
    for each in wanted:
        connection.execute(sa.delete(reservations).where(_is(each)))
        connection.execute(sa.insert(reservations).values(rows.values(each)))


def release(connection: sa.Connection, attempt_id: str) -> int:
    """Give back all that an attempt has; how many."""
    return connection.execute(sa.delete(reservations).where(reservations.c.attempt_id == attempt_id)).rowcount


def free(connection: sa.Connection, given: Reservation) -> None:
    """Give back one GPU or port."""
    connection.execute(sa.delete(reservations).where(_is(given)))


def reserved(connection: sa.Connection, environment_ids: Sequence[str] | None = None) -> tuple[Reservation, ...]:
    """All that belongs to attempts, on some environments or on all."""
    columns = reservations.c
    wanted = sa.select(reservations).order_by(columns.environment_id, columns.kind, columns.number)
    if environment_ids is not None:
        wanted = wanted.where(columns.environment_id.in_(environment_ids))
    return tuple(rows.noun(Reservation, row) for row in connection.execute(wanted))


def set_quota(connection: sa.Connection, quota: Quota) -> None:
    """Say how much an owner may use, in place of what was said before."""
    remove_quota(connection, quota.owner, quota.resource)
    connection.execute(sa.insert(quotas).values(rows.values(quota)))


def remove_quota(connection: sa.Connection, owner: str, resource: str) -> None:
    """Let an owner use as much as there is."""
    connection.execute(sa.delete(quotas).where((quotas.c.owner == owner) & (quotas.c.resource == resource)))


def all_quotas(connection: sa.Connection, owner: str | None = None) -> tuple[Quota, ...]:
    """What was said of one owner and of the team that they are of, or of all."""
    wanted = sa.select(quotas).order_by(quotas.c.owner, quotas.c.resource)
    if owner is not None:
        wanted = wanted.where(quotas.c.owner.in_(named_with(owner)))
    return tuple(rows.noun(Quota, row) for row in connection.execute(wanted))


def _holder(connection: sa.Connection, wanted: Reservation) -> Reservation | None:
    row = connection.execute(sa.select(reservations).where(_is(wanted))).one_or_none()
    return None if row is None else rows.noun(Reservation, row)


def _is(each: Reservation) -> sa.ColumnElement[bool]:
    columns = reservations.c
    return (
        (columns.environment_id == each.environment_id) & (columns.kind == each.kind) & (columns.number == each.number)
    )


def _taken(held: Reservation) -> Finding:
    message = f"{held.kind} {held.number} belongs to {held.attempt_id}."
    return Finding(code="reserved", message=message, where=held.environment_id, hint="Wait for it, or take another.")
