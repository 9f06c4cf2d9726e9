"""What timing this machine's GPU showed, as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from crosszone import units
from crosszone.cli.tables import Column, heading, table

if TYPE_CHECKING:
    from crosszone.core.measured_gpu import GpuReport, MeasuredGpu


def gpu_view(report: GpuReport) -> Iterator[RenderableType]:
    """The GPU and its state, one line per constant, and what was not timed or not fitted."""
    measured = report.measured
    yield heading("GPU")
    yield f"  {measured.name} ({report.calibration.gpu}), torch {measured.torch_version}, {measured.date}"
    yield from (f"  {line}" for line in _state_lines(measured))
    yield heading("Learnt")
    numbers = ("measured", "catalog", "timings", "spread")
    yield table(
        [Column(name="constant", is_flexible=True), *(Column(name=name, is_number=True) for name in numbers)],
        [
            (
                share.name,
                f"{share.value:.4g}",
                f"{share.catalog_value:.4g}",
                str(share.num_timings),
                "-" if share.spread_fraction is None else units.format_fraction(share.spread_fraction),
            )
            for share in report.shares
        ],
    )
    if measured.skipped or report.notes:
        yield heading("Left out")
        yield from (f"  {text}" for text in (*report.notes, *measured.skipped))


def _state_lines(measured: MeasuredGpu) -> Iterator[str]:
    state = measured.after
    if state.sm_hertz is not None and state.max_sm_hertz is not None:
        yield f"clock at the end {state.sm_hertz / state.max_sm_hertz:.0%} of its maximum"
    if state.power_limit_watts is not None:
        yield f"power limit {state.power_limit_watts:.0f} W"
    if measured.kernel_launch_seconds is not None:
        yield f"one kernel launch takes {units.format_seconds(measured.kernel_launch_seconds)} (told, not used)"
