"""What a change does, as people read it: the numbers that move, what bounds the step, and what is worth changing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.show_prediction import degrees, plan_details, problem_line
from crosszone.cli.tables import Column, bullets, heading, pairs, paragraph, table
from crosszone.core.problem import Problem
from crosszone.core.whatif import Advice, Change, Regime, Slope, WhatIf

FIRST = ("step_seconds", "tokens_per_second", "memory.peak_bytes", "train_seconds", "costs.total_dollars")
"""Numbers that come before the others."""
NUM_CHANGES = 12
NUM_SLOPES = 8
NUM_ADVICE = 6
"""Rows shown before `--verbose` is needed."""
LEAST_RATIO = 1e-6
"""A number that moves by less is not shown."""
LEAST_SAVED = 5e-4
"""Share of the step below which a slope is not shown."""
DETAILS = ("memory.stages[", ".groups[", "intervals[", "reliability.")
"""Numbers that only `--verbose` shows."""

UNCHANGED = "unchanged"

_REGIMES = {"communication_bound": "communication-bound", "balanced": "balanced", "compute_bound": "compute-bound"}
_SLOPES = {
    "communication": "all communication, zone links at half the RTT",
    "gpus": "GPUs: compute and memory",
    "gpu_compute": "GPUs: compute",
    "gpu_memory": "GPUs: memory bandwidth",
    "zone_network": "networks inside zones",
    "zone_links": "all zone links",
    "rtt": "half the RTT between zones",
}
_FORMATS: dict[str, Callable[[float], str]] = {
    "model_flop_per_second_per_gpu": units.format_flop_per_second,
    "bytes_per_second": units.format_bytes_per_second,
    "dollars_per_gpu_second": units.format_dollars_per_second,
    "dollars_per_byte": units.format_dollars_per_byte,
    "mfu": units.format_fraction,
    "hfu": units.format_fraction,
    "fraction": units.format_fraction,
    "probability": units.format_fraction,
    "seconds": units.format_seconds,
    "bytes": units.format_bytes,
    "dollars": units.format_dollars,
    "joules": units.format_joules,
    "ratio": lambda ratio: f"{ratio:.3g}",
}
"""By the last words of a number's name."""


def whatif_view(problem: Problem, result: WhatIf, *, is_verbose: bool) -> Iterator[RenderableType]:
    """Everything that `crosszone whatif` shows; `problem` is the base's."""
    plan = result.changed.plan
    yield Text(problem_line(problem), style="bold")
    yield paragraph(f"{degrees(plan)}; {plan_details(plan)}")
    if result.settings:
        yield heading(f"With {', '.join(result.settings)}")
        yield from _changes_view(result, is_verbose=is_verbose)
        if result.warnings:
            yield heading("This changes the mathematics of training")
            yield bullets(result.warnings)
        if not result.changed.prediction.memory.fits:
            yield heading("It does not fit")
            memory = result.changed.prediction.memory
            needs, has = units.format_bytes(memory.peak_bytes), units.format_bytes(memory.capacity_bytes)
            yield paragraph(f"The fullest GPU needs {needs}, it has {has}.")
    yield heading("What bounds the step")
    yield paragraph(_regime_line(result))
    if not result.settings:
        yield _slopes_table(result.regime, result.base.prediction.step_seconds, is_verbose=is_verbose)
        same = tuple(one for one in result.advice if one.mathematics == UNCHANGED)
        others = tuple(one for one in result.advice if one.mathematics != UNCHANGED)
        yield heading("What would save time")
        yield from _advice_view(same, is_verbose=is_verbose)
        if others:
            yield heading("What would save time with other mathematics")
            yield from _advice_view(others, is_verbose=is_verbose)


