"""`crosszone simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsHypothetical, IsVerbose, Job, SavedPlan, number_from

EXIT_DOES_NOT_FIT = 3


def simulate(
    job: Job,
    plan: SavedPlan = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="TRACE.json", help='Write the timeline here; "-" is standard output.'),
    ] = None,
    detail: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=number_from(1, "--detail", 2000),
            help="With --json: also the timeline in at most N slices, neighbours merged.",
            show_default=False,
        ),
    ] = None,
    is_hypothetical: IsHypothetical = False,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Play one step of JOB's plan: who works, waits and sends when.

    TRACE.json opens in ui.perfetto.dev. Without a plan in JOB the best is searched. Where the plan does not fit in
    memory, it is played all the same and the exit code is 3.
    """
    from crosszone import service
    from crosszone.cli import console

    _check_options(output, detail, as_json=as_json)
    if output is not None and output != console.STDIN:
        console.check_can_write(Path(output))
    problem = console.read_job(job, calibration)
    saved = None if plan is None else service.read_plan(plan, problem=problem)
    timeline = service.simulate(problem, saved, is_hypothetical=is_hypothetical)
    if output == console.STDIN:
        for text in service.trace_text(timeline):
            console.write_text(text)
    elif as_json:
        console.write_json(service.simulation_json(timeline, max_slices=detail))
    else:
        from crosszone.cli.show_simulation import num_cells, simulation_view

        chart = service.activity(timeline, num_cells=num_cells(console.screen_width()))
        console.write(*simulation_view(problem, timeline.plan, timeline.simulation, chart))
    if output is not None and output != console.STDIN:
        console.write_file(Path(output), service.trace_text(timeline))
        console.note(f"Wrote {output}; open it in https://ui.perfetto.dev")
    if not timeline.prediction.memory.fits:
        raise typer.Exit(EXIT_DOES_NOT_FIT)


def _check_options(output: str | None, detail: int | None, *, as_json: bool) -> None:
    from crosszone.errors import SpecError

    if output == "-" and as_json:
        message, hint = "-o - and --json both write to standard output.", "Leave one out, or name a file."
        raise SpecError.of(message, where="--output", hint=hint, code="usage")
    if detail is not None and not as_json:
        raise SpecError.of("--detail is part of the JSON.", where="--detail", hint="Add --json.", code="usage")
