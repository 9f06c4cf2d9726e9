"""`crosszone tokens create|list|revoke`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crosszone.cli.database import DatabaseAddress
from crosszone.cli.options import AsJson, IsVerbose

if TYPE_CHECKING:
    from collections.abc import Mapping

tokens = typer.Typer(help="Say who may ask a server for what.", rich_markup_mode=None)


class Scope(StrEnum):
    """What a token allows."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@tokens.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will show it: PERSON or TEAM/PERSON.")],
    scope: Annotated[Scope, typer.Option(help="What it allows.")] = Scope.VIEWER,
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help='How long it is good, as "90 d"; left out: for ever.', show_default=False),
    ] = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Make a token, and print it.

    It is printed this once: the database has its digest alone. Viewers look and compute, operators also change
    environments and start and stop tasks, admins also hand out tokens and quotas.
    """
    from crosszone import service
    from crosszone.cli import console

    with service.opened_store(database) as store:
        made = service.issue_token(store, {"name": name, "scope": scope.value, "expires": expires})
    if as_json:
        console.write_json({"schema_version": 1, "text": made.text, "token": service.token_json(made.token)})
    else:
        console.write_text(f"{made.text}\n")
        console.note(f"{made.id} is for {name}, {_until(service.token_json(made.token))}. It is not shown again.")


@tokens.command("list")
def listed(database: DatabaseAddress = None, as_json: AsJson = False, is_verbose: IsVerbose = False) -> None:
    """List what is known of every token. The tokens themselves are known to nobody."""
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.tables import Column, table

    with service.opened_store(database) as store:
        found = [service.token_json(each) for each in service.all_tokens(store)]
    if as_json:
        console.write_json({"schema_version": 1, "tokens": found})
        return
    columns = [Column(name=name) for name in ("id", "name", "scope", "good")]
    console.write(table(columns, [(each["id"], each["name"], each["scope"], _until(each)) for each in found]))


@tokens.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `crosszone tokens list` has it.")],
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Let a token be good no more. A server that runs knows it within a second."""
    from crosszone import service
    from crosszone.cli import console

    with service.opened_store(database) as store:
        found = service.token_json(service.revoke_token(store, token_id))
    if as_json:
        console.write_json({"schema_version": 1, "token": found})
    else:
        console.write_text(f"{found['id']} of {found['name']} is revoked.\n")


def _until(token: Mapping[str, Any]) -> str:
    """Until when it may be shown."""
    import datetime

    if token["revoked_seconds"] is not None:
        return "revoked"
    if token["expires_seconds"] is None:
        return "for ever"
    moment = datetime.datetime.fromtimestamp(token["expires_seconds"], datetime.UTC)
    return f"until {moment:%Y-%m-%d %H:%M} UTC" if token["is_good"] else f"not since {moment:%Y-%m-%d %H:%M} UTC"
