"""Paths between environments, as they were looked at: in the relaxed store, beside what runs measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crosszone.core.path_watch import PathLook
from crosszone.store import rows
from crosszone.store.telemetry_tables import path_samples

MOST_SAMPLES = 1000
"""That are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSample:
    """One look at the path from one environment to another."""

    from_environment: str
    to_environment: str
    attempt_id: str | None
    """That was running; None: somebody asked."""
    seconds: float
    """Since 1970, UTC."""
    look: PathLook


def add(connection: sa.Connection, samples: Sequence[PathSample]) -> None:
    """Keep them."""
    for each in samples:
        made = sa.insert(path_samples).values(rows.values(each, is_open=each.look.is_open))
        connection.execute(made)


def of_attempt(connection: sa.Connection, attempt_id: str, *, limit: int = MOST_SAMPLES) -> tuple[PathSample, ...]:
    """The newest looks at the paths of an attempt, the oldest of them first."""
    wanted = sa.select(path_samples).where(path_samples.c.attempt_id == attempt_id)
    found = connection.execute(wanted.order_by(path_samples.c.sequence.desc()).limit(limit)).all()
    return tuple(rows.noun(PathSample, row) for row in reversed(found))


def newest(
    connection: sa.Connection, environment_ids: Sequence[str], *, since_seconds: float
) -> tuple[PathSample, ...]:
    """The newest look at each path between these environments, since then."""
    columns = path_samples.c
    is_between = columns.from_environment.in_(environment_ids) & columns.to_environment.in_(environment_ids)
    last = (
        sa.select(sa.func.max(columns.sequence))
        .where(is_between & (columns.seconds >= since_seconds))
        .group_by(columns.from_environment, columns.to_environment)
    )
    wanted = sa.select(path_samples).where(columns.sequence.in_(last))
    found = connection.execute(wanted.order_by(columns.from_environment, columns.to_environment))
    return tuple(rows.noun(PathSample, row) for row in found)


def unreachable(
    connection: sa.Connection, environment_ids: Sequence[str], *, since_seconds: float
) -> tuple[tuple[str, str], ...]:
    """(from, to) of paths between these environments that did not work when they were looked at last, since then."""
    looks = newest(connection, environment_ids, since_seconds=since_seconds)
    return tuple((each.from_environment, each.to_environment) for each in looks if not each.look.is_open)
