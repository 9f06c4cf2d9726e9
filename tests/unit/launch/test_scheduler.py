"""What schedulers say of a job, by programs that play them."""

from __future__ import annotations

import json
import types

import pytest

from crosszone.launch.scheduler import scheduler_look


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Puts a program into the path that prints what a test says, by its last arguments."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/bin:/usr/bin")

    def make(name, text):
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    return make


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/job-id").write_text("jobset small\n")
    (tmp_path / "run_training.sh").write_text("kind=jobset\nall=app.kubernetes.io/instance=small\n")
    return lambda backend: types.SimpleNamespace(backend=backend, folder=tmp_path, logs=tmp_path / "logs")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("JobState=RUNNING Reason=None ExitCode=0:0", "runs"),
        ("JobState=COMPLETED Reason=None ExitCode=0:0", "ended"),
        ("JobState=FAILED Reason=None ExitCode=1:0", "failed"),
        ("JobState=NODE_FAIL Reason=None ExitCode=0:0", "failed"),
        ("JobState=CANCELLED Reason=None ExitCode=0:15", "cancelled"),
        ("slurm_load_jobs error: Unable to contact slurm controller", "unknown"),
    ],
)
def test_slurm_is_asked_for_its_job(play, bundle, said, state):
    play("scontrol", f"echo '{said}'")
    found = scheduler_look(bundle("slurm"), types.SimpleNamespace(job="7"))
    assert (found.state, found.num_alive) == (state, None)
    assert scheduler_look(bundle("slurm"), types.SimpleNamespace(job=None)) is None


def kubernetes(play, conditions, phases):
    job = {"status": {"conditions": [{"type": kind, "status": value} for kind, value in conditions]}}
    pods = {"items": [{"status": {"phase": phase}} for phase in phases]}
    told = f"""case "$*" in
        "get jobset small "*) echo '{json.dumps(job)}' ;;
        "get pods --selector=app.kubernetes.io/instance=small "*) echo '{json.dumps(pods)}' ;;
        *) exit 1 ;;
    esac"""
    play("kubectl", told)


@pytest.mark.parametrize(
    ("conditions", "phases", "expected"),
    [
        ([], ["Pending"], ("runs", 1)),
        ([("Completed", "False")], ["Running", "Running"], ("runs", 2)),
        ([("Completed", "True")], ["Succeeded"], ("ended", 0)),
        ([("Failed", "True")], ["Failed", "Running"], ("failed", 1)),
        ([("Failed", "True")], [], ("failed", 0)),
    ],
)
def test_kubernetes_is_asked_for_the_job_and_its_pods(play, bundle, conditions, phases, expected):
    kubernetes(play, conditions, phases)
    found = scheduler_look(bundle("kubernetes"), None)
    assert (found.state, found.num_alive) == expected


def test_who_cannot_be_asked_proves_nothing(play, bundle, tmp_path):
    play("kubectl", "exit 1")
    found = scheduler_look(bundle("kubernetes"), None)
    assert (found.state, found.num_alive, found.is_over) == ("unknown", None, False)
    (tmp_path / "logs/job-id").unlink()
    assert scheduler_look(bundle("kubernetes"), None) is None
    assert scheduler_look(bundle("skypilot"), None) is None
