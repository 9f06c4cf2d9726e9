"""What the real backend shows of real processes, in place of ranks a shell program, and what is believed of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time

import pytest

from crosszone.control.evidence import ALIVE, DEAD, DONE, HALTED, UNBORN, UNKNOWN, verdict
from crosszone.control.hands import LocalHands
from crosszone.launch.record import read_run
from crosszone.processes import kill_marked, marked

LIMIT_SECONDS = 30.0
DAY_SECONDS = 24 * 3600.0
PYTHON = """#!/bin/sh
echo '{"version": "3.11.7", "missing": [], "num_gpus": 0, "fault": ""}'
"""
PREDICTION = {
    "num_gpus": 2,
    "step_seconds": 0.5,
    "tokens_per_second": 800.0,
    "tokens_per_second_per_gpu": 400.0,
    "model_flop_per_second_per_gpu": 1e12,
    "intervals": [],
    "memory": {"peak_bytes": 9e9, "stages": []},
    "reliability": None,
}
SLEEP = 'mkdir -p logs; echo \'{"event": "start", "first_step": 1}\' >logs/rank-0.jsonl; sleep 600'


@pytest.fixture
def hands():
    return LocalHands(lambda task, way: None, lambda folder: [], lambda folder, has_rates: [])


@pytest.fixture
def make(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(python))
    folder = tmp_path / "task-1" / "attempt-1"

    def write(program):
        folder.mkdir(parents=True)
        text = f'#!/usr/bin/env bash\ncd "$(dirname "$0")"\n{program}\n'
        (folder / "run_training.sh").write_text(text)
        (folder / "run_training.sh").chmod(0o755)
        digest = hashlib.sha256(text.encode()).hexdigest()
        manifest = {
            "kind": "crosszone-bundle",
            "fingerprint": "abc",
            "framework": "ddp",
            "request": {"backend": "local", "device": "cpu", "num_steps": 4},
            "prediction": PREDICTION,
            "files": {"run_training.sh": {"sha256": digest}},
        }
        (folder / "metadata.json").write_text(json.dumps(manifest))
        return folder

    yield write
    for logs in folder.glob("logs/*Z-*"):  # each run has a folder of its name
        kill_marked(logs.name)


def belief(hands, folder, *, later_seconds=0.0):
    found = verdict(hands.look(folder), now_seconds=time.time() + later_seconds)
    return found.belief, found.proofs


def until(hands, folder, wanted, **more):
    limit = time.monotonic() + LIMIT_SECONDS
    while belief(hands, folder, **more)[0] != wanted:
        assert time.monotonic() < limit, belief(hands, folder, **more)
        time.sleep(0.02)


def test_what_ends_well_is_done(hands, make):
    folder = make("sleep 0.3")
    assert belief(hands, folder) == (UNBORN, ())
    hands.start(folder)
    assert belief(hands, folder) == (ALIVE, ())
    until(hands, folder, DONE)
    assert belief(hands, folder) == (DONE, ("recorded", "gone"))


def test_what_fails_is_dead_by_its_record_and_by_its_processes(hands, make):
    folder = make("exit 7")
    hands.start(folder)
    until(hands, folder, DEAD)
    assert belief(hands, folder) == (DEAD, ("recorded", "gone"))


def test_what_is_stopped_is_halted(hands, make):
    folder = make(SLEEP)
    hands.start(folder)
    until(hands, folder, ALIVE)
    hands.stop(folder, is_forced=True)
    assert belief(hands, folder)[0] == HALTED


def test_ranks_without_a_supervisor_live_and_without_both_it_takes_silence_to_be_sure(hands, make):
    folder = make(SLEEP)
    hands.start(folder)
    run = read_run(folder / "logs")
    limit = time.monotonic() + LIMIT_SECONDS
    while not (folder / "logs/rank-0.jsonl").exists():
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.kill(run.supervisor.pid, signal.SIGKILL)
    until(hands, folder, ALIVE)
    kill_marked(run.run_id)
    assert marked(run.run_id) == ()
    until(hands, folder, UNKNOWN)
    assert belief(hands, folder) == (UNKNOWN, ("gone",))
    assert belief(hands, folder, later_seconds=DAY_SECONDS) == (DEAD, ("gone", "silent"))


@pytest.mark.parametrize("damage", ["", "{", '{"kind": "other"}'])
def test_a_folder_that_cannot_be_read_is_unknown_with_the_reason(hands, make, damage):
    folder = make(SLEEP)
    if damage:
        (folder / "metadata.json").write_text(damage)
    else:
        (folder / "metadata.json").unlink()
    look = hands.look(folder)
    assert verdict(look, now_seconds=time.time()).belief == UNKNOWN
    assert "metadata.json" in look.reason


def test_a_damaged_record_is_unknown(hands, make):
    folder = make(SLEEP)
    (folder / "logs").mkdir()
    (folder / "logs/run.json").write_text('{"run_id": ')
    assert belief(hands, folder) == (UNKNOWN, ())
