"""Paths are looked at beside a run: kept, compared with the plan, and nothing of it touches the run."""

from __future__ import annotations

import dataclasses

import pytest

from crosszone.control.drive import step
from crosszone.control.link_watch import EVERY_SECONDS, LINK_ALARM, RATES_EVERY
from crosszone.core.path_watch import PathLook
from crosszone.errors import PreflightFailed
from crosszone.store import journal, paths

LOOK = PathLook(
    from_address="10.0.0.1",
    to_address="10.0.0.2",
    from_zone="north",
    to_zone="south",
    is_open=True,
    rtt_seconds=0.030,
    planned_rtt_seconds=0.030,
    planned_bytes_per_second=1e9,
)


@pytest.fixture
def running(held, hands, drive):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    return held


def looked(session, clock, hands, look):
    hands.seen_paths = [look]
    clock.now += EVERY_SECONDS
    hands.set(grown=clock.now)
    step(session)


def alarms(place):
    with place.state.reading() as connection:
        told = journal.events_of_kind(connection, LINK_ALARM, "task-1")
    return [(each.body["from_environment"], each.body["before"], each.body["level"]) for each in told]


def test_looks_are_kept_beside_what_was_planned(running, clock, hands, place):
    looked(running, clock, hands, LOOK)
    with place.telemetry.reading() as connection:
        (found,) = paths.of_attempt(connection, running.newest()[1].id)
    assert (found.from_environment, found.to_environment, found.look) == ("north", "south", LOOK)
    before = len(hands.looks)
    clock.now += EVERY_SECONDS / 2
    step(running)
    assert len(hands.looks) == before


def test_an_alarm_rises_and_falls_once_each(running, clock, hands, place):
    slow = dataclasses.replace(LOOK, rtt_seconds=0.2)
    for look in (slow, slow, slow, LOOK, LOOK):
        looked(running, clock, hands, look)
    assert alarms(place) == [("north", "fine", "critical"), ("north", "critical", "fine")]


def test_who_takes_the_task_over_does_not_tell_it_again(running, clock, hands, place, take):
    slow = dataclasses.replace(LOOK, rtt_seconds=0.2)
    looked(running, clock, hands, slow)
    looked(running, clock, hands, slow)
    clock.now += 60.0
    other = take("worker-2")["task-1"]
    looked(other, clock, hands, slow)
    assert alarms(place) == [("north", "fine", "critical")]


def test_a_few_looks_also_send(running, clock, hands):
    del hands.looks[:]
    for _ in range(2 * RATES_EVERY):
        looked(running, clock, hands, LOOK)
    assert hands.looks.count(True) == 2


def test_a_look_that_fails_changes_nothing(running, clock, hands, place):
    hands.path_fault = PreflightFailed.of("no ssh.")
    looked(running, clock, hands, LOOK)
    hands.path_fault = None
    assert running.newest()[0].state == "running"
    looked(running, clock, hands, dataclasses.replace(LOOK, to_address="10.9.9.9"))
    with place.telemetry.reading() as connection:
        assert paths.of_attempt(connection, running.newest()[1].id) == ()


def test_a_path_that_did_not_work_is_known_until_it_works(place, clock):
    def sample(start, end, seconds, is_open):
        look = dataclasses.replace(LOOK, is_open=is_open)
        return paths.PathSample(from_environment=start, to_environment=end, attempt_id=None, seconds=seconds, look=look)

    with place.telemetry.writing() as connection:
        cut = [sample(*pair, 1.0, False) for pair in (("a", "b"), ("b", "a"), ("a", "c"))]
        paths.add(connection, cut)
        paths.add(connection, [sample("b", "a", 2.0, True)])
        assert paths.unreachable(connection, ["a", "b"], since_seconds=0.0) == (("a", "b"),)
        assert paths.unreachable(connection, ["a", "b"], since_seconds=1.5) == ()
