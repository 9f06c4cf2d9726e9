"""Every step of a task's life is stored with its cause, and only the steps that may follow are taken."""

from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from crosszone.core.task import (
    FINAL_STATES,
    PART_TRANSITIONS,
    TASK_TRANSITIONS,
    Attempt,
    Cause,
    Part,
    TaskFilter,
    compatible_status,
    following,
    follows,
)
from crosszone.errors import Conflict, NotThere, SpecError, Stale
from crosszone.store import environments as inventory
from crosszone.store import journal, tasks
from crosszone.store.tables import transitions

CAUSE = Cause(code="asked", text="Ann wanted it.")
WAY = ("validated", "deployed", "preflight", "starting", "running", "recovering", "starting", "running", "succeeded")


def walked(connection, task, *states, now, every=1.0):
    for number, state in enumerate(states, start=1):
        task = tasks.move(connection, task, state, CAUSE, actor="worker", now_seconds=now + every * number)
    return task


def test_a_life_is_stored_step_by_step(database, add_task, now):
    with database.writing() as connection:
        made = add_task(connection)
        done = walked(connection, made, *WAY, now=now)
    with database.reading() as connection:
        history = tasks.history(connection, made.id)
        assert tasks.one(connection, made.id) == done
    assert [step.to_state for step in history] == ["draft", *WAY]
    assert [step.from_state for step in history] == [None, "draft", *WAY[:-1]]
    assert {step.cause for step in history[1:]} == {CAUSE}
    assert history[0].actor == "ann"
    assert history[-1].seconds == done.ended_seconds == now + 9
    assert done.version == 10
    assert [step.sequence for step in history] == sorted({step.sequence for step in history})


@pytest.mark.parametrize("state", TASK_TRANSITIONS)
def test_only_what_may_follow_follows(database, add_task, now, state):
    """Every pair of states: the table decides, and what is refused leaves no trace."""
    with database.writing() as connection:
        for other in TASK_TRANSITIONS:
            made = add_task(connection, f"task-{other}")
            there = walked(connection, made, *_way_to(state), now=now)
            num_steps = len(tasks.history(connection, made.id))
            if follows("task", state, other):
                assert walked(connection, there, other, now=now).state == other
            else:
                with pytest.raises(Conflict, match=f"{other} does not follow {state}"):
                    walked(connection, there, other, now=now)
                assert tasks.one(connection, made.id) == there
                assert len(tasks.history(connection, made.id)) == num_steps


def test_the_tables_of_states_make_sense():
    for table in (TASK_TRANSITIONS, PART_TRANSITIONS):
        assert set().union(*table.values()) <= set(table)
        for state, after in table.items():
            if after:  # what is not over can always be stopped, and can fail
                assert {"stopped", "failed"} <= after, state
    assert frozenset({"succeeded", "failed", "stopped"}) == FINAL_STATES
    assert "recovering" not in TASK_TRANSITIONS["recovering"]
    assert following("node", "unseen") == ("ended", "failed", "running", "starting", "stopped")


@pytest.mark.parametrize("state", TASK_TRANSITIONS)
def test_it_is_initializing_until_it_runs(state):
    before = {"draft", "validated", "deployed", "preflight", "starting"}
    assert compatible_status(state) == ("initializing" if state in before else state)


def _way_to(state):
    if state == "draft":
        return ()
    if state in ("failed", "stopped"):
        return (state,)
    if state == "succeeded":
        return ("validated", "succeeded")
    return WAY[: WAY.index(state) + 1]


def test_of_two_who_move_a_task_one_is_told(database, add_task, now):
    with database.writing() as connection:
        made = add_task(connection)
        walked(connection, made, "validated", now=now)
        with pytest.raises(Stale):
            walked(connection, made, "stopped", now=now)
        assert tasks.one(connection, made.id).state == "validated"


@pytest.mark.parametrize("statement", ["UPDATE transitions SET to_state = 'succeeded'", "DELETE FROM transitions"])
def test_what_was_stored_of_a_life_cannot_be_changed(database, add_task, statement):
    with database.writing() as connection:
        add_task(connection)
    with pytest.raises(sa.exc.IntegrityError, match="rows of transitions are never"), database.writing() as connection:
        connection.exec_driver_sql(statement)
    with database.reading() as connection:
        assert connection.execute(sa.select(transitions.c.to_state)).scalar_one() == "draft"


def test_a_task_and_its_first_step_are_written_together(database, make_task, now):
    def fail():
        with database.writing() as connection:
            tasks.add(connection, make_task(), CAUSE, actor="ann", now_seconds=now)
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert tasks.listed(connection, TaskFilter()).rows == ()
        assert journal.events_after(connection, 0) == ()
        with pytest.raises(NotThere, match='no task "task-1"'):
            tasks.one(connection, "task-1")


def test_steps_are_told_to_those_who_follow(database, add_task, now):
    with database.writing() as connection:
        made = add_task(connection, "task-1")
        add_task(connection, "task-2")
        walked(connection, made, "validated", now=now)
    with database.reading() as connection:
        told = journal.events_after(connection, 0)
        of_one = journal.events_after(connection, told[0].sequence, subject_id="task-1")
    assert [(each.subject_id, each.body["to_state"]) for each in told] == [
        ("task-1", "draft"),
        ("task-2", "draft"),
        ("task-1", "validated"),
    ]
    assert of_one == told[2:]


