"""`crosszone sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, number_from

EXIT_FAILED = 1
EXIT_NOTHING_PLANNED = 3


def sweep(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Job files.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2", help="Values for a key, as for whatif's --set; several: every combination."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Also write the rows here: *.csv or *.parquet."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=number_from(1, "--workers", 4), help="Processes; one a core.", show_default=False
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A dask scheduler, as tcp://host:8786, whose workers plan instead."),
    ] = None,
    starts_afresh: Annotated[
        bool, typer.Option("--fresh", help="Plan again what a stopped sweep had finished.", show_default=False)
    ] = False,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Find the best plan of each of many jobs.

    Each JOB is planned with every combination of the varied values.

    With an output file, finished rows are kept beside it: the same command goes on where a stopped one was.

    The exit code is 3 where no case has a plan, 1 where the program failed on one.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    if output is not None:
        console.check_can_write(output)
    calibrations = () if calibration is None else service.read_calibrations(calibration)
    with progress("Planning") as advance:
        done = service.sweep(
            jobs,
            variations=vary or (),
            output=output,
            num_workers=workers,
            dask_address=dask,
            calibrations=calibrations,
            starts_afresh=starts_afresh,
            on_progress=advance,
        )
    if as_json:
        console.write_json(service.sweep_json(done))
    else:
        from crosszone.cli.show_sweep import sweep_view

        console.write(*sweep_view(done))
    if output is not None:
        resumed = f", {done.num_resumed} of them from before" if done.num_resumed else ""
        console.note(f"Wrote {output}: {len(done.rows)} rows{resumed}")
    if done.num_with("failed"):
        raise typer.Exit(EXIT_FAILED)
    if not done.num_with("planned"):
        raise typer.Exit(EXIT_NOTHING_PLANNED)
