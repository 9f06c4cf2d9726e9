"""Unknown is not dead; what is proved dead goes on from its last checkpoint, not for ever, on nodes that are left."""

from __future__ import annotations

import dataclasses

import pytest

from crosszone.control.drive import step
from crosszone.errors import CrossZoneError, InfeasiblePlan
from crosszone.store import environments as inventory
from crosszone.store import leases, records, reservations, tasks

DAY_SECONDS = 24 * 3600.0
UNREADABLE = CrossZoneError.of("the folder cannot be read: stale file handle.")


@pytest.fixture
def running(held, hands, drive):
    """A task that has trained five steps and saved four."""
    drive(held, "starting")
    step(held)
    hands.train(1, 5, saved=4)
    drive(held, "running")
    return held


def states(life, **wanted):
    return [state for state, _ in life(**wanted)]


def tried(place):
    with place.state.reading() as connection:
        return tasks.attempts_of(connection, "task-1")


def seconds_of(place, state):
    """When the task came into a state the last time."""
    with place.state.reading() as connection:
        found = tasks.history(connection, "task-1")
    return [each.seconds for each in found if (each.level, each.to_state) == ("task", state)][-1]


def parts(place, level):
    """States of the first attempt's parts."""
    with place.state.reading() as connection:
        found = tasks.parts_of(connection, tried(place)[0].id)
    return {each.name: each.state for each in found if each.level == level}


def last_cause(place, task_id="task-1", level="task"):
    with place.state.reading() as connection:
        found = [each for each in tasks.history(connection, task_id) if each.level == level]
    return found[-1].cause


@pytest.mark.slow
def test_a_day_in_which_nothing_can_be_seen_of_a_healthy_run_changes_nothing_of_it(running, hands, drive, life, clock):
    """24 hours of black-outs of all lengths, with every look that a worker takes: 0 recoveries."""
    before, end, length, num_looks = len(hands.done), clock.now + DAY_SECONDS, 1.0, 0
    while clock.now < end:
        hands.faults["look"] = UNREADABLE
        num_looks += drive(running, seconds=length)
        del hands.faults["look"]
        num_looks += drive(running, seconds=10.0)
        length = length * 3.0 if length < 20_000.0 else 1.0
    assert num_looks > 15_000
    assert states(life).count("recovering") == 0
    assert states(life)[-1] == "running"
    assert set(hands.done[before:]) == {"look"}
    assert states(life, level="attempt")[:4] == ["pending", "starting", "running", "unseen"]
    assert states(life, level="attempt")[-1] == "running"


@pytest.mark.parametrize(
    "facts",
    [
        {"num_processes": 0},  # what the process table says, alone
        {"nodes": (("10.0.0.1", "runs"), ("10.0.0.2", "unseen")), "num_processes": 0},
        {"nodes": (("10.0.0.1", "unseen"), ("10.0.0.2", "unseen")), "num_processes": 0},
        {"num_processes": None},
        {"grown": 1.0, "num_processes": 3},  # no step for ever, but it lives
    ],
)
def test_one_proof_is_none(running, hands, drive, life, clock, facts):
    hands.set(grown=clock.now + DAY_SECONDS)
    hands.set(**facts)
    drive(running, seconds=600.0)
    assert states(life)[-1] == "running"
    assert "stop" not in hands.done


def test_a_record_alone_is_none_while_something_lives(running, hands, drive, life):
    hands.kill_rank()
    hands.set(num_processes=2)
    drive(running, seconds=600.0)
    assert states(life)[-1] == "running"
    hands.set(num_processes=0)
    drive(running, "recovering")


def test_a_killed_rank_is_named_and_the_task_goes_on_from_its_checkpoint(running, hands, drive, life, place, clock):
    hands.train(6, 7, seconds=2.0)
    drive(running, seconds=2.0)
    hands.kill_rank(rank=2)
    drive(running, "recovering")
    assert last_cause(place).code == "died"
    assert "two proofs: recorded and gone. Recovery 1 of at most 4 within an hour, in 10 s." in last_cause(place).text
    with place.state.reading() as connection:
        ranks = {
            part.name: part.state for part in tasks.parts_of(connection, tried(place)[0].id) if part.level == "rank"
        }
    assert ranks == {"0": "stopped", "1": "stopped", "2": "failed", "3": "stopped"}
    drive(running, "starting")
    assert seconds_of(place, "starting") - seconds_of(place, "recovering") == 10.0
    step(running)
    hands.train(5, 8)
    drive(running, "running")
    first, second = tried(place)
    assert (first.state, second.state, second.number) == ("failed", "running", 2)
    assert (second.resumed_step, second.lost_seconds) == (4, 0.5 + 2.0 + 2.0)  # steps 5, 6 and 7
    assert last_cause(place).text == "Step 5 is done. It went on from step 4; 3 steps, 4.5 s of work, are done again."
    assert (place.root / "task-1/attempt-2/metadata.json").is_file()
    hands.train(9, 100, saved=100)
    hands.end()
    drive(running, "succeeded")
    with place.state.reading() as connection:
        assert reservations.reserved(connection) == ()
        runs = records.listed_runs(connection).rows
    assert sorted(run.name for run in runs) == ["task-1, attempt 1", "task-1, attempt 2"]


def test_its_gpus_are_nobody_elses_while_it_recovers(running, hands, drive, take, add_task):
    hands.kill_rank()
    drive(running, "recovering")
    add_task("next", ("north",))
    assert take("worker-2") == {}
    drive(running, "starting")
    assert take("worker-2") == {}


