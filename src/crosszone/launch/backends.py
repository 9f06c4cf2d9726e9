"""What differs between backends for whoever starts, follows and stops a bundle."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from crosszone.core.run import Run
from crosszone.errors import CrossZoneError, InfeasiblePlan
from crosszone.launch.bundle_folder import FETCH_PATH, RUN_PATH, STATUS_PATH, BundleFolder
from crosszone.launch.failure import LauncherOutput
from crosszone.launch.step_log import AGENT_LOGS
from crosszone.processes import answer_of

LOCAL, SSH, SLURM = "local", "ssh", "slurm"
SUBMITTING = (SLURM,)
"""Backends whose `run_training.sh` hands a job over, and ends. Those of all others end when the training does."""
OUTPUT_FILE, RANK_FOLDER = "output.log", "ranks"
JOB_LOG = "slurm-{job}.log"
"""What a Slurm job itself says."""
STARTED_AGENT, ALL_STARTED = (
    re.compile(r"^starting (agent-\d+) on ", re.MULTILINE),
    re.compile(r"^following;", re.MULTILINE),
)
"""What `run_training.sh` of an ssh bundle says before it starts a node, and once all are started."""
NODES_SECONDS = 600.0
"""For a program that speaks to all nodes. Chosen: a node that is away costs its connection's time-out."""
TIMED_OUT_EXIT_CODE = 124
"""As timeout(1) reports a program that it ended."""


def can_run(bundle: BundleFolder) -> bool:
    """Whether one program starts all of it, and not a person on each node."""
    return bundle.has(RUN_PATH)


def check_can_run(bundle: BundleFolder) -> None:
    """InfeasiblePlan where the bundle is one to be started by hand."""
    if not can_run(bundle):
        raise InfeasiblePlan.of(
            f"a bundle of the backend {bundle.backend} has a program per node, and none that starts them all.",
            where=str(bundle.folder),
            hint="README.md says what to start where; `crosszone deploy --backend ssh` starts all from here.",
            code="no_run_program",
        )


def launchers(bundle: BundleFolder, run: Run) -> tuple[LauncherOutput, ...]:
    """What every launcher of a run left on this machine."""
    folder = bundle.folder / run.log_folder
    if bundle.backend == SSH:
        names = _started_agents(folder / OUTPUT_FILE)
        return tuple(LauncherOutput(log=bundle.logs / f"{name}.log", ranks=bundle.logs / name) for name in names)
    if bundle.backend == SLURM:
        # Whose folder of ranks is whose nobody says, but all ranks' words are in the logs, which earlier runs began.
        begins = dict(run.log_sizes)
        return tuple(
            LauncherOutput(log=path, ranks=bundle.logs / path.stem, begins=begins.get(path.name, 0))
            for path in sorted(bundle.logs.glob(AGENT_LOGS))
            if path.stat().st_size > begins.get(path.name, 0)
        )
    return (LauncherOutput(log=folder / OUTPUT_FILE, ranks=folder / RANK_FOLDER),)


def program_output(bundle: BundleFolder, run: Run) -> Path:
    """Where the program that starts the ranks says why it did not: the run's own, or its job's."""
    of_job = bundle.logs / JOB_LOG.format(job=run.job)
    return of_job if run.job is not None and of_job.is_file() else bundle.folder / run.log_folder / OUTPUT_FILE


def fetch_logs(bundle: BundleFolder) -> bool:
    """Bring the nodes' logs here, where a bundle knows how; whether all came."""
    return not bundle.has(FETCH_PATH) or _program(bundle, FETCH_PATH).returncode == 0


def node_states(bundle: BundleFolder) -> dict[str, str] | None:
    """What every node says of its launcher, by its name: `runs`, `gone`, `never`, `unseen` or its exit code.

    None where the bundle cannot ask.
    """
    if not bundle.has(STATUS_PATH):
        return None
    lines = [line.split() for line in _program(bundle, STATUS_PATH).stdout.splitlines()]
    return {words[0]: words[-1] for words in lines if len(words) == 3}  # name, address, state


def run_program(bundle: BundleFolder, path: str) -> None:
    """One of the bundle's programs, waited for. Errors: CrossZoneError with what it said where it fails."""
    done = _program(bundle, path)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split("\n")[-4:]).strip()
        raise CrossZoneError.of(f"it ended with {done.returncode}: {said}", where=str(bundle.folder / path))


def _started_agents(output: Path) -> tuple[str, ...]:
    """Whose logs are this run's: nodes keep those of an earlier one until they are started again."""
    try:
        text = output.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    names = tuple(dict.fromkeys(STARTED_AGENT.findall(text)))
    return names if ALL_STARTED.search(text) else names[:-1]


def _program(bundle: BundleFolder, path: str) -> subprocess.CompletedProcess[str]:
    """One of the bundle's programs, which fails where it does not end in time, as a node that is away may cause."""
    command, limit = [str(bundle.folder / path)], NODES_SECONDS + bundle.grace_seconds
    try:
        return answer_of(command, seconds=limit)
    except subprocess.TimeoutExpired:
        said = f"it was ended after {limit:g} s: a node does not answer"
        return subprocess.CompletedProcess(command, TIMED_OUT_EXIT_CODE, stdout="", stderr=said)
