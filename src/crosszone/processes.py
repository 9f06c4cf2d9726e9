"""Processes of this machine by what Linux says of them in /proc (proc(5)); nothing is believed of a bare process id.

torchrun starts every rank in a session of its own (torch 2.13,
distributed/elastic/multiprocessing/subprocess_handler/subprocess_handler.py), so that neither a process group nor a
session holds a run. A variable in the environment does: children inherit it, whoever their parent is by then.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from crosszone.core.run import ProcessIdentity
from crosszone.errors import PreflightFailed

PROC = Path("/proc")
MARK = "CROSSZONE_RUN"
"""The variable; its value is the id of the run."""
DEAD_STATES = "ZXx"
"""Zombies and processes that are being removed."""
POLL_SECONDS = 0.05
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Besides Ctrl-C: a service that is stopped, a terminal that closes."""


def check_can_see_processes() -> None:
    """PreflightFailed where nothing tells which processes there are."""
    if not (PROC / "self/environ").is_file():
        raise PreflightFailed.of(
            "there is no /proc here, and without it nobody can be sure that a stopped run leaves no process behind.",
            hint="Run it on Linux, or start the bundle's run_training.sh yourself.",
            code="no_proc",
        )


def identity(pid: int) -> ProcessIdentity | None:
    """What tells this process from all others, past and future; None where it is not alive."""
    try:
        # The name stands in parentheses and may hold anything; state and the rest follow the last one.
        facts = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if facts[0] in DEAD_STATES:
        return None
    return ProcessIdentity(pid=pid, start_ticks=int(facts[19]), boot_id=_boot_id())


def is_alive(process: ProcessIdentity) -> bool:
    """Whether this very process is alive: not another one that got its number, nor one before a restart."""
    return identity(process.pid) == process


def marked(run_id: str) -> tuple[int, ...]:
    """Ids of all processes that a run started, and of those which they started."""
    wanted = f"{MARK}={run_id}".encode()
    found = []
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended, or is another user's
            continue
        if wanted in variables:
            found.append(int(entry.name))
    return tuple(sorted(found))


def kill_marked(run_id: str, *, within_seconds: float = 10.0) -> tuple[int, ...]:
    """End every process of a run by force; those that are still there afterwards (one may wait for a disk)."""
    until = time.monotonic() + within_seconds
    while (left := marked(run_id)) and time.monotonic() < until:
        for pid in left:  # again and again: a process may have started another one meanwhile
            send(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return left


def wait_unmarked(run_id: str, *, within_seconds: float) -> bool:
    """Whether all processes of a run ended within so long."""
    until = time.monotonic() + within_seconds
    while marked(run_id):
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_SECONDS)
    return True


def send(pid: int, number: signal.Signals) -> None:
    """A signal to a process that may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


@contextlib.contextmanager
def whole_program(
    command: Sequence[str], *, environment: Mapping[str, str], grace_seconds: float, **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    """A program; when the block is left, in whatever way, nothing that it started is alive.

    What is alive then is asked to end (the program first, for torchrun ends its ranks), and forced to after
    `grace_seconds`. SIGTERM and SIGHUP to this process leave the block as Ctrl-C does. `options` are those of Popen.
    """
    mark = secrets.token_hex(8)
    with signals_interrupt():
        process = subprocess.Popen(
            command, env={**environment, MARK: mark}, stdin=subprocess.DEVNULL, start_new_session=True, **options
        )
        try:
            yield process
        finally:
            _end_whole(process, mark, grace_seconds)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let `ENDING_SIGNALS` do what Ctrl-C does; nothing changes outside the main thread, which no signal reaches."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def answer_of(command: Sequence[str], *, seconds: float) -> subprocess.CompletedProcess[str]:
    """A program that is run to its end, with all that it said; it reads nothing.

    Errors: OSError where it cannot be started, TimeoutExpired where it does not end in time.
    """
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds,
    )


def _end_whole(process: subprocess.Popen[Any], mark: str, grace_seconds: float) -> None:
    """A second signal meanwhile ends the waiting, not the ending."""
    try:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace_seconds)
    finally:
        kill_marked(mark)
        with contextlib.suppress(ProcessLookupError):  # where nothing tells which processes there are
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
