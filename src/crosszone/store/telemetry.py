"""What runs measure and say, in a database of its own: of it, the last second may be lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crosszone.store import rows
from crosszone.store.telemetry_tables import lines, samples

MOST_LINES = 1000
"""That are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One figure of one rank at one step."""

    run_id: str
    name: str
    """As of a prediction: step_seconds, loss, tokens_per_second."""
    rank: int
    step: int
    seconds: float
    """Since 1970, UTC."""
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a rank wrote."""

    sequence: int
    run_id: str
    rank: int | None
    """None: what starts the ranks wrote it."""
    seconds: float
    text: str


def add_samples(connection: sa.Connection, added: Sequence[Sample]) -> None:
    """Keep figures; a step that was done again replaces what was kept of it."""
    newest = {(each.run_id, each.name, each.rank, each.step): each for each in added}
    for key in newest:
        connection.execute(sa.delete(samples).where(_is_sample(*key)))
    if newest:
        connection.execute(sa.insert(samples), [rows.values(each) for each in newest.values()])


def samples_of(
    connection: sa.Connection, run_id: str, name: str, *, after_step: int = -1, rank: int | None = None
) -> tuple[Sample, ...]:
    """The figures of that name of a run, by step and rank."""
    wanted = sa.select(samples).where(
        (samples.c.run_id == run_id) & (samples.c.name == name) & (samples.c.step > after_step)
    )
    if rank is not None:
        wanted = wanted.where(samples.c.rank == rank)
    found = connection.execute(wanted.order_by(samples.c.step, samples.c.rank))
    return tuple(rows.noun(Sample, row) for row in found)


def trained(
    connection: sa.Connection, run_id: str, *, after_step: int, last_step: int | None = None
) -> tuple[int, float]:
    """(steps, seconds) that a run trained behind a step, up to another one: a step lasts as long as on its slowest
    rank."""
    slowest: dict[int, float] = {}
    for each in samples_of(connection, run_id, "step_seconds", after_step=after_step):
        if last_step is None or each.step <= last_step:
            slowest[each.step] = max(each.value, slowest.get(each.step, 0.0))
    return len(slowest), math.fsum(slowest.values())


def add_lines(
    connection: sa.Connection, run_id: str, texts: Sequence[str], *, rank: int | None, now_seconds: float
) -> None:
    """Keep lines in their order."""
    if texts:
        shared = {"run_id": run_id, "rank": rank, "seconds": now_seconds}
        connection.execute(sa.insert(lines), [{**shared, "text": text} for text in texts])


def lines_after(
    connection: sa.Connection, run_id: str, sequence: int = 0, *, rank: int | None = None, limit: int = MOST_LINES
) -> tuple[Line, ...]:
    """The first `limit` lines of a run behind `sequence`, of one rank or of all."""
    wanted = sa.select(lines).where((lines.c.run_id == run_id) & (lines.c.sequence > sequence))
    if rank is not None:
        wanted = wanted.where(lines.c.rank == rank)
    found = connection.execute(wanted.order_by(lines.c.sequence).limit(limit))
    return tuple(rows.noun(Line, row) for row in found)


def _is_sample(run_id: str, name: str, rank: int, step: int) -> sa.ColumnElement[bool]:
    columns = samples.c
    return (columns.run_id == run_id) & (columns.name == name) & (columns.rank == rank) & (columns.step == step)
