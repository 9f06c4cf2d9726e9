"""The answer of a search as people read it: the ranked plans, why the first is first, and what was turned down."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.show_checks import checks_view
from crosszone.cli.show_explanations import front_view, sensitivity_view
from crosszone.cli.show_prediction import (
    degrees,
    grouped,
    idle_lines,
    plan_details,
    plan_parts,
    problem_line,
    shortened,
)
from crosszone.cli.tables import Column, bullets, heading, paragraph, table
from crosszone.core.answer import Answer, Comparison, RankedPlan, RejectedPlan, Search, Side
from crosszone.core.plan import Plan

NUM_REJECTED = 5
"""Rejected neighbours shown before `--verbose` is needed."""
NUM_WARNINGS = 5


def answer_view(
    answer: Answer, *, is_verbose: bool, shows_front: bool = False, top: int | None = None
) -> Iterator[RenderableType]:
    """Everything that `crosszone plan` shows; `top` is how many plans were asked for."""
    yield Text(problem_line(answer.problem), style="bold")
    if answer.plans:
        yield Text("")
        yield _plans_table(answer)
        if top is not None and len(answer.plans) < top:
            yield paragraph(_all_line(answer))
        yield from _best_view(answer)
    if shows_front:
        yield from front_view(answer.pareto or (), answer.notes)
    if answer.sensitivity:
        yield from sensitivity_view(answer.sensitivity)
    if answer.baseline is not None:
        yield heading("One zone alone")
        yield paragraph(_baseline_line(answer.baseline))
    if answer.comparison is not None:
        yield heading("Span zones or not")
        yield _sides_table(answer.comparison)
    yield heading("Verdict")
    yield paragraph(answer.verdict)
    if answer.plans:
        yield paragraph(_use_line(answer))
    if answer.plans:
        yield from checks_view(answer.plans[0].checks, is_verbose=is_verbose)
    if answer.rejected:
        yield heading("Turned down")
        best = answer.plans[0].plan if answer.plans else None
        rejected = tuple(_rejected_line(plan, best, is_verbose=is_verbose) for plan in answer.rejected)
        yield bullets(shortened(rejected, len(rejected) if is_verbose else NUM_REJECTED))
    warnings = answer.plans[0].prediction.warnings if answer.plans else _notices(answer)
    if warnings:
        yield heading("Warnings")
        said = grouped(warnings)
        yield bullets(shortened(said, len(said) if is_verbose else NUM_WARNINGS))
    if answer.assumed:
        yield heading("Assumed")
        if is_verbose:
            yield bullets(grouped(answer.assumed))
        else:
            yield paragraph(_assumed_line(answer))
    yield Text(f"\n{_search_line(answer.search)}", style="dim")


def _plans_table(answer: Answer) -> RenderableType:
    plans = answer.plans
    columns = [
        Column(name="#", is_number=True),
        Column(name="plan"),
        Column(name="step", is_number=True),
        Column(name="MFU", is_number=True),
        Column(name="memory", is_number=True),
    ]
    rows = [_plan_row(rank, ranked) for rank, ranked in enumerate(plans, start=1)]
    for name, totals in _totals(plans).items():
        columns.append(Column(name=name, is_number=True))
        rows = [(*row, total) for row, total in zip(rows, totals, strict=True)]
    notes = [
        f"{plan_details(ranked.plan)}; {_used(ranked.plan, answer)}"
        if ranked.plan.idle_gpus
        else plan_details(ranked.plan)
        for ranked in plans
    ]
    return table(columns, rows, notes=notes)


def _plan_row(rank: int, ranked: RankedPlan) -> tuple[str, ...]:
    prediction = ranked.prediction
    return (
        str(rank),
        degrees(ranked.plan),
        units.format_seconds(prediction.step_seconds),
        units.format_fraction(prediction.mfu),
        units.format_bytes(prediction.memory.peak_bytes),
    )


def _totals(plans: tuple[RankedPlan, ...]) -> dict[str, list[str]]:
    """Heading and cells of what the whole training takes; none where nobody said how long to train."""
    predictions = [ranked.prediction for ranked in plans]
    if all(prediction.train_seconds is None for prediction in predictions):
        return {}
    totals = {
        "training": [units.format_seconds(prediction.train_seconds) for prediction in predictions],
        "GPU USD": [_dollars(prediction.gpu_dollars) for prediction in predictions],
    }
    if any(ranked.plan.zone_axis != "none" for ranked in plans):
        totals["egress USD"] = [_dollars(prediction.egress_dollars) for prediction in predictions]
    return totals


def _dollars(dollars: float | None) -> str:
    return units.format_dollars(dollars).removesuffix(" USD")


def _use_line(answer: Answer) -> str:
    """How many GPUs the first plan uses, and what those beyond one zone are worth."""
    best, baseline = answer.plans[0].plan, answer.baseline
    text = f"The first plan uses {_used(best, answer)}"
    if baseline is None or len(best.zones) == 1 or answer.scaling_ratio is None:
        return f"{text}."
    scaling = units.format_fraction(answer.scaling_ratio, digits=2)
    zone = ", ".join(baseline.plan.zones)
    return f"{text}: {scaling} of linear scaling from the {baseline.plan.world_size} of {zone} alone."


def _used(plan: Plan, answer: Answer) -> str:
    return f"{plan.world_size} of {answer.problem.cluster.num_gpus} GPUs"


def _all_line(answer: Answer) -> str:
    shown = len(answer.plans)
    return f"{'No other plan is' if shown == 1 else f'Only these {shown} plans are'} fast and different enough to rank."


def _assumed_line(answer: Answer) -> str:
    """How much nobody wrote, and which GPUs are told by own runs."""
    names = [calibration.gpu for calibration in answer.problem.calibrations]
    number = len(grouped(answer.assumed))
    text = f"Nobody wrote {number} {'value' if number == 1 else 'values'} that this rests on (--verbose lists them)"
    return f"{text}; calibrated for {', '.join(names)}." if names else f"{text}."


def _best_view(answer: Answer) -> Iterator[RenderableType]:
    best = answer.plans[0]
    if best.reasons:
        yield heading("Why the first")
        yield bullets([*best.reasons, *_beside(answer)])
    if answer.binding:
        yield heading("What binds it")
        yield bullets(one.message for one in answer.binding)
    if best.plan.idle_gpus:
        yield heading("Idle GPUs of the first")
        yield bullets(idle_lines(best.plan.idle_gpus))


def _beside(answer: Answer) -> list[str]:
    """The second plan, and what a restriction to some frameworks costs."""
    found = []
    if answer.runner_up is not None:
        second = answer.runner_up
        found.append(f"Runner-up {degrees(second.plan)}, {second.plan.framework}: {second.difference.message}")
    if answer.restriction is not None:
        found.append(answer.restriction.message)
    return found


def _baseline_line(baseline: RankedPlan) -> str:
    prediction = baseline.prediction
    return (
        f"{degrees(baseline.plan)}: step {units.format_seconds(prediction.step_seconds)}, "
        f"MFU {units.format_fraction(prediction.mfu)}; {plan_details(baseline.plan)}"
    )


def _sides_table(both: Comparison) -> RenderableType:
    """Time, cost and risk of spanning zones and of staying in one; what neither side knows is left out."""
    columns = [
        Column(name=""),
        Column(name="spanning", is_number=True),
        Column(name="one zone", is_number=True),
    ]
    sides = [_side_cells(side) for side in (both.spanning, both.alone)]
    rows = [(name, text, sides[1][name]) for name, text in sides[0].items()]
    return table(columns, [row for row in rows if row[1:] != ("unknown", "unknown")])


def _side_cells(side: Side) -> dict[str, str]:
    low, high = units.format_seconds(side.low_seconds), units.format_seconds(side.high_seconds)
    failures = side.expected_num_failures
    return {
        "zones": ", ".join(side.zones),
        "GPUs": str(side.num_gpus),
        "step": units.format_seconds(side.step_seconds),
        "step, 9 of 10": f"{low} to {high}",
        "done, P50": units.format_seconds(side.p50_seconds),
        "done, P90": units.format_seconds(side.p90_seconds),
        "goodput": units.format_fraction(side.goodput_fraction),
        "GPUs cost": units.format_dollars(side.gpu_dollars),
        "of it idle": units.format_dollars(side.idle_gpu_dollars),
        "egress": units.format_dollars(side.egress_dollars),
        "storage": units.format_dollars(side.storage_dollars),
        "cost in all": units.format_dollars(side.total_dollars),
        "energy": units.format_joules(side.energy_joules),
        "failures": "unknown" if failures is None else f"{failures:.3g}",
        "a link fails": units.format_fraction(side.link_failure_probability),
    }


def _rejected_line(rejected: RejectedPlan, best: Plan | None, *, is_verbose: bool) -> str:
    """Only what makes the plan another than the best, and why that cannot be: one reason, or all if verbose."""
    parts = [degrees(rejected.plan), *plan_parts(rejected.plan)]
    same = {degrees(best), *plan_parts(best)} if best is not None else set()
    other = [part for part in parts if part not in same] or parts
    reasons = " ".join(rejected.reasons if is_verbose else rejected.reasons[:1])
    if not is_verbose and len(rejected.reasons) > 1:
        reasons += f" (+{len(rejected.reasons) - 1} more reasons)"
    what = ", ".join(other)
    # What a framework cannot do already starts with its name.
    return reasons if reasons.startswith(f"{what}: ") else f"{what}: {reasons}"


def _notices(answer: Answer) -> tuple[str, ...]:
    return tuple(f"{notice.where}: {notice.message}" for notice in answer.problem.warnings)


def _search_line(search: Search) -> str:
    text = f"Searched {search.num_candidates} candidates"
    if search.elapsed_seconds is not None:
        text += f" in {units.format_seconds(search.elapsed_seconds)}"
    return f"{text} in full; {search.num_pruned} more were ruled out before."
