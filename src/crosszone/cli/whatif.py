"""`crosszone whatif`."""

from __future__ import annotations

from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, Job, SavedPlan

EXIT_DOES_NOT_FIT = 3


def whatif(
    job: Job,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help='A value of JOB that is another, as "links.*.bandwidth=20 Gbit/s" or "links.*.rtt=x0.5"; may be '
            "given several times. Left out: advice.",
            show_default=False,
        ),
    ] = None,
    plan: SavedPlan = None,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Show what a change of JOB does to every number.

    The plan stays as it is, but for what --set changes of it. Without --set: what bounds the step, and which single
    changes would save most. Where the changed plan does not fit in memory, the exit code is 3.
    """
    from crosszone import service
    from crosszone.cli import console

    calibrations = () if calibration is None else service.read_calibrations(calibration)
    opened = console.open_job(job)
    saved = None if plan is None else service.read_plan(plan, problem=service.changed_problem(opened, ()))
    base = service.whatif_base(opened, plan=saved, calibrations=calibrations)
    result = service.whatif(base, settings or ())
    if as_json:
        console.write_json(service.whatif_json(result))
    else:
        from crosszone.cli.show_whatif import whatif_view

        console.write(*whatif_view(base.problem, result, is_verbose=is_verbose))
    if not result.changed.prediction.memory.fits:
        raise typer.Exit(EXIT_DOES_NOT_FIT)
