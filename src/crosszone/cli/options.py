"""Options and arguments that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

Number = TypeVar("Number", int, float)


def number_from(low: Number, option: str, example: Number) -> Callable[[str], Number]:
    """Reads the value of `option`, a number of the type of `low` from `low` on.

    typer's own bounds speak of "input" and leave out what was written. SpecError.
    """

    def read(text: str) -> Number:
        from crosszone.errors import SpecError

        try:
            number = type(low)(text)
            is_legal = number >= low
        except ValueError:
            is_legal = False
        if not is_legal:
            kind = "whole number" if isinstance(low, int) else "number"
            message = f'"{text}" is not a {kind} from {low:g} on.'
            raise SpecError.of(message, where=option, hint=f"Write one, as {option} {example}.", code="usage")
        return number

    return read


def lifetime_of(option: str) -> Callable[[str], float]:
    """Reads the value of `option`, how long something lasts; seconds. SpecError."""

    def read(text: str) -> float:
        from crosszone import service

        return service.lifetime_seconds(text, where=option)

    return read


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
IsHypothetical = Annotated[
    bool,
    typer.Option(
        "--hypothetical", help="Take a plan that its framework cannot express, as an order of work.", show_default=False
    ),
]
Job = Annotated[str, typer.Argument(metavar="JOB", help='The job file; "-" is standard input.')]
SavedPlan = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="PLANS.json#N",
        help="Plan N of what `crosszone plan -o` wrote; the job's own if left out.",
        show_default=False,
    ),
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option("--calibration", metavar="FILE", help="What `crosszone calibrate` learnt.", show_default=False),
]
