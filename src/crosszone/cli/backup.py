"""`crosszone backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.database import DatabaseAddress, backup_lines
from crosszone.cli.options import AsJson, IsVerbose


def backup(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the backup.")],
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Save all that a server keeps in one file.

    It may go on serving meanwhile: what is saved is all as of one moment. The file appears when it is whole, and only
    its owner may read it; tokens are in it as digests alone. The exit code is 4 where the database does not answer.
    """
    from crosszone import service
    from crosszone.cli import console

    found = service.backup(output, database=database)
    if as_json:
        console.write_json(service.backup_json(found))
    else:
        console.write_text(backup_lines(found, f"Saved to {output}"))
