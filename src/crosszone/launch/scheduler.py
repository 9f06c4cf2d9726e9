"""What a scheduler says of the job that it has of a run: Slurm's controller, or a Kubernetes cluster through kubectl.

Read for this: the conditions of JobSet (jobset.x-k8s.io/v1alpha2) and TrainJob (trainer.kubeflow.org/v1alpha1), and the
phases of pods (Kubernetes, "Pod Lifecycle"), which kubelets tell: that of a node which is gone stays as it was.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from crosszone.core.run import Run
from crosszone.launch.backends import SLURM
from crosszone.launch.bundle_folder import RUN_PATH, BundleFolder
from crosszone.launch.elsewhere import JOB_FILE
from crosszone.launch.slurm import FORGOTTEN, UNSEEN, job_state

KUBERNETES = "kubernetes"
RUNS, ENDED, FAILED, CANCELLED, UNKNOWN = "runs", "ended", "failed", "cancelled", "unknown"
"""`cancelled`: a person ended it."""
SLURM_CANCELLED = "CANCELLED"
GOOD_CONDITIONS, BAD_CONDITIONS = ("Complete", "Completed"), ("Failed",)
PHASES_OVER = ("Succeeded", "Failed")
SELECTOR = re.compile(r"^all=([\w./=-]+)$", re.MULTILINE)
"""Of all pods of the job, in the program that starts it."""
ASK_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerLook:
    """What a scheduler says of a job."""

    state: str
    """runs | ended | failed | cancelled | unknown: it cannot be asked, or knows nothing of it."""
    told: str
    """One sentence."""
    num_alive: int | None = None
    """Pods that are not over, as the nodes say themselves; None where nobody can be asked but the scheduler."""

    @property
    def is_over(self) -> bool:
        """Whether it says that nothing of the job is left to wait for."""
        return self.state in (ENDED, FAILED, CANCELLED)


def scheduler_look(bundle: BundleFolder, run: Run) -> SchedulerLook | None:
    """What is said of the job of a run; None where no scheduler that can be asked has it."""
    if bundle.backend == SLURM and run.job is not None:
        return _of_slurm(run.job)
    return _of_kubernetes(bundle) if bundle.backend == KUBERNETES else None


def _of_slurm(job: str) -> SchedulerLook:
    found = job_state(job)
    told = f"Slurm's job {job} is {found.word}."
    if found.word in (UNSEEN, FORGOTTEN):
        return SchedulerLook(state=UNKNOWN, told=told)
    if not found.is_over:
        return SchedulerLook(state=RUNS, told=told)
    if found.word == SLURM_CANCELLED:
        return SchedulerLook(state=CANCELLED, told=told)
    return SchedulerLook(state=ENDED if found.exit_code == 0 else FAILED, told=told)


def _of_kubernetes(bundle: BundleFolder) -> SchedulerLook | None:
    try:
        kind, name = (bundle.logs / JOB_FILE).read_text(encoding="utf-8").split()
        selector = SELECTOR.search((bundle.folder / RUN_PATH).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no job was created, or it was taken away
        return None
    job = _get(kind, name)
    pods = _get("pods", f"--selector={selector[1]}") if selector is not None else None
    num_alive = None if pods is None else sum(_phase(pod) not in PHASES_OVER for pod in pods.get("items", ()))
    if job is None:
        return SchedulerLook(state=UNKNOWN, told=f"Kubernetes says nothing of {kind} {name}.", num_alive=num_alive)
    given = [each for each in job.get("status", {}).get("conditions", ()) if each.get("status") == "True"]
    types = {each.get("type") for each in given}
    state = ENDED if types.intersection(GOOD_CONDITIONS) else FAILED if types.intersection(BAD_CONDITIONS) else RUNS
    told = f"Kubernetes' {kind} {name} is {', '.join(sorted(map(str, types))) or 'created'}."
    return SchedulerLook(state=state, told=told, num_alive=num_alive)


def _phase(pod: Any) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _get(*what: str) -> dict[str, Any] | None:
    """One object or list of the cluster that the bundle's programs ask, too; None where nothing is said."""
    options = [("--context", os.environ.get("KUBE_CONTEXT")), ("--namespace", os.environ.get("NAMESPACE"))]
    chosen = [f"{option}={value}" for option, value in options if value]
    command = ["kubectl", *chosen, "get", *what, "--output=json", f"--request-timeout={ASK_SECONDS:.0f}s"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * ASK_SECONDS, check=True
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found if isinstance(found, dict) else None
