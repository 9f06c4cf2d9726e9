"""The files of one attempt of a task: its job on the nodes that are left, and what its request says of a start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crosszone.errors import PreflightFailed

if TYPE_CHECKING:
    from crosszone.control.hands import Way
    from crosszone.core.bundle import Bundle
    from crosszone.core.environment import Environment
    from crosszone.core.task import Task

LOCAL, SSH, RENTED = "local", "ssh", "skypilot"
HERE = ("127.0.0.1", "::1", "localhost")
"""Addresses that are this machine's, whatever it is called."""


def task_bundle(task: Task, way: Way, environments: Sequence[Environment]) -> Bundle:
    """The files of an attempt on `environments`, in the order of their ranks; none where nodes are to be rented.

    Errors: as `deploy` has them; PreflightFailed where the task's model is not known here.
    """
    from crosszone.planner.complete import complete
    from crosszone.service.deployments import deploy
    from crosszone.service.verbs import read

    if task.job is None:
        raise PreflightFailed.of("its model is not known here, so that nothing can be rendered.", where=task.id)
    options = task.request.get("deployment") or {}
    backend = options.get("backend") or default_backend(environments)
    problem = read(attempt_job(task, environments))
    plan = complete(problem)
    return deploy(
        problem,
        framework=plan.framework,
        backend=backend,
        plan=plan,
        device=options.get("device") or "cuda",
        num_steps=options.get("steps"),
        data=options.get("data"),
        checkpoints=options.get("checkpoints") or (way.checkpoint_folder if backend == LOCAL else None),
        port=way.port,
    )


def attempt_job(task: Task, environments: Sequence[Environment]) -> dict[str, Any]:
    """The job file of an attempt: the task's own where it has all of its nodes in their order.

    With fewer of them, degrees that were asked for may not divide what is left, so that a plan is searched; the batch
    stays, and with it the mathematics.
    """
    from crosszone.spec.clusters import cluster_keys

    job = dict(task.job or {})
    meant = [node.environment_id for node in task.nodes if node.environment_id]
    chosen = [each.id for each in environments]
    if chosen == meant:
        return job
    zones = {each.zone for each in environments}
    cluster = cluster_keys(environments, {})
    links = [link for link in job["cluster"].get("links", []) if _ends(link) <= zones]
    rest = {key: value for key, value in job["cluster"].items() if key not in ("zones", "links")}
    job["cluster"] = {**rest, **cluster, **({"links": links} if links else {})}
    if set(chosen) != set(meant):
        job.pop("plan", None)
    return job


def default_backend(environments: Sequence[Environment]) -> str:
    """What starts ranks on these nodes where nobody says: local processes where they are all this machine."""
    if not environments:
        return RENTED
    addresses = {address for each in environments for address in each.addresses}
    return LOCAL if addresses <= set(HERE) else SSH


def _ends(link: Mapping[str, Any]) -> set[str]:
    return {str(end) for end in (*link.get("between", ()), link.get("from"), link.get("to")) if end is not None}
