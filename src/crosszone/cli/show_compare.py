"""Results side by side, as people read them: by section, the values that differ."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from crosszone.cli.show_whatif import number_text
from crosszone.cli.tables import Column, heading, paragraph, table
from crosszone.core.side_by_side import SECTIONS, ComparedRow, SideBySide, Value

TITLES = {"inputs": "Model, workload, cluster", "measured": "Measured"}
DETAILS = (".groups[", "intervals[", "reliability.", "stages[", "ranks[", "replicas[", "sha256", "fingerprint")
"""Rows that only `--verbose` shows."""


def compare_view(found: SideBySide, *, is_verbose: bool) -> Iterator[RenderableType]:
    """Everything that `crosszone compare` shows."""
    shown = [row for row in found.rows if is_verbose or (row.is_different and not _is_detail(row))]
    if not shown:
        yield paragraph("They are the same.")
    names = [Column(name=side.name, is_number=True) for side in found.sides]
    columns = [Column(name="value", is_flexible=True), *names]
    for section in SECTIONS:
        rows = [row for row in shown if row.section == section]
        if rows:
            yield heading(TITLES.get(section, section.capitalize()))
            yield table(columns, [(_label(row), *(_text(row, value) for value in row.values)) for row in rows])
    num_hidden = sum(row.is_different for row in found.rows) - len(shown)
    if num_hidden > 0:
        yield paragraph(f"and {num_hidden} more differ (--verbose)")


def _is_detail(row: ComparedRow) -> bool:
    return any(part in row.name for part in DETAILS)


def _label(row: ComparedRow) -> str:
    prefixes = {"terms": "terms[", "links": "links["}
    text = row.name.removeprefix(prefixes.get(row.section, f"{row.section}."))
    return text.removeprefix("measurement.").replace("_", " ").replace("].", ": ").replace(",", " → ")


def _text(row: ComparedRow, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return "–" if value is None else number_text(row.name, value)
