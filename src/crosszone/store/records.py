"""Runs and predictions that were saved, and the data sets and models that tasks name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crosszone.store import rows
from crosszone.store.pages import Order, Page, order, page
from crosszone.store.tables import assets, runs

DATASET, MODEL = "dataset", "model"
RUN_SORTS: dict[str, sa.ColumnElement[Any]] = {"created": runs.c.created_seconds, "name": runs.c.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A prediction, a measurement, or both of one job."""

    id: str
    name: str
    kind: str
    """predicted | measured"""
    task_id: str | None = None
    attempt_id: str | None = None
    fingerprint: str | None = None
    job: dict[str, Any]
    plan: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    measurement: dict[str, Any] | None = None
    owner: str = ""
    created_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A version of a data set or of a model that tasks can name."""

    kind: str
    """dataset | model"""
    id: str
    version_id: str = ""
    name: str
    zone: str | None = None
    """That holds it; None: every zone has it."""
    size_bytes: float | None = None
    num_tokens: float | None = None
    model: Any = None
    """Of a model: what a job file has under `model`."""
    created_seconds: float


def add_run(connection: sa.Connection, run: SavedRun) -> SavedRun:
    """Keep it."""
    return rows.add(connection, runs, run)


def one_run(connection: sa.Connection, key: str) -> SavedRun:
    """The run with this id. NotThere."""
    return rows.one(connection, runs, SavedRun, key, called="run")


def listed_runs(
    connection: sa.Connection,
    *,
    kinds: Sequence[str] = (),
    text: str = "",
    sort: str = "-created",
    limit: int = 100,
    cursor: str | None = None,
) -> Page[SavedRun]:
    """A page of the runs of some kinds whose names have all words of `text`; of all, where nothing is said.

    SpecError of the sort, the limit or the cursor.
    """
    by: Order = order(sort, RUN_SORTS)
    wanted = [sa.func.lower(runs.c.name).contains(word.lower(), autoescape=True) for word in text.split()]
    where = sa.and_(sa.true(), *wanted, *([runs.c.kind.in_(kinds)] if kinds else []))
    return page(connection, runs, SavedRun, where=where, by=by, limit=limit, cursor=cursor)


def remove_run(connection: sa.Connection, key: str) -> None:
    """Forget a run. NotThere."""
    one_run(connection, key)
    connection.execute(sa.delete(runs).where(runs.c.id == key))


def keep_asset(connection: sa.Connection, asset: Asset) -> Asset:
    """Keep it, in place of the same version of the same."""
    connection.execute(sa.delete(assets).where(_is(asset.kind, asset.id, asset.version_id)))
    return rows.add(connection, assets, asset)


def find_asset(connection: sa.Connection, kind: str, key: str, version_id: str = "") -> Asset | None:
    """That version of it; None where nobody ever told of it."""
    row = connection.execute(sa.select(assets).where(_is(kind, key, version_id))).one_or_none()
    return None if row is None else rows.noun(Asset, row)


def all_assets(connection: sa.Connection, kind: str) -> tuple[Asset, ...]:
    """All versions of all data sets, or of all models."""
    wanted = sa.select(assets).where(assets.c.kind == kind).order_by(assets.c.id, assets.c.version_id)
    return tuple(rows.noun(Asset, row) for row in connection.execute(wanted))


def _is(kind: str, key: str, version_id: str) -> sa.ColumnElement[bool]:
    return (assets.c.kind == kind) & (assets.c.id == key) & (assets.c.version_id == version_id)
