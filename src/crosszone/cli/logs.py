"""`crosszone logs`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose, number_from
from crosszone.cli.run import BundleFolder


def logs(
    folder: BundleFolder,
    rank: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=number_from(0, "--rank", 1), help="Only what rank N said.", show_default=False
        ),
    ] = None,
    is_following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run is over.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Print what the newest run of the bundle in DIR said.

    All ranks in the order in which they spoke, each line with its rank; or one rank's own output and errors, of its
    newest start. With --json, one string a line.
    """
    import json

    from crosszone import service
    from crosszone.cli import console

    has_spoken = False
    for line in service.run_log(folder, rank=rank, is_following=is_following):
        has_spoken = True
        console.write_text(json.dumps(line.rstrip("\n")) + "\n" if as_json else line)
        if is_following:
            sys.stdout.flush()
    if rank is not None and not has_spoken:
        console.note(f"rank {rank} has said nothing; the steps that it logs are in {folder}/logs/rank-{rank}.jsonl.")
