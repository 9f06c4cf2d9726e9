"""`crosszone quotas set|list`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from crosszone.cli.database import DatabaseAddress
from crosszone.cli.options import AsJson, IsVerbose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosszone.service.access import QuotaUse

quotas = typer.Typer(help="Say how much one may use of a server's GPUs.", rich_markup_mode=None)


class Resource(StrEnum):
    """What is counted."""

    GPUS = "gpus"
    TASKS = "tasks"
    DOLLARS_PER_HOUR = "dollars_per_hour"


@quotas.command("set")
def keep(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="PERSON, TEAM/PERSON, or TEAM with all of its people.")],
    resource: Annotated[Resource, typer.Argument(help="What is counted.")],
    most: Annotated[str, typer.Argument(metavar="MOST", help='How much at once; "none": as much as there is.')],
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Say how much one may use. Tasks that would exceed it wait; what runs is left alone."""
    from crosszone import service

    entry = {"owner": owner, "resource": resource.value, "most": _number(most)}
    with service.opened_store(database) as store:
        _show(service.set_quota(store, entry), as_json=as_json)


@quotas.command("list")
def listed(database: DatabaseAddress = None, as_json: AsJson = False, is_verbose: IsVerbose = False) -> None:
    """List all quotas, and how much of each is used now."""
    from crosszone import service

    with service.opened_store(database) as store:
        _show(service.quotas(store), as_json=as_json)


def _number(text: str) -> float | None:
    from crosszone.errors import SpecError

    try:
        return None if text == "none" else float(text)
    except ValueError:
        message = f'"{text}" is no number.'
        raise SpecError.of(message, where="MOST", hint='Write a number, or "none".', code="usage") from None


def _show(found: Sequence[QuotaUse], *, as_json: bool) -> None:
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.tables import Column, table

    if as_json:
        console.write_json(service.quotas_json(found))
        return
    columns = [Column(name="owner"), Column(name="resource")]
    columns += [Column(name=name, is_number=True) for name in ("used", "most")]
    rows = [
        (each.owner, each.resource, "unknown" if each.used is None else f"{each.used:g}", f"{each.most:g}")
        for each in found
    ]
    console.write(table(columns, rows))
