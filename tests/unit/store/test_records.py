"""Deployments, saved runs, data sets, tokens, the audit log and what runs measure."""

from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from crosszone.core.access import ADMIN, OPERATOR
from crosszone.core.bundle import BundleFile
from crosszone.errors import Conflict, NotThere
from crosszone.store import deployments, journal, records, tasks, tokens
from crosszone.store import telemetry as measured
from crosszone.store.deployments import Deployment, deployment_id
from crosszone.store.ids import ALPHABET, new_id
from crosszone.store.records import Asset, SavedRun
from crosszone.store.tables import blobs, events
from crosszone.store.telemetry import Sample

FILES = (
    BundleFile(path="run_training.sh", text="#!/bin/sh\necho 训练\n"),
    BundleFile(path="src/train.py", text="print()\n"),
)
OTHERS = (FILES[1], BundleFile(path="README.md", text="# Read\n"))


def deployment(files=FILES, **fields):
    made = {"framework": "fsdp", "backend": "local", "world_size": 2, "job": {"model": "x"}, "request": {}}
    made |= {"prediction": None, "warnings": ("slow",), "owner": "ann", "created_seconds": 1.0}
    return Deployment(id=deployment_id(files), **{**made, **fields})


def test_a_deployment_is_named_by_its_files():
    assert deployment_id(FILES) == deployment_id(FILES[::-1])
    renamed = (dataclasses.replace(FILES[0], path="other.sh"), FILES[1])
    edited = (dataclasses.replace(FILES[0], text=FILES[0].text + "#"), FILES[1])
    assert len({deployment_id(each) for each in (FILES, renamed, edited, OTHERS)}) == 4


def test_the_same_bundle_is_kept_once_and_its_files_are_shared(database):
    with database.writing() as connection:
        first = deployments.add(connection, deployment(), FILES)
        again = deployments.add(connection, deployment(owner="bob", created_seconds=2.0), FILES)
        deployments.add(connection, deployment(OTHERS, created_seconds=3.0), OTHERS)
        assert first == again == deployments.one(connection, first.id)
        assert deployments.files(connection, first.id) == FILES
        assert connection.execute(sa.select(sa.func.count()).select_from(blobs)).scalar_one() == 3
        assert [each.created_seconds for each in deployments.listed(connection).rows] == [3.0, 1.0]


def test_deployments_do_not_change(database):
    with database.writing() as connection:
        deployments.add(connection, deployment(), FILES)
    with pytest.raises(sa.exc.IntegrityError, match="never changed"), database.writing() as connection:
        connection.execute(sa.update(blobs).values(content=b"another"))


def test_a_deployment_goes_with_the_files_that_no_other_has(database, add_task):
    with database.writing() as connection:
        first = deployments.add(connection, deployment(), FILES)
        second = deployments.add(connection, deployment(OTHERS), OTHERS)
        add_task(connection, "task-1", deployment_id=second.id)
        deployments.remove(connection, first.id)
        assert deployments.files(connection, second.id) == OTHERS[::-1]
        assert connection.execute(sa.select(sa.func.count()).select_from(blobs)).scalar_one() == 2
        with pytest.raises(NotThere, match="no deployment"):
            deployments.files(connection, first.id)
        with pytest.raises(Conflict, match="1 tasks that are not over refer to it: task-1"):
            deployments.remove(connection, second.id)


def test_a_task_that_is_over_does_without_its_deployment(database, add_task):
    with database.writing() as connection:
        made = deployments.add(connection, deployment(), FILES)
        task = add_task(connection, "task-1", deployment_id=made.id, ended_seconds=9.0)
        deployments.remove(connection, made.id)
        kept = tasks.one(connection, "task-1")
        assert (kept.deployment_id, kept.version) == (None, task.version + 1)


def test_runs_come_back_as_they_were_page_by_page(database):
    runs = [
        SavedRun(id=f"run-{n}", name=f"r{n}", kind="predicted", job={"a": [n]}, prediction={}, created_seconds=n / 3)
        for n in range(5)
    ]
    with database.writing() as connection:
        for run in runs:
            records.add_run(connection, run)
        page = records.listed_runs(connection, limit=3)
        rest = records.listed_runs(connection, limit=3, cursor=page.cursor)
        assert [*page.rows, *rest.rows] == runs[::-1]
        assert rest.cursor is None
        assert records.one_run(connection, "run-2") == runs[2]


def test_a_data_set_is_known_by_version(database):
    first = Asset(kind="dataset", id="d", version_id="1", name="D", zone="east", size_bytes=1e12, created_seconds=0.0)
    second = dataclasses.replace(first, version_id="2", size_bytes=2e12)
    model = Asset(kind="model", id="d", name="M", model={"parameters": "13B"}, created_seconds=0.0)
    with database.writing() as connection:
        for each in (first, dataclasses.replace(second, name="old"), second, model):
            records.keep_asset(connection, each)
        assert records.find_asset(connection, "dataset", "d", "2") == second
        assert records.find_asset(connection, "dataset", "d", "3") is None
        assert records.find_asset(connection, "model", "d") == model
        assert records.all_assets(connection, "dataset") == (first, second)


