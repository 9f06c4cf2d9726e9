"""A run on screen: its progress, and what was measured beside what was predicted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crosszone import units
from crosszone.cli.tables import Column, heading, pairs, paragraph, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crosszone.core.measurement import Measurement
    from crosszone.core.run import PredictedRun, Run, RunStatus

STATE_WORDS = {
    "never_started": "Never started",
    "running": "Running",
    "ended": "Ended",
    "failed": "Failed",
    "stopped": "Stopped",
    "unsaved": "Stopped without saving",
    "submitted": "Submitted",
    "lost": "Lost",
    "unfollowed": "Not followed",
}
UNKNOWN = "unknown"
SHOWN_PER_SECOND = 4


def run_view(found: RunStatus) -> Iterator[RenderableType]:
    """State and steps; measured and predicted, once there are steps."""
    yield STATE_WORDS[found.state] + (f": {found.reason}" if found.reason else ".")
    if found.run is not None:
        yield pairs(_facts(found, found.run))
    if found.measurement is not None:
        yield heading("Predicted and measured")
        yield _comparison(found.predicted, found.measurement)
        yield paragraph(_what_is_compared(found, found.measurement))
    elif found.step is not None and found.step_seconds is not None:
        yield paragraph(_beside(found))


def failure_view(found: RunStatus) -> Iterator[str]:
    """The last lines of what failed first, for standard error."""
    failure = None if found.run is None else found.run.failure
    if failure is None:
        return
    if failure.lines:
        who = "" if failure.rank is None else f"rank {failure.rank}, "
        yield f"{who}{failure.log}:"
        yield from (f"  {line}" for line in failure.lines)
    else:
        yield "It wrote nothing before it ended."


@contextmanager
def step_progress() -> Iterator[Callable[[RunStatus], None]]:
    """A bar on standard error, where that is a terminal; it is told how things stand."""
    if not sys.stderr.isatty():
        yield lambda found: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column as ProgressColumn

    with Progress(
        TextColumn("{task.description}", table_column=ProgressColumn(no_wrap=True)),
        BarColumn(bar_width=None, table_column=ProgressColumn(ratio=1)),  # what is left of the line
        TextColumn("{task.fields[said]}", table_column=ProgressColumn(no_wrap=True)),
        console=Console(stderr=True, highlight=False),
        expand=True,
        transient=True,
        refresh_per_second=SHOWN_PER_SECOND,
    ) as bar:
        task = bar.add_task("Starting", total=None, said="")

        def show(found: RunStatus) -> None:
            total = None if found.run is None else found.run.num_steps
            is_known = found.step is not None and total is not None
            bar.update(
                task,
                description="Starting" if found.step is None else _steps(found.step, total),
                total=total if is_known else None,
                completed=found.step or 0,
                said=progress_line(found),
            )

        yield show


def progress_line(found: RunStatus) -> str:
    """What stands behind the bar."""
    if found.step is None:
        return "" if found.elapsed_seconds is None else units.format_seconds(round(found.elapsed_seconds), digits=2)
    said = [
        f"loss {found.loss:.4g}",
        f"{units.format_seconds(found.step_seconds)} a step",
        f"{units.format_seconds(found.predicted.step_seconds)} predicted",
    ]
    if found.remaining_seconds is not None:
        said.append(f"{units.format_seconds(found.remaining_seconds, digits=2)} left")
    return ", ".join(said)


def _facts(found: RunStatus, run: Run) -> Iterator[tuple[str, str]]:
    yield "run", run.run_id
    yield "ranks", f"{run.world_size}, {run.framework} over {run.backend}"
    if found.num_processes:
        yield "processes", f"{found.num_processes} on this machine"
    if found.elapsed_seconds is not None:
        yield "time", units.format_seconds(found.elapsed_seconds)
    yield "steps", UNKNOWN + " (nobody logged any)" if found.step is None else _steps(found.step, run.num_steps)
    if found.num_restarts:
        yield "restarts", _restarts(found.num_restarts, found.num_lost_steps or 0)
    if found.loss is not None:
        yield "loss", f"{found.loss:.6g}"
    if found.remaining_seconds is not None:
        yield "left", units.format_seconds(found.remaining_seconds, digits=2)


def _steps(step: int, num_steps: int | None) -> str:
    return f"step {step}" if num_steps is None else f"step {step} of {num_steps}"


def _restarts(num_restarts: int, num_lost_steps: int) -> str:
    lost = "no step was lost"
    if num_lost_steps:
        lost = "1 step was lost and trained again"
    if num_lost_steps > 1:
        lost = f"{num_lost_steps} steps were lost and trained again"
    return f"{num_restarts}; {lost}"


def _beside(found: RunStatus) -> str:
    """A run that goes on: its median step so far, and the predicted one."""
    predicted = found.predicted
    return (
        f"A step takes {units.format_seconds(found.step_seconds)} (median so far); {_range(predicted)} "
        f"was predicted.{_other_device(found)}"
    )


def _range(predicted: PredictedRun) -> str:
    text = units.format_seconds(predicted.step_seconds)
    if predicted.level is None:
        return text
    low, high = units.format_seconds(predicted.low_seconds), units.format_seconds(predicted.high_seconds)
    return f"{text} ({low} to {high} with {units.format_fraction(predicted.level)})"


def _comparison(predicted: PredictedRun, measured: Measurement) -> RenderableType:
    columns = [Column(name=""), *(Column(name=name, is_number=True) for name in ("predicted", "measured"))]
    rows = [
        ("step", units.format_seconds(predicted.step_seconds), units.format_seconds(measured.step_seconds)),
        ("nine in ten", _between(predicted.low_seconds, predicted.high_seconds), _between(*_spread(measured))),
        ("tokens/s", units.format_count(predicted.tokens_per_second), units.format_count(measured.tokens_per_second)),
        (
            "model FLOP/s a GPU",
            units.format_flop_per_second(predicted.model_flop_per_second_per_gpu),
            units.format_flop_per_second(measured.model_flop_per_second_per_gpu),
        ),
        ("peak memory", units.format_bytes(predicted.peak_bytes), units.format_bytes(measured.memory.peak_bytes)),
    ]
    return table(columns, rows)


def _spread(measured: Measurement) -> tuple[float, float]:
    return measured.low_seconds, measured.high_seconds


def _between(low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None or high is None else f"{units.format_seconds(low)} to {units.format_seconds(high)}"


def _what_is_compared(found: RunStatus, measured: Measurement) -> str:
    steps = "1 step" if measured.num_steps == 1 else f"{measured.num_steps} steps"
    loss = f"loss {measured.first_loss:.4g} to {measured.last_loss:.4g}"
    return f"Median of {steps}, the first after a start left out; {loss}.{_other_device(found)}"


def _other_device(found: RunStatus) -> str:
    if found.device != "cpu":
        return ""
    return f" The prediction is for {', '.join(found.predicted.gpus)}; these ranks ran on CPUs."
