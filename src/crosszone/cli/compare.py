"""`crosszone compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULT",
            help="Saved JSON of `predict` or `plan`, one plan of a file as PLANS.json#2, or bundles' folders.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write every value here instead: *.csv or *.parquet; one RESULT is enough.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Put saved predictions, plans and runs side by side.

    Model, workload, cluster, plan, time, terms, memory, links, cost, and what was measured: of these the values that
    differ, with --verbose all.
    """
    from crosszone import service
    from crosszone.cli import console

    if output is not None:
        console.check_can_write(output)
    named = [service.saved_result(side) for side in sides]
    found = service.compare(named) if output is None else service.compare_table(named, output)
    if as_json:
        console.write_json(service.compare_json(found))
    elif output is not None:
        console.note(f"{len(found.rows)} values are in {output}.")
    else:
        from crosszone.cli.show_compare import compare_view

        console.write(*compare_view(found, is_verbose=is_verbose))
