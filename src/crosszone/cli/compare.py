"""`crosszone compare`."""

from __future__ import annotations

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
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Put saved predictions, plans and runs side by side.

    Model, workload, cluster, plan, time, terms, memory, links, cost, and what was measured: of these the values that
    differ, with --verbose all.
    """
    from crosszone import service
    from crosszone.cli import console

    found = service.compare([service.saved_result(side) for side in sides])
    if as_json:
        console.write_json(service.compare_json(found))
    else:
        from crosszone.cli.show_compare import compare_view

        console.write(*compare_view(found, is_verbose=is_verbose))
