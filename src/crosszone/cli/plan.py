"""`crosszone plan`."""

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, Job, number_from
from crosszone.service import DEFAULT_TOP

EXIT_NOTHING_FITS = 3


def plan(
    job: Job,
    top: Annotated[
        int,
        typer.Option(metavar="N", parser=number_from(1, "--top", 5), help="How many plans to show."),
    ] = DEFAULT_TOP,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PLANS.json", help="Also write the answer, as JSON, here.")
    ] = None,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Find the best plans for JOB.

    They are ranked, with reasons, beside the best plan in one zone alone.

    What JOB fixes of the plan stays fixed. The exit code is 3 where nothing fits.
    """
    from crosszone import service
    from crosszone.cli import console

    if output is not None:
        console.check_can_write(output)
    problem = console.read_job(job, calibration)
    answer = service.plan(problem, top=top)
    if output is not None:
        console.write_json_file(output, service.answer_json(answer))
    if as_json:
        console.write_json(service.answer_json(answer))
    else:
        from crosszone.cli.show_answer import answer_view

        console.write(*answer_view(answer, is_verbose=is_verbose))
    if output is not None:
        console.note(f"Wrote {output}")
    if not answer.plans:
        raise typer.Exit(EXIT_NOTHING_FITS)
