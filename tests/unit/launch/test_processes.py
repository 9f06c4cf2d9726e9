"""Processes are known by more than their number, and found wherever they went."""

import dataclasses
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from crosszone.launch import processes
from crosszone.launch.processes import identity, is_alive, kill_marked, marked, wait_unmarked

SLEEP = "import time; time.sleep(600)"
FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def run_id() -> Iterator[str]:
    found = secrets.token_hex(8)
    yield found
    kill_marked(found)


def started(run_id: str, program: str = SLEEP) -> subprocess.Popen[str]:
    around = {**os.environ, processes.MARK: run_id}
    return subprocess.Popen([sys.executable, "-c", program], env=around, stdout=subprocess.PIPE, text=True)


def test_a_process_is_itself_and_no_other_with_its_number(run_id) -> None:
    process = started(run_id)
    who = identity(process.pid)
    assert who is not None
    assert is_alive(who)
    assert not is_alive(dataclasses.replace(who, start_ticks=who.start_ticks - 1)), "the number was given away"
    assert not is_alive(dataclasses.replace(who, boot_id="another start of the machine"))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not taken away by its parent yet
    assert not is_alive(who)
    assert identity(process.pid) is None
    process.wait()
    assert identity(process.pid) is None


def test_children_in_sessions_of_their_own_are_found_and_ended(run_id) -> None:
    process = started(run_id, FAMILY)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert marked(run_id) == tuple(sorted((process.pid, child)))
    assert os.getsid(child) == child
    process.send_signal(signal.SIGTERM)  # which it does not hear
    assert not wait_unmarked(run_id, within_seconds=0.2)
    assert kill_marked(run_id) == ()
    process.wait()
    assert marked(run_id) == ()


def test_another_run_is_left_alone(run_id) -> None:
    process = started(run_id)
    assert kill_marked(run_id[:-1]) == ()
    assert kill_marked(f"{run_id}0") == ()
    assert process.poll() is None


def test_no_process_is_no_news(run_id) -> None:
    assert marked(run_id) == ()
    assert wait_unmarked(run_id, within_seconds=0.0)
    processes.send(2**22 + 1, signal.SIGTERM)  # no machine has so many


def test_a_name_with_parentheses_is_read(tmp_path, run_id) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "600"])
    try:
        who = identity(process.pid)
        assert who is not None
        assert is_alive(who)
    finally:
        process.kill()
        process.wait()
