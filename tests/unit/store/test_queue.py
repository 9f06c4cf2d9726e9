"""The order in which tasks are seen to, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from crosszone.core.task import Cause
from crosszone.errors import Conflict
from crosszone.store import queue, tasks

CAUSE = Cause(code="asked")


@pytest.fixture
def add_valid(add_task):
    def add(connection, key, *, state="validated", **fields):
        task = add_task(connection, key, **fields)
        for each in ("validated", "deployed")[: 1 + (state == "deployed")] if state != "draft" else ():
            task = tasks.move(connection, task, each, CAUSE, actor="ann", now_seconds=0.0)
        return task

    return add


def order(connection, at):
    return [each.task_id for each in queue.waiting(connection, now_seconds=at)]


def test_what_was_begun_goes_first_then_by_priority_and_age(database, add_valid, now):
    with database.writing() as connection:
        add_valid(connection, "old", created_seconds=now - 5.0)
        add_valid(connection, "older", created_seconds=now - 9.0)
        add_valid(connection, "urgent", priority=5)
        add_valid(connection, "begun", state="deployed", priority=-1)
        add_valid(connection, "draft", state="draft")
        assert queue.fill(connection) == 4
        assert queue.fill(connection) == 0
        assert order(connection, now) == ["begun", "urgent", "older", "old"]
        task = tasks.one(connection, "old")
        tasks.change(connection, task, now_seconds=now, priority=9)
        assert order(connection, now) == ["begun", "old", "urgent", "older"]


def test_what_is_over_is_not_waited_for(database, add_valid, now):
    with database.writing() as connection:
        task = add_valid(connection, "task-1")
        tasks.move(connection, task, "stopped", CAUSE, actor="ann", now_seconds=now)
        assert queue.fill(connection) == 0


def test_a_task_is_one_workers_until_its_lease_is_over(database, add_valid, now):
    with database.writing() as connection:
        add_valid(connection, "task-1")
        queue.fill(connection)
        first = queue.take(connection, "task-1", "a", for_seconds=15.0, now_seconds=now)
        assert order(connection, now + 14.9) == []
        with pytest.raises(Conflict):
            queue.take(connection, "task-1", "b", for_seconds=15.0, now_seconds=now + 14.9)
        assert order(connection, now + 15.0) == ["task-1"]
        second = queue.take(connection, "task-1", "b", for_seconds=15.0, now_seconds=now + 15.0)
        assert (first.fencing_token, second.fencing_token) == (1, 2)
        assert order(connection, now + 99.0) == ["task-1"]
        queue.remove(connection, "task-1")
        assert order(connection, now + 99.0) == []


def test_what_is_put_off_waits_unless_it_is_asked_to_stop(database, add_valid, now):
    with database.writing() as connection:
        task = add_valid(connection, "task-1")
        queue.fill(connection)
        queue.put_off(connection, "task-1", now + 60.0)
        assert queue.not_before_seconds(connection, "task-1") == now + 60.0
        assert order(connection, now + 59.0) == []
        assert order(connection, now + 60.0) == ["task-1"]
        tasks.change(connection, task, now_seconds=now, is_stop_asked=True)
        assert order(connection, now + 1.0) == ["task-1"]


def test_of_many_workers_each_task_has_one(database, add_valid, now):
    with database.writing() as connection:
        for number in range(20):
            add_valid(connection, f"task-{number:02}", created_seconds=now + number)
        queue.fill(connection)

    def work(name):
        found = []
        while True:
            with database.writing() as connection:
                waiting = queue.waiting(connection, now_seconds=now + 99.0)
                if not waiting:
                    return found
                queue.take(connection, waiting[0].task_id, name, for_seconds=60.0, now_seconds=now + 99.0)
            found.append(waiting[0].task_id)

    with ThreadPoolExecutor(4) as threads:
        taken = [each for found in threads.map(work, "abcd") for each in found]
    assert sorted(taken) == [f"task-{number:02}" for number in range(20)]
