"""Starting a bundle: checked first, then left to a supervisor of its own."""

from __future__ import annotations

import dataclasses
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crosszone.core.run import RUNNING, STOPPED, Run
from crosszone.errors import CrossZoneError, PreflightFailed, SpecError
from crosszone.launch.backends import LOCAL, OUTPUT_FILE, SSH, check_can_run, fetch_logs, node_states
from crosszone.launch.bundle_folder import LOG_FOLDER, BundleFolder, edited_files, open_bundle
from crosszone.launch.elsewhere import check_nothing_elsewhere
from crosszone.launch.interpreter import check_python, chosen_python
from crosszone.launch.record import only_one, read_run, write_measurement, write_run
from crosszone.launch.step_log import log_sizes
from crosszone.launch.training import check_training
from crosszone.processes import check_can_see_processes, identity, is_alive, kill_marked, marked

SUPERVISOR = "crosszone.launch.supervisor"
NODE_PYTHON = "python3"
"""What nodes run where `$PYTHON` is not set there."""


def start(folder: Path, *, python: str | None = None, is_forced: bool = False) -> Run:
    """Start the bundle in `folder`; it goes on when the caller ends.

    Errors: SpecError where there is no bundle, or its files were edited and `is_forced` is not set; InfeasiblePlan
    where its backend has nothing to start; PreflightFailed where Python, torch or GPUs are missing, or it runs already;
    as `check_training` where ranks would run here.
    """
    bundle = open_bundle(folder)
    check_can_run(bundle)
    check_can_see_processes()
    edited = tuple(edited_files(bundle))
    if edited and not is_forced:
        raise SpecError(*edited)
    interpreter = NODE_PYTHON
    if bundle.backend == LOCAL:
        interpreter = chosen_python(python)
        _check_not_alive(bundle)  # before torch is imported, and again below
        check_training(bundle)
        check_python(bundle, interpreter)
    elif python is not None:
        raise SpecError.of(
            f"a bundle of the backend {bundle.backend} runs the nodes' own Python.",
            where="--python",
            hint="Set PYTHON in the environment of the nodes.",
            code="usage",
        )
    with only_one(bundle.logs):
        _check_not_alive(bundle)
        if bundle.backend == SSH:
            fetch_logs(bundle)  # of earlier runs: what comes after is this one's
        return _start(bundle, interpreter)


@contextmanager
def kept_idle(folder: Path) -> Iterator[None]:
    """While it lasts, nothing runs of the bundle in `folder`, and nothing is started; no bundle is always idle.

    Errors: PreflightFailed where a run of it is alive, here, on its nodes or with its scheduler.
    """
    try:
        bundle = open_bundle(folder)
    except SpecError:
        yield  # whoever means to use it says what is wrong with it
        return
    with only_one(bundle.logs):
        _check_not_alive(bundle)
        check_nothing_elsewhere(bundle)
        yield


def _check_not_alive(bundle: BundleFolder) -> None:
    run = read_run(bundle.logs)
    if run is not None and run.state == RUNNING and (is_alive(run.supervisor) or marked(run.run_id)):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started_seconds))
        raise PreflightFailed.of(
            f"it runs already, since {since} (process {run.supervisor.pid}).",
            where=str(bundle.folder),
            hint="`crosszone status DIR` shows it, `crosszone stop DIR` ends it.",
            code="runs_already",
        )
    states = node_states(bundle) if bundle.backend == SSH and run is not None else None
    running = [name for name, state in (states or {}).items() if state == "runs"]
    if running:
        raise PreflightFailed.of(
            f"{', '.join(running)} runs on its node already.",
            where=str(bundle.folder),
            hint="`crosszone stop DIR` ends it.",
            code="runs_already",
        )


def _start(bundle: BundleFolder, python: str) -> Run:
    run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    log_folder = f"{LOG_FOLDER}/{run_id}"
    (bundle.folder / log_folder).mkdir(parents=True)
    with (bundle.folder / log_folder / OUTPUT_FILE).open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", SUPERVISOR, str(bundle.folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    who = identity(supervisor.pid)
    if who is None or supervisor.stdin is None:
        raise CrossZoneError.of("the supervisor of the run ended at once.", where=str(bundle.folder / log_folder))
    run = Run(
        run_id=run_id,
        backend=bundle.backend,
        framework=bundle.framework,
        world_size=bundle.world_size,
        num_steps=bundle.num_steps,
        python=python,
        log_folder=log_folder,
        log_sizes=log_sizes(bundle.logs),
        grace_seconds=bundle.grace_seconds,
        supervisor=who,
        started_seconds=time.time(),
        state=RUNNING,
    )
    try:
        write_measurement(bundle.logs, None)
        write_run(bundle.logs, run)
        with supervisor.stdin as words:  # it waits until its run is written down, and starts nothing if we die before
            words.write(b"go\n")
    except BaseException:  # Ctrl-C among them: who does not get the run cannot stop it
        supervisor.kill()
        supervisor.wait()
        kill_marked(run_id)
        write_run(bundle.logs, dataclasses.replace(run, state=STOPPED, ended_seconds=time.time()))
        raise
    return run
