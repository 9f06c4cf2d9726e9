"""What a bundle's own program left with a scheduler or on nodes, whoever started it: known by `logs/job-id`."""

from __future__ import annotations

from crosszone.errors import Finding, PreflightFailed
from crosszone.launch.backends import SLURM, SSH, node_states
from crosszone.launch.bundle_folder import BundleFolder
from crosszone.launch.slurm import UNSEEN, job_state

JOB_FILE = "job-id"
STOP_HINT = "`./stop_training.sh` in its folder ends it."


def check_nothing_elsewhere(bundle: BundleFolder) -> None:
    """PreflightFailed where only the programs of this very bundle can follow and end what it started.

    A Slurm that cannot be asked from here, and nodes that cannot be seen, say nothing.
    """
    try:
        job = (bundle.logs / JOB_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return
    told, hint = _left(bundle, job)
    if told:
        raise PreflightFailed(Finding(code="runs_already", message=told, where=str(bundle.folder), hint=hint))


def _left(bundle: BundleFolder, job: str) -> tuple[str, str]:
    """(what is left, what to do); ("", "") where nothing is."""
    if bundle.backend == SLURM:
        found = job_state(job)
        is_left = not found.is_over and found.word != UNSEEN
        return (f"Slurm's job {job} is {found.word}.", STOP_HINT) if is_left else ("", "")
    if bundle.backend == SSH:
        running = [name for name, state in (node_states(bundle) or {}).items() if state == "runs"]
        return (f"{', '.join(running)} runs on its node.", STOP_HINT) if running else ("", "")
    hint = "`./stop_training.sh` in its folder does; where it is gone already, remove logs/job-id."
    return f"{job} was created from it, and not taken away.", hint
