"""`crosszone backup` and `crosszone restore`."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from crosszone.cli.app import program
from crosszone.errors import Conflict, PreflightFailed, SpecError
from crosszone.store.opened import open_store
from crosszone.store.reservations import Quota, all_quotas, set_quota

QUOTA = Quota(owner="ann", resource="gpus", most=8.0)


@pytest.fixture
def filled(tmp_path):
    path = str(tmp_path / "team.sqlite")
    store = open_store(path)
    with store.state.writing() as connection:
        set_quota(connection, QUOTA)
    store.close()
    return path


def run(*arguments, **environment):
    return CliRunner().invoke(program(), [*map(str, arguments)], env=environment)


def test_what_was_saved_is_restored(filled, tmp_path):
    file, other = tmp_path / "backup.zip", tmp_path / "other.sqlite"
    saved = run("backup", "-o", file, "--database", filled, "--json")
    assert saved.exit_code == 0
    assert json.loads(saved.stdout)["num_rows"] == 1
    restored = run("restore", file, CROSSZONE_DATABASE=str(other))
    assert "Restored: 1 rows of 1 tables" in restored.stdout
    assert "quotas" in restored.stdout
    store = open_store(str(other))
    with store.state.reading() as connection:
        assert all_quotas(connection) == (QUOTA,)
    store.close()
    assert isinstance(run("restore", file, "--database", other).exception, Conflict)


def test_what_is_missing_is_told(tmp_path):
    nowhere = "postgresql://ann@/x?host=/nowhere"
    assert isinstance(run("backup", "-o", tmp_path / "b.zip", "--database", nowhere).exception, PreflightFailed)
    absent = run("restore", tmp_path / "absent.zip", "--database", tmp_path / "x.sqlite").exception
    assert "No such file" in str(absent)
    (tmp_path / "text.zip").write_text("no zip")
    damaged = run("restore", tmp_path / "text.zip", "--database", tmp_path / "x.sqlite").exception
    assert isinstance(damaged, SpecError)


@pytest.mark.parametrize("address", ["postgresql://ann:secret@h/db", "postgresql://ann:s@cret@h:5432/db"])
def test_passwords_stay_off_the_command_line(tmp_path, address):
    refused = run("backup", "-o", tmp_path / "b.zip", "--database", address).exception
    assert isinstance(refused, SpecError)
    assert "CROSSZONE_DATABASE" in str(refused)
    allowed = run("backup", "-o", tmp_path / "b.zip", CROSSZONE_DATABASE=f"{address}?host=/nowhere").exception
    assert isinstance(allowed, PreflightFailed)
    assert "secret" not in str(allowed)


def test_what_is_not_installed_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "crosszone.store.opened", None)
    refused = run("backup", "-o", tmp_path / "b.zip").exception
    assert isinstance(refused, PreflightFailed)
    assert "pip install 'crosszone[server]'" in str(refused)
