"""Backups of what a server keeps."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.service.tasks import open_store, opened_store

if TYPE_CHECKING:
    from crosszone.core.backup import Backup


def backup(path: str | Path, *, database: str | None = None) -> Backup:
    """Write all that a server keeps, as of now, to the file `path`; the server may go on meanwhile.

    `database`: its address, or None for this user's own. Errors: SpecError where the file cannot be written;
    PreflightFailed where the database is not reached.
    """
    with opened_store(database) as store:
        from crosszone.store import backup as backups

        return backups.backup(store, Path(path), program=version("crosszone"), now_seconds=time.time())


def restore(path: str | Path, *, database: str | None = None) -> Backup:
    """Fill an empty database with the backup in the file `path`, whichever kind of database it was made of.

    Errors: SpecError where the file is no backup, is damaged or a newer program's; Conflict where there are data;
    PreflightFailed where the database is not reached.
    """
    store = open_store(database, is_upgraded=False)
    from crosszone.store import backup as backups

    try:
        return backups.restore(store, Path(path))
    finally:
        store.close()


def backup_json(found: Backup) -> dict[str, Any]:
    """Backup JSON: what a backup says of itself."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(found)
    return {**value, "num_rows": found.num_rows}
