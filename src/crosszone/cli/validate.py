"""`crosszone validate`."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, number_from

if TYPE_CHECKING:
    from crosszone.core.validation import Validation

EXIT_VERIFICATION_FAILED = 5


def validate(
    table: Annotated[str, typer.Argument(metavar="TABLE.csv", help='Measured runs; "-" is standard input.')],
    fail_above: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            parser=number_from(0.0, "--fail-above", 0.1),
            help="Exit with 5 where the mean error over sources is above it.",
        ),
    ] = None,
    all_qualities: Annotated[
        bool, typer.Option("--all-qualities", help="Count rows of quality C too.", show_default=False)
    ] = False,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Compare predictions with the measured runs in TABLE.csv.

    Each row is one run: model, GPUs, plan, and its step time, tokens per second, MFU, TFLOP/s, peak memory or
    whether it ran. Errors are shown by source, GPU, framework and model family. Tables of figures across zones are
    known by their columns.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    calibrations = () if calibration is None else service.read_calibrations(calibration)
    with progress("Predicting") as advance:
        if table == console.STDIN:
            run = functools.partial(service.validate_bytes, sys.stdin.buffer.read(), where=table)
        else:
            run = functools.partial(service.validate, table)
        validation = run(all_qualities=all_qualities, calibrations=calibrations, on_progress=advance)
    for warning in validation.warnings:
        console.note(f"warning: {warning}")
    if as_json:
        console.write_json(service.validation_json(validation))
    else:
        from crosszone.cli.show_validation import validation_view

        console.write(*validation_view(validation, is_verbose=is_verbose))
    if fail_above is not None:
        _check(validation, fail_above)


def _check(validation: Validation, fail_above: float) -> None:
    """Exit 5 where the mean over sources is above the bound, or there is none."""
    from crosszone import units
    from crosszone.cli import console

    headline = validation.headline
    error = None if headline is None else headline.source_mape
    if error is None:
        console.note("verification failed: no row counts, so there is no error to hold against the bound.")
    elif not error <= fail_above:
        mean, bound = units.format_fraction(error), units.format_fraction(fail_above)
        console.note(f"verification failed: the mean error over sources is {mean}, above {bound}.")
    else:
        return
    raise typer.Exit(EXIT_VERIFICATION_FAILED)
