"""The program's verbs and the options that all of them take. What a verb needs is imported when it runs."""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose

VERBS = (
    "init",
    "predict",
    "plan",
    "whatif",
    "simulate",
    "report",
    "deploy",
    "doctor",
    "run",
    "status",
    "logs",
    "stop",
    "sweep",
    "replan",
    "validate",
    "compare",
    "calibrate",
    "catalog",
    "serve",
    "worker",
    "backup",
    "restore",
    "tokens",
    "quotas",
)
"""In the order of the help. Each is a function, or a program of its own verbs, in the module of its name."""
BEFORE_VERBS = ("--json", "--verbose")
"""Options that may stand before a verb and change nothing of what it is."""


def program(arguments: Sequence[str] = ()) -> typer.Typer:
    """The program for `arguments`: with the one verb that they name; with all where help or a mistake may list them."""
    first = next((argument for argument in arguments if argument not in BEFORE_VERBS), None)
    app = typer.Typer(
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich's help takes as long to load as everything else together
    )
    app.callback(invoke_without_command=True)(root)
    for verb in VERBS if first not in VERBS else (first,):
        found = getattr(import_module(f"crosszone.cli.{verb}"), verb)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command()(found)
    return app


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"crosszone {version('crosszone')}")
        raise typer.Exit


def root(
    context: typer.Context,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
    is_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Plan and predict the training of one large language model over GPUs in several zones.

    Exit codes: 0 ok; 1 failed; 2 bad usage or input; 3 nothing fits; 4 something is missing here; 5 verification
    failed.
    """
    if context.invoked_subcommand is not None:
        return
    if as_json:
        from crosszone.errors import SpecError

        raise SpecError.of("Missing command.", code="usage", hint="See: crosszone --help")
    typer.echo(context.get_help(), err=True)
    raise typer.Exit(2)
