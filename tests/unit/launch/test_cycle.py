"""Start, status, stop, logs: with real processes, in place of ranks a shell program."""

import dataclasses
import json
import os
import shlex
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crosszone.core.run import Run, RunStatus
from crosszone.errors import CrossZoneError, InfeasiblePlan, PreflightFailed, SpecError
from crosszone.launch.logs import log_text
from crosszone.launch.record import read_measurement, read_run, write_run
from crosszone.launch.start import start as start_run
from crosszone.launch.status import follow, status
from crosszone.launch.stop import stop
from crosszone.processes import is_alive, marked

SLEEP = "mkdir -p logs; touch logs/ready; sleep 600"
LIMIT_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def ready(folder: Path) -> None:
    until((folder / "logs/ready").exists)


def followed(folder: Path) -> RunStatus:
    *_, last = follow(folder, every_seconds=0.02)
    return last


def test_a_run_is_followed_to_its_end_and_measured(make, start, step) -> None:
    lines = start() + step(1, 9.0) + step(2, 0.5) + step(3, 0.25) + step(4, 0.75)
    folder = make(f"mkdir -p logs; cat >logs/rank-0.jsonl <<'END'\n{lines}END\necho said; echo wrong >&2")
    run = start_run(folder)
    assert (run.state, run.world_size, run.num_steps) == ("running", 2, 4)
    found = followed(folder)
    assert found.run is not None
    assert (found.state, found.run.exit_code, found.reason) == ("ended", 0, "")
    assert (found.step, found.loss, found.step_seconds, found.remaining_seconds) == (4, 6.0, 0.5, None)
    assert found.measurement is not None
    assert found.measurement == read_measurement(folder / "logs")
    assert found.measurement.step_seconds - found.predicted.step_seconds == 0.0
    assert "".join(log_text(folder)) == "said\nwrong\n"
    until(lambda: not is_alive(run.supervisor))


