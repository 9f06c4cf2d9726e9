"""The process that stays with a run: `python -m crosszone.launch.supervisor DIR`, started by `launch.start`.

It starts the bundle's program, waits for it, sees that nothing is left behind, and writes how it ended. It lives in a
session of its own, so that who started the run may go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from crosszone.core.run import ENDED, FAILED, LOST, SUBMITTED, Run
from crosszone.errors import CrossZoneError
from crosszone.launch.backends import (
    LOCAL,
    OUTPUT_FILE,
    RANK_FOLDER,
    SLURM,
    SSH,
    SUBMITTING,
    fetch_logs,
    launchers,
    program_output,
)
from crosszone.launch.bundle_folder import RUN_PATH, STOP_PATH, BundleFolder, open_bundle
from crosszone.launch.ending import as_stopped
from crosszone.launch.failure import first_failure
from crosszone.launch.record import read_run, write_measurement, write_run
from crosszone.launch.slurm import JobState, follow_job, kill_job, submitted_job, wait_over
from crosszone.launch.step_log import measurement, rank_steps
from crosszone.processes import MARK, kill_marked, marked, send, wait_unmarked

FORCE = signal.SIGUSR1
"""Asks to end everything at once."""
WAIT_SECONDS = 0.2
ORPHAN_SECONDS = 5.0
"""For processes that ranks left behind. Chosen: they have nothing to save."""
FETCH_SECONDS = 10.0
"""Between two looks at the nodes' logs, as the bundle's own follower waits."""
TO_FILE_AND_CONSOLE = "3"
"""torchrun's `--tee`: output and errors of every rank into files of their own, and on."""


