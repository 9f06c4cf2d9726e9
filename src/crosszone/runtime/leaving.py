"""The end of a process group: no thread of Gloo may be at work when the interpreter ends.

Gloo's workers drop a collective's tensors after the collective has ended, for which they need Python; one that comes
too late, on a busy machine, ends the process with SIGABRT, and a launcher starts a finished run again (pytorch/pytorch
pull request 179291). Destroying the group stops the workers only where nothing else holds it, and modules of torch that
are imported on the way do: `torch.distributed.nn` keeps the group of the time of its import as a default argument.
"""

from __future__ import annotations

import time
from pathlib import Path

from torch import distributed

__all__ = ["leave", "wait_for_workers"]

WORKER = "pt_gloo_runloop"
"""Name of Gloo's worker threads (torch 2.13, ProcessGroupGloo.cpp)."""
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 30.0
"""A worker that is still busy then waits for a rank that is gone."""


def leave() -> None:
    """Destroy all groups of this process; its workers are idle afterwards."""
    distributed.destroy_process_group()
    wait_for_workers()


def wait_for_workers() -> None:
    """Return once no worker of Gloo does anything, where Linux tells; after the last collective."""
    latest = time.monotonic() + PATIENCE_SECONDS
    before = _workers()
    while before and time.monotonic() < latest:
        time.sleep(LOOK_SECONDS)  # without the interpreter's lock, which a worker may be waiting for
        now = _workers()
        if now == before and all(is_asleep for is_asleep, _ in now.values()):
            return
        before = now


def _workers() -> dict[str, tuple[bool, str]]:
    """Whether each worker thread sleeps, and how often it went to sleep: two equal answers mean an idle one."""
    found = {}
    for task in Path("/proc/self/task").glob("*/status"):
        try:
            status = dict(line.split(":\t", 1) for line in task.read_text().splitlines())
        except OSError:  # it has ended
            continue
        if status["Name"] == WORKER:
            found[task.parent.name] = (status["State"].startswith("S"), status["voluntary_ctxt_switches"])
    return found
