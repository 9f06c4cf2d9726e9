"""Stopped means stopped, wherever the task is; and nobody is told so before it is proved."""

from __future__ import annotations

import pytest

from crosszone.control.drive import step
from crosszone.errors import CrossZoneError
from crosszone.store import reservations, tasks, telemetry


def ask(place, task_id="task-1"):
    with place.state.writing() as connection:
        tasks.change(connection, tasks.one(connection, task_id), now_seconds=place.clock(), is_stop_asked=True)


@pytest.mark.parametrize("num_steps", range(3))
def test_what_has_not_started_is_stopped_without_a_start(held, hands, drive, place, num_steps):
    for _ in range(num_steps):
        step(held)
    ask(place)
    drive(held, "stopped")
    assert "start" not in hands.done
    with place.state.reading() as connection:
        assert reservations.reserved(connection) == ()


def test_what_waits_for_nodes_is_stopped_at_once(held, add_task, take, drive, place, life):
    add_task("next", ("north",))
    ask(place, "next")
    session = take()["next"]
    drive(session, "stopped")
    assert life("next") == [("draft", "asked"), ("validated", "asked"), ("stopped", "asked")]


def test_what_runs_is_ended_and_only_then_stopped(held, hands, drive, place, life):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    hands.stop_leaves = 1
    ask(place)
    for _ in range(3):
        assert step(held) > 0.0
    assert life()[-1] == ("running", "first_step")
    assert life(level="attempt")[-1] == ("unseen", "not_stopped")
    hands.set(num_processes=0)
    drive(held, "stopped")
    assert life(level="attempt")[-1] == ("stopped", "asked")
    with place.state.reading() as connection:
        assert reservations.reserved(connection) == ()


def test_what_it_says_until_it_is_stopped_is_kept(held, hands, drive, place):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    ask(place)
    hands.train(3, 4)
    drive(held, "stopped")
    with place.telemetry.reading() as connection:
        kept = telemetry.samples_of(connection, held.newest()[1].id, "loss")
    assert [each.step for each in kept] == [1, 2, 3, 4]


def test_a_node_that_cannot_be_asked_keeps_it_from_being_stopped(held, hands, drive, place, life):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    hands.faults["stop"] = CrossZoneError.of("cannot reach 10.0.0.2 by ssh.")
    hands.set(num_processes=0, nodes=(("10.0.0.1", "gone"), ("10.0.0.2", "unseen")))
    ask(place)
    assert step(held) > 0.0
    with place.state.reading() as connection:
        attempts = [each for each in tasks.history(connection, "task-1") if each.level == "attempt"]
    assert "cannot reach 10.0.0.2 by ssh." in attempts[-1].cause.text
    assert held.newest()[0].state == "running"


def test_what_came_to_its_end_before_it_was_stopped_has_succeeded(held, hands, drive, place, life):
    drive(held, "starting")
    step(held)
    hands.train(1, 100)
    drive(held, "running")
    hands.end()
    ask(place)
    drive(held, "succeeded")


def test_what_somebody_stopped_by_hand_is_stopped_and_not_recovered(held, hands, drive, life):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    hands.stop(hands.newest, is_forced=False)
    drive(held, "stopped")
    assert life()[-1] == ("stopped", "stopped_outside")


def test_who_recovers_can_be_stopped_without_waiting(held, hands, drive, place, clock):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    hands.kill_rank()
    drive(held, "recovering")
    ask(place)
    before = clock.now
    drive(held, "stopped")
    assert clock.now == before


def test_what_has_cost_its_budget_is_stopped_with_both_numbers(
    add_environments, add_task, take, hands, drive, clock, place
):
    add_environments("north")
    add_task(environments=("north",), budget_dollars=7.2)  # 2 GPUs x 0.001 USD/s: an hour
    session = take()["task-1"]
    drive(session, "starting")
    step(session)
    hands.train(1, 2)
    drive(session, "running")
    drive(session, seconds=3000.0)
    assert session.newest()[0].state == "running"
    drive(session, seconds=700.0)
    assert 3590.0 < clock.now - session.newest()[1].started_seconds < 3620.0
    with place.state.reading() as connection:
        text = tasks.history(connection, "task-1")[-1].cause.text
    assert "its budget is 7.20 USD" in text
