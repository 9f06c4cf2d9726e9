"""Databases that version 1 wrote open in this version with all that is in them.

The files in `golden` are what `sqlite3 .dump` and `pg_dump --inserts` print of a database of that version. They are
never made anew: a later version adds its own.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest

from crosszone.core.bundle import BundleFile
from crosszone.core.environment import EnvironmentFilter
from crosszone.core.task import Cause
from crosszone.store import answers, deployments, journal, leases, records, reservations, tasks, tokens
from crosszone.store import environments as inventory
from crosszone.store.database import Database
from crosszone.store.history import STATE

FOLDER = Path(__file__).with_name("golden")
FIRST = 1_763_000_000.0


def loaded(file, url, kind):
    text = file.read_text(encoding="utf-8")
    if kind == "sqlite":
        with sqlite3.connect(url) as connection:
            connection.executescript(text)
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(re.sub(r"^\\.*$", "", text, flags=re.MULTILINE))  # what only psql understands


@pytest.mark.parametrize("version", [1])
def test_an_old_database_opens_with_all_that_is_in_it(empty_url, kind, version):
    loaded(FOLDER / f"state-{version}.{kind}.sql", empty_url, kind)
    database = Database(empty_url)
    with database.writing() as connection:
        STATE.upgrade(connection)
        assert STATE.version(connection) == STATE.newest()
        check(connection)
    database.close()


def check(connection):
    """What was written by version 1."""
    listed = inventory.listed(connection, EnvironmentFilter()).rows
    assert [(each.name, each.num_gpus) for each in listed] == [("llm-训练", 4), ("pytorch-dev-env", 2)]
    assert listed[0].addresses == ("192.168.2.20", "node2")
    assert listed[1].memory_bytes is None
    (link,) = inventory.links(connection)
    assert link.path == {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}
    task = tasks.one(connection, "task-1")
    assert (task.state, task.version, task.request) == ("validated", 2, {"taskName": "任务", "none": None})
    assert [node.num_ranks for node in task.nodes] == [2, 4]
    assert [(step.to_state, step.cause) for step in tasks.history(connection, "task-1")[:2]] == [
        ("draft", Cause(code="asked", text="")),
        ("validated", Cause(code="checked", text="Nothing is wrong.")),
    ]
    assert [part.parent_id for part in tasks.parts_of(connection, "attempt-1")] == [None, "part-1"]
    assert deployments.files(connection, str(task.deployment_id)) == (
        BundleFile(path="a.sh", text="#!/bin/sh\n训练\n"),
    )
    assert answers.kept(connection, "ann", "key", "digest", now_seconds=FIRST) == answers.Answer(
        status=201, headers={"Location": "/x"}, body="{}"
    )
    assert leases.current(connection, "scheduler").fencing_token == 2
    assert len(reservations.reserved(connection)) == 1
    assert reservations.all_quotas(connection)[0].most == 8.5
    assert tokens.found(connection, "cz_golden", now_seconds=FIRST).scope == "admin"
    assert journal.audit_before(connection)[0].action == "create"
    assert records.find_asset(connection, "model", "m").model == {"parameters": "13B"}
    assert records.one_run(connection, "run-1").plan is None
    newest = journal.events_after(connection, 0)[-1].sequence
    assert journal.tell(connection, "k", "s", {}, now_seconds=FIRST) == newest + 1