def _changes_view(result: WhatIf, *, is_verbose: bool) -> Iterator[RenderableType]:
    moved = [change for change in result.changes if _is_shown(change, is_verbose=is_verbose)]
    if not moved:
        yield paragraph("No number of the prediction changes.")
        return
    first = [change for name in FIRST for change in moved if change.name == name]
    shown = sorted((change for change in moved if change not in first), key=_worth)
    rest = 0 if is_verbose else max(len(shown) - NUM_CHANGES, 0)
    if rest:
        # The worst are as telling as the best.
        shown = [*shown[: NUM_CHANGES - NUM_CHANGES // 4], *shown[-(NUM_CHANGES // 4) :]]
    columns = [
        Column(name="number", is_flexible=True),
        Column(name="base", is_number=True),
        Column(name="then", is_number=True),
        Column(name="change", is_number=True),
    ]
    yield table(columns, [_change_row(change) for change in (*first, *shown)])
    if rest:
        yield paragraph(f"and {rest} more (--verbose)")


def _is_shown(change: Change, *, is_verbose: bool) -> bool:
    if change.base == change.changed or (not is_verbose and any(part in change.name for part in DETAILS)):
        return False
    is_same = change.ratio is not None and abs(change.ratio - 1.0) < LEAST_RATIO
    return not is_same


def _worth(change: Change) -> tuple[float, str]:
    """Best first: by how many times better it is; what is neither comes between gains and losses."""
    if change.is_gain is None or change.ratio is None or change.ratio <= 0.0:
        return (0.0 if change.is_gain is None else -1e-9 if change.is_gain else 1e-9, change.name)
    size = abs(math.log(change.ratio))
    return (-size if change.is_gain else size, change.name)


def _change_row(change: Change) -> tuple[str | Text, ...]:
    said = "" if change.ratio is None else _ratio_text(change.ratio)
    style = {True: "green", False: "red", None: ""}[change.is_gain]
    name = change.name.replace("_", " ").replace("terms[", "").replace("].", ": ").replace("links[", "link ")
    return (
        name,
        number_text(change.name, change.base),
        number_text(change.name, change.changed),
        Text(said, style=style),
    )


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.3g} times" if ratio >= 10.0 else f"{100.0 * (ratio - 1.0):+.1f} %"


def number_text(name: str, value: float | None) -> str:
    """A value of the prediction by the unit in its name."""
    if value is None:
        return "unknown"
    last = name.rpartition(".")[2]
    if last == "fits":
        return "yes" if value else "no"
    if last.startswith("tokens_per_second"):
        return f"{units.format_count(value)}/s"
    if last == "dollars_per_hour":
        return f"{value:,.2f} USD/h"
    for unit, show in _FORMATS.items():
        if last == unit or last.endswith(f"_{unit}"):
            return show(value)
    return units.format_count(value)


def _regime_line(result: WhatIf) -> str:
    regime, base = result.regime, result.base_regime
    name = _REGIMES[regime.name]
    text = f"The step is {name}"
    if regime.name != base.name:
        text = f"The step was {_REGIMES[base.name]} and is now {name}"
    share = units.format_fraction(regime.exposed_communication_fraction)
    saved = {slope.what: slope.seconds_saved for slope in regime.slopes}
    step_seconds = result.changed.prediction.step_seconds
    network = units.format_fraction(saved["communication"] / step_seconds)
    gpus = units.format_fraction(saved["gpus"] / step_seconds)
    return (
        f"{text}: {share} of it is communication that nothing hides. All communication twice as fast would save "
        f"{network} of it, GPUs twice as fast {gpus}."
    )


def _slopes_table(regime: Regime, step_seconds: float, *, is_verbose: bool) -> RenderableType:
    shown = [slope for slope in regime.slopes if is_verbose or slope.seconds_saved > LEAST_SAVED * step_seconds]
    columns = [
        Column(name="twice as fast", is_flexible=True),
        Column(name="saves a step", is_number=True),
        Column(name="share", is_number=True),
    ]
    rows = [
        (
            _slope_name(slope),
            _signed_seconds(slope.seconds_saved),
            units.format_fraction(slope.seconds_saved / step_seconds),
        )
        for slope in (shown if is_verbose else shown[:NUM_SLOPES])
    ]
    return table(columns, rows)


def _slope_name(slope: Slope) -> str:
    if slope.what == "zone_link":
        return f"{slope.from_zone} → {slope.to_zone}"
    if slope.what == "zone_pair":
        return f"{slope.from_zone} ↔ {slope.to_zone}"
    return _SLOPES[slope.what]


def _signed_seconds(seconds: float) -> str:
    return units.format_seconds(seconds) if seconds >= 0.0 else f"-{units.format_seconds(-seconds)}"


def _advice_view(advice: tuple[Advice, ...], *, is_verbose: bool) -> Iterator[RenderableType]:
    if not advice:
        yield paragraph("No single change that fits saves a noticeable part of the step.")
        return
    shown = advice if is_verbose else advice[:NUM_ADVICE]
    columns = [
        Column(name="#", is_number=True),
        Column(name="change", is_flexible=True),
        Column(name="saves a step", is_number=True),
        Column(name="share", is_number=True),
        Column(name="saves USD", is_number=True),
    ]
    rows = [
        (
            str(rank),
            one.title,
            units.format_seconds(one.seconds_saved),
            units.format_fraction(one.saved_fraction),
            _dollars(one.dollars_saved),
        )
        for rank, one in enumerate(shown, start=1)
    ]
    yield table(columns, rows)
    yield Text("")
    yield pairs((str(rank), _note(one, is_verbose=is_verbose)) for rank, one in enumerate(shown, start=1))
    if len(shown) < len(advice):
        yield paragraph(f"and {len(advice) - len(shown)} more (--verbose)")


def _note(one: Advice, *, is_verbose: bool) -> str:
    """How to set it, and what it does to training."""
    text = _command(one.settings)
    if one.mathematics != UNCHANGED:
        text += f"  {one.mathematics}"
    if one.consent is not None:
        text += f" `plan` chooses it only with constraints.allow: [{one.consent}]."
    return f"{text} [{one.source}]" if is_verbose else text


def _command(settings: Iterable[str]) -> str:
    return " ".join(f"--set '{setting}'" for setting in settings)


def _dollars(dollars: float | None) -> str:
    if dollars is None:
        return "unknown"
    text = units.format_dollars(abs(dollars)).removesuffix(" USD")
    return f"-{text}" if dollars < 0.0 else text
