"""What a bundle's own program left with a scheduler or on nodes keeps its folder as it is."""

import fcntl
import os
from pathlib import Path

import pytest

from crosszone.errors import PreflightFailed
from crosszone.launch.record import LOCK_FILE
from crosszone.launch.start import kept_idle


@pytest.fixture
def scontrol(tmp_path, monkeypatch) -> Path:
    """A program that says how Slurm's job stands: the text of a file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "scontrol").write_text(f"#!/usr/bin/env bash\ncat {tmp_path}/state\n")
    (programs / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "state"


def left(folder: Path, text: str) -> Path:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs/job-id").write_text(f"{text}\n")
    return folder


def refusal(folder: Path) -> str | None:
    try:
        with kept_idle(folder):
            return None
    except PreflightFailed as error:
        (finding,) = error.findings
        assert finding.code == "runs_already"
        return finding.message


def test_where_nothing_was_started_nothing_is_left(make) -> None:
    for backend in ("local", "ssh", "slurm", "kubernetes", "skypilot"):
        assert refusal(make(backend=backend)) is None


def test_a_folder_that_is_no_bundle_is_idle(tmp_path) -> None:
    with kept_idle(tmp_path):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("JobState=PENDING ExitCode=0:0", "Slurm's job 7 is PENDING."),
        ("JobState=RUNNING ExitCode=0:0", "Slurm's job 7 is RUNNING."),
        ("JobState=COMPLETED ExitCode=0:0", None),
        ("slurm_load_jobs error: Invalid job id specified", None),
        ("slurm_load_jobs error: Unable to contact slurm controller", None),
    ],
)
def test_a_job_that_slurm_has_is_left(make, scontrol, state, message) -> None:
    scontrol.write_text(f"{state}\n")
    assert refusal(left(make(backend="slurm"), "7")) == message


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ("echo agent-0 10.0.0.1 runs; echo agent-1 10.1.0.1 0", "agent-0 runs on its node."),
        ("echo agent-0 10.0.0.1 0; echo agent-1 10.1.0.1 unseen", None),
    ],
)
def test_ranks_on_nodes_are_left(make, states, message) -> None:
    assert refusal(left(make(backend="ssh", status_training_sh=states), "crosszone-1")) == message


def test_what_a_cluster_was_given_is_left_until_it_is_taken_away(make) -> None:
    folder = left(make(backend="kubernetes"), "jobset cz-1")
    assert refusal(folder) == "jobset cz-1 was created from it, and not taken away."
    (folder / "logs/job-id").unlink()
    assert refusal(folder) is None


def test_nobody_starts_a_run_meanwhile(make) -> None:
    folder = make()
    with kept_idle(folder), (folder / "logs" / LOCK_FILE).open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
