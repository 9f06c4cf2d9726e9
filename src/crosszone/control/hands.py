"""What drives a task outside the database: a folder that is rendered, looked at, started and stopped."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crosszone.control.evidence import Look
from crosszone.core.bundle import MANIFEST_PATH, Bundle
from crosszone.core.codec import from_json
from crosszone.core.path_watch import PathLook
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.run import RunStatus
from crosszone.core.task import Task
from crosszone.deploy.ranks import agents, rank_grid
from crosszone.errors import CrossZoneError, Finding
from crosszone.launch.backends import LOCAL, SSH, node_states
from crosszone.launch.bundle_folder import open_bundle
from crosszone.launch.scheduler import scheduler_look
from crosszone.launch.start import kept_idle, start
from crosszone.launch.status import status
from crosszone.launch.stop import stop
from crosszone.processes import is_alive, marked

CHECKPOINT_FOLDER = "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one attempt is to run."""

    nodes: tuple[str, ...]
    """Ids of the environments, the main one first; none where nodes are still to be rented."""
    port: int | None
    """At which ranks meet; None: the usual one."""
    checkpoint_folder: str
    """On this machine, shared by all attempts of the task: for backends that start ranks here."""


class Hands(Protocol):
    """What a driver can do. All of it may be done twice, and by somebody else than who began it.

    Errors of all but `look`: CrossZoneError, with what is wrong.
    """

    def render(self, task: Task, way: Way) -> Bundle:
        """The files of an attempt; nothing is written."""

    def write(self, bundle: Bundle, folder: Path) -> None:
        """Put them into the folder."""

    def preflight(self, folder: Path) -> Sequence[Finding]:
        """What stands in the way of starting it."""

    def start(self, folder: Path) -> None:
        """Start it; it goes on when this program ends."""

    def look(self, folder: Path) -> Look:
        """What can be seen of it; what cannot be seen is told, never raised."""

    def stop(self, folder: Path, *, is_forced: bool) -> RunStatus:
        """End it: asked first, then by force."""

    def paths(self, folder: Path, *, has_rates: bool) -> Sequence[PathLook]:
        """The paths between its nodes, where they can be looked at; `has_rates`: also how much goes through them."""


class LocalHands:
    """The real ones: bundles in folders of this machine, which start ranks here or reach nodes from here."""

    def __init__(
        self,
        render: Callable[[Task, Way], Bundle],
        preflight: Callable[[Path], Sequence[Finding]],
        paths: Callable[[Path, bool], Sequence[PathLook]],
    ) -> None:
        self._render, self._preflight, self._paths = render, preflight, paths

    def render(self, task: Task, way: Way) -> Bundle:
        """As `Hands` says."""
        return self._render(task, way)

    def write(self, bundle: Bundle, folder: Path) -> None:
        """As `Hands` says."""
        from crosszone.deploy.folder import write_bundle

        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with kept_idle(folder):
            write_bundle(bundle, folder)

    def preflight(self, folder: Path) -> Sequence[Finding]:
        """As `Hands` says."""
        return self._preflight(folder)

    def start(self, folder: Path) -> None:
        """As `Hands` says."""
        start(folder)

    def look(self, folder: Path) -> Look:
        """As `Hands` says."""
        try:
            return _look(folder)
        except CrossZoneError as error:
            return Look(status=None, reason=str(error))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return Look(status=None, reason=f"{type(error).__name__}: {error}.")

    def stop(self, folder: Path, *, is_forced: bool) -> RunStatus:
        """As `Hands` says."""
        return stop(folder, is_forced=is_forced)

    def paths(self, folder: Path, *, has_rates: bool) -> Sequence[PathLook]:
        """As `Hands` says."""
        return self._paths(folder, has_rates)


def _look(folder: Path) -> Look:
    bundle, found = open_bundle(folder), status(folder)
    run = found.run
    if run is None:
        return Look(status=found)
    num_processes = len(marked(run.run_id)) + is_alive(run.supervisor)
    nodes = None
    if bundle.backend == SSH and not num_processes:
        addresses = _addresses(folder)
        nodes = tuple((addresses.get(name, name), state) for name, state in (node_states(bundle) or {}).items())
    return Look(
        status=found,
        scheduler=None if num_processes else scheduler_look(bundle, run),
        # Where ranks are elsewhere, that none of their launchers is here proves nothing.
        num_processes=num_processes if bundle.backend in (LOCAL, SSH) or num_processes else None,
        nodes=nodes,
        grown_seconds=_grown_seconds(bundle.logs),
    )


def _grown_seconds(logs: Path) -> float | None:
    times = [path.stat().st_mtime for path in logs.glob("rank-*.jsonl")]
    return max(times, default=None)


def _addresses(folder: Path) -> dict[str, str]:
    """Where each launcher's node answers, by the launcher's name."""
    manifest = json.loads((folder / MANIFEST_PATH).read_text(encoding="utf-8"))
    cluster = from_json(Problem, manifest["problem"]).cluster
    found = agents(rank_grid(from_json(Plan, manifest["plan"]), cluster), cluster)
    return {agent.name: agent.address for agent in found if agent.address is not None}
