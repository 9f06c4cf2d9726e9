"""`crosszone status`."""

from __future__ import annotations

import typer

from crosszone.cli.options import AsJson, IsVerbose
from crosszone.cli.run import EXIT_FAILED, BundleFolder

BAD_STATES = ("failed", "unsaved", "lost")


def status(folder: BundleFolder, as_json: AsJson = False, is_verbose: IsVerbose = False) -> None:
    """Show how the newest run of the bundle in DIR stands.

    Its state is `never_started`, `running`, `ended`, `failed`, `stopped`, `unsaved` (stopped, but its checkpoint could
    not be written), `submitted` (to a scheduler that does not tell), `lost` (its processes are gone, or its nodes
    cannot be seen, and nobody wrote how it ended) or `unfollowed` (its nodes are started by hand). The exit code is 1
    where it is failed, unsaved or lost.
    """
    from crosszone import service
    from crosszone.cli import console

    found = service.run_status(folder)
    if as_json:
        console.write_json(service.run_json(found))
    else:
        from crosszone.cli.show_run import failure_view, run_view

        console.write(*run_view(found))
        for line in failure_view(found):
            console.note(line)
    if found.state in BAD_STATES:
        raise typer.Exit(EXIT_FAILED)
