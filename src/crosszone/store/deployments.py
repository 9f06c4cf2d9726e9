"""Rendered bundles: never changed, named by their content, and each file kept once however many have it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crosszone.core.bundle import BundleFile
from crosszone.errors import Conflict
from crosszone.store import rows
from crosszone.store.pages import Order, Page, order, page
from crosszone.store.tables import blobs, deployment_files, deployments, tasks

CALLED = "deployment"
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "created": deployments.c.created_seconds,
    "framework": deployments.c.framework,
    "backend": deployments.c.backend,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One bundle, and what it was made of."""

    id: str
    """`sha256-` and the digest of its files."""
    framework: str
    backend: str
    world_size: int
    job: dict[str, Any]
    request: dict[str, Any]
    """What was asked for beside the job."""
    prediction: dict[str, Any] | None
    warnings: tuple[str, ...]
    owner: str
    created_seconds: float


def deployment_id(files: Sequence[BundleFile]) -> str:
    """The name of these files: the same files have the same, in whatever order they come."""
    lines = sorted(f"{file.sha256} {int(file.is_executable)} {file.path}\n" for file in files)
    return f"sha256-{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def add(connection: sa.Connection, made: Deployment, files: Sequence[BundleFile]) -> Deployment:
    """Keep a bundle; where it is there already, that one is given back as it is."""
    assert made.id == deployment_id(files), "a deployment is named by its files"
    found = connection.execute(sa.select(deployments).where(deployments.c.id == made.id)).one_or_none()
    if found is not None:
        return rows.noun(Deployment, found)
    rows.add(connection, deployments, made)
    known = set(
        connection.scalars(sa.select(blobs.c.digest).where(blobs.c.digest.in_([each.sha256 for each in files])))
    )
    contents = {file.sha256: file.text.encode() for file in files if file.sha256 not in known}
    if contents:
        connection.execute(sa.insert(blobs), [{"digest": key, "content": value} for key, value in contents.items()])
    listed = [
        {"deployment_id": made.id, "path": file.path, "is_executable": file.is_executable, "digest": file.sha256}
        for file in files
    ]
    connection.execute(sa.insert(deployment_files), listed)
    return made


def one(connection: sa.Connection, key: str) -> Deployment:
    """The deployment with this id. NotThere."""
    return rows.one(connection, deployments, Deployment, key, called=CALLED)


def files(connection: sa.Connection, key: str) -> tuple[BundleFile, ...]:
    """The files of a deployment, by path. NotThere."""
    one(connection, key)
    wanted = (
        sa.select(deployment_files.c.path, blobs.c.content)
        .join(blobs, blobs.c.digest == deployment_files.c.digest)
        .where(deployment_files.c.deployment_id == key)
        .order_by(deployment_files.c.path)
    )
    return tuple(BundleFile(path=row.path, text=row.content.decode()) for row in connection.execute(wanted))


def listed(
    connection: sa.Connection, *, sort: str = "-created", limit: int = 100, cursor: str | None = None
) -> Page[Deployment]:
    """A page of all deployments. SpecError of the sort, the limit or the cursor."""
    by: Order = order(sort, SORTS)
    return page(connection, deployments, Deployment, where=sa.true(), by=by, limit=limit, cursor=cursor)


def remove(connection: sa.Connection, key: str) -> None:
    """Forget a deployment, and the files that no other has; tasks that are over do without.

    NotThere; Conflict where tasks that are not over refer to it.
    """
    one(connection, key)
    refers = tasks.c.deployment_id == key
    going_on = sa.select(tasks.c.id).where(refers & tasks.c.ended_seconds.is_(None)).order_by(tasks.c.id)
    users = connection.scalars(going_on).all()
    if users:
        message = f"{len(users)} tasks that are not over refer to it: {', '.join(users[:5])}."
        raise Conflict.of(message, where=key, hint="Stop them first.", code="in_use")
    connection.execute(sa.update(tasks).where(refers).values(deployment_id=None, version=tasks.c.version + 1))
    connection.execute(sa.delete(deployments).where(deployments.c.id == key))
    used = sa.select(deployment_files.c.digest)
    connection.execute(sa.delete(blobs).where(blobs.c.digest.not_in(used)))
