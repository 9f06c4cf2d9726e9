"""`crosszone calibrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose


def calibrate(
    runs: Annotated[str, typer.Option("--from", metavar="RUNS.csv", help='Own measured runs; "-" is standard input.')],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write what was learnt.")],
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Learn one constant per GPU from own measured runs.

    RUNS.csv is a table as `validate` reads it; one row is enough. `predict`, `plan` and `validate` take what is
    written with --calibration.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    console.check_can_write(output)
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
    console.note(f"Wrote {output}")
