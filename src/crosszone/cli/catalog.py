"""`crosszone catalog`."""

from enum import StrEnum
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose


class Kind(StrEnum):
    """What the catalog holds."""

    GPUS = "gpus"
    MODELS = "models"
    REGIONS = "regions"
    FRAMEWORKS = "frameworks"
    PRICES = "prices"
    EGRESS = "egress"
    LINKS = "links"


def catalog(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show all of one of them.")] = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Show what a job file can name.

    GPUs, models, regions and frameworks, or all facts of one of them, with their sources; list prices of GPUs and of
    egress, and measured round trips, or those of one region.
    """
    from crosszone import service
    from crosszone.cli import console

    entries = service.catalog(kind.value, name)
    if as_json:
        console.write_json({"schema_version": 1, kind.value: service.catalog_json(entries)})
    else:
        from crosszone.cli.show_catalog import catalog_view

        console.write(*catalog_view(kind.value, entries, is_one=name is not None))
