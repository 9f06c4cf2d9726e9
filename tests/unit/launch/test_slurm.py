"""A run that Slurm has is followed to its end; Slurm's programs are played by one that reads how the job stands."""

import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crosszone.core.run import Run, RunStatus
from crosszone.launch.logs import log_text
from crosszone.launch.slurm import JobState, job_state
from crosszone.launch.start import start as start_run
from crosszone.launch.status import follow, status
from crosszone.launch.stop import stop
from crosszone.processes import is_alive

SLURM = """#!/usr/bin/env bash
cd {folder}
echo "$(basename "$0") $*" >>asked
case "$(basename "$0")" in
    scontrol) cat scontrol.out; exit "$(cat scontrol.code)" ;;
    sacct) cat sacct.out ;;
    scancel) case "$*" in *KILL*) ;; *) echo "JobState=CANCELLED Reason=None ExitCode=0:15" >scontrol.out ;; esac ;;
esac
"""
NO_JOB = "slurm_load_jobs error: Invalid job id specified"
SILENT = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
SUBMIT = "mkdir -p logs; echo 'job 7; follow it: tail -F logs/slurm-7.log; stop it: ./stop_training.sh'"
LIMIT_SECONDS = 60.0


class Slurm:
    """What the programs say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says("JobState=PENDING Reason=Priority ExitCode=0:0")
        (folder / "sacct.out").touch()
        (folder / "asked").touch()

    def says(self, text: str, *, code: int = 0) -> None:
        for name, content in (("scontrol.out", text), ("scontrol.code", str(code))):
            part = self.folder / f"{name}.part"
            part.write_text(content + "\n")
            part.replace(self.folder / name)

    def accounts(self, text: str) -> None:
        (self.folder / "sacct.out").write_text(text)

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Slurm:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("scontrol", "sacct", "scancel"):
        (programs / name).write_text(SLURM.format(folder=shlex.quote(str(tmp_path))))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return Slurm(tmp_path)


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def followed(folder: Path) -> RunStatus:
    *_, last = follow(folder, every_seconds=0.02)
    return last


@pytest.fixture
def submitted(make, slurm) -> Iterator[tuple[Path, Run]]:
    """A run whose job waits, as its record says."""
    stopping = 'cd "$(dirname "$0")"; touch logs/stopping; [ -e logs/stuck ] && sleep 600; scancel 7'
    folder = make(SUBMIT, backend="slurm", stop_training_sh=stopping)
    run = start_run(folder)
    until(lambda: status(folder).reason == "Slurm's job 7 is PENDING.")
    yield folder, run
    stop(folder, is_forced=True)


# What Slurm says


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("JobState=PENDING ExitCode=0:0", JobState(word="PENDING")),
        ("JobState=COMPLETING ExitCode=0:0", JobState(word="COMPLETING")),
        ("JobState=COMPLETED Reason=None Requeue=1 ExitCode=0:0", JobState(word="COMPLETED", exit_code=0)),
        ("JobState=FAILED ExitCode=9:0", JobState(word="FAILED", exit_code=9)),
        ("JobState=CANCELLED ExitCode=0:15", JobState(word="CANCELLED", exit_code=-15)),
        ("JobState=TIMEOUT ExitCode=0:0", JobState(word="TIMEOUT", exit_code=1)),
        ("JobState=PENDING ExitCode=0:0\nJobState=RUNNING ExitCode=0:0", JobState(word="RUNNING")),
        ("JobState=COMPLETED ExitCode=0:0\nJobState=FAILED ExitCode=3:0", JobState(word="FAILED", exit_code=3)),
    ],
)
def test_the_controller_is_asked_and_components_count_together(slurm, said, state) -> None:
    slurm.says(said)
    assert job_state("7") == state
    assert slurm.asked == ["scontrol show job 7 --oneliner"]
    assert state.is_over == (state.exit_code is not None)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("COMPLETED|0:0\n", JobState(word="COMPLETED", exit_code=0)),
        ("CANCELLED by 1000|0:15\n", JobState(word="CANCELLED", exit_code=-15)),
        ("COMPLETED|0:0\nOUT_OF_MEMORY|0:125\n", JobState(word="OUT_OF_MEMORY", exit_code=-125)),
        ("Slurm accounting storage is disabled\n", JobState(word="forgotten")),
        ("", JobState(word="forgotten")),
    ],
)
def test_a_job_that_the_controller_forgot_is_in_the_accounts_or_unknown(slurm, told, state) -> None:
    slurm.says(NO_JOB, code=1)
    slurm.accounts(told)
    assert job_state("7") == state
    assert state.is_over


def test_a_silent_controller_says_nothing_of_the_job(slurm, monkeypatch) -> None:
    slurm.says(SILENT, code=1)
    assert job_state("7") == JobState(word="unseen")
    monkeypatch.setenv("PATH", "/nowhere")
    assert job_state("7") == JobState(word="unseen")
    assert not job_state("7").is_over


# Runs


def test_a_job_is_followed_from_the_queue_to_its_end_and_measured(slurm, submitted, start, step) -> None:
    folder, _ = submitted
    assert status(folder).state == "running"
    slurm.says("JobState=RUNNING ExitCode=0:0")
    (folder / "logs/rank-0.jsonl").write_text(start(saves=True) + step(1, 9.0) + step(2, 0.5))
    (folder / "logs/slurm-7.log").write_text("of the job\n")
    (folder / "logs/agent-0.log").write_text("[rank 0] of rank 0\n[rank 1] of rank 1\n")
    until(lambda: status(folder).reason == "Slurm's job 7 is RUNNING.")
    assert status(folder).step == 2
    slurm.says("JobState=COMPLETED ExitCode=0:0")
    found = followed(folder)
    assert found.run is not None
    assert (found.state, found.run.exit_code, found.run.job_state) == ("ended", 0, "COMPLETED")
    assert found.measurement is not None
    assert "".join(log_text(folder)).endswith("of the job\n[rank 0] of rank 0\n[rank 1] of rank 1\n")
    assert "".join(log_text(folder, rank=1)) == "of rank 1\n"
    assert not [line for line in slurm.asked if line.startswith("scancel")], "what has ended is left alone"


def test_a_controller_that_is_silent_for_a_while_ends_no_run(slurm, submitted) -> None:
    folder, _ = submitted
    slurm.says(SILENT, code=1)
    until(lambda: status(folder).reason == "Slurm's job 7 is unseen.")
    assert status(folder).state == "running"
    slurm.says("JobState=COMPLETED ExitCode=0:0")
    assert followed(folder).state == "ended"


FAILED = "  rank      : 1 (local_rank: 1)\n  exitcode  : 5 (pid: 4711)\n"


def test_a_job_that_fails_names_its_rank_and_not_one_of_an_earlier_run(make, slurm) -> None:
    folder = make(SUBMIT, backend="slurm")
    slurm.says("JobState=FAILED ExitCode=5:0")
    (folder / "logs").mkdir()
    (folder / "logs/agent-0.log").write_text(FAILED)
    start_run(folder)
    first = followed(folder)
    assert first.run is not None
    assert first.run.failure is not None
    assert (first.state, first.run.failure.rank, first.run.exit_code) == ("failed", None, 5)
    assert first.reason == "Slurm's job 7 is FAILED: it ended with exit code 5."
    make(f"{SUBMIT}; cat >>logs/agent-0.log <<'END'\n{FAILED}END", backend="slurm")
    start_run(folder)
    second = followed(folder)
    assert second.run is not None
    assert second.run.failure is not None
    assert (second.run.failure.rank, second.run.failure.log) == (1, "logs/agent-0.log")


def test_a_job_that_is_forgotten_is_lost_and_not_ended(slurm, submitted) -> None:
    folder, _ = submitted
    slurm.says(NO_JOB, code=1)
    found = followed(folder)
    assert (found.state, found.reason) == ("lost", "Slurm no longer knows its job 7; how it ended is not known.")


def test_stopping_asks_the_job_to_save_and_waits_for_it(slurm, submitted) -> None:
    folder, _ = submitted
    found = stop(folder)
    assert (found.state, found.reason) == ("stopped", "It was asked to stop.")
    assert found.run is not None
    assert found.run.job_state == "CANCELLED"
    assert (folder / "logs/stopping").exists(), "by the bundle's own program, which gives ranks time"
    assert stop(folder).state == "stopped"


def test_by_force_no_rank_is_waited_for(slurm, submitted) -> None:
    folder, run = submitted
    (folder / "logs/stuck").touch()
    os.kill(run.supervisor.pid, signal.SIGTERM)
    until((folder / "logs/stopping").exists)
    assert stop(folder, is_forced=True).state == "stopped"
    assert slurm.asked[-1].startswith("scontrol")
    assert [line for line in slurm.asked if "scancel" in line] == ["scancel --full --signal=KILL 7", "scancel 7"]


@pytest.mark.parametrize(
    ("said", "code", "state", "reason"),
    [
        ("JobState=RUNNING ExitCode=0:0", 0, "running", "Nobody here follows it: Slurm's job 7 is RUNNING."),
        ("JobState=COMPLETED ExitCode=0:0", 0, "ended", "Nobody here followed it to its end"),
        ("JobState=TIMEOUT ExitCode=0:0", 0, "failed", "job 7 is TIMEOUT"),
        (SILENT, 1, "lost", "Slurm cannot be asked from here; its job 7 may run on."),
        (NO_JOB, 1, "lost", "Slurm no longer knows its job 7."),
    ],
)
def test_without_a_supervisor_slurm_is_asked(slurm, submitted, said, code, state, reason) -> None:
    folder, run = submitted
    os.kill(run.supervisor.pid, signal.SIGKILL)
    until(lambda: not is_alive(run.supervisor))
    slurm.says(said, code=code)
    found = status(folder)
    assert found.state == state
    assert reason in found.reason


def test_what_a_job_runs_on_this_machine_is_not_taken_for_ours(make, slurm) -> None:
    folder = make(f"env >environment; {SUBMIT}", backend="slurm")
    slurm.says("JobState=COMPLETED ExitCode=0:0")
    start_run(folder)
    followed(folder)
    names = {line.partition("=")[0] for line in (folder / "environment").read_text().splitlines()}
    assert "CROSSZONE_RUN" not in names, "its ranks would be ended with the program that submitted them"
    assert "PET_LOG_DIR" in names
