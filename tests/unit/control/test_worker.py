"""A worker holds what it drives, drops what is another's, and goes on after mistakes."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from crosszone.control.worker import LEASE_SECONDS, STEP_FAILED, Worker
from crosszone.store import journal, leases, tasks
from crosszone.store.queue import lease_name

LIMIT_SECONDS = 30.0


@pytest.fixture
def start(place):
    made = []

    def begin(name="worker-1"):
        made.append(Worker(dataclasses.replace(place, name=name), most_tasks=2))
        return made[-1]

    yield begin
    for each in made:
        each._threads.shutdown(wait=True)


@pytest.fixture
def turn_until(clock):
    def until(worker, condition):
        limit = time.monotonic() + LIMIT_SECONDS
        while not condition():
            assert time.monotonic() < limit
            worker.turn()
            clock.now += 0.5
            time.sleep(0.002)

    return until


def state(place, task_id="task-1"):
    with place.state.reading() as connection:
        return tasks.one(connection, task_id).state


def lease(place):
    with place.state.reading() as connection:
        return leases.current(connection, lease_name("task-1"))


@pytest.fixture
def task(add_environments, add_task):
    add_environments("north", "south")
    return add_task()


def test_a_worker_brings_a_task_to_its_end(task, start, hands, place, turn_until):
    worker = start()
    turn_until(worker, lambda: hands.runs)
    hands.train(1, 3)
    turn_until(worker, lambda: state(place) == "running")
    hands.train(4, 100)
    hands.end()
    turn_until(worker, lambda: state(place) == "succeeded")
    turn_until(worker, lambda: not worker._held)
    assert lease(place).holder is None


def test_a_lease_is_held_as_long_as_its_worker_lives(task, start, hands, place, turn_until, clock):
    worker, other = start(), start("worker-2")
    turn_until(worker, lambda: hands.runs)
    hands.train(1, 3)
    end = clock.now + 4 * LEASE_SECONDS
    while clock.now < end:
        worker.turn()
        other.turn()
        clock.now += 1.0
    assert lease(place).holder == "worker-1"
    assert lease(place).fencing_token == 1
    assert not other._held


def test_what_a_dead_worker_held_is_anothers_when_its_time_is_over(task, start, hands, place, turn_until, clock):
    worker, other = start(), start("worker-2")
    turn_until(worker, lambda: hands.runs)
    hands.train(1, 3)
    taken = lease(place).expires_seconds
    clock.now = taken - 0.1
    other.turn()
    assert not other._held
    clock.now = taken
    turn_until(other, lambda: state(place) == "running")
    turn_until(worker, lambda: not worker._held)
    assert lease(place).holder == "worker-2"
    assert hands.done.count("start") == 1


def test_who_ends_in_peace_leaves_its_tasks_to_others_at_once(task, start, hands, place, clock, turn_until):
    worker = start()
    turn_until(worker, lambda: hands.runs)
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.end()
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive()
    assert lease(place).holder is None
    other = start("worker-2")
    other.turn()
    assert set(other._held) == {"task-1"}


def test_a_mistake_of_ours_is_told_once_and_the_step_is_taken_again(task, start, hands, place, turn_until):
    hands.faults["render"] = ZeroDivisionError("a mistake")
    worker = start()
    turn_until(worker, lambda: hands.done.count("render") > 2)
    with place.state.reading() as connection:
        told = [each.body for each in journal.events_after(connection, 0) if each.kind == STEP_FAILED]
    assert told == [{"problem": "ZeroDivisionError: a mistake", "worker": "worker-1"}]
    del hands.faults["render"]
    turn_until(worker, lambda: hands.runs)


def test_it_takes_no_more_than_it_may(add_environments, add_task, start, place):
    add_environments("a", "b", "c")
    for name in "abc":
        add_task(name, (name,))
    worker = start()
    worker.turn()
    assert len(worker._held) == 2
