"""A validation as people read it: errors by source, GPU, framework and family, the worst rows, what was skipped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.tables import Column, heading, paragraph, table

if TYPE_CHECKING:
    from crosszone.core.validation import QuantityScores, Score, SkippedRow, ValidatedRow, Validation

NUM_WORST = 10
NUM_REASONS = 12
TITLES = {
    "step_seconds": "Seconds per step",
    "peak_memory_bytes": "Peak memory",
    "fits": "Fits or runs out of memory",
    "cross_zone": "Across zones",
}
ERROR_COLUMNS = ("error", "median", "bias", "null model", "regret")
SHORT_COLUMNS = ERROR_COLUMNS[:3]
VERDICT_COLUMNS = ("accuracy", "ran, fits", "ran, does not", "failed, fits", "failed, does not")
DIGITS = re.compile(r"\d+(\.\d+)?")


def validation_view(validation: Validation, *, is_verbose: bool) -> Iterator[RenderableType]:
    """All tables, quantity by quantity."""
    for quantity, scores in validation.quantities.items():
        yield heading(TITLES[quantity])
        yield paragraph(_headline(scores))
        for name, by in _parts(quantity, scores):
            yield _scores(name, by, scores.total if name == "source" else None, quantity)
        if quantity != "fits":
            own = {row.quantity for row in validation.rows} if quantity == "cross_zone" else {quantity}
            counted = [row for row in validation.rows if row.quantity in own and row.is_counted]
            yield heading("Worst rows")
            yield _worst(counted, len(counted) if is_verbose else NUM_WORST)
    if not validation.quantities:
        yield paragraph("No row could be compared.")
    if validation.skipped:
        yield heading(f"Skipped: {len(validation.skipped)} of {validation.num_table_rows} rows")
        yield _skipped(validation.skipped, is_verbose=is_verbose)


def _parts(quantity: str, scores: QuantityScores) -> tuple[tuple[str, dict[str, Score]], ...]:
    """What the scores are shown by. Figures across zones name the method where a run names its framework."""
    if quantity == "cross_zone":
        apart = (("method", scores.by_framework), ("model", scores.by_family))
        return (("source", scores.by_source), *(each for each in apart if len(each[1]) > 1))
    by = (("source", scores.by_source), ("GPU", scores.by_gpu), ("framework", scores.by_framework))
    return (*by, ("model family", scores.by_family))


def _headline(scores: QuantityScores) -> str:
    total = scores.total
    rows = f"rows: {total.num_rows}, sources: {len(scores.by_source)}"
    mean = units.format_fraction(scores.source_mape)
    if total.balanced_accuracy is not None:
        return f"{units.format_fraction(total.balanced_accuracy)} balanced accuracy; {rows}"
    text = f"{mean} mean error over sources, {units.format_fraction(total.mape)} over rows; {rows}"
    if total.interval_coverage_fraction is None:
        return text
    inside = units.format_fraction(total.interval_coverage_fraction)
    width = units.format_fraction(total.interval_half_width_ratio)
    return f"{text}; {inside} lie in their 90 % interval (± {width} on average)"


def _scores(name: str, by: dict[str, Score], total: Score | None, quantity: str) -> RenderableType:
    numbers = {"fits": VERDICT_COLUMNS, "cross_zone": SHORT_COLUMNS}.get(quantity, ERROR_COLUMNS)
    columns = [Column(name=name), *(Column(name=number, is_number=True) for number in ("rows", *numbers))]
    shown = [(key, *_cells(score, quantity)) for key, score in by.items()]
    if total is not None:
        shown.append(("all rows", *_cells(total, quantity)))
    return table(columns, shown)


def _cells(score: Score, quantity: str) -> tuple[str, ...]:
    if quantity == "fits":
        confusion = score.confusion
        assert confusion is not None
        counts = (
            confusion.ran_fits,
            confusion.ran_does_not_fit,
            confusion.failed_fits,
            confusion.failed_does_not_fit,
        )
        return (str(score.num_rows), _share(score.balanced_accuracy), *map(str, counts))
    regret = f"{_share(score.regret)} ({score.num_groups})" if score.num_groups else "-"
    errors = (str(score.num_rows), *map(_share, (score.mape, score.median_ape)), _signed(score.bias))
    return errors if quantity == "cross_zone" else (*errors, _share(score.null_model_mape), regret)


def _worst(rows: list[ValidatedRow], limit: int) -> RenderableType:
    worst = sorted(rows, key=lambda row: -abs(row.relative_error or 0.0))[:limit]
    return table(
        [
            Column(name="id", is_flexible=True),
            *(Column(name=name, is_number=True) for name in ("measured", "predicted", "error")),
        ],
        [(row.id, _value(row.measured, row), _value(row.predicted, row), _signed(row.relative_error)) for row in worst],
    )


def _value(value: float, row: ValidatedRow) -> str:
    if row.unit == "bytes":
        return units.format_bytes(value)
    return units.format_seconds(value) if row.unit == "s" else f"{value:.3g} {row.unit}"


def _skipped(skipped: tuple[SkippedRow, ...], *, is_verbose: bool) -> RenderableType:
    """Reasons by count; those that differ in their numbers alone are one. All rows where `is_verbose`."""
    if is_verbose:
        names = [Column(name="id"), Column(name="reason", is_flexible=True)]
        return table(names, [(row.id, row.reason) for row in skipped])
    first: dict[str, str] = {}
    for row in skipped:
        first.setdefault(DIGITS.sub("#", row.reason), row.reason)
    counts = Counter(DIGITS.sub("#", row.reason) for row in skipped)
    shown: list[tuple[str | Text, ...]] = [(str(count), first[key]) for key, count in counts.most_common(NUM_REASONS)]
    if len(counts) > NUM_REASONS:
        rest = sum(count for _, count in counts.most_common()[NUM_REASONS:])
        shown.append((str(rest), Text("for other reasons; --verbose lists every row", style="dim")))
    return table([Column(name="rows", is_number=True), Column(name="reason", is_flexible=True)], shown)


def _share(value: float | None) -> str:
    return "-" if value is None else units.format_fraction(value)


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    return f"+{units.format_fraction(value)}" if value > 0.0 else units.format_fraction(value)
