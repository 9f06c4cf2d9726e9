"""A job that Slurm has: asked for by its number, followed until it is over, ended. What it does not tell is not known.

Read for this: scontrol(1), sacct(1), scancel(1) and the job states of squeue(1), of Slurm 22.05, whose programs the
tests run.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from crosszone.processes import answer_of

SUBMITTED_JOB = re.compile(r"^job (\d+);", re.MULTILINE)
"""What `run_training.sh` of a Slurm bundle says once sbatch has taken it."""
OVER = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)
"""States from which a job only returns by being put back into the queue, which makes it PENDING."""
COMPLETED, UNSEEN, FORGOTTEN = "COMPLETED", "unseen", "forgotten"
"""Slurm's own word, and two of ours: it cannot be asked; it does not know the job any more, and keeps no accounts."""
NO_SUCH_JOB = "Invalid job id"
PART = re.compile(r"\bJobState=(?P<word>\w+).*?\bExitCode=(?P<code>\d+):(?P<number>\d+)")
"""Of each component, in the output of `scontrol show job --oneliner`."""
ACCOUNT = re.compile(r"^(?P<word>\w+)[^|]*\|(?P<code>\d+):(?P<number>\d+)$", re.MULTILINE)
ASK_SECONDS = 60.0
"""For one answer. Chosen: a busy controller takes seconds."""
FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, PAUSE_FACTOR = 1.0, 15.0, 1.5
"""Between two questions, longer while nothing changes. Chosen: many runs may ask one controller."""
WAIT_SECONDS = 0.2
OVER_SECONDS = 60.0
"""For Slurm to take away a job that was ended: its KillWait is 30 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """How a job stands."""

    word: str
    """Slurm's, or one of ours."""
    exit_code: int | None = None
    """Minus the signal that ended it, where one did; None until it is over, or where nobody knows it."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.word in OVER or self.word == FORGOTTEN


def submitted_job(output: Path) -> str | None:
    """The number of the job that a run's program submitted; None where it does not say."""
    found = SUBMITTED_JOB.search(output.read_text(encoding="utf-8", errors="replace"))
    return None if found is None else found[1]


def job_state(job: str) -> JobState:
    """Of all components together. The controller knows a job for some minutes after its end, the accounts longer."""
    code, said = _ask("scontrol", "show", "job", job, "--oneliner")
    if code == 0 and (parts := list(PART.finditer(said))):
        return _whole(parts)
    if NO_SUCH_JOB not in said:
        return JobState(word=UNSEEN)
    _, said = _ask("sacct", "--noheader", "--allocations", "--parsable2", "--format=State,ExitCode", f"--jobs={job}")
    return _whole(ACCOUNT.finditer(said))


def follow_job(job: str, *, is_stopping: Callable[[], bool], on_change: Callable[[JobState], None]) -> JobState:
    """Ask until the job is over or `is_stopping`; `on_change` hears of every new state. A silent Slurm is asked on."""
    before, pause_seconds = None, FIRST_PAUSE_SECONDS
    while True:
        found = job_state(job)
        if found != before:
            on_change(found)
            before, pause_seconds = found, FIRST_PAUSE_SECONDS
        if found.is_over:
            return found
        until = time.monotonic() + pause_seconds
        while time.monotonic() < until:
            if is_stopping():
                return found
            time.sleep(WAIT_SECONDS)
        pause_seconds = min(PAUSE_FACTOR * pause_seconds, MOST_PAUSE_SECONDS)


def kill_job(job: str) -> None:
    """End it at once: what runs, and what waits."""
    _ask("scancel", "--full", "--signal=KILL", job)
    _ask("scancel", job)


def wait_over(job: str, *, within_seconds: float = OVER_SECONDS) -> JobState:
    """How the job stands once it is over, or when time is."""
    until = time.monotonic() + within_seconds
    return follow_job(job, is_stopping=lambda: time.monotonic() > until, on_change=lambda found: None)


def _whole(parts: Iterable[re.Match[str]]) -> JobState:
    """The components of a job end together; the first that did not end well says how."""
    found = [(part["word"], int(part["code"]) or -int(part["number"])) for part in parts]
    if not found:
        return JobState(word=FORGOTTEN)
    live = [word for word, _ in found if word not in OVER]
    if live:
        return JobState(word="RUNNING" if "RUNNING" in live else live[0])
    word, code = next((each for each in found if each[0] != COMPLETED), found[0])
    return JobState(word=word, exit_code=0 if word == COMPLETED else code or 1)


def _ask(*command: str) -> tuple[int | None, str]:
    """(exit code, what it said); None where it cannot be run, or does not answer."""
    try:
        done = answer_of(command, seconds=ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None, ""
    return done.returncode, done.stdout + done.stderr
