"""`crosszone worker`: as long as it is wanted, and no longer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

LIMIT_SECONDS = 60.0


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*more):
        command = [sys.executable, "-m", "crosszone.cli", "worker", "--database", str(tmp_path / "state.sqlite")]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen([*command, *more], text=True, **pipes))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.communicate()


def test_it_says_what_it_drives_and_ends_in_peace(start, tmp_path):
    worker = start()
    assert worker.stdout.readline().startswith(f"Driving the tasks of {tmp_path}/state.sqlite in {tmp_path}/tasks;")
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=LIMIT_SECONDS)
    assert (worker.returncode, said) == (0, "")


def test_it_ends_when_its_input_does(start, tmp_path):
    worker = start("--while-open", "--json", "--folder", str(tmp_path / "elsewhere"))
    told, said = worker.communicate(timeout=LIMIT_SECONDS)
    assert json.loads(told)["folder"] == str(tmp_path / "elsewhere")
    assert (worker.returncode, said) == (0, "")


def test_a_database_that_is_none_is_an_error_in_one_line(tmp_path):
    command = [sys.executable, "-m", "crosszone.cli", "worker", "--database", "mysql://host/x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 2
    assert "--database" in done.stderr
    assert "Traceback" not in done.stderr