class Supervisor:
    """One run, from its start to its end."""

    def __init__(self, bundle: BundleFolder, run: Run) -> None:
        self.bundle, self.run = bundle, run
        self._is_stopping = self._is_forced = False
        self._is_all_stopped = True

    def supervise(self) -> None:
        """Start, wait, clear away, write down."""
        signal.signal(FORCE, self._force)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        with (self.bundle.folder / self.run.log_folder / OUTPUT_FILE).open("ab") as output:
            program = self._start(output.fileno())
            code: int | None = self._wait(program)
            if code == 0 and self.bundle.backend == SLURM and not self._is_stopping:
                code = self._follow_job()
        kill_marked(self.run.run_id)
        self._finish(code)

    def _start(self, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.bundle.folder / RUN_PATH)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **self._environment()},
            process_group=0,
        )

    def _environment(self) -> dict[str, str]:
        """What our start adds to the bundle's own variables.

        torchrun takes options from PET_* where its command line is silent (torch 2.13, distributed/argparse_util.py).
        """
        log_folder = self.bundle.folder / self.run.log_folder
        # Slurm gives a job the variables of whoever submits it; what it runs is not ours to end, even if it is here.
        mark = {} if self.bundle.backend == SLURM else {MARK: self.run.run_id}
        python = {"PYTHON": self.run.python} if self.bundle.backend == LOCAL else {}
        return {
            **mark,
            **python,
            "PYTHONUNBUFFERED": "1",
            "PET_LOG_DIR": str(log_folder / RANK_FOLDER),
            "PET_TEE": TO_FILE_AND_CONSOLE,
            "TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE": "[rank ${rank}] ",
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(int(self.run.grace_seconds)),
        }

    def _wait(self, program: subprocess.Popen[bytes]) -> int:
        """The exit code of the bundle's program, however it ended."""
        fetched = time.monotonic()
        while program.poll() is None and not self._is_stopping:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(WAIT_SECONDS)
            if self.bundle.backend == SSH and time.monotonic() - fetched > FETCH_SECONDS:
                self._fetch()
                fetched = time.monotonic()
        if self._is_stopping:
            self._end(program)
        return program.wait()

    def _end(self, program: subprocess.Popen[bytes]) -> None:
        """Ask the program's group to end, and force all that is left after the time of grace."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGTERM)
        if self.bundle.backend != LOCAL and self.bundle.has(STOP_PATH):
            self._stop_elsewhere()
        until = time.monotonic() + self.run.grace_seconds + ORPHAN_SECONDS  # torchrun itself forces its ranks before
        while program.poll() is None and not self._is_forced and time.monotonic() < until:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(WAIT_SECONDS)
        if program.poll() is not None and not self._is_forced:
            for pid in marked(self.run.run_id):  # what ranks started and left, which nobody has asked yet
                send(pid, signal.SIGTERM)
            wait_unmarked(self.run.run_id, within_seconds=ORPHAN_SECONDS)
        kill_marked(self.run.run_id)

    def _stop_elsewhere(self) -> None:
        """By the bundle's own program; what it says is part of the run's output."""
        with (self.bundle.folder / self.run.log_folder / OUTPUT_FILE).open("ab") as output:
            program = str(self.bundle.folder / STOP_PATH)
            stopping = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            while stopping.poll() is None and not (self._is_forced and self.run.job is not None):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    stopping.wait(WAIT_SECONDS)
            if stopping.poll() is None:  # it would give ranks time that they are not to have
                stopping.terminate()
        self._is_all_stopped = stopping.wait() == 0

    def _follow_job(self) -> int | None:
        """The exit code of the job that was submitted; None where Slurm no longer knows it."""
        job = submitted_job(self.bundle.folder / self.run.log_folder / OUTPUT_FILE)
        if job is None:
            return 0
        self.run = dataclasses.replace(self.run, job=job)
        found = follow_job(job, is_stopping=lambda: self._is_stopping, on_change=self._note_job)
        if not self._is_stopping:
            return found.exit_code
        if self.bundle.has(STOP_PATH) and not self._is_forced:
            self._stop_elsewhere()
        if self._is_forced:
            kill_job(job)
        found = wait_over(job)
        self._note_job(found)
        self._is_all_stopped = found.is_over
        return found.exit_code

    def _note_job(self, found: JobState) -> None:
        self.run = dataclasses.replace(self.run, job_state=found.word)
        write_run(self.bundle.logs, self.run)

    def _finish(self, code: int | None) -> None:
        is_fetched = self._fetch()
        ranks = rank_steps(self.bundle.logs, self.run.log_sizes)
        write_measurement(self.bundle.logs, measurement(ranks))
        if self._is_stopping:
            is_seen = self._is_all_stopped and is_fetched
            ended = as_stopped(self.run, ranks, is_forced=self._is_forced, is_seen=is_seen, exit_code=code)
        else:
            ended = self._ended(code)
        write_run(self.bundle.logs, ended)

    def _ended(self, code: int | None) -> Run:
        """The record of a run that ended by itself."""
        failure = None
        if code is None:
            state = LOST
        elif code == 0:
            is_handed_over = self.bundle.backend in SUBMITTING and self.run.job is None
            state = SUBMITTED if is_handed_over else ENDED
        else:
            state = FAILED
            failure = first_failure(
                launchers(self.bundle, self.run),
                output=program_output(self.bundle, self.run),
                folder=self.bundle.folder,
                exit_code=code,
            )
        return dataclasses.replace(self.run, state=state, ended_seconds=time.time(), exit_code=code, failure=failure)

    def _fetch(self) -> bool:
        is_fetched = fetch_logs(self.bundle)
        if not is_fetched:
            sys.stderr.write("cannot fetch the logs of all nodes\n")
        return is_fetched

    def _stop(self, number: int, frame: object) -> None:
        self._is_stopping = True

    def _force(self, number: int, frame: object) -> None:
        self._is_stopping = self._is_forced = True


def main(arguments: list[str]) -> int:
    """Supervise the run that `logs/run.json` names, as soon as a word on standard input says that it is written."""
    if not sys.stdin.readline():
        return 0  # who wanted the run went away before it began
    bundle = open_bundle(Path(arguments[0]))
    run = read_run(bundle.logs)
    if run is None:
        return 1
    try:
        Supervisor(bundle, run).supervise()
    except BaseException:
        for pid in marked(run.run_id):
            send(pid, signal.SIGKILL)
        write_run(bundle.logs, dataclasses.replace(run, state=FAILED, ended_seconds=time.time()))
        raise
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CrossZoneError as error:
        sys.exit(f"error: {error}")
