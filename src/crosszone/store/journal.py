"""What happened, in the order in which it was committed: events for who follows, and the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crosszone.store import rows
from crosszone.store.tables import audit, events

MOST_EVENTS = 1000
"""That are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    sequence: int
    """Grows with every event, and no event comes later with a lower one: writers commit one after the other."""
    kind: str
    """What happened, in snake_case: `task_moved`."""
    subject_id: str
    body: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change that somebody asked for."""

    sequence: int
    actor: str
    action: str
    target: str
    status: int
    """Of the answer."""
    request_id: str | None
    details: dict[str, Any]
    seconds: float


def tell(connection: sa.Connection, kind: str, subject_id: str, body: dict[str, Any], *, now_seconds: float) -> int:
    """Add an event to what is written with it; its sequence."""
    made = sa.insert(events).values(kind=kind, subject_id=subject_id, body=body, seconds=now_seconds)
    return int(connection.execute(made.returning(events.c.sequence)).scalar_one())


def events_after(
    connection: sa.Connection, sequence: int, *, subject_id: str | None = None, limit: int = MOST_EVENTS
) -> tuple[Event, ...]:
    """The first `limit` events behind `sequence`, of one subject or of all, oldest first."""
    wanted = sa.select(events).where(events.c.sequence > sequence)
    if subject_id is not None:
        wanted = wanted.where(events.c.subject_id == subject_id)
    found = connection.execute(wanted.order_by(events.c.sequence).limit(limit))
    return tuple(rows.noun(Event, row) for row in found)


def events_of_kind(connection: sa.Connection, kind: str, subject_id: str) -> tuple[Event, ...]:
    """All events of a kind about one subject, oldest first."""
    wanted = sa.select(events).where((events.c.kind == kind) & (events.c.subject_id == subject_id))
    return tuple(rows.noun(Event, row) for row in connection.execute(wanted.order_by(events.c.sequence)))


def note(
    connection: sa.Connection,
    *,
    actor: str,
    action: str,
    target: str,
    status: int,
    now_seconds: float,
    request_id: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Add a line to the audit log; `details` hold no secrets."""
    connection.execute(
        sa.insert(audit).values(
            actor=actor,
            action=action,
            target=target,
            status=status,
            request_id=request_id,
            details=details or {},
            seconds=now_seconds,
        )
    )


def audit_before(connection: sa.Connection, sequence: int | None = None, *, limit: int = 100) -> tuple[AuditEntry, ...]:
    """The newest `limit` lines of the audit log, or the newest before `sequence`; newest first."""
    wanted = sa.select(audit) if sequence is None else sa.select(audit).where(audit.c.sequence < sequence)
    found = connection.execute(wanted.order_by(audit.c.sequence.desc()).limit(limit))
    return tuple(rows.noun(AuditEntry, row) for row in found)
