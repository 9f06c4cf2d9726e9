"""`crosszone report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, Job, number_from

EXIT_NOTHING_FITS = 3


def report(
    job: Job,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="REPORT.html", help='Write it here; "-" is standard output.')
    ] = "report.html",
    chosen: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=number_from(1, "--chosen", 2),
            help="Which of the ranked plans it is about.",
        ),
    ] = 1,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Write one file that shows the plans for JOB without a server.

    It shows what the web user interface shows of a plan, in English and Chinese, asks nothing of any network, and can
    be printed. It takes a dozen searches, as `plan --sensitivity` does. The exit code is 3 where nothing fits: the
    report then says why.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    _check_output(output, as_json=as_json)
    calibrations = () if calibration is None else service.read_calibrations(calibration)
    with progress("Searching changed jobs") as advance:
        made = service.report(console.open_job(job), chosen=chosen, calibrations=calibrations, on_progress=advance)
    if output == console.STDIN:
        console.write_text(made.html)
    else:
        console.write_file(Path(output), [made.html])
        console.note(f"Wrote {output}; open it in a browser.")
    if as_json:
        console.write_json({"schema_version": 1, "file": output, "has_plan": made.has_plan})
    if not made.has_plan:
        raise typer.Exit(EXIT_NOTHING_FITS)


def _check_output(output: str, *, as_json: bool) -> None:
    from crosszone.cli import console
    from crosszone.errors import SpecError

    if output != console.STDIN:
        console.check_can_write(Path(output))
    elif as_json:
        message, hint = "-o - and --json both write to standard output.", "Leave one out, or name a file."
        raise SpecError.of(message, where="--output", hint=hint, code="usage")
