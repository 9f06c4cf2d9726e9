"""The worker that drives tasks, and what can be asked of the tasks that it drives."""

from __future__ import annotations

import os
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crosszone.core.preflight import ERROR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosszone.control.hands import Way
    from crosszone.control.worker import Worker
    from crosszone.core.bundle import Bundle
    from crosszone.core.path_watch import PathLook
    from crosszone.core.task import Task
    from crosszone.errors import Finding
    from crosszone.store.opened import Store

LOCAL, SSH = "local", "ssh"
LOOKED_AT = (LOCAL, SSH)
"""Backends whose nodes are known, and reached from here, before they start anything."""
WATCH_SECONDS = 0.2
"""Of traffic, where the paths of a run are looked at: it is the run's own that they are for."""
FOLDER = "tasks"
"""Of bundles, checkpoints and logs, beside the database, or among this user's data."""


def worker(store: Store, *, folder: str | Path | None = None) -> Worker:
    """A worker of this process; `run` of it drives tasks until `end` is called.

    `folder`: where bundles, checkpoints and logs are kept; all workers of a database need the same.
    """
    from crosszone.control.hands import LocalHands
    from crosszone.control.session import Place
    from crosszone.control.worker import Worker

    place = Place(
        name=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        state=store.state,
        telemetry=store.telemetry,
        root=task_folder(store, folder),
        hands=LocalHands(lambda task, way: _bundle(store, task, way), _preflight, _paths),
        clock=time.time,
    )
    return Worker(place)


def task_folder(store: Store, folder: str | Path | None = None) -> Path:
    """Where the tasks of a store are rendered, unless somebody says."""
    from crosszone.store.opened import default_folder

    if folder is not None:
        return Path(folder).absolute()
    beside = Path(str(store.state.url.database)).parent if store.state.is_sqlite else default_folder()
    return beside.absolute() / FOLDER


def _bundle(store: Store, task: Task, way: Way) -> Bundle:
    from crosszone.service.task_bundle import task_bundle
    from crosszone.store import environments as inventory

    with store.state.reading() as connection:
        found = inventory.several(connection, way.nodes)
    return task_bundle(task, way, found)


def _preflight(folder: Path) -> Sequence[Finding]:
    """What stands in the way of starting a bundle; warnings do not. Nodes of a scheduler are its own to look at."""
    from crosszone.errors import Finding
    from crosszone.launch.bundle_folder import open_bundle
    from crosszone.service.preflights import preflight, probe_request

    if open_bundle(folder).backend not in LOOKED_AT:
        return []
    report = preflight(probe_request(folder))
    return [
        Finding(code=each.code, message=each.message, where=each.where, hint=each.fix)
        for each in report.findings
        if each.severity == ERROR
    ]


def _paths(folder: Path, has_rates: bool) -> Sequence[PathLook]:
    """The paths between the nodes of a bundle that are reached from here, beside what its job has of them."""
    from dataclasses import replace

    from crosszone.core.path_watch import look_along
    from crosszone.launch.bundle_folder import open_bundle
    from crosszone.launch.preflight.look import watch
    from crosszone.service.preflights import probe_request

    if open_bundle(folder).backend != SSH:
        return ()
    request = replace(probe_request(folder), port=None, window_seconds=WATCH_SECONDS)
    if len(request.nodes) < 2:
        return ()
    seen = watch(request, {}, has_rates=has_rates)
    node = {each.index: each for each in request.nodes}
    planned = {(link.from_zone, link.to_zone): link for link in request.links}
    found = []
    for pair, path in sorted(seen.paths.items()):
        start, end = (node[index] for index in pair)
        link = planned.get((start.zone, end.zone))
        look = look_along(path, (start.address or "", start.zone), (end.address or "", end.zone))
        found.append(
            replace(
                look,
                planned_rtt_seconds=None if link is None else 2 * link.latency_seconds,
                planned_bytes_per_second=None if link is None else link.bytes_per_second,
            )
        )
    return found
