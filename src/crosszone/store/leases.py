"""Who may act: a lease is held by one at a time, and each holder has a greater number than the one before.

What a holder writes carries that number. Where a holder was slow and its lease went to another, its number is too
small, and what it still does is turned away (fencing).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from crosszone.errors import Conflict, Stale
from crosszone.store import rows
from crosszone.store.tables import leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to act, for a while."""

    name: str
    """What it is for."""
    holder: str | None
    """None: it was given back."""
    fencing_token: int
    """Grows each time that it is taken."""
    expires_seconds: float
    """Since 1970, UTC."""


def take(connection: sa.Connection, name: str, holder: str, *, for_seconds: float, now_seconds: float) -> Lease:
    """Take a lease that nobody holds, or whose time is over. Conflict where somebody else holds it.

    Who holds it already gets it anew, with a greater number: it may have been started again, and its older self not
    be gone.
    """
    found = current(connection, name)
    if found is not None and found.holder not in (None, holder) and found.expires_seconds > now_seconds:
        left = found.expires_seconds - now_seconds
        raise Conflict.of(f"{found.holder} holds it for {left:.3g} s more.", where=name, code="held")
    lease = Lease(
        name=name,
        holder=holder,
        fencing_token=1 if found is None else found.fencing_token + 1,
        expires_seconds=now_seconds + for_seconds,
    )
    connection.execute(sa.delete(leases).where(leases.c.name == name))
    connection.execute(sa.insert(leases).values(rows.values(lease)))
    return lease


def renew(connection: sa.Connection, lease: Lease, *, for_seconds: float, now_seconds: float) -> Lease:
    """Hold it longer. Stale where it is another's by now; one that ran out and that nobody took is renewed."""
    check(connection, lease)
    expires_seconds = now_seconds + for_seconds
    connection.execute(sa.update(leases).where(leases.c.name == lease.name).values(expires_seconds=expires_seconds))
    return Lease(
        name=lease.name,
        holder=lease.holder,
        fencing_token=lease.fencing_token,
        expires_seconds=expires_seconds,
    )


def give_back(connection: sa.Connection, lease: Lease) -> None:
    """Let others take it. Stale where it is another's by now."""
    check(connection, lease)
    connection.execute(sa.update(leases).where(leases.c.name == lease.name).values(holder=None))


def check(connection: sa.Connection, lease: Lease) -> None:
    """Stale where the lease is not held under this number any more: what follows from it must not be written."""
    found = current(connection, lease.name)
    if found is None or found.holder is None or found.fencing_token != lease.fencing_token:
        now = "nobody" if found is None or found.holder is None else f"{found.holder} under {found.fencing_token}"
        message = f"{lease.holder} held it under {lease.fencing_token}; now {now} does."
        raise Stale.of(message, where=lease.name, code="fenced")


def current(connection: sa.Connection, name: str) -> Lease | None:
    """The lease as it is stored, run out or not; None where nobody ever took it."""
    row = connection.execute(sa.select(leases).where(leases.c.name == name)).one_or_none()
    return None if row is None else rows.noun(Lease, row)