def test_another_worker_waits_as_long_as_the_first_would_have(running, hands, drive, take, clock, place):
    hands.kill_rank()
    drive(running, "recovering")
    due = seconds_of(place, "recovering") + 10.0
    clock.now = due - 1.0
    running.lease = dataclasses.replace(running.lease, expires_seconds=0.0)
    with place.state.writing() as connection:
        leases.renew(connection, running.lease, for_seconds=0.0, now_seconds=0.0)
    assert take("worker-2") == {}
    clock.now = due
    other = take("worker-2")["task-1"]
    drive(other, "starting")


def fail_and_recover(session, hands, drive, *, is_progressing=True):
    hands.kill_rank()
    drive(session, "recovering")
    drive(session, "starting")
    step(session)
    step_done = hands.saved_step + 1
    hands.train(step_done, step_done, saved=step_done if is_progressing else None)
    drive(session, "running")


def test_recoveries_within_an_hour_are_counted_and_each_waits_longer(running, hands, drive, place, clock):
    waits = []
    for _ in range(4):
        begun = clock.now
        fail_and_recover(running, hands, drive)
        waits.append(clock.now - begun)
    assert [round(wait / 10.0) for wait in waits] == [1, 2, 4, 8]
    hands.kill_rank()
    drive(running, "failed")
    assert last_cause(place).code == "not_recovered"
    assert "It was recovered 4 times within an hour, and 4 is the most." in last_cause(place).text


def test_recoveries_of_long_ago_do_not_count(running, hands, drive, clock):
    for _ in range(8):
        fail_and_recover(running, hands, drive)
        clock.now += 3600.0
    assert running.newest()[0].state == "running"


def test_what_fails_before_it_saved_anything_new_is_given_up(running, hands, drive, place, clock):
    for _ in range(2):
        hands.train(5, 5)
        fail_and_recover(running, hands, drive, is_progressing=False)
        clock.now += 3600.0
    hands.train(5, 5)
    fail_and_recover(running, hands, drive, is_progressing=False)
    clock.now += 3600.0
    hands.kill_rank()
    drive(running, "failed")
    assert "3 attempts in a row went on from step 4 and saved nothing beyond it." in last_cause(place).text


def test_the_main_node_is_lost_and_another_takes_its_place(running, hands, drive, life, place):
    """Its agent does not answer; the other one says that its ranks failed, for their peers were gone."""
    hands.record("failed", 1)
    hands.set(num_processes=0, nodes=(("10.0.0.1", "unseen"), ("10.0.0.2", "1")))
    drive(running, "recovering")
    assert "two proofs: recorded and parted" in last_cause(place).text
    with place.state.reading() as connection:
        nodes = {
            each.name: each.state for each in tasks.parts_of(connection, tried(place)[0].id) if each.level == "node"
        }
    assert nodes == {"north": "failed", "south": "stopped"}
    drive(running, "starting")
    assert hands.done.count("stop") == 1, "what is left of its workers is ended before others are started"
    assert hands.ways[-1].nodes == ("south",)
    assert tried(place)[-1].main_node == "south"
    causes = [each for each in life(level="attempt") if each[0] == "pending"]
    assert causes == [("pending", "claimed"), ("pending", "lost_node")]


def test_a_main_node_that_is_back_is_the_main_one_again(running, hands, drive, place):
    hands.record("failed", 1)
    hands.set(num_processes=0, nodes=(("10.0.0.1", "unseen"), ("10.0.0.2", "1")))
    drive(running, "recovering")
    hands.set(nodes=(("10.0.0.1", "gone"), ("10.0.0.2", "1")))
    drive(running, "starting")
    assert hands.ways[-1].nodes == ("north", "south")


def test_a_node_that_the_inventory_calls_faulty_is_left_out(running, hands, drive, place):
    with place.state.writing() as connection:
        found = inventory.one(connection, "south")
        inventory.change(connection, dataclasses.replace(found, health="faulty"))
    hands.kill_rank()
    drive(running, "starting")
    assert hands.ways[-1].nodes == ("north",)


def test_what_does_not_fit_on_the_nodes_that_are_left_waits_for_the_others(running, hands, drive, life, place):
    hands.record("failed", 1)
    hands.set(num_processes=0, nodes=(("10.0.0.1", "unseen"), ("10.0.0.2", "1")))
    drive(running, "recovering")
    hands.faults["render"] = InfeasiblePlan.of("it needs 90 GB, and a GPU has 80 GB.")
    step(running)
    step(running)
    assert states(life)[-1] == "recovering"
    assert "90 GB" in last_cause(place, level="attempt").text
    del hands.faults["render"]
    hands.set(nodes=(("10.0.0.1", "gone"), ("10.0.0.2", "1")))
    drive(running, "starting")
    assert hands.ways[-1].nodes == ("north", "south")


def test_all_nodes_lost_is_given_up_in_the_end(running, hands, drive, place, life):
    hands.kill_rank()
    hands.set(num_processes=0, grown=1.0, nodes=(("10.0.0.1", "unseen"), ("10.0.0.2", "unseen")))
    running.place.clock.now += 600.0
    drive(running, "recovering")
    drive(running, "failed", every_seconds=60.0)
    assert "None of its 2 nodes answers. For 4120 s" in last_cause(place).text
    assert "no attempt could be started, and 3600 s is the most." in last_cause(place).text


def test_ranks_that_restart_within_an_attempt_are_no_recovery(running, hands, drive, life):
    hands.log(hands.newest, event="start", first_step=5)
    hands.train(5, 9)
    drive(running, seconds=10.0)
    assert states(life)[-1] == "running"
    assert len(states(life)) == 6
