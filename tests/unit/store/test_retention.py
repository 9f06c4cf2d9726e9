"""What is old and over goes, a few rows at a time; what goes on, and who did what, stays."""

from __future__ import annotations

import pytest

from crosszone.core.path_watch import PathLook
from crosszone.core.retention import DAY_SECONDS, Retention
from crosszone.core.task import PENDING, STOPPED, Attempt, Cause
from crosszone.store import journal, paths, retention, tasks
from crosszone.store import telemetry as relaxed
from crosszone.store.opened import Store
from crosszone.store.retention import Sweeper

KEPT = Retention(events_seconds=90 * DAY_SECONDS, lines_seconds=30 * DAY_SECONDS, samples_seconds=60 * DAY_SECONDS)
NUM_LINES = 25


@pytest.fixture
def store(database, telemetry):
    return Store(state=database, telemetry=telemetry)


@pytest.fixture
def ran(store, add_task, now):
    """A task with one attempt that said and measured something, and ended; or goes on."""

    def add(key, ended_seconds=None):
        with store.state.writing() as connection:
            task = add_task(connection, key)
            facts = {"main_node": None, "fencing_token": None, "started_seconds": now}
            attempt = Attempt(id=f"{key}-1", task_id=key, number=1, state=PENDING, **facts)
            tasks.add_attempt(connection, attempt, Cause(code="asked"), actor="ann")
            journal.tell(connection, "restarted", attempt.id, {}, now_seconds=now)
            journal.note(connection, actor="ann", action="task_create", target=key, status=201, now_seconds=now)
            if ended_seconds is not None:
                tasks.move(connection, task, STOPPED, Cause(code="asked"), actor="ann", now_seconds=ended_seconds)
        with store.telemetry.writing() as connection:
            texts = [f"line {number}" for number in range(NUM_LINES)]
            relaxed.add_lines(connection, attempt.id, texts, rank=0, now_seconds=now)
            sample = relaxed.Sample(run_id=attempt.id, name="loss", rank=0, step=1, seconds=now, value=2.5)
            relaxed.add_samples(connection, [sample])

    return add


def left(store, key):
    """How many events, lines and figures there are of a task."""
    with store.state.reading() as connection:
        told = [journal.events_after(connection, 0, subject_id=each) for each in (key, f"{key}-1")]
    with store.telemetry.reading() as connection:
        said = relaxed.lines_after(connection, f"{key}-1")
        measured = relaxed.samples_of(connection, f"{key}-1", "loss")
    return sum(map(len, told)), len(said), len(measured)


def test_each_kind_goes_when_its_time_is_over(store, ran, now):
    ran("task-1", ended_seconds=now)
    whole = left(store, "task-1")
    seen = []
    for age in (29, 31, 61, 91):
        dropped = Sweeper(store, KEPT).sweep(now + age * DAY_SECONDS)
        seen.append((left(store, "task-1"), dropped.num_events, dropped.num_lines, dropped.num_samples))
    num_events = whole[0]
    assert num_events >= 3
    assert seen == [
        (whole, 0, 0, 0),
        ((num_events, 0, 1), 0, NUM_LINES, 0),
        ((num_events, 0, 0), 0, 0, 1),
        ((0, 0, 0), num_events, 0, 0),
    ]


def test_a_task_that_is_not_over_keeps_all_however_old_it_is(store, ran, now):
    ran("old")
    ran("new", ended_seconds=now + 999 * DAY_SECONDS)
    whole = left(store, "old"), left(store, "new")
    Sweeper(store, KEPT).sweep(now + 1000 * DAY_SECONDS)
    assert (left(store, "old"), left(store, "new")) == whole


def test_its_row_its_history_and_the_audit_log_stay(store, ran, now):
    ran("task-1", ended_seconds=now)
    Sweeper(store, KEPT).sweep(now + 1000 * DAY_SECONDS)
    with store.state.reading() as connection:
        assert tasks.one(connection, "task-1").state == STOPPED
        assert [each.to_state for each in tasks.history(connection, "task-1")][-1] == STOPPED
        assert len(tasks.attempts_of(connection, "task-1")) == 1
        assert [each.target for each in journal.audit_before(connection)] == ["task-1"]


def test_who_follows_events_misses_none_of_those_that_come(store, ran, now):
    """Numbers are never given again, although the newest events went."""
    ran("task-1", ended_seconds=now)
    with store.state.reading() as connection:
        last = journal.events_after(connection, 0)[-1].sequence
    Sweeper(store, KEPT).sweep(now + 1000 * DAY_SECONDS)
    ran("task-2")
    with store.state.reading() as connection:
        assert {each.subject_id for each in journal.events_after(connection, last)} == {"task-2", "task-2-1"}


def test_rows_go_a_few_at_a_time_and_others_write_between(store, ran, now, monkeypatch):
    monkeypatch.setattr(retention, "BATCH_ROWS", 10)
    ran("task-1", ended_seconds=now)
    written = []

    def write(seconds):
        with store.telemetry.writing() as connection:
            written.append(len(relaxed.lines_after(connection, "task-1-1")))

    dropped = Sweeper(store, KEPT, pause=write).sweep(now + 31 * DAY_SECONDS)
    assert (dropped.num_lines, written) == (NUM_LINES, [15, 5])


def test_it_leaves_off_when_the_server_ends(store, ran, now, monkeypatch):
    monkeypatch.setattr(retention, "BATCH_ROWS", 10)
    ran("task-1", ended_seconds=now)
    asked = iter([False, False, False, True])  # of events; then of lines
    Sweeper(store, KEPT, is_ending=lambda: next(asked, True), pause=lambda seconds: None).sweep(now + 31 * DAY_SECONDS)
    assert left(store, "task-1")[1] == NUM_LINES - 20


def test_looks_at_paths_go_by_their_own_age(store, now):
    look = PathLook(
        from_address="10.0.0.1",
        to_address="10.0.0.2",
        from_zone="east",
        to_zone="west",
        is_open=True,
    )
    samples = [
        paths.PathSample(from_environment="a", to_environment="b", attempt_id="run", seconds=each, look=look)
        for each in (now, now + 2 * DAY_SECONDS)
    ]
    with store.telemetry.writing() as connection:
        paths.add(connection, samples)
    assert Sweeper(store, KEPT).sweep(now + 31 * DAY_SECONDS).num_looks == 1
    with store.telemetry.reading() as connection:
        assert [each.seconds for each in paths.of_attempt(connection, "run")] == [now + 2 * DAY_SECONDS]
