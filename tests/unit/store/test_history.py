"""Tables become the newest with all that is in them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from crosszone.errors import SpecError
from crosszone.store.database import Database
from crosszone.store.history import STATE, TELEMETRY


def upgraded(database, history, to=None):
    with database.writing() as connection:
        history.upgrade(connection, to)


@pytest.mark.parametrize("history", [STATE, TELEMETRY], ids=["state", "telemetry"])
def test_all_migrations_give_the_tables_that_the_program_knows(empty_url, history):
    database = Database(empty_url)
    upgraded(database, history)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, history.metadata) == []
        assert history.version(connection) == history.newest() == history.versions()[-1]
    database.close()


def test_upgrading_again_changes_nothing(database):
    with database.writing() as connection:
        connection.execute(sa.text("INSERT INTO quotas VALUES ('ann', 'gpus', 8)"))
        STATE.upgrade(connection)
        assert connection.execute(sa.text("SELECT count(*) FROM quotas")).scalar_one() == 1


def test_an_upgrade_that_fails_leaves_no_tables(empty_url, monkeypatch):
    """SQLite's own way would leave half of them."""
    database = Database(empty_url)

    def fail():
        with database.writing() as connection:
            STATE.upgrade(connection)
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    upgraded(database, STATE)
    database.close()


def test_tables_of_a_newer_program_are_left_alone(empty_url):
    database = Database(empty_url)
    upgraded(database, STATE)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SpecError, match=f"version 9999, not {STATE.newest()}"), database.writing() as connection:
        STATE.upgrade(connection)
    database.close()


def test_a_new_database_has_no_version(empty_url):
    database = Database(empty_url)
    with database.reading() as connection:
        assert STATE.version(connection) is None
    database.close()


@pytest.mark.parametrize("history", [STATE, TELEMETRY], ids=["state", "telemetry"])
def test_files_are_called_as_the_versions_in_them_and_come_one_after_the_other(history, empty_url):
    from alembic.script import ScriptDirectory

    database = Database(empty_url)
    with database.writing() as connection:
        scripts = list(ScriptDirectory.from_config(history._config(connection)).walk_revisions())
    database.close()
    assert [script.revision for script in reversed(scripts)] == list(history.versions())
    assert [script.down_revision for script in reversed(scripts)] == [None, *history.versions()[:-1]]


def test_a_database_that_is_up_to_date_opens_without_migrations(upgraded_file):
    program = (
        "import sys; from crosszone.store.database import Database; from crosszone.store.history import STATE\n"
        "with Database(sys.argv[1]).writing() as connection: STATE.upgrade(connection)\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(upgraded_file)], check=True)
