"""Backups: one file with every row as of one moment, taken while others write, for either kind of database.

A zip with `manifest.json` and, for each table, a line of JSON per row. Rows and not the database's own pages, so that
what was SQLite can become PostgreSQL, and an older backup goes through the same migrations as an older database.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crosszone.core.backup import KIND, SCHEMA_VERSION, Backup, PartBackup, TableBackup
from crosszone.core.codec import from_json, to_json
from crosszone.errors import Conflict, Finding, SpecError
from crosszone.store.database import Database
from crosszone.store.history import History
from crosszone.store.opened import Store

MANIFEST = "manifest.json"
NUM_ROWS = 500
"""That are read and written at once."""
MOST_MANIFEST_BYTES = 1 << 20


def backup(store: Store, path: Path, *, program: str, now_seconds: float) -> Backup:
    """Write a backup to the file `path`, which appears when it is whole. SpecError where it cannot be written."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        # Only its owner may read what is in it, as in the database.
        descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                parts = tuple(_write_part(archive, history, database) for history, database in store.parts())
                made = Backup(program=program, created_seconds=now_seconds, parts=parts)
                archive.writestr(MANIFEST, json.dumps(to_json(made), indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        hint = "Name a file in a folder that this user may write to, on a disk with room."
        raise SpecError.of(f"cannot write the backup: {error.strerror}.", where=str(path), hint=hint) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return made


def restore(store: Store, path: Path) -> Backup:
    """Fill an empty store with a backup, and bring its tables up to date; all of it or, of each part, nothing.

    Errors: SpecError where the file is no backup, is damaged, or is a newer program's; Conflict where there is data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = _manifest(archive, path)
            _check_versions(store, found, path)
            _check_lines(archive, found, path)
            _check_empty(store, found)
            by_name = {part.name: part for part in found.parts}
            for history, database in reversed(store.parts()):  # the state last: once it is there, all is
                with database.writing() as connection:
                    _restore_part(connection, archive, history, by_name[history.name])
    except OSError as error:
        raise SpecError.unreadable("backup", str(path), error) from None
    except zipfile.BadZipFile as error:
        raise _damaged(path, f"{str(error)[:1].lower()}{str(error)[1:]}") from None
    return found


def _write_part(archive: zipfile.ZipFile, history: History, database: Database) -> PartBackup:
    with database.reading() as connection:
        version = history.version(connection)
        assert version is not None, "the store is opened, and so has tables"
        tables = tuple(_write_table(archive, history, connection, table) for table in history.metadata.sorted_tables)
    return PartBackup(name=history.name, version=version, tables=tables)


def _write_table(archive: zipfile.ZipFile, history: History, connection: sa.Connection, table: sa.Table) -> TableBackup:
    digest, num_rows = hashlib.sha256(), 0
    wanted = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=NUM_ROWS)
    with archive.open(_member(history.name, table.name), "w", force_zip64=True) as member:
        for row in connection.execute(wanted):
            line = json.dumps([_written(value) for value in row], ensure_ascii=False, separators=(",", ":")) + "\n"
            digest.update(line.encode())
            member.write(line.encode())
            num_rows += 1
    columns = tuple(column.name for column in table.columns)
    return TableBackup(name=table.name, columns=columns, num_rows=num_rows, sha256=digest.hexdigest())


def _manifest(archive: zipfile.ZipFile, path: Path) -> Backup:
    """What the backup says of itself. SpecError where it is none of ours, or newer than this program."""
    try:
        if archive.getinfo(MANIFEST).file_size > MOST_MANIFEST_BYTES:
            raise _damaged(path, "its manifest is too large")
        value = json.loads(archive.read(MANIFEST))
    except (KeyError, ValueError):
        value = None
    if not isinstance(value, dict) or value.get("kind") != KIND:
        hint = "`crosszone backup -o FILE` makes one."
        raise SpecError.of("it is no backup of CrossZone.", where=str(path), hint=hint)
    if value.get("schema_version") != SCHEMA_VERSION:
        raise _newer(path, f"it is written in format {value.get('schema_version')}, not {SCHEMA_VERSION}")
    return from_json(Backup, value, where=MANIFEST)


def _check_versions(store: Store, found: Backup, path: Path) -> None:
    by_name = {part.name: part.version for part in found.parts}
    for history, _ in store.parts():
        if history.name not in by_name:
            raise _damaged(path, f"{history.name} is missing")
        if by_name[history.name] not in history.versions():
            raise _newer(path, f"the tables of its {history.name} are of version {by_name[history.name]}")


def _check_lines(archive: zipfile.ZipFile, found: Backup, path: Path) -> None:
    """SpecError with every table whose lines are not those that were written."""
    findings = []
    for part in found.parts:
        for table in part.tables:
            digest, num_rows = hashlib.sha256(), 0
            for line in _lines(archive, part.name, table.name, path):
                digest.update(line)
                num_rows += 1
            if (num_rows, digest.hexdigest()) != (table.num_rows, table.sha256):
                message = f"{part.name}/{table.name} has {num_rows} rows that are not the {table.num_rows} backed up."
                findings.append(Finding(code="damaged", message=message, where=str(path), hint="Take another backup."))
    if findings:
        raise SpecError(*findings)


def _check_empty(store: Store, found: Backup) -> None:
    versions = {part.name: part.version for part in found.parts}
    for history, database in store.parts():
        with database.reading() as connection:
            present = history.version(connection)
            if present not in (None, versions[history.name]):
                message = f"its tables are of version {present}, and the backup's of version {versions[history.name]}."
                hint = "Restore into a database that has no tables yet."
                raise Conflict.of(message, where=str(database), hint=hint, code="not_empty")
            for table in history.metadata.sorted_tables if present else ():
                count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                if count:
                    message = f"there are data already: {count} rows of {table.name}."
                    hint = "Restore into a new database, and start the server on that one."
                    raise Conflict.of(message, where=str(database), hint=hint, code="not_empty")


def _restore_part(connection: sa.Connection, archive: zipfile.ZipFile, history: History, part: PartBackup) -> None:
    """The tables of that version, their rows, and then the way from that version to the newest."""
    history.upgrade(connection, part.version)
    known = sa.MetaData()
    known.reflect(connection)
    for backed_up in part.tables:
        table = known.tables[backed_up.name]
        _insert(connection, archive, part.name, table, backed_up)
        if "sequence" in table.c and connection.dialect.name == "postgresql":  # SQLite takes note by itself
            newest = sa.select(sa.func.max(table.c.sequence)).scalar_subquery()
            connection.execute(
                sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, "sequence"), newest)).where(
                    newest.is_not(None)
                )
            )
    history.upgrade(connection)


def _insert(
    connection: sa.Connection, archive: zipfile.ZipFile, part: str, table: sa.Table, backed_up: TableBackup
) -> None:
    is_binary = [isinstance(table.c[name].type, sa.LargeBinary) for name in backed_up.columns]
    waiting: list[dict[str, Any]] = []
    path = Path(archive.filename or "")
    for number, line in enumerate(_lines(archive, part, table.name, path), start=1):
        try:
            values = [_read(value, binary) for value, binary in zip(json.loads(line), is_binary, strict=True)]
        except (ValueError, TypeError):
            raise _damaged(path, f"line {number} of {part}/{table.name} is no row of it") from None
        waiting.append(dict(zip(backed_up.columns, values, strict=True)))
        if len(waiting) == NUM_ROWS:
            connection.execute(sa.insert(table), waiting)
            waiting = []
    if waiting:
        connection.execute(sa.insert(table), waiting)


def _lines(archive: zipfile.ZipFile, part: str, table: str, path: Path) -> Iterator[bytes]:
    try:
        with archive.open(_member(part, table)) as member:
            yield from member
    except KeyError:
        raise _damaged(path, f"{part}/{table} is missing") from None


def _member(part: str, table: str) -> str:
    return f"{part}/{table}.jsonl"


def _written(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _read(value: Any, is_binary: bool) -> Any:
    return base64.b64decode(value, validate=True) if is_binary else value


def _damaged(path: Path, what: str) -> SpecError:
    return SpecError.of(f"the backup is damaged: {what}.", where=str(path), hint="Take another one.", code="damaged")


def _newer(path: Path, what: str) -> SpecError:
    hint = "Restore it with that program."
    return SpecError.of(f"a newer program made it: {what}.", where=str(path), hint=hint, code="newer")