def test_lists_are_filtered_and_sorted(database, add_task, now):
    with database.writing() as connection:
        for number, (name, mode) in enumerate([("GPT-3", "existing"), ("bert", "export"), ("大模型", "existing")]):
            made = add_task(connection, f"task-{number}", name=name, launch_mode=mode, created_seconds=now + number)
        walked(connection, made, "validated", now=now)

    def names(wanted, **more):
        with database.reading() as connection:
            return [each.name for each in tasks.listed(connection, wanted, **more).rows]

    assert names(TaskFilter()) == ["大模型", "bert", "GPT-3"]
    assert names(TaskFilter(), sort="name") == ["GPT-3", "bert", "大模型"]
    assert names(TaskFilter(text="gpt fsdp")) == ["GPT-3"]
    assert names(TaskFilter(text="大模")) == ["大模型"]
    assert names(TaskFilter(launch_modes=("existing",), states=("draft",))) == ["GPT-3"]
    with pytest.raises(SpecError, match="nothing is sorted by"):
        names(TaskFilter(), sort="loss")


def attempt(number=1, **fields):
    made = {"id": f"attempt-{number}", "task_id": "task-1", "number": 0, "state": "pending", "main_node": "env-1"}
    return Attempt(**{**made, "fencing_token": 1, "started_seconds": 100.0, **fields})


def part(key, level, parent_id=None, **details):
    return Part(
        id=key, attempt_id="attempt-1", level=level, name=key, parent_id=parent_id, state="pending", details=details
    )


def test_an_attempt_has_zones_nodes_and_ranks_each_with_its_own_life(database, add_task, now):
    with database.writing() as connection:
        add_task(connection)
        tried = tasks.add_attempt(connection, attempt(), CAUSE, actor="worker")
        parts = [
            part("1-east", "zone"),
            part("2-env-1", "node", "1-east", address="10.0.0.1"),
            part("3-0", "rank", "2-env-1", gpu=0),
        ]
        tasks.add_parts(connection, tried, parts, actor="worker", now_seconds=now)
        assert tasks.parts_of(connection, "attempt-1") == tuple(parts)
        rank = tasks.move_part(
            connection, tried, parts[2], "starting", CAUSE, actor="worker", now_seconds=now, details={"pid": 17}
        )
        unseen = tasks.move_part(
            connection, tried, rank, "unseen", Cause(code="no_answer"), actor="worker", now_seconds=now
        )
        with pytest.raises(Conflict, match="pending does not follow unseen"):
            tasks.move_part(connection, tried, unseen, "pending", CAUSE, actor="worker", now_seconds=now)
        with pytest.raises(Stale):
            tasks.move_part(connection, tried, rank, "running", CAUSE, actor="worker", now_seconds=now)
        levels = [(step.level, step.to_state) for step in tasks.history(connection, "task-1")]
    assert (rank.version, rank.details) == (2, {"pid": 17})
    assert levels == [
        ("task", "draft"),
        ("attempt", "pending"),
        ("zone", "pending"),
        ("node", "pending"),
        ("rank", "pending"),
        ("rank", "starting"),
        ("rank", "unseen"),
    ]


def test_attempts_are_counted_and_come_one_after_the_other(database, add_task, now):
    with database.writing() as connection:
        add_task(connection)
        first = tasks.add_attempt(connection, attempt(1), CAUSE, actor="worker")
        with pytest.raises(Conflict, match=r"attempt 1 \(attempt-1\) is pending"):
            tasks.add_attempt(connection, attempt(2), CAUSE, actor="worker")
        ended = tasks.move_attempt(connection, first, "failed", CAUSE, actor="worker", now_seconds=now)
        second = tasks.add_attempt(connection, attempt(2, resumed_step=40, lost_seconds=12.5), CAUSE, actor="worker")
        assert tasks.attempts_of(connection, "task-1") == (ended, second)
    assert (first.number, second.number) == (1, 2)
    assert ended.ended_seconds == now


def test_how_long_a_start_took_is_known_of_the_same_environments(database, add_task, make_environment, now):
    to_running = ("validated", "deployed", "preflight", "starting", "running")
    with database.writing() as connection:
        inventory.add(connection, [make_environment("env-1"), make_environment("env-2")])
        for number, (environments, every) in enumerate(
            [(["env-1"], 10.0), (["env-1", "env-2"], 70.0), (["env-1"], 12.0), (["env-1"], 5.0)]
        ):
            made = add_task(connection, f"task-{number}", environments)
            walked(connection, made, *to_running[: 4 if number == 3 else 5], now=now, every=every)
        assert tasks.starting_seconds(connection, ["env-1"]) == (10.0, 12.0)
        assert tasks.starting_seconds(connection, ["env-2", "env-1"]) == (70.0,)
        assert tasks.starting_seconds(connection, ["env-2"]) == ()


def test_other_values_of_a_task_change_without_a_step(database, add_task, now):
    with database.writing() as connection:
        made = add_task(connection)
        changed = tasks.change(connection, made, now_seconds=now + 1, is_stop_asked=True, name="renamed")
        assert tasks.one(connection, made.id) == changed
        assert [each.id for each in tasks.listed(connection, TaskFilter(text="renamed")).rows] == [made.id]
        assert len(tasks.history(connection, made.id)) == 1
    assert changed == dataclasses.replace(
        made, is_stop_asked=True, name="renamed", updated_seconds=now + 1, version=made.version + 1
    )
