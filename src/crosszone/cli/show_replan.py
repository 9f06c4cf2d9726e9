"""The screen of `crosszone replan`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crosszone import units
from crosszone.cli.show_prediction import degrees
from crosszone.cli.tables import Column, bullets, heading, paragraph, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crosszone.core.replan import Choice, Replan

UNKNOWN = "unknown"


def replan_view(found: Replan) -> Iterable[RenderableType]:
    """The verdict, the choices, and why the best one is."""
    yield heading("Next plan")
    yield paragraph(found.verdict)
    if not found.choices:
        return
    columns = [
        Column(name="#"),
        Column(name="plan"),
        Column(name="zones", is_flexible=True),
        Column(name="step", is_number=True),
        Column(name="move", is_number=True),
        Column(name="done in", is_number=True),
        Column(name="cost", is_number=True),
    ]
    yield heading("Choices")
    yield table(columns, [_row(number, choice) for number, choice in enumerate(found.choices, start=1)])
    best = found.choices[0]
    if best.reasons:
        yield heading("The best one")
        yield bullets(best.reasons)


def _row(number: int, choice: Choice) -> tuple[str, ...]:
    move = choice.move.total_seconds
    return (
        "stay" if choice.is_running else str(number),
        f"{choice.plan.framework} {degrees(choice.plan)}",
        ", ".join(choice.plan.zones),
        units.format_seconds(choice.prediction.step_seconds),
        units.format_seconds(move) if move else "none",
        units.format_seconds(choice.finish_seconds),
        UNKNOWN if choice.dollars is None else units.format_dollars(choice.dollars),
    )
