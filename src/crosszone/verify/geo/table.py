"""A table of measured cross-zone figures: recognised by its header, each row predicted by its kind."""

import math
import re
from collections.abc import Callable, Sequence
from types import ModuleType

from crosszone.core.validation import SkippedRow, ValidatedRow, Validation
from crosszone.errors import SpecError
from crosszone.verify.geo import averaging, bandwidth_needed, other, pipelines, tcp, utilisation
from crosszone.verify.geo.outcome import Outcome
from crosszone.verify.row import Row, read_cells
from crosszone.verify.score import scores

KINDS: tuple[ModuleType, ...] = (tcp, pipelines, bandwidth_needed, averaging, utilisation, other)
"""Each has `claims(row)` and `predict(row, rows)`; the first that claims a row predicts it."""
QUANTITY = "cross_zone"
"""What the scores of all such figures stand under: their errors are relative, whatever they measure."""
OWN_COLUMNS = {
    "zone_rate": ("intra_bw_gbps", "Gbit/s"),
    "link_rate": ("inter_bw_gbps", "Gbit/s"),
    "link_delay": ("inter_latency_ms", "ms"),
    "rate": ("gbps_mean", "Gbit/s"),
    "rtt": ("ping_ms_mean", "ms"),
}
"""Columns whose cells hold their unit, and what published tables call them, whose names hold it."""


def is_geo_table(header: Sequence[str]) -> bool:
    """Whether a table with these columns is one of figures across zones."""
    names = {OWN_COLUMNS.get(name, (name, ""))[0] for name in header}
    return any(set(columns) <= names for columns in (tcp.COLUMNS, other.COLUMNS))


def validate_geo(text: str, on_progress: Callable[[float], None] = lambda fraction: None) -> Validation:
    """Predict every row of the CSV table `text`. What cannot be predicted is listed as skipped, with the reason."""
    rows = tuple(_row(number, cells) for number, cells in read_cells(text))
    kinds = [next(kind for kind in KINDS if kind.claims(row)) for row in rows]
    alike = {kind: [row for row, own in zip(rows, kinds, strict=True) if own is kind] for kind in KINDS}
    validated: list[ValidatedRow] = []
    skipped: list[SkippedRow] = []
    for index, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
        on_progress(index / len(rows))
        try:
            found = kind.predict(row, alike[kind])
            if not 0.0 < found.predicted < math.inf:
                raise SpecError.of("the cost model has no finite answer for this row.")
            validated.append(_validated(found))
        except SpecError as error:
            skipped.append(SkippedRow(id=row.id, reason=str(error)))
    counted = [row for row in validated if row.is_counted]
    return Validation(
        rows=tuple(validated),
        skipped=tuple(skipped),
        quantities={QUANTITY: scores(counted)} if counted else {},
        num_table_rows=len(rows),
    )


def _row(number: int, cells: dict[str, str]) -> Row:
    name = cells.get("row_id", "").strip() or cells.get("id", "").strip()
    return Row(id=name or f"row-{number}", cells=dict(map(_published, cells.items())))


def _published(cell: tuple[str, str]) -> tuple[str, str]:
    """(column, text) as published tables have them; a unit other than theirs stays, and is then no number."""
    name, text = cell
    column, unit = OWN_COLUMNS.get(name, (name, ""))
    return column, re.sub(rf"(?<=\d) {re.escape(unit)}(?=\s*(;|$))", "", text) if unit else text


def _validated(found: Outcome) -> ValidatedRow:
    return ValidatedRow(
        id=found.row.id,
        source=found.table,
        quantity=found.quantity,
        unit=found.unit,
        measured=found.measured,
        predicted=found.predicted,
        relative_error=found.predicted / found.measured - 1.0,
        assumed=tuple(found.row.assumed),
        column=found.column,
        quality=found.row.text("quality"),
        is_counted=found.is_counted,
        gpu=found.gpu or "-",
        framework=found.method or "-",
        family=found.model or "-",
        group=found.group,
        null_model_seconds=None,
    )
