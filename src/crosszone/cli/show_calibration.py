"""What `calibrate` learnt, as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from crosszone import units
from crosszone.cli.tables import Column, heading, table

if TYPE_CHECKING:
    from crosszone.core.calibration import CalibratedRun, CalibrationReport

NUM_RUNS = 10


def calibration_view(report: CalibrationReport, *, is_verbose: bool) -> Iterator[RenderableType]:
    """One line per GPU, one per run, and what was left out; all runs where `is_verbose`."""
    yield heading("Learnt")
    numbers = ("runs", "believed", "time × predicted", "spread")
    yield table(
        [Column(name="GPU", is_flexible=True), *(Column(name=name, is_number=True) for name in numbers)],
        [
            (
                each.gpu,
                str(each.num_runs),
                units.format_fraction(each.believed_fraction),
                f"{each.compute_seconds_ratio:.3f}",
                "-" if each.spread_fraction is None else units.format_fraction(each.spread_fraction),
            )
            for each in report.calibrations
        ],
    )
    yield heading("Runs")
    shown = report.runs if is_verbose else report.runs[:NUM_RUNS]
    yield _runs(shown)
    if len(shown) < len(report.runs):
        yield f"  and {len(report.runs) - len(shown)} more (--verbose)"
    if report.unused:
        yield heading("Not used")
        columns = [Column(name="id"), Column(name="reason", is_flexible=True)]
        yield table(columns, [(run.id, run.reason) for run in report.unused])


def _runs(runs: tuple[CalibratedRun, ...]) -> RenderableType:
    numbers = ("measured", "predicted", "calibrated", "computing", "own ×")
    return table(
        [Column(name="id", is_flexible=True), *(Column(name=name, is_number=True) for name in numbers)],
        [
            (
                run.id,
                units.format_seconds(run.measured_seconds),
                units.format_seconds(run.predicted_seconds),
                units.format_seconds(run.calibrated_seconds),
                units.format_fraction(run.compute_share_fraction),
                f"{run.compute_seconds_ratio:.3f}",
            )
            for run in runs
        ],
    )