def test_the_program_gets_what_keeps_the_words_of_ranks_apart(make) -> None:
    folder = make("env")
    run = start_run(folder)
    followed(folder)
    environment = dict(line.rstrip("\n").split("=", 1) for line in log_text(folder) if "=" in line)
    assert environment["CROSSZONE_RUN"] == run.run_id
    assert environment["PYTHON"] == run.python == os.environ["PYTHON"]
    assert environment["PET_LOG_DIR"] == f"{folder}/{run.log_folder}/ranks"
    assert (environment["PET_TEE"], environment["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) == ("3", "60")


def test_no_character_of_the_folder_is_code(make) -> None:
    folder = make("mkdir -p logs; echo 1 >logs/ran")
    renamed = folder.rename(folder.with_name("my 包; touch canary $(touch canary) `touch canary`"))
    start_run(renamed)
    assert followed(renamed).state == "ended"
    assert (renamed / "logs/ran").exists()
    assert not list(folder.parent.rglob("canary"))


def test_a_failing_program_is_shown_with_its_last_lines(make) -> None:
    folder = make("echo before; echo 'error: no such thing' >&2; exit 7")
    start_run(folder)
    found = followed(folder)
    assert found.run is not None
    assert found.run.failure is not None
    assert (found.state, found.run.exit_code, found.run.failure.rank) == ("failed", 7, None)
    assert found.run.failure.lines[-1] == "error: no such thing"
    assert found.reason == "The program that starts the ranks ended with exit code 7."


def test_a_program_that_was_killed_says_by_what(make) -> None:
    folder = make("kill -KILL $$")
    start_run(folder)
    assert "was ended by signal 9 (SIGKILL, as the kernel sends it where memory runs out)" in followed(folder).reason


def test_what_a_program_leaves_behind_is_ended_with_it(make) -> None:
    folder = make("setsid nohup sleep 600 >/dev/null 2>&1 & exit 0")
    run = start_run(folder)
    assert followed(folder).state == "ended"
    assert marked(run.run_id) == ()


def test_never_started_is_no_failure(make) -> None:
    found = status(make())
    assert (found.state, found.run, found.step) == ("never_started", None, None)
    assert stop(make()).state == "never_started"
    with pytest.raises(SpecError, match="has not been started"):
        log_text(make())


def test_a_second_start_is_refused_and_after_the_end_allowed(make) -> None:
    folder = make(SLEEP)
    run = start_run(folder)
    with pytest.raises(PreflightFailed, match=f"it runs already.*{run.supervisor.pid}"):
        start_run(folder)
    stop(folder)
    assert start_run(folder).run_id != run.run_id
    stop(folder)


def test_of_two_starts_at_the_same_time_one_is_refused(make) -> None:
    folder = make(SLEEP)

    def attempt(number: int) -> str:
        try:
            return start_run(folder).run_id
        except PreflightFailed as error:
            return error.findings[0].code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(attempt, range(2)), key=len)
    assert codes[0] == "runs_already"
    run = read_run(folder / "logs")
    assert run is not None
    assert codes[1] == run.run_id
    stop(folder)


def test_a_start_that_is_interrupted_starts_nothing(make, monkeypatch) -> None:
    folder = make("mkdir -p logs; touch logs/began")

    def interrupted(logs: Path, run: Run) -> None:
        write_run(logs, run)
        if run.state == "running":
            raise KeyboardInterrupt

    monkeypatch.setattr("crosszone.launch.start.write_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_run(folder)
    found = status(folder)
    assert found.run is not None
    assert found.state == "stopped"
    assert not is_alive(found.run.supervisor)
    assert not (folder / "logs/began").exists()


def test_stopping_asks_first_and_twice_does_no_harm(make) -> None:
    folder = make("mkdir -p logs; trap 'echo saved; exit 143' TERM; touch logs/ready; sleep 600 & wait")
    run = start_run(folder)
    ready(folder)
    found = stop(folder)
    assert (found.state, found.reason) == ("stopped", "It was asked to stop.")
    assert "saved\n" in list(log_text(folder))
    assert marked(run.run_id) == ()
    assert stop(folder) == found


def test_stopping_is_no_success_where_saving_failed(make, start, step) -> None:
    reason = "OSError: [Errno 28] No space left on device"
    lines = start(saves=True) + step(1, 0.5) + step(2, 0.5)
    failed = json.dumps({"event": "unsaved", "step": 2, "reason": reason})
    folder = make(
        f"mkdir -p logs; cat >logs/rank-0.jsonl <<'END'\n{lines}END\n"
        f"failed={shlex.quote(failed)}; trap 'echo \"$failed\" >>logs/rank-0.jsonl; exit 1' TERM\n"
        "touch logs/ready; sleep 600 & wait"
    )
    start_run(folder)
    ready(folder)
    found = stop(folder)
    assert found.state == "unsaved"
    assert found.reason == f"It was asked to stop. Steps 1 to 2 are in no checkpoint: rank 0: {reason}."
    assert stop(folder) == found


def test_what_does_not_hear_is_ended_by_force(make) -> None:
    """Asked, ranks would get a minute; by force it takes none."""
    folder = make("mkdir -p logs; trap '' TERM; touch logs/ready; setsid sleep 600")
    run = start_run(folder)
    ready(folder)
    before = time.monotonic()
    assert stop(folder, is_forced=True).state == "stopped"
    assert time.monotonic() - before < run.grace_seconds
    assert marked(run.run_id) == ()


def test_ranks_without_a_supervisor_are_not_dead(make) -> None:
    folder = make(SLEEP)
    run = start_run(folder)
    ready(folder)
    os.kill(run.supervisor.pid, signal.SIGKILL)
    until(lambda: not is_alive(run.supervisor))
    found = status(folder)
    assert found.state == "running"
    assert found.num_processes >= 1
    assert "Its supervisor is gone" in found.reason
    with pytest.raises(PreflightFailed, match="it runs already"):
        start_run(folder)
    assert stop(folder).state == "stopped"
    assert marked(run.run_id) == ()


def lost(folder: Path, **changes: object) -> Run:
    """As after the power went: the record says running, and nothing is alive."""
    run = start_run(folder)
    followed(folder)
    until(lambda: not is_alive(run.supervisor))
    record = read_run(folder / "logs")
    assert record is not None
    record = dataclasses.replace(record, state="running", ended_seconds=None, exit_code=None, **changes)
    write_run(folder / "logs", record)
    return run


def test_what_nobody_saw_end_is_lost_and_can_be_started_again(make) -> None:
    folder = make()
    lost(folder)
    found = status(folder)
    assert found.state == "lost"
    assert "nobody wrote how it ended" in found.reason
    assert found.elapsed_seconds is None
    start_run(folder)
    assert followed(folder).state == "ended"


def test_a_number_that_was_given_to_another_process_is_no_run(make) -> None:
    folder = make()
    run = lost(folder)
    mine = dataclasses.replace(run.supervisor, pid=os.getpid())
    write_run(folder / "logs", dataclasses.replace(run, supervisor=mine))
    assert status(folder).state == "lost"
    assert stop(folder).state == "stopped"  # and we live to tell it


def test_an_edited_bundle_is_refused_by_file_unless_forced(make) -> None:
    folder = make("echo mine")
    (folder / "run_training.sh").write_text("#!/bin/sh\necho theirs\n")
    with pytest.raises(SpecError, match="was edited") as caught:
        start_run(folder)
    assert caught.value.findings[0].where == str(folder / "run_training.sh")
    start_run(folder, is_forced=True)
    assert followed(folder).state == "ended"
    assert "".join(log_text(folder)) == "theirs\n"


def test_steps_and_measurement_of_an_earlier_run_are_not_shown_for_this_one(make, start, step) -> None:
    first = start() + step(1, 9.0) + step(2, 0.5)
    folder = make(f"mkdir -p logs; [ -e logs/rank-0.jsonl ] || cat >logs/rank-0.jsonl <<'END'\n{first}END")
    start_run(folder)
    assert followed(folder).step == 2
    start_run(folder)
    found = followed(folder)
    assert (found.step, found.measurement) == (None, None)


def test_the_time_that_is_left_follows_from_the_median_step(make, start, step) -> None:
    lines = start() + step(1, 9.0) + step(2, 0.5)
    folder = make(
        f"mkdir -p logs; cat >logs/rank-0.jsonl <<'END'\n{lines}END\ntouch logs/ready; sleep 600", num_steps=12
    )
    start_run(folder)
    ready(folder)
    found = status(folder)
    assert (found.state, found.step, found.remaining_seconds) == ("running", 2, 5.0)
    stop(folder)


def test_logs_of_ranks_are_told_apart_and_followed(make) -> None:
    ranks = 'folder="$PET_LOG_DIR/none_x/attempt_0"; mkdir -p "$folder/0" "$folder/1"'
    write = "for rank in 0 1; do for name in stdout stderr; do"
    write += ' echo "$name $rank" >"$folder/$rank/$name.log"; done; done'
    folder = make(f"{ranks}; {write}; echo first; sleep 0.3; echo -n second")
    start_run(folder)
    assert list(log_text(folder, is_following=True)) == ["first\n", "second"]
    assert "".join(log_text(folder, rank=1)) == "stdout 1\nstderr 1\n"
    with pytest.raises(SpecError, match="ranks 0 to 1, and no 2"):
        log_text(folder, rank=2)


def test_a_damaged_record_is_told_with_what_to_do(make) -> None:
    folder = make()
    (folder / "logs").mkdir()
    (folder / "logs/run.json").write_text('{"run_id": 1}')
    with pytest.raises(CrossZoneError, match="damaged, or written by another version"):
        status(folder)


# Other backends


def test_what_was_started_node_by_node_is_not_followed_and_not_never_started(make, start, step) -> None:
    folder = make(None, backend="bare")
    found = status(folder)
    assert (found.state, found.step, found.run) == ("unfollowed", None, None)
    assert found.reason == (
        "A bare bundle is started node by node, and cannot be followed from here: each node's ranks log their steps in "
        "its own logs/rank-N.jsonl, and say the rest in the terminal that started them."
    )
    (folder / "logs").mkdir()
    (folder / "logs/rank-3.jsonl").write_text(start() + step(1, 9.0) + step(2, 0.5))
    assert (status(folder).step, status(folder).step_seconds) == (2, 0.5), "this node's own, or a shared folder"
    with pytest.raises(SpecError, match="cannot be followed from here"):
        log_text(folder)


def test_a_bundle_to_be_started_by_hand_is_not_started(make) -> None:
    with pytest.raises(InfeasiblePlan, match="a program per node, and none that starts them all"):
        start_run(make(None, backend="bare"))


def test_what_is_started_by_hand_is_not_stopped_from_here(make) -> None:
    with pytest.raises(CrossZoneError, match=r"nothing was stopped from here\. Press Ctrl-C in the terminal") as caught:
        stop(make(None, backend="bare"))
    assert caught.value.exit_code == 1


def test_what_a_scheduler_has_is_submitted_and_not_ended(make) -> None:
    folder = make("echo Submitted batch job 7", backend="slurm")
    start_run(folder)
    found = followed(folder)
    assert found.state == "submitted"
    assert "handed it to slurm" in found.reason


def test_nodes_have_their_own_python(make) -> None:
    with pytest.raises(SpecError, match="runs the nodes' own Python"):
        start_run(make(backend="ssh"), python="python3")


@pytest.mark.parametrize(
    ("states", "state", "reason"),
    [
        ("runs 0", "running", "Nobody here follows it: agent-0 runs, agent-1 0."),
        ("unseen 0", "lost", "Nodes that cannot be seen may run on: agent-0 unseen, agent-1 0."),
        ("0 0", "ended", "Nobody here followed it to its end"),
        ("0 7", "failed", "agent-1 7."),
        ("gone 0", "failed", "agent-0 gone"),
    ],
)
def test_nodes_are_asked_where_nobody_followed_to_the_end(make, states, state, reason) -> None:
    program = "".join(f"echo agent-{rank} 10.0.0.{rank} {each}\n" for rank, each in enumerate(states.split()))
    folder = make(backend="ssh", status_training_sh=f'[ -e "$(dirname "$0")/logs/asked" ] || exit 0\n{program}')
    lost(folder)
    (folder / "logs/asked").touch()
    found = status(folder)
    assert found.state == state
    assert reason in found.reason


AGENT = """mkdir -p logs/agent-1/none_x/attempt_0/0
echo 'ValueError: bad' >logs/agent-1/none_x/attempt_0/0/stderr.log
cat >logs/agent-1.log <<'END'
  rank      : 2 (local_rank: 0)
  exitcode  : 1 (pid: 4711)
END
"""
"""What a failed launcher leaves on its node, brought here."""


def test_a_failure_on_a_node_is_that_of_its_rank(make) -> None:
    said = "echo 'starting agent-0 on a'; echo 'starting agent-1 on b'; echo 'following; Ctrl-C stops following'"
    folder = make(f"{AGENT}{said}; exit 1", backend="ssh")
    start_run(folder)
    found = followed(folder)
    assert found.run is not None
    assert found.run.failure is not None
    assert (found.run.failure.rank, found.run.failure.lines) == (2, ("ValueError: bad",))


def test_logs_of_a_node_that_was_not_started_are_of_an_earlier_run(make) -> None:
    folder = make(f"{AGENT}echo 'starting agent-1 on b'; echo 'no route to host' >&2; exit 255", backend="ssh")
    start_run(folder)
    found = followed(folder)
    assert found.run is not None
    assert found.run.failure is not None
    assert (found.run.failure.rank, found.run.failure.lines[-1]) == (None, "no route to host")


def test_what_a_scheduler_has_is_stopped_by_the_bundles_own_program(make) -> None:
    folder = make("echo Submitted batch job 7", backend="slurm", stop_training_sh='echo >>"$(dirname "$0")/logs/asked"')
    start_run(folder)
    followed(folder)
    assert stop(folder).state == "stopped"
    assert stop(folder).state == "stopped"
    assert (folder / "logs/asked").read_text() == "\n", "once"


def test_stopping_nodes_runs_the_bundles_own_program(make) -> None:
    folder = make(
        "mkdir -p logs; touch logs/ready; sleep 600",
        backend="ssh",
        stop_training_sh='cd "$(dirname "$0")"; echo stopping nodes; touch logs/was_stopped',
    )
    start_run(folder)
    ready(folder)
    assert stop(folder).state == "stopped"
    assert (folder / "logs/was_stopped").exists()
    assert "stopping nodes\n" in list(log_text(folder))


def test_a_node_that_was_not_stopped_is_not_said_to_be(make) -> None:
    folder = make(
        SLEEP,
        backend="ssh",
        stop_training_sh='cd "$(dirname "$0")"; echo asked >>logs/asked; [ -e logs/reachable ]',
    )
    start_run(folder)
    ready(folder)
    found = stop(folder)
    assert found.state == "lost"
    assert "not everywhere with success" in found.reason
    with pytest.raises(CrossZoneError, match="it ended with 1"):
        stop(folder)
    (folder / "logs/reachable").touch()
    assert stop(folder).state == "stopped"
    assert (folder / "logs/asked").read_text().count("asked") == 3


def test_a_program_that_cannot_stop_the_nodes_is_told(make) -> None:
    folder = make(
        backend="ssh",
        status_training_sh="echo agent-0 10.0.0.1 runs",
        stop_training_sh="echo 'error: cannot stop agent-0' >&2; exit 1",
    )
    lost(folder)
    with pytest.raises(PreflightFailed, match="agent-0 runs on its node already"):
        start_run(folder)
    with pytest.raises(CrossZoneError, match="cannot stop agent-0"):
        stop(folder)
