"""`crosszone replan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, Job, number_from

EXIT_NOTHING_FITS = 3


def replan(
    job: Job,
    plan: Annotated[
        str, typer.Option(metavar="PLANS.json#N", help="The plan that runs, as `crosszone plan -o` wrote it.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="What has changed of JOB's cluster; may be given several times."
        ),
    ] = None,
    remaining: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Still to be trained, as 300B; all of JOB's left out.", show_default=False),
    ] = None,
    is_torn_off: Annotated[
        bool,
        typer.Option("--torn-off", help="A failure took the work since the last checkpoint.", show_default=False),
    ] = False,
    top: Annotated[int, typer.Option(metavar="N", parser=number_from(1, "--top", 5), help="Choices to show.")] = 5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="Also write the choices, as JSON, here.")
    ] = None,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Find the next plan of a training whose cluster changed.

    JOB has the cluster as it is now: a zone lost, nodes added, a link degraded. Staying is weighed against each move:
    saving, sending the state to new zones, restarting. The exit code is 3 where nothing fits.
    """
    from crosszone import service, units
    from crosszone.cli import console

    if output is not None:
        console.check_can_write(output)
    calibrations = () if calibration is None else service.read_calibrations(calibration)
    problem = service.changed_problem(console.open_job(job), settings or (), calibrations)
    tokens = None if remaining is None else units.parse(remaining, "count", name="--remaining")
    running = service.read_plan(plan, problem=problem)
    found = service.replan(problem, running, remaining_tokens=tokens, is_torn_off=is_torn_off, top=top)
    if output is not None:
        console.write_json_file(output, service.replan_json(found))
    if as_json:
        console.write_json(service.replan_json(found))
    else:
        from crosszone.cli.show_replan import replan_view

        console.write(*replan_view(found))
    if output is not None:
        console.note(f"Wrote {output}")
    if not found.choices:
        raise typer.Exit(EXIT_NOTHING_FITS)
