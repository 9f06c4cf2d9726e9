"""Frameworks for a job, as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.show_prediction import degrees, plan_details
from crosszone.cli.tables import Column, bullets, heading, paragraph, table
from crosszone.core.framework_choice import FrameworkChoice, FrameworkOption


def frameworks_view(found: FrameworkChoice) -> Iterator[RenderableType]:
    """The verdict and its reasons, a row for each framework that has a plan, and why the others have none."""
    yield Text("Which framework?", style="bold")
    yield paragraph(found.verdict)
    if found.reasons:
        yield bullets(found.reasons)
    able = [option for option in found.options if option.best is not None]
    if able:
        yield heading("The best plan of each")
        columns = [
            Column(name="framework"),
            Column(name="plan"),
            Column(name="step", is_number=True),
            Column(name="more", is_number=True),
            Column(name="memory", is_number=True),
            Column(name="chosen plan", is_number=True),
            Column(name="deploys"),
        ]
        yield table(columns, [_row(option) for option in able], notes=[_details(option) for option in able])
    unable = [f"{option.framework}: {_obstacles(option)}" for option in found.options if option.best is None]
    if unable:
        yield heading("Without a plan that fits")
        yield bullets(unable)
    cannot = [f"{option.framework}: {_first(option.reasons, option.framework)}" for option in able if option.reasons]
    if cannot:
        yield heading("What keeps them from the chosen plan")
        yield bullets(cannot)


def _row(option: FrameworkOption) -> tuple[str, ...]:
    assert option.best is not None, "rows are of those that have a plan"
    prediction, chosen = option.best.prediction, option.as_chosen
    more = option.more_fraction
    return (
        option.framework,
        degrees(option.best.plan),
        units.format_seconds(prediction.step_seconds),
        "unknown" if more is None else f"{'+' if more >= 0.0 else '-'}{units.format_fraction(abs(more))}",
        units.format_bytes(prediction.memory.peak_bytes),
        "cannot" if chosen is None else units.format_seconds(chosen.prediction.step_seconds),
        "yes" if option.can_deploy else "not yet",
    )


def _details(option: FrameworkOption) -> str:
    assert option.best is not None, "rows are of those that have a plan"
    return plan_details(option.best.plan) + ("" if option.is_allowed else "; the job does not allow it")


def _obstacles(option: FrameworkOption) -> str:
    return _first(option.obstacles, option.framework)


def _first(reasons: tuple[str, ...], framework: str) -> str:
    more = f" (+{len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0].removeprefix(f'{framework}: ')}{more}" if reasons else ""
