"""Processes of this machine by what Linux says of them in /proc (proc(5)); nothing is believed of a bare process id.

torchrun starts every rank in a session of its own (torch 2.13,
distributed/elastic/multiprocessing/subprocess_handler/subprocess_handler.py), so that neither a process group nor a
session holds a run. A variable in the environment does: children inherit it, whoever their parent is by then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from crosszone.core.run import ProcessIdentity
from crosszone.errors import PreflightFailed

PROC = Path("/proc")
MARK = "CROSSZONE_RUN"
"""The variable; its value is the id of the run."""
DEAD_STATES = "ZXx"
"""Zombies and processes that are being removed."""
POLL_SECONDS = 0.05


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
    for entry in PROC.iterdir():
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


def _boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
