"""Processes are known by more than their number, and found wherever they went."""

import contextlib
import dataclasses
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from crosszone import processes
from crosszone.processes import identity, is_alive, kill_marked, marked, wait_unmarked, whole_program

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


TORCHRUN = """
import signal, subprocess, sys, time
rank = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
def end(number, frame):
    print("asked", flush=True)
    sys.exit(1)  # and leaves its rank, which is in a session of its own
signal.signal(signal.SIGTERM, end)
print(rank.pid, flush=True)
time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    return identity(pid) is None


@contextlib.contextmanager
def rank_of_torchrun() -> Iterator[int]:
    """The id of a process that a program started, which is left like torchrun's ranks when that is killed."""
    options = {"stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", TORCHRUN]
    with whole_program(command, environment=os.environ, grace_seconds=10.0, **options) as process:
        yield int(process.stdout.readline())
    assert process.returncode == 1
    assert process.stdout.read() == "asked\n", "before it was forced"


def test_nothing_of_a_program_is_left_after_its_block() -> None:
    with rank_of_torchrun() as rank:
        assert not is_gone(rank)
    assert is_gone(rank)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_this_process_ends_all_of_it(number) -> None:
    before = {each: signal.getsignal(each) for each in processes.ENDING_SIGNALS}
    ranks = []

    def interrupted() -> None:
        with rank_of_torchrun() as rank:
            ranks.append(rank)
            os.kill(os.getpid(), number)
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert is_gone(*ranks)
    assert {each: signal.getsignal(each) for each in processes.ENDING_SIGNALS} == before


def test_what_does_not_hear_is_forced_after_its_grace() -> None:
    options = {"environment": os.environ, "grace_seconds": 0.2, "stdout": subprocess.PIPE, "text": True}
    with whole_program([sys.executable, "-c", FAMILY], **options) as process:
        child = int(process.stdout.readline())
    assert process.returncode == -signal.SIGKILL
    assert is_gone(child)


def test_outside_the_main_thread_signals_stay_as_they_are() -> None:
    options = {"environment": os.environ, "grace_seconds": 1.0}

    def run() -> int:
        with whole_program(["sh", "-c", "exit 3"], **options) as process:
            return process.wait()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == 3


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
