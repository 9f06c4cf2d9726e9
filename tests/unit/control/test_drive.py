"""A task from its claim to its end, with deaths of its worker between any two steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crosszone.control import stream
from crosszone.control.drive import step
from crosszone.core.task import EXPORT, SIMULATE
from crosszone.errors import Finding, InfeasiblePlan, PreflightFailed, Stale
from crosszone.store import journal, records, reservations, tasks, telemetry

RAN = ("draft", "validated", "deployed", "preflight", "starting", "running", "succeeded")


def names(life, **wanted):
    return tuple(state for state, _ in life(**wanted))


def test_a_life_from_claim_to_success(held, hands, drive, life, place):
    drive(held, "starting")
    step(held)
    hands.train(1, 3)
    drive(held, "running")
    hands.train(4, 100, saved=100)
    hands.log(hands.newest, event="checkpoint", step=100, checkpoint_seconds=2.5)
    hands.end()
    drive(held, "succeeded")
    assert names(life) == RAN
    assert names(life, level="attempt") == ("pending", "starting", "running", "ended")
    assert set(names(life, level="rank")) == {"pending", "starting", "running", "ended"}
    with place.state.reading() as connection:
        task, (attempt,) = tasks.one(connection, "task-1"), tasks.attempts_of(connection, "task-1")
        assert reservations.reserved(connection) == ()
        run = records.listed_runs(connection).rows[0]
    assert (run.attempt_id, run.plan, run.measurement["num_steps"]) == (attempt.id, {"dp": 2}, 99)
    assert run.measurement["step_seconds"] - run.prediction["step_seconds"] == 0.0
    assert run.prediction["problem"] == {"model": {"name": "m"}}  # what it is compared by
    assert (attempt.resumed_step, attempt.lost_seconds) == (0, None)
    with place.telemetry.reading() as connection:
        (saved,) = telemetry.samples_of(connection, attempt.id, "checkpoint_seconds")
    assert (saved.step, saved.value) == (100, 2.5)
    assert task.prediction["step_seconds"] == 0.5
    assert task.deployment_id is not None
    assert task.ended_seconds is not None
    assert step(held) is None


def test_what_it_measured_is_kept_beside_what_was_predicted(held, hands, drive, place):
    drive(held, "starting")
    step(held)
    folder = hands.newest
    hands.train(1, 4)
    (folder / "logs/run").mkdir()
    (folder / "logs/run/output.log").write_text("[rank 1] first\n[rank 1] second\nthird\nhalf of")
    drive(held, "running")
    drive(held, seconds=4.0)
    (folder / "logs/run/output.log").write_text("[rank 1] first\n[rank 1] second\nthird\nhalf of a line\n")
    hands.train(5, 5)
    drive(held, seconds=0.0)
    attempt = held.newest()[1]
    with place.telemetry.reading() as connection:
        steps = telemetry.samples_of(connection, attempt.id, "step_seconds")
        losses = telemetry.samples_of(connection, attempt.id, "loss")
        lines = telemetry.lines_after(connection, attempt.id)
    assert [each.step for each in steps] == [1, 2, 3, 4, 5]
    assert losses[3].value == 0.25
    expected = [(1, "first"), (1, "second"), (None, "third"), (None, "half of a line")]
    assert [(each.rank, each.text) for each in lines] == expected


def test_a_run_that_ends_unfollowed_loses_nothing_of_its_logs(held, hands, drive, place, monkeypatch):
    monkeypatch.setattr(stream, "MOST_BYTES", 1000)
    monkeypatch.setattr(stream, "MOST_WAITING", 10)
    drive(held, "starting")
    step(held)
    folder = hands.newest
    hands.train(1, 40)
    (folder / "logs/run").mkdir()
    (folder / "logs/run/output.log").write_text(f"first\n{'x' * 2500}\nlast\n")
    hands.end()
    drive(held, "succeeded")
    attempt = held.newest()[1]
    with place.telemetry.reading() as connection:
        losses = telemetry.samples_of(connection, attempt.id, "loss")
        lines = telemetry.lines_after(connection, attempt.id)
    assert [each.step for each in losses] == list(range(1, 41))
    assert (lines[0].text, lines[-1].text) == ("first", "last")
    assert sum(len(each.text) for each in lines[1:-1]) == 2500


def test_another_worker_that_reads_the_logs_again_adds_nothing_twice(held, hands, drive, place, take, clock):
    drive(held, "starting")
    step(held)
    folder = hands.newest
    hands.train(1, 4)
    hands.log(folder, event="start", first_step=3)
    hands.train(3, 6)
    (folder / "logs/run").mkdir()
    (folder / "logs/run/output.log").write_text("one\ntwo\n")
    drive(held, "running")
    drive(held, seconds=2.0)
    clock.now += 60.0
    other = take("worker-2")["task-1"]
    drive(other, seconds=2.0)
    with place.telemetry.reading() as connection:
        lines = telemetry.lines_after(connection, other.newest()[1].id)
    assert [each.text for each in lines] == ["one", "two"]
    with place.state.reading() as connection:
        told = [each for each in journal.events_after(connection, 0) if each.kind == "attempt_restarted"]
    assert [each.body for each in told] == [{"first_step": 3, "last_step": 4}]


def test_a_restart_that_is_first_seen_when_the_run_is_over_is_told(held, hands, drive, place):
    drive(held, "starting")
    step(held)
    hands.train(1, 4, saved=2)
    drive(held, "running")
    hands.log(hands.newest, event="start", first_step=3)
    hands.train(3, 6)
    hands.kill_rank()
    drive(held, "recovering")
    with place.state.reading() as connection:
        told = journal.events_of_kind(connection, "attempt_restarted", held.newest()[1].id)
    assert [each.body for each in told] == [{"first_step": 3, "last_step": 4}]


@pytest.mark.parametrize("num_steps", range(9))
def test_whoever_takes_it_over_goes_on_wherever_it_was_left(held, hands, drive, life, take, clock, num_steps):
    """The worker dies after so many steps; ranks are started once, and nothing of its life is missing or double."""
    for _ in range(num_steps):
        step(held)
        if hands.runs:
            hands.train(1, 2)
    clock.now += 60.0
    other = take("worker-2")["task-1"]
    drive(other, "starting" if not hands.runs else "running")
    if not hands.runs:
        step(other)
        hands.train(1, 2)
        drive(other, "running")
    hands.end()
    drive(other, "succeeded")
    assert names(life) == RAN
    assert hands.done.count("start") == 1
    with pytest.raises(Stale), held.writing():
        pass


def test_a_worker_that_died_between_start_and_its_next_look_started_nothing_twice(held, hands, drive, take, clock):
    drive(held, "starting")
    step(held)
    assert hands.done.count("start") == 1
    clock.now += 60.0
    other = take("worker-2")["task-1"]
    hands.train(1, 2)
    drive(other, "running")
    assert hands.done.count("start") == 1


def test_two_that_start_at_once_are_one_run(held, hands, drive):
    drive(held, "starting")
    hands.start(place_of(held))
    hands.runs.clear()
    error = PreflightFailed.of("it runs already.", code="runs_already")
    hands.faults["start"] = error
    assert step(held) == 0.0
    assert held.newest()[0].state == "starting"


def place_of(session):
    return Path(session.newest()[1].folder)


def test_a_worker_whose_lease_went_to_another_writes_nothing(held, hands, drive, take, clock, life):
    drive(held, "starting")
    clock.now += 60.0
    take("worker-2")
    step(held)  # it starts, as it must not know
    hands.train(1, 2)
    before = life()
    with pytest.raises(Stale, match="worker-1 held it under 1; now worker-2 under 2 does"):
        step(held)
    assert life() == before


def test_what_cannot_be_rendered_fails_with_the_reason_and_gives_all_back(held, hands, drive, life, place):
    hands.faults["render"] = InfeasiblePlan.of("it needs 90 GB, and a GPU has 80 GB.")
    drive(held, "failed")
    assert life()[-1] == ("failed", "not_deployed")
    with place.state.reading() as connection:
        last = tasks.history(connection, "task-1")[-1]
        assert reservations.reserved(connection) == ()
        assert tasks.attempts_of(connection, "task-1")[0].state == "failed"
    assert "90 GB" in last.cause.text


def test_what_preflight_finds_is_the_cause(held, hands, drive, life, place):
    hands.findings = [Finding(code="no_route", message="10.0.0.2 does not reach 10.0.0.1.", hint="Open port 29500.")]
    drive(held, "failed")
    assert life()[-2:] == [("preflight", "looking"), ("failed", "preflight_failed")]
    with place.state.reading() as connection:
        assert "Open port 29500." in tasks.history(connection, "task-1")[-1].cause.text
    assert "start" not in hands.done


def test_a_port_at_which_others_listen_is_left_to_them(held, hands, drive, place, life):
    taken = Finding(code="port_in_use", message="port 29500 cannot be opened.")
    answers = [[taken], [taken], []]
    hands.preflight = lambda folder: answers.pop(0)
    drive(held, "preflight")
    before = held.newest()[0].deployment_id
    drive(held, "starting")
    assert [way.port for way in hands.ways] == [29500, 29501, 29502]
    with place.state.reading() as connection:
        ports = [each.number for each in reservations.reserved(connection) if each.kind == "port"]
    assert ports == [29502]
    assert held.newest()[0].deployment_id != before
    assert names(life)[-2:] == ("preflight", "starting")


def test_ports_are_not_tried_for_ever(held, hands, drive, life):
    hands.findings = [Finding(code="port_in_use", message="port 29500 cannot be opened.")]
    drive(held, "failed")
    assert life()[-1] == ("failed", "preflight_failed")
    assert len(hands.ways) == 11


def test_a_python_without_torch_is_no_reason_to_try_again(held, hands, drive, life):
    hands.faults["start"] = PreflightFailed.of("torch is missing.", code="missing")
    drive(held, "failed")
    assert life()[-1] == ("failed", "not_started")


def test_a_run_that_is_over_before_it_was_seen_has_run(held, hands, drive, life):
    drive(held, "starting")
    step(held)
    hands.train(1, 100)
    hands.end()
    drive(held, "succeeded")
    assert names(life) == RAN


def test_files_alone_end_as_a_deployment(add_task, take, drive, hands, life, place):
    add_task(environments=(), launch_mode=EXPORT)
    session = take()["task-1"]
    drive(session, "succeeded")
    assert life()[-2:] == [("deployed", "rendered"), ("succeeded", "exported")]
    assert session.newest()[0].deployment_id.startswith("sha256-")
    assert not {"write", "start", "preflight"} & set(hands.done)


@pytest.mark.parametrize(("prediction", "state"), [({"step_seconds": 1.0}, "succeeded"), (None, "failed")])
def test_a_simulated_task_ends_with_its_prediction(add_task, take, drive, hands, prediction, state):
    add_task(environments=(), launch_mode=SIMULATE, prediction=prediction)
    session = take()["task-1"]
    drive(session, state)
    assert hands.done == []


def test_the_port_and_the_checkpoints_are_told_to_whoever_renders(held, hands, drive, place):
    drive(held, "deployed")
    (way,) = hands.ways
    assert (way.nodes, way.port) == (("north", "south"), 29500)
    assert way.checkpoint_folder == str(place.root / "task-1" / "checkpoints")
    manifest = json.loads((place.root / "task-1/attempt-1/metadata.json").read_text())
    assert manifest["nodes"] == ["north", "south"]


def test_logs_that_cannot_be_read_touch_no_run(held, hands, drive, life):
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")
    hands.log(hands.newest, event="step", step="three", memory=None, step_seconds=1.0)
    drive(held, seconds=60.0)
    assert names(life)[-1] == "running"
