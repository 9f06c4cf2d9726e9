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
TITLES = {"step_seconds": "Seconds per step", "peak_memory_bytes": "Peak memory", "fits": "Fits or runs out of memory"}
ERROR_COLUMNS = ("error", "median", "bias", "null model", "regret")
VERDICT_COLUMNS = ("accuracy", "ran, fits", "ran, does not", "failed, fits", "failed, does not")
DIGITS = re.compile(r"\d+(\.\d+)?")


def validation_view(validation: Validation, *, is_verbose: bool) -> Iterator[RenderableType]:
    """All tables, quantity by quantity."""
    for quantity, scores in validation.quantities.items():
        yield heading(TITLES[quantity])
        yield paragraph(_headline(scores))
        parts = (("source", scores.by_source), ("GPU", scores.by_gpu), ("framework", scores.by_framework))
        for name, by in (*parts, ("model family", scores.by_family)):
            yield _scores(name, by, scores.total if name == "source" else None, is_verdict=quantity == "fits")
        if quantity != "fits":
            counted = [row for row in validation.rows if row.quantity == quantity and row.is_counted]
            yield heading("Worst rows")
            yield _worst(counted, len(counted) if is_verbose else NUM_WORST)
    if not validation.quantities:
        yield paragraph("No row could be compared.")
    if validation.skipped:
        yield heading(f"Skipped: {len(validation.skipped)} of {validation.num_table_rows} rows")
        yield _skipped(validation.skipped, is_verbose=is_verbose)


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


def _scores(name: str, by: dict[str, Score], total: Score | None, *, is_verdict: bool) -> RenderableType:
    numbers = ("rows", *(VERDICT_COLUMNS if is_verdict else ERROR_COLUMNS))
    columns = [Column(name=name), *(Column(name=number, is_number=True) for number in numbers)]
    shown = [(key, *_cells(score, is_verdict=is_verdict)) for key, score in by.items()]
    if total is not None:
        shown.append(("all rows", *_cells(total, is_verdict=is_verdict)))
    return table(columns, shown)


def _cells(score: Score, *, is_verdict: bool) -> tuple[str, ...]:
    if is_verdict:
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
    errors = (score.mape, score.median_ape)
    return (str(score.num_rows), *map(_share, errors), _signed(score.bias), _share(score.null_model_mape), regret)


def _worst(rows: list[ValidatedRow], limit: int) -> RenderableType:
    worst = sorted(rows, key=lambda row: -abs(row.relative_error or 0.0))[:limit]
    format_value = units.format_bytes if rows and rows[0].unit == "bytes" else units.format_seconds
    return table(
        [
            Column(name="id", is_flexible=True),
            *(Column(name=name, is_number=True) for name in ("measured", "predicted", "error")),
        ],
        [
            (row.id, format_value(row.measured), format_value(row.predicted), _signed(row.relative_error))
            for row in worst
        ],
    )


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
