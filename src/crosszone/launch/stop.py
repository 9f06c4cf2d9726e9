"""Ending a run: asked first, forced after its time of grace. Doing it twice does no harm."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from crosszone.core.run import LOST, RUNNING, SUBMITTED, Run, RunStatus
from crosszone.errors import CrossZoneError
from crosszone.launch.backends import LOCAL, can_run, fetch_logs, node_states, run_program
from crosszone.launch.bundle_folder import STOP_PATH, BundleFolder, open_bundle
from crosszone.launch.ending import as_stopped
from crosszone.launch.record import read_run, write_run
from crosszone.launch.status import NODE_RUNS, status
from crosszone.launch.step_log import rank_steps
from crosszone.launch.supervisor import FORCE
from crosszone.processes import is_alive, kill_marked, marked, send, wait_unmarked

WAIT_SECONDS = 0.1
LATE_SECONDS = 30.0
"""Beyond the time of grace, until the supervisor is taken for stuck."""
NODE_WAVES_SECONDS = 600.0
"""A bundle's own program asks one node after the other."""


def stop(folder: Path, *, is_forced: bool = False) -> RunStatus:
    """End the newest run of the bundle in `folder`; how things stand then.

    Nothing happens where nothing runs. `is_forced`: at once, and nothing is saved.
    Errors: SpecError where there is no bundle, CrossZoneError where something cannot be ended, or seen.
    """
    bundle = open_bundle(folder)
    run = read_run(bundle.logs)
    if run is None and not can_run(bundle):
        raise CrossZoneError.of(
            f"a bundle of the backend {bundle.backend} is started node by node: nothing was stopped from here.",
            where=str(bundle.folder),
            hint="Press Ctrl-C in the terminal that started any node's ranks, or end its torchrun there with `kill`: "
            "the other nodes notice, and end too.",
            code="cannot_stop",
        )
    if run is not None and run.state == RUNNING:
        if is_alive(run.supervisor):
            _ask_supervisor(bundle, run, is_forced=is_forced)
        _end_leftovers(bundle, run, is_forced=is_forced)
    elif run is not None and bundle.has(STOP_PATH):
        _end_elsewhere(bundle, run)
    return status(folder)


def _ask_supervisor(bundle: BundleFolder, run: Run, *, is_forced: bool) -> None:
    send(run.supervisor.pid, FORCE if is_forced else signal.SIGTERM)
    late = LATE_SECONDS if bundle.backend == LOCAL else NODE_WAVES_SECONDS
    until = time.monotonic() + late + (0.0 if is_forced else run.grace_seconds)
    while is_alive(run.supervisor) and time.monotonic() < until:
        time.sleep(WAIT_SECONDS)
    if is_alive(run.supervisor):
        send(run.supervisor.pid, signal.SIGKILL)


def _end_leftovers(bundle: BundleFolder, run: Run, *, is_forced: bool) -> None:
    """What runs on without a supervisor, or in spite of it; and the record, where nobody else writes it any more."""
    processes = marked(run.run_id)
    if not is_forced:
        for pid in processes:
            send(pid, signal.SIGTERM)
        wait_unmarked(run.run_id, within_seconds=run.grace_seconds if processes else 0.0)
    left = kill_marked(run.run_id)
    if left:
        raise CrossZoneError.of(
            f"processes {', '.join(map(str, left))} do not end, even by force.",
            where=str(bundle.folder),
            hint="They wait for a device or a file system; look at that, or restart the machine.",
            code="cannot_stop",
        )
    newest = read_run(bundle.logs)
    if newest is not None and newest.run_id == run.run_id and newest.state == RUNNING:
        if bundle.backend != LOCAL and bundle.has(STOP_PATH):
            run_program(bundle, STOP_PATH)
        _write_stopped(bundle, newest, is_forced=is_forced)


def _end_elsewhere(bundle: BundleFolder, run: Run) -> None:
    """What a scheduler has, or runs on a node although nobody here follows it."""
    is_unsure = run.state in (SUBMITTED, LOST)
    if is_unsure or NODE_RUNS in (node_states(bundle) or {}).values():
        run_program(bundle, STOP_PATH)
    if is_unsure:
        _write_stopped(bundle, run)


def _write_stopped(bundle: BundleFolder, run: Run, *, is_forced: bool = False) -> None:
    is_seen = fetch_logs(bundle)
    ranks = rank_steps(bundle.logs, run.log_sizes)
    write_run(bundle.logs, as_stopped(run, ranks, is_forced=is_forced, is_seen=is_seen))
