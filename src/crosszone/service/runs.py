"""Runs: a bundle started through its backend, followed, and stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosszone.core.run import Run, RunStatus


def start_run(folder: str | Path, *, python: str | None = None, is_forced: bool = False) -> Run:
    """Start the bundle in `folder`; it goes on when this program ends.

    `python`: the interpreter of the ranks; `$PYTHON`, this one where it has torch, or `python3`.

    Errors: SpecError where there is no bundle, or its files were edited and `is_forced` is not set; InfeasiblePlan
    where its backend has nothing to start; PreflightFailed where Python, torch or GPUs are missing, or it runs already.
    """
    from crosszone.launch.start import start

    return start(Path(folder), python=python, is_forced=is_forced)


def follow_run(folder: str | Path, *, every_seconds: float = 0.5) -> Iterator[RunStatus]:
    """How the newest run in `folder` stands, again and again until it is over. SpecError where there is no bundle."""
    from crosszone.launch.status import follow

    return follow(Path(folder), every_seconds=every_seconds)


def run_status(folder: str | Path) -> RunStatus:
    """How the newest run in `folder` stands. SpecError where there is no bundle."""
    from crosszone.launch.status import status

    return status(Path(folder))


def stop_run(folder: str | Path, *, is_forced: bool = False) -> RunStatus:
    """End the newest run in `folder`, and how it stands then; by force after its time of grace, or at once.

    Errors: SpecError where there is no bundle, CrossZoneError where something cannot be ended.
    """
    from crosszone.launch.stop import stop

    return stop(Path(folder), is_forced=is_forced)


def run_log(folder: str | Path, *, rank: int | None = None, is_following: bool = False) -> Iterator[str]:
    """What the newest run in `folder` said, line by line: all ranks, or one; with `is_following` until it is over.

    SpecError where there is no bundle, run or rank.
    """
    from crosszone.launch.logs import log_text

    return log_text(Path(folder), rank=rank, is_following=is_following)


def run_json(status: RunStatus) -> dict[str, Any]:
    """Run JSON: the state, the record of the run, its steps so far, and the prediction beside what was measured."""
    from crosszone.core.codec import to_json

    return {"schema_version": 1, **to_json(status)}
