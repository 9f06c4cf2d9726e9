"""`crosszone init`."""

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose


def init(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help='Where to write it; standard output if left out or "-".')
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite PATH.", show_default=False)] = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Write a first job file, with comments.

    It plans as it is: change it to your model, zones and links.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.errors import SpecError

    text = service.starter_job()
    if path is None or str(path) == console.STDIN:
        console.write_json({"path": None, "text": text}) if as_json else console.write_text(text)
        return
    console.check_can_write(path)
    try:
        # "x" fails where the file exists: asking first would leave a moment in between.
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SpecError.of(
            f"{path} exists.", where=str(path), hint="Choose another PATH, or --force to overwrite it.", code="exists"
        ) from None
    if as_json:
        console.write_json({"path": str(path), "text": text})
    else:
        console.note(f"Wrote {path}. Next: crosszone plan {path}")
