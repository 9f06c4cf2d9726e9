"""`crosszone restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.database import DatabaseAddress, backup_lines
from crosszone.cli.options import AsJson, IsVerbose


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `crosszone backup` wrote.")],
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Fill an empty database with a backup.

    Whichever kind of database it was made of, and also of an older version. Nothing is written where there are data
    already (exit code 1), or where the file is damaged (2). The exit code is 4 where the database does not answer.
    """
    from crosszone import service
    from crosszone.cli import console

    found = service.restore(file, database=database)
    if as_json:
        console.write_json(service.backup_json(found))
    else:
        console.write_text(backup_lines(found, "Restored"))
