"""`crosszone calibrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose


def calibrate(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write what was learnt.")],
    runs: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUNS.csv",
            help='Own measured runs; "-" is standard input. Left out: time the GPU of this machine.',
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Learn from own measured runs, or from this machine's GPU.

    RUNS.csv is a table as `validate` reads it; one row is enough for a constant of its GPU. Without it, kernels are
    timed for a minute and give the GPU's curves. `predict`, `plan` and `validate` take what is written with
    --calibration.
    """
    from crosszone.cli import console

    console.check_can_write(output)
    if runs is None:
        _calibrate_gpu(output, as_json=as_json)
    else:
        _calibrate_runs(runs, output, as_json=as_json, is_verbose=is_verbose)
    console.note(f"Wrote {output}")


def _calibrate_gpu(output: Path, *, as_json: bool) -> None:
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    with progress("Timing the GPU") as advance:
        report = service.calibrate_gpu(on_progress=advance)
    console.write_json_file(output, service.calibrations_json([report.calibration], [report.measured]))
    if as_json:
        console.write_json(service.gpu_report_json(report))
    else:
        from crosszone.cli.show_gpu import gpu_view

        console.write(*gpu_view(report))


def _calibrate_runs(runs: str, output: Path, *, as_json: bool, is_verbose: bool) -> None:
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    with progress("Learning") as advance:
        if runs == console.STDIN:
            data = sys.stdin.buffer.read()
            report = service.calibrate_bytes(data, where="standard input", on_progress=advance)
        else:
            report = service.calibrate(runs, on_progress=advance)
    console.write_json_file(output, service.calibrations_json(report.calibrations))
    if as_json:
        console.write_json(service.calibration_report_json(report))
    else:
        from crosszone.cli.show_calibration import calibration_view

        console.write(*calibration_view(report, is_verbose=is_verbose))
