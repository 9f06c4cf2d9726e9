"""From a validated task to ranks that are started: rendered, kept, written, looked at."""

from __future__ import annotations

import json
from pathlib import Path

from crosszone.control import attempts
from crosszone.control.ending import finish
from crosszone.control.hands import CHECKPOINT_FOLDER, Way
from crosszone.control.session import Session
from crosszone.core.bundle import MANIFEST_PATH, Bundle
from crosszone.core.preflight import PORT_IN_USE
from crosszone.core.task import (
    DEPLOYED,
    EXPORT,
    FAILED,
    PREFLIGHT,
    SIMULATE,
    STARTING,
    SUCCEEDED,
    Attempt,
    Cause,
    Task,
)
from crosszone.errors import CrossZoneError
from crosszone.store import deployments
from crosszone.store.database import Connection
from crosszone.store.deployments import Deployment, deployment_id

MOST_PORTS = 10
"""That are tried. Chosen: who has ten ports in a row taken has another problem."""


def deploy(session: Session, task: Task, attempt: Attempt | None) -> float | None:
    """Render what a validated task comes to."""
    if task.launch_mode == SIMULATE:
        return _simulated(session, task)
    try:
        bundle = render(session, task, attempt)
    except CrossZoneError as error:
        return finish(session, FAILED, caused(error, "not_deployed"))
    with session.writing() as connection:
        made = keep(connection, session, task, bundle)
        cause = Cause(code="rendered", text=f"{len(bundle.files)} files for {made.framework} over {made.backend}.")
        session.move(connection, DEPLOYED, cause, deployment_id=made.id, prediction=made.prediction)
    return 0.0


def check(session: Session, task: Task, attempt: Attempt | None) -> float | None:
    """Go on from the files: to their end where only they were asked for, else to the look at the nodes."""
    if task.launch_mode == EXPORT or attempt is None:
        return finish(session, SUCCEEDED, Cause(code="exported", text="The files are what was asked for."))
    with session.writing() as connection:
        session.move(connection, PREFLIGHT, Cause(code="looking", text="The nodes are looked at."))
    return 0.0


def preflight(session: Session, task: Task, attempt: Attempt | None) -> float | None:
    """Look at the nodes, and let ranks be started where nothing stands in the way."""
    fault, bundle = look_at_nodes(session, task, attempt)
    if fault is not None:
        return finish(session, FAILED, fault)
    with session.writing() as connection:
        changed = {} if bundle is None else {"deployment_id": keep(connection, session, task, bundle).id}
        cause = Cause(code="ready", text="Nothing stands in the way.")
        session.move(connection, STARTING, cause, **changed)
        session.move_attempt(connection, STARTING, cause)
    return 0.0


def look_at_nodes(session: Session, task: Task, attempt: Attempt | None) -> tuple[Cause | None, Bundle | None]:
    """(what stands in the way of starting an attempt, its files where they had to be rendered again).

    A port at which somebody else listens is left to them.
    """
    assert attempt is not None, "what is started has an attempt"
    bundle = None
    try:
        for _ in range(MOST_PORTS):
            found = session.place.hands.preflight(folder_of(attempt))
            if {each.code for each in found} != {PORT_IN_USE}:
                break
            with session.writing() as connection:
                attempts.take_next_port(connection, attempt, now_seconds=session.now_seconds)
            bundle = render(session, task, attempt)
    except CrossZoneError as error:
        return caused(error, "preflight_failed"), None
    text = " ".join(str(each) for each in found)
    return (Cause(code="preflight_failed", text=text) if found else None), bundle


def render(session: Session, task: Task, attempt: Attempt | None) -> Bundle:
    """The files of an attempt, written where it has a folder. CrossZoneError where they cannot be."""
    place, nodes, port = session.place, tuple(_nodes(task)), None
    if attempt is not None:
        with place.state.reading() as connection:
            nodes, port = attempts.nodes_of(connection, attempt), attempts.port_of(connection, attempt)
    checkpoints = place.root / task.id / CHECKPOINT_FOLDER
    bundle = place.hands.render(task, Way(nodes=nodes, port=port, checkpoint_folder=str(checkpoints)))
    if attempt is not None:
        place.hands.write(bundle, folder_of(attempt))
    return bundle


def keep(connection: Connection, session: Session, task: Task, bundle: Bundle) -> Deployment:
    """Keep the files as a deployment; the same files are kept once."""
    manifest = json.loads(bundle.text(MANIFEST_PATH))
    made = Deployment(
        id=deployment_id(bundle.files),
        framework=manifest["framework"],
        backend=manifest["request"]["backend"],
        world_size=bundle.launch.world_size,
        job=task.job or {},
        request=manifest["request"],
        prediction=manifest["prediction"],
        warnings=bundle.warnings,
        owner=task.owner,
        created_seconds=session.now_seconds,
    )
    return deployments.add(connection, made, bundle.files)


def caused(error: CrossZoneError, code: str) -> Cause:
    """The cause that an error is."""
    return Cause(code=code, text=" ".join(str(each) for each in error.findings))


def folder_of(attempt: Attempt | None) -> Path:
    """Where an attempt is rendered."""
    assert attempt is not None, "what is started has an attempt"
    assert attempt.folder is not None, "an attempt of ours has a folder"
    return Path(attempt.folder)


def _simulated(session: Session, task: Task) -> float | None:
    if task.prediction is None:
        cause = Cause(code="not_predicted", text=" ".join(task.warnings) or "Nothing can be predicted of it.")
        return finish(session, FAILED, cause)
    return finish(session, SUCCEEDED, Cause(code="predicted", text="The prediction is what was asked for."))


def _nodes(task: Task) -> list[str]:
    return [node.environment_id for node in task.nodes if node.environment_id is not None]
