"""`crosszone stop`."""

from __future__ import annotations

from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose
from crosszone.cli.run import EXIT_FAILED, BundleFolder

NOT_WELL = ("unsaved", "lost")


def stop(
    folder: BundleFolder,
    is_forced: Annotated[bool, typer.Option("--force", help="At once; nothing is saved.", show_default=False)] = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Stop the newest run of the bundle in DIR.

    Ranks are asked to end their step and save; what is left after the time that this may take is ended by force.
    Nothing happens where nothing runs. The exit code is 1 where a process cannot be ended or seen, as on the nodes of a
    bare bundle, or where the ranks could not save.
    """
    from crosszone import service
    from crosszone.cli import console

    found = service.stop_run(folder, is_forced=is_forced)
    if as_json:
        console.write_json(service.run_json(found))
    else:
        from crosszone.cli.show_run import run_view

        console.write(*run_view(found))
    if found.state in NOT_WELL:
        raise typer.Exit(EXIT_FAILED)