def test_tokens_are_known_by_what_is_not_stored(database):
    with database.writing() as connection:
        text, token = tokens.issue(connection, "ci", OPERATOR, now_seconds=0.0, for_seconds=100.0)
        _, forever = tokens.issue(connection, "me", ADMIN, now_seconds=1.0, for_seconds=None)
    with database.reading() as connection:
        assert tokens.found(connection, text, now_seconds=99.0) == token
        assert tokens.found(connection, text, now_seconds=100.0) is None
        assert tokens.found(connection, text + "x", now_seconds=0.0) is None
        assert tokens.all_tokens(connection) == (token, forever)
        everything = [str(row) for row in connection.exec_driver_sql("SELECT * FROM tokens")]
    assert not [row for row in everything if text in row or text.removeprefix("cz_") in row]
    with database.writing() as connection:
        assert tokens.revoke(connection, token.id, now_seconds=5.0).revoked_seconds == 5.0
        assert tokens.revoke(connection, token.id, now_seconds=9.0).revoked_seconds == 5.0
        assert tokens.found(connection, text, now_seconds=6.0) is None
        with pytest.raises(NotThere):
            tokens.revoke(connection, "token-none", now_seconds=5.0)


def test_the_audit_log_is_read_backwards_and_never_changed(database):
    with database.writing() as connection:
        for number in range(3):
            journal.note(connection, actor="ann", action="stop", target=f"t{number}", status=202, now_seconds=number)
    with database.reading() as connection:
        newest = journal.audit_before(connection, limit=2)
        assert [each.target for each in newest] == ["t2", "t1"]
        assert [each.target for each in journal.audit_before(connection, newest[-1].sequence)] == ["t0"]
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM audit")


def test_numbers_of_events_that_are_gone_never_come_again(database):
    with database.writing() as connection:
        first = journal.tell(connection, "k", "s", {"a": 1}, now_seconds=1.0)
        second = journal.tell(connection, "k", "s", {}, now_seconds=2.0)
        connection.execute(sa.delete(events))
    with database.writing() as connection:
        third = journal.tell(connection, "k", "s", {}, now_seconds=4.0)
        assert [each.sequence for each in journal.events_after(connection, 0)] == [third]
    assert first < second < third


def test_a_step_that_is_done_again_replaces_what_was_measured(telemetry):
    def sample(step, value, rank=0):
        return Sample(run_id="run-1", name="loss", rank=rank, step=step, seconds=1.0, value=value)

    with telemetry.writing() as connection:
        measured.add_samples(connection, [sample(1, 9.0), sample(2, 8.0), sample(2, 7.5, rank=1)])
        measured.add_samples(connection, [sample(2, 8.5), sample(2, 8.25), sample(3, 7.0)])
        measured.add_samples(connection, [])
    with telemetry.reading() as connection:
        found = measured.samples_of(connection, "run-1", "loss", rank=0)
        assert [(each.step, each.value) for each in found] == [(1, 9.0), (2, 8.25), (3, 7.0)]
        later = measured.samples_of(connection, "run-1", "loss", after_step=1)
        assert [(each.step, each.rank) for each in later] == [(2, 0), (2, 1), (3, 0)]


def test_lines_come_in_order_from_where_one_left_off(telemetry):
    with telemetry.writing() as connection:
        measured.add_lines(connection, "run-1", ["a", "b"], rank=0, now_seconds=1.0)
        measured.add_lines(connection, "run-2", ["x"], rank=0, now_seconds=1.0)
        measured.add_lines(connection, "run-1", ["c"], rank=None, now_seconds=2.0)
        measured.add_lines(connection, "run-1", [], rank=None, now_seconds=2.0)
        first = measured.lines_after(connection, "run-1", limit=2)
        rest = measured.lines_after(connection, "run-1", first[-1].sequence)
        assert [each.text for each in (*first, *rest)] == ["a", "b", "c"]
        assert [each.text for each in measured.lines_after(connection, "run-1", rank=0)] == ["a", "b"]


def test_ids_sort_by_the_time_they_were_made_in():
    made = [new_id("task", second / 10) for second in (1, 17_630_000_000, 17_630_000_001, 99_999_999_999)]
    assert made == sorted(made)
    assert {len(each) for each in made} == {len("task-") + 26}
    assert set("".join(made)) <= set(ALPHABET) | set("task-")
    assert len({new_id("x", 1.0) for _ in range(1000)}) == 1000
