"""What has lost its task or its run is told, and left alone."""

from __future__ import annotations

import shutil

import pytest

from crosszone.control.drive import step
from crosszone.control.orphans import orphans
from crosszone.errors import CrossZoneError


@pytest.fixture
def find(place, hands, clock):
    def found():
        listed = orphans(place.state, place.root, hands, now_seconds=clock())
        return [(each.kind, each.task_id, each.reason.partition(".")[0]) for each in listed]

    return found


@pytest.fixture
def running(held, hands, drive):
    drive(held, "starting")
    step(held)
    hands.train(1, 5, saved=4)
    drive(held, "running")
    return held


def test_a_run_that_somebody_drives_is_none(running, find, hands):
    assert find() == []
    assert "stop" not in hands.done


def test_a_run_without_a_task_is_told_while_it_may_be_alive(running, find, hands, place):
    folder = place.root / "task-2/attempt-1"
    hands.write(hands.render(running.newest()[0], hands.ways[0]), folder)
    assert find() == [], "it was never started"
    hands.start(folder)
    assert find() == [("run_without_task", "task-2", "There is no such task")]
    hands.faults["look"] = CrossZoneError.of("stale file handle.")
    assert find() == [("run_without_task", "task-2", "There is no such task")]
    del hands.faults["look"]
    hands.record("ended", 0)
    hands.set(num_processes=0)
    assert find() == []
    assert "stop" not in hands.done


def test_a_run_of_an_attempt_that_is_over_is_told(running, find, hands, drive):
    first = hands.newest
    hands.kill_rank()
    drive(running, "starting")
    step(running)
    hands.runs[first]["num_processes"] = 2
    assert find() == [("run_without_task", "task-1", "Its attempt is failed")]


def test_a_task_whose_folder_is_gone_is_told_and_not_recovered(running, find, hands, drive, life):
    shutil.rmtree(hands.newest)
    hands.faults["look"] = CrossZoneError.of("there is no bundle.")
    drive(running, seconds=60.0)
    reason = "Attempt 1 is unseen, and its folder is not there: nothing can be seen of it"
    assert find() == [("task_without_run", "task-1", reason)]
    assert life()[-1][0] == "running"
