"""Options and arguments that several verbs share."""

from typing import Annotated

import typer


def _here_or_before_verb(context: typer.Context, parameter: typer.CallbackParam, value: bool) -> bool:
    """`crosszone --json plan` and `crosszone plan --json` are the same."""
    return value or bool(context.find_root().params.get(parameter.name or ""))


def _start_log(context: typer.Context, parameter: typer.CallbackParam, value: bool) -> bool:
    if value:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return _here_or_before_verb(context, parameter, value)


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, errors too.", callback=_here_or_before_verb, show_default=False)
]
IsVerbose = Annotated[
    bool,
    typer.Option("--verbose", help="Log to stderr; show more.", callback=_start_log, show_default=False),
]
Job = Annotated[str, typer.Argument(metavar="JOB", help='The job file; "-" is standard input.')]
