"""One row of a cross-zone table beside its prediction."""

from dataclasses import dataclass

from crosszone.errors import SpecError
from crosszone.verify.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a kind of row makes of one row. The kinds raise SpecError with the reason where they cannot predict it."""

    row: Row
    measured: float
    predicted: float
    """In the quantity and the unit of the table."""
    quantity: str
    unit: str
    table: str
    """Whose runs they are; what the errors are shown by."""
    method: str
    """Schedule, way to agree, or kind of route."""
    model: str = ""
    gpu: str = ""
    group: str = ""
    column: str = "value"
    is_counted: bool = True
    """No where a constant was fitted to the row."""


def reported(row: Row, predicted: float, *, table: str = "", method: str = "", group: str = "") -> Outcome:
    """The outcome of a row of the columns `metric`, `value`, `unit`."""
    return Outcome(
        row=row,
        measured=needed(row, "value"),
        predicted=predicted,
        quantity=row.text("metric"),
        unit=row.text("unit"),
        table=table or row.text("work") or row.source,
        method=method or row.text("method"),
        model=row.text("model"),
        gpu=row.text("gpu_type"),
        group=group,
    )


def needed(row: Row, name: str) -> float:
    """The cell as a number above 0. SpecError where there is none."""
    value = row.number(name)
    if value is None:
        raise SpecError.of(f"{name} is blank.")
    return value


def needed_count(row: Row, name: str) -> int:
    """The cell as a whole number. SpecError where there is none."""
    value = row.count(name)
    if value is None:
        raise SpecError.of(f"{name} is blank.")
    return value
