"""The option that says which database is meant, and what of it two verbs print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crosszone.core.backup import Backup

VARIABLE = "CROSSZONE_DATABASE"


def _without_password(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> str | None:
    """Whoever lists the processes of this machine sees what stands on a command line."""
    source = context.get_parameter_source(parameter.name or "")
    user, separator, _ = (value or "").partition("://")[2].partition("/")[0].rpartition("@")
    if separator and ":" in user and source is not None and source.name == "COMMANDLINE":
        from crosszone.errors import SpecError

        hint = f"Write the address into the variable {VARIABLE}, or the password into ~/.pgpass."
        raise SpecError.of("a password on the command line can be read by others.", where="--database", hint=hint)
    return value


DatabaseAddress = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="ADDRESS",
        envvar=VARIABLE,
        show_envvar=False,
        callback=_without_password,
        help=f"A file, or postgresql://USER@HOST/NAME; ${VARIABLE}, else this user's own file.",
        show_default=False,
    ),
]


def backup_lines(found: Backup, did: str) -> str:
    """What was backed up or restored, for people."""
    import datetime

    taken = datetime.datetime.fromtimestamp(found.created_seconds, datetime.UTC)
    rows = [table for part in found.parts for table in part.tables if table.num_rows]
    lines = [f"{did}: {found.num_rows} rows of {len(rows)} tables, as of {taken:%Y-%m-%d %H:%M:%S} UTC."]
    lines += [f"  {table.name:20} {table.num_rows:>10}" for table in rows]
    return "\n".join(lines) + "\n"
