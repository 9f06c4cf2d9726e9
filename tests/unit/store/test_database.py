"""Readers see one moment, writers take turns, and what was committed stays."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time

import pytest
import sqlalchemy as sa

from crosszone.errors import Busy, PreflightFailed, SpecError
from crosszone.store.database import Database
from crosszone.store.tables import quotas


def put(connection, most, owner="ann"):
    connection.execute(sa.insert(quotas).values(owner=owner, resource="gpus", most=most))


def count(connection):
    return connection.execute(sa.select(sa.func.count()).select_from(quotas)).scalar_one()


def test_work_that_fails_leaves_nothing(database):
    def fail():
        with database.writing() as connection:
            put(connection, 8.0)
            raise ValueError("a mistake in between")

    with pytest.raises(ValueError, match="in between"):
        fail()
    with database.reading() as connection:
        assert count(connection) == 0


def test_a_writer_inside_a_writer_is_part_of_it(database):
    with database.writing() as outer:
        put(outer, 1.0)
        with database.writing() as inner:
            assert inner is outer
            put(inner, 2.0, owner="bob")
    with database.reading() as connection:
        assert count(connection) == 2

    def fail_outside():
        with database.writing():
            with database.writing() as connection:
                put(connection, 3.0, owner="eve")
            raise ValueError("after the inner one")

    with pytest.raises(ValueError, match="after the inner one"):
        fail_outside()
    with database.writing() as connection:
        assert count(connection) == 2


def test_readers_see_one_moment_while_others_write(database):
    with database.reading() as reader:
        assert count(reader) == 0
        with database.writing() as writer:
            put(writer, 8.0)
        assert count(reader) == 0
    with database.reading() as reader:
        assert count(reader) == 1


def test_readers_cannot_write(database):
    """SQLite's readers could, and would then fail where others write; PostgreSQL's are refused."""
    if database.is_sqlite:
        pytest.skip("nothing holds a reader of SQLite back")
    with pytest.raises(sa.exc.InternalError, match="read-only"), database.reading() as reader:
        put(reader, 8.0)


@pytest.mark.parametrize("num_databases", [1, 2])
def test_what_a_writer_has_read_stays_true(url, num_databases):
    """Threads of one server, and two servers: each counts rows and adds one, and no count is seen twice."""
    databases = [Database(url) for _ in range(num_databases)]
    seen = []

    def work(number):
        for step in range(5):
            with databases[number % num_databases].writing() as connection:
                found = count(connection)
                time.sleep(0.001)
                put(connection, found, owner=f"{number}-{step}")
                seen.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(20))
    for database in databases:
        database.close()


@pytest.mark.parametrize("is_other_server", [False, True])
def test_a_writer_that_waits_too_long_is_told(url, is_other_server):
    database = Database(url, busy_seconds=0.2)
    other = Database(url, busy_seconds=0.2) if is_other_server else database
    held = []

    def wait():
        with pytest.raises(Busy, match=r"for 0\.2 s"), other.writing() as connection:
            put(connection, 1.0)
        held.append(True)

    with database.writing() as connection:
        put(connection, 2.0)
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert held
    with other.writing() as connection:
        assert count(connection) == 1
    database.close()
    other.close()


def test_sqlite_keeps_what_was_committed_and_tells_nobody(tmp_path):
    path = tmp_path / "new" / "state.sqlite"
    database = Database(str(path))
    with database.writing() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
        connection.exec_driver_sql("CREATE TABLE kept (x)")
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    database.close()
    relaxed = Database(str(path), synchronous="NORMAL")
    with relaxed.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1
    relaxed.close()


def test_a_database_that_is_not_there_is_told():
    database = Database("postgresql://nobody:secret@/nothing?host=/nowhere&connect_timeout=1")
    with pytest.raises(PreflightFailed, match="does not answer") as caught, database.reading():
        pass
    assert "secret" not in str(caught.value)
    assert "secret" not in str(database)


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at as one " * 100)
    database = Database(str(path))
    with pytest.raises(PreflightFailed, match="is not a database"), database.reading():
        pass


@pytest.mark.parametrize(
    "written",
    ["mysql://me@host/db", "sqlite://", "sqlite:///:memory:", "postgresql://me@host", "no scheme://x", "a://"],
)
def test_other_addresses_are_refused(written):
    with pytest.raises(SpecError) as caught:
        Database(written)
    assert caught.value.findings[0].where == "--database"
    assert "postgresql://" in caught.value.findings[0].hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SpecError, match="Permission denied"):
        Database(str(tmp_path / "state.sqlite"))


def test_a_place_that_is_a_folder_is_told(tmp_path):
    with pytest.raises(SpecError, match="cannot write"):
        Database(str(tmp_path))


def test_foreign_keys_hold_in_sqlite(tmp_path):
    database = Database(str(tmp_path / "x.sqlite"))
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE a (id PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE b (a_id REFERENCES a (id))")
    with (
        pytest.raises(sa.exc.IntegrityError) as caught,
        database.writing() as connection,
    ):
        connection.exec_driver_sql("INSERT INTO b VALUES (1)")
    assert isinstance(caught.value.orig, sqlite3.IntegrityError)
    database.close()
