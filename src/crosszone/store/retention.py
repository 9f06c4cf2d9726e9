"""What is dropped of tasks that are over for long: what was told of them, what they said, what they measured.

A task goes by when it ended: of one that is not over everything stays, however old. The row of a task, its history and
the audit log stay for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa

from crosszone.core.retention import Dropped, Retention
from crosszone.store.database import Database
from crosszone.store.opened import Store
from crosszone.store.tables import attempts, events, tasks
from crosszone.store.telemetry_tables import lines, path_samples, samples

BATCH_ROWS = 1000
"""That are dropped in one transaction. Chosen: some ten milliseconds, for which other writers wait."""
PAUSE_SECONDS = 0.05
"""Between two transactions, for the others."""


class Sweeper:
    """Drops what is old, a few rows at a time, so that nobody waits for it."""

    def __init__(
        self,
        store: Store,
        retention: Retention,
        *,
        is_ending: Callable[[], bool] = lambda: False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`is_ending`: asked before every few rows, whether to leave it at that."""
        self._store, self._retention, self._is_ending, self._pause = store, retention, is_ending, pause

    def sweep(self, now_seconds: float) -> Dropped:
        """Drop all that is too old by now. CrossZoneError as a database raises it; what went until then is gone."""
        kept = self._retention
        return Dropped(
            num_events=self._drop_events(now_seconds - kept.events_seconds),
            num_lines=self._drop_of_runs(lines, now_seconds - kept.lines_seconds),
            num_samples=self._drop_of_runs(samples, now_seconds - kept.samples_seconds),
            num_looks=self._drop(
                self._store.telemetry, path_samples, path_samples.c.seconds < now_seconds - kept.looks_seconds
            ),
        )

    def _drop_events(self, before_seconds: float) -> int:
        of_task = events.c.subject_id.in_(sa.select(tasks.c.id).where(_ended(before_seconds)))
        of_attempt = events.c.subject_id.in_(_attempts_ended(before_seconds))
        return self._drop(self._store.state, events, of_task | of_attempt)

    def _drop_of_runs(self, table: sa.Table, before_seconds: float) -> int:
        """Runs are known in the one database, and what they say is in the other."""
        with self._store.state.reading() as connection:
            ids = connection.execute(_attempts_ended(before_seconds)).scalars().all()
        parts = [ids[first : first + BATCH_ROWS] for first in range(0, len(ids), BATCH_ROWS)]
        return sum(self._drop(self._store.telemetry, table, table.c.run_id.in_(some)) for some in parts)

    def _drop(self, database: Database, table: sa.Table, is_old: sa.ColumnElement[bool]) -> int:
        """How many rows of `table` were old."""
        columns = table.primary_key.columns
        some = sa.select(*columns).where(is_old).limit(BATCH_ROWS)
        total = 0
        while not self._is_ending():
            with database.writing() as connection:
                num_rows = connection.execute(sa.delete(table).where(sa.tuple_(*columns).in_(some))).rowcount
            total += num_rows
            if num_rows < BATCH_ROWS:
                break
            self._pause(PAUSE_SECONDS)
        return total


def _ended(before_seconds: float) -> sa.ColumnElement[bool]:
    """Of a task, whether it is over since then; of one that is not, the end is unknown, and nothing true of it."""
    return tasks.c.ended_seconds < before_seconds


def _attempts_ended(before_seconds: float) -> sa.Select[tuple[str]]:
    """Ids of the attempts of tasks that are over since then."""
    return sa.select(attempts.c.id).join(tasks).where(_ended(before_seconds))
