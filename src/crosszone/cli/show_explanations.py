"""The front, what other hardware is worth, and why not another plan, as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.show_prediction import degrees, plan_details
from crosszone.cli.tables import Column, bullets, heading, paragraph, table
from crosszone.core.answer import RankedPlan
from crosszone.core.explanation import Difference, ParetoPlan, Sensitivity

if TYPE_CHECKING:
    from crosszone.core.why import Why

NUM_TERMS = 6
"""Terms of a difference shown before `--verbose` is needed."""
ALONE = "No plan is better than this one in any of the three, by what is known of them."
SAVED_OF_BATCH = "batch: the step is that of the other batch; what is saved is of as many sequences as the job's."
NO_FRONT = "There are no plans to choose from: the job file writes the plan out, or nothing fits."


def front_view(front: tuple[ParetoPlan, ...], notes: tuple[str, ...]) -> Iterator[RenderableType]:
    """Plans that nothing beats in time, cost and risk; a line where they are not several."""
    yield heading("Time, cost and risk")
    if len(front) < 2:
        yield paragraph(ALONE if front else NO_FRONT)
    if not front:
        return
    columns = [
        Column(name="#"),
        Column(name="plan"),
        Column(name="step", is_number=True),
        Column(name="done, P50", is_number=True),
        Column(name="done, P90", is_number=True),
        Column(name="cost in all", is_number=True),
        Column(name="a step", is_number=True),
        Column(name="failures", is_number=True),
    ]
    rows = [_front_row(one) for one in front]
    known = [index for index in range(len(columns)) if index < 3 or any(row[index] != "unknown" for row in rows)]
    shown = [tuple(row[index] for index in known) for row in rows]
    details = [f"{one.reason} {plan_details(one.plan)}" for one in front]
    yield table([columns[index] for index in known], shown, notes=details)
    if notes:
        yield bullets(notes)


def sensitivity_view(found: tuple[Sensitivity, ...]) -> Iterator[RenderableType]:
    """What changes are worth, the most first."""
    yield heading("If it were otherwise, the plan searched anew")
    columns = [
        Column(name="change", is_flexible=True),
        Column(name="step", is_number=True),
        Column(name="saves", is_number=True),
        Column(name="share", is_number=True),
        Column(name="plan"),
    ]
    rows = [
        (
            one.change,
            units.format_seconds(one.step_seconds),
            _signed_seconds(one.seconds_saved),
            "unknown" if one.saved_fraction is None else _signed_fraction(one.saved_fraction),
            "" if one.plan is None else "the same" if one.is_same_plan else degrees(one.plan),
        )
        for one in found
    ]
    yield table(columns, rows)
    is_other_batch = any(one.kind == "batch" and one.seconds_saved is not None for one in found)
    notes = dict.fromkeys(f"{_subject(one)}: {one.note}" for one in found if one.note)
    if is_other_batch or notes:
        yield bullets([*([SAVED_OF_BATCH] if is_other_batch else []), *notes])


def why_view(found: Why, *, is_verbose: bool) -> Iterator[RenderableType]:
    """The verdict, its reasons, both plans side by side, and plans nearby."""
    yield Text(f"Why not {found.asked}?", style="bold")
    yield paragraph(found.verdict)
    if found.reasons:
        yield bullets(found.reasons)
    if found.plan is not None and found.chosen is not None and found.plan != found.chosen:
        yield heading("Side by side")
        yield _sides(found.plan, found.chosen)
        if found.difference is not None:
            yield heading("Where the step differs")
            yield _terms(found.difference, is_verbose=is_verbose)
    elif found.chosen is not None:
        yield heading("The chosen plan")
        yield paragraph(_line(found.chosen))
    if found.neighbours:
        yield heading("Nearby, and possible")
        yield bullets(f"{' '.join(one.reasons)} {_line(one)}" for one in found.neighbours)


def _front_row(one: ParetoPlan) -> tuple[str, ...]:
    failures = one.expected_num_failures
    return (
        "" if one.rank is None else str(one.rank),
        degrees(one.plan),
        units.format_seconds(one.step_seconds),
        units.format_seconds(one.p50_seconds),
        units.format_seconds(one.p90_seconds),
        units.format_dollars(one.total_dollars),
        units.format_dollars(one.step_dollars),
        "unknown" if failures is None else f"{failures:.3g}",
    )


def _subject(one: Sensitivity) -> str:
    return one.kind if one.kind in ("batch", "precision", "offload") else one.change


def _sides(plan: RankedPlan, chosen: RankedPlan) -> RenderableType:
    columns = [Column(name=""), Column(name="asked", is_flexible=True), Column(name="chosen", is_flexible=True)]
    cells = [_cells(one) for one in (plan, chosen)]
    rows = [(name, text, cells[1][name]) for name, text in cells[0].items()]
    return table(columns, [row for row in rows if row[1:] != ("unknown", "unknown")])


def _cells(one: RankedPlan) -> dict[str, str]:
    prediction = one.prediction
    memory, costs = prediction.memory, prediction.costs
    sent = sum(link.step_bytes for link in prediction.links)
    return {
        "plan": degrees(one.plan),
        "": plan_details(one.plan),
        "GPUs": str(one.plan.world_size),
        "step": units.format_seconds(prediction.step_seconds),
        "MFU": units.format_fraction(prediction.mfu),
        "memory": f"{units.format_bytes(memory.peak_bytes)} of {units.format_bytes(memory.capacity_bytes)}",
        "over zone links": units.format_bytes(sent),
        "done, P50": units.format_seconds(prediction.finish.p50_seconds),
        "cost in all": units.format_dollars(costs.total_dollars if costs else None),
    }


def _terms(difference: Difference, *, is_verbose: bool) -> RenderableType:
    columns = [
        Column(name="term"),
        Column(name="asked", is_number=True),
        Column(name="chosen", is_number=True),
        Column(name="difference", is_number=True),
    ]
    terms = [term for term in difference.terms if term.base_seconds or term.other_seconds]
    shown = terms if is_verbose else terms[:NUM_TERMS]
    rows = [
        (
            term.name.replace("_", " "),
            units.format_seconds(term.other_seconds),
            units.format_seconds(term.base_seconds),
            _signed_seconds(term.difference_seconds),
        )
        for term in shown
    ]
    return table(columns, rows)


def _line(one: RankedPlan) -> str:
    step = units.format_seconds(one.prediction.step_seconds)
    return f"{degrees(one.plan)}: step {step}; {plan_details(one.plan)}"


def _signed_seconds(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{'+' if seconds >= 0.0 else '-'}{units.format_seconds(abs(seconds))}"


def _signed_fraction(share: float) -> str:
    return f"{'+' if share >= 0.0 else '-'}{units.format_fraction(abs(share))}"
