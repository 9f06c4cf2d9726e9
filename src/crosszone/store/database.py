"""One database: how it is reached, and how work in it begins and ends.

Readers see one moment of it, however much they read. Writers come one after the other: what one has read stays true
until it commits. On both kinds of database, so that there is one way to reason about them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, DBAPIError, NoSuchModuleError, OperationalError

from crosszone.errors import Busy, PreflightFailed, SpecError

Connection = sa.Connection
"""What work is done over."""
FULL, NORMAL = "FULL", "NORMAL"
"""What SQLite's `synchronous` may be: FULL loses nothing that was committed when the power fails."""
BUSY_SECONDS = 10.0
"""A writer waits so long for its turn."""
POSTGRESQL_LOCK = 0x63726F73
"""Of writers, among the advisory locks of a PostgreSQL database; any number that nobody else takes."""
LOCK_NOT_AVAILABLE = "55P03"
"""What PostgreSQL says where a lock was waited for too long (its manual, appendix A)."""
HINT = "Write a path of a file, or postgresql://USER@HOST/DATABASE."


class Database:
    """One SQLite file or PostgreSQL database."""

    def __init__(self, url: str, *, synchronous: str = FULL, busy_seconds: float = BUSY_SECONDS) -> None:
        """`url`: postgresql://USER@HOST/DATABASE, sqlite:///FILE, or the path of a file, which is made if need be.

        SpecError where it is neither; nothing is connected to yet.
        """
        self.url = _url(url)
        self.busy_seconds = busy_seconds
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._turn = threading.Lock()
        self._here = threading.local()
        """The connection over which this thread writes, while it does."""
        self._engine = _engine(self.url, synchronous=synchronous, busy_seconds=busy_seconds)

    def __str__(self) -> str:
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one moment. PreflightFailed where the database is not reached."""
        options: dict[str, Any] = (
            {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with self._told(), self._engine.execution_options(**options).connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection whose work is kept as a whole when the block ends, and dropped as a whole where it fails.

        Inside such a block, a second one of the same thread is part of the first. Busy where others write for longer
        than a writer waits; PreflightFailed where the database is not reached.
        """
        outer: sa.Connection | None = getattr(self._here, "connection", None)
        if outer is not None:
            yield outer
            return
        if not self._turn.acquire(timeout=self.busy_seconds):
            raise self._busy()
        try:
            with self._told(), self._engine.execution_options(is_writing=True).begin() as connection:
                self._here.connection = connection
                yield connection
        finally:
            self._here.connection = None
            self._turn.release()

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._told_as(error) from error

    def _told_as(self, error: DBAPIError) -> Exception:
        cause = error.orig
        is_locked = getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if is_locked or getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            return self._busy()
        if isinstance(error, OperationalError) or type(error) is DatabaseError:  # SQLite's for a file that is none
            said = " ".join(str(cause).split())
            hint = "Check that it is a database, that it runs, and that this user may write to it."
            return PreflightFailed.of(f"the database does not answer: {said}.", where=str(self), hint=hint)
        if isinstance(error, DataError):  # PostgreSQL's of a text with a null character
            return SpecError.of(f"a value cannot be kept: {cause}.", hint="Send printable text.")
        return error

    def _busy(self) -> Busy:
        return Busy.of(f"others have written to the database for {self.busy_seconds:g} s.", where=str(self))


def _url(written: str) -> sa.URL:
    if "://" not in written:
        return sa.URL.create("sqlite", database=str(Path(written).expanduser().absolute()))
    try:
        url = sa.make_url(written)
        known = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
        url = url.set(drivername=known.get(url.drivername, url.drivername))
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise SpecError.of("it is no address of a database.", where="--database", hint=HINT) from None
    if url.drivername not in known.values() or not url.database or url.database == ":memory:":
        raise SpecError.of(f"{url.get_backend_name()} is not kept there.", where="--database", hint=HINT)
    return url


def _engine(url: sa.URL, *, synchronous: str, busy_seconds: float) -> sa.Engine:
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url, synchronous=synchronous, busy_seconds=busy_seconds)
        return _postgresql_engine(url, busy_seconds=busy_seconds)
    except ModuleNotFoundError as error:
        hint = "Install it: pip install 'crosszone[server]'."
        message = f"what speaks to the database is not installed: {error}."
        raise PreflightFailed.of(message, hint=hint, code="missing") from None


def _sqlite_engine(url: sa.URL, *, synchronous: str, busy_seconds: float) -> sa.Engine:
    _make_file(Path(str(url.database)))
    engine = sa.create_engine(url, connect_args={"timeout": busy_seconds})

    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # sqlite3 begins only before the first change; we begin before the first read
        for setting in ("journal_mode = WAL", f"synchronous = {synchronous}", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")

    def begun(connection: sa.Connection) -> None:
        # A reader that becomes a writer would find that others have written since, and could only give up.
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine


def _postgresql_engine(url: sa.URL, *, busy_seconds: float) -> sa.Engine:
    engine = sa.create_engine(url, pool_pre_ping=True)

    def begun(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("is_writing", False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(busy_seconds * 1000)}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")

    event.listen(engine, "begin", begun)
    return engine


def _make_file(path: Path) -> None:
    """A file that only its owner reads: SQLite would make one that everybody may read."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        hint = "Name a file in a folder that this user may write to."
        raise SpecError.of(f"cannot write: {error.strerror}.", where=str(path), hint=hint, code="unwritable") from None
