"""A server's worker: there as long as the server, and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from crosszone.server.worker_process import DATABASE, WorkerProcess

WORKER = """
import os, sys, threading
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()} {os.environ.get('CROSSZONE_DATABASE')}\\n")
sys.stdin.buffer.read()
"""
SERVER = """
import sys, time
from crosszone.server.worker_process import WorkerProcess
with WorkerProcess("x", command=sys.argv[1:]):
    time.sleep(600)
"""


def started(path):
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def until(condition):
    limit = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def command(path):
    return [sys.executable, "-c", WORKER, str(path)]


def test_it_is_told_its_database_where_others_cannot_read_it_and_ends_with_the_block(tmp_path, monkeypatch):
    monkeypatch.delenv(DATABASE, raising=False)
    path = tmp_path / "started"
    with WorkerProcess("postgresql://ann:secret@host/x", command=command(path)):
        until(lambda: started(path))
    ((pid, database),) = started(path)
    assert database == "postgresql://ann:secret@host/x"
    assert not is_alive(pid)


def test_one_that_dies_is_replaced(tmp_path):
    path = tmp_path / "started"
    with WorkerProcess(None, command=command(path), again_seconds=0.01):
        until(lambda: started(path))
        os.kill(int(started(path)[0][0]), signal.SIGKILL)
        until(lambda: len(started(path)) == 2)
    assert not any(is_alive(pid) for pid, _ in started(path))


def test_it_ends_when_its_server_is_killed(tmp_path):
    path = tmp_path / "started"
    server = subprocess.Popen([sys.executable, "-c", SERVER, *command(path)])
    until(lambda: started(path))
    server.kill()
    server.wait()
    until(lambda: not is_alive(started(path)[0][0]))
