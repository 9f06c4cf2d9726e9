"""`crosszone run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose

if TYPE_CHECKING:
    from crosszone.core.run import RunStatus

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
GOOD_STATES = ("running", "ended", "submitted")
"""Of a run that nobody asked to stop."""

BundleFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the bundle.")]


def run(
    folder: BundleFolder,
    python: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The Python of the ranks; $PYTHON, or the first with torch, if left out."),
    ] = None,
    is_detached: Annotated[
        bool, typer.Option("--detach", help="Leave it to itself once it is started.", show_default=False)
    ] = False,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Run a bundle whose files were edited.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Start the bundle in DIR and follow it to its end.

    Measured steps stand beside the predicted ones. Ctrl-C stops every rank, and a second one does it by force; with
    --detach, `status`, `logs` and `stop` go on from there. The exit code is 1 where the run fails, after the last lines
    of the rank that failed first; 2 where files of the bundle were edited, or checkpoints are of another run; 4 where
    Python, torch or GPUs are missing or it runs already.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.processes import signals_interrupt

    with signals_interrupt():
        started = service.start_run(folder, python=python, is_forced=is_forced)
        console.note(f"Started {started.world_size} ranks ({started.run_id}); their words go to {folder / 'logs'}.")
        found = service.run_status(folder) if is_detached else _followed(folder)
    if is_detached:
        console.note(f"`crosszone status {folder}` shows it, `crosszone stop {folder}` ends it.")
    if as_json:
        console.write_json(service.run_json(found))
    else:
        from crosszone.cli.show_run import failure_view, run_view

        console.write(*run_view(found))
        for line in failure_view(found):
            console.note(line)
    if found.measurement is not None:
        console.note(f"Wrote {folder / 'logs' / 'measurement.json'}")
    if found.state not in GOOD_STATES:
        raise typer.Exit(EXIT_FAILED)


def _followed(folder: Path) -> RunStatus:
    """How it ended. Whatever ends us ends the run: it was not started to be left behind."""
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.show_run import step_progress

    try:
        with step_progress() as show:
            for found in service.follow_run(folder):
                show(found)
            return found
    except KeyboardInterrupt:
        console.note("Stopping all ranks; Ctrl-C again does it by force.")
        try:
            stopped = service.stop_run(folder)
        except KeyboardInterrupt:
            stopped = service.stop_run(folder, is_forced=True)
        is_well = stopped.state == "stopped"
        console.note(f"Stopped at step {stopped.step or 0}; no process is left." if is_well else stopped.reason)
        raise typer.Exit(EXIT_INTERRUPTED if is_well else EXIT_FAILED) from None
