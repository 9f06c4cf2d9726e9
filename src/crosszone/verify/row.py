"""Tables of measured runs: CSV text to rows, and the cells of a row as numbers."""

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from crosszone.errors import Finding, SpecError

MEASURED = (
    "iter_time_s",
    "step_seconds",
    "tokens_per_sec_per_gpu",
    "tokens_per_second_per_gpu",
    "tokens_per_sec_total",
    "tokens_per_second",
    "samples_per_sec",
    "samples_per_second",
    "samples_per_sec_per_gpu",
    "mfu_pct",
    "mfu",
    "tflops_per_gpu",
    "flop_per_second_per_gpu",
    "peak_memory_GiB",
    "peak_memory_bytes",
    "status",
)
"""Columns that hold what was measured, as published tables call them and in base units; a table has at least one."""
NEEDED = (("gpu",), ("n_gpus",), ("seq_len",), ("global_batch", "grad_accum"), ("model", "layers"), MEASURED)
"""Of each group of columns a table has at least one."""
BLANKS = ("", "-", "?", "n/a", "n.a.", "na", "nan", "null", "unknown", "not stated", "not printed")
"""What a cell says that holds nothing, in lower case."""
YES, NO = ("yes", "true", "1", "1.0", "y", "on"), ("no", "false", "0", "0.0", "n", "off")
MAX_VALUE = 1e18
"""No cell of such a table is larger: beyond it a number is a slip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run as its table states it. Reading a cell that is wrong raises SpecError: the row is then skipped."""

    id: str
    cells: Mapping[str, str]
    assumed: list[str] = field(default_factory=list)
    """What nobody stated, in the order it was filled in."""

    @property
    def source(self) -> str:
        """Family of the run: its id up to the first underscore, or without one, up to the number at its end."""
        prefix, underscore, _ = self.id.partition("_")
        return prefix if underscore else re.sub(r"[-.#]?\d+$", "", self.id) or self.id

    def text(self, name: str) -> str:
        """The cell, trimmed; empty where it is blank or there is no such column."""
        cell = self.cells.get(name, "").strip()
        return "" if cell.lower() in BLANKS else cell

    def number(self, name: str, *, least: float = 0.0) -> float | None:
        """The cell as a number above 0 (at least `least` where that is given); None where it is blank."""
        cell = self.text(name)
        if not cell:
            return None
        try:
            value = float(cell.removesuffix("%"))
        except ValueError:
            raise SpecError.of(f'{name} is "{_short(cell)}", which is no number.') from None
        if not math.isfinite(value) or value > MAX_VALUE or value < least or (least <= 0.0 and value <= 0.0):
            raise SpecError.of(f"{name} is {_short(cell)}; it must be positive and finite.")
        return value

    def count(self, name: str, *, least: int = 1) -> int | None:
        """The cell as a whole number from `least` on ("64.0" is 64); None where it is blank."""
        cell = self.text(name)
        if least == 0 and cell in ("0", "0.0"):
            return 0
        value = self.number(name, least=float(least))
        if value is None:
            return None
        if value != int(value):
            raise SpecError.of(f"{name} is {_short(cell)}, which is no whole number.")
        return int(value)

    def flag(self, name: str) -> bool | None:
        """The cell as yes or no; None where it is blank."""
        cell = self.text(name).lower()
        if not cell:
            return None
        if cell not in YES + NO:
            raise SpecError.of(f'{name} is "{_short(cell)}"; write yes or no.')
        return cell in YES

    def assume(self, name: str, value: object, why: str = "not stated") -> None:
        """Note that `name` was taken to be `value`."""
        self.assumed.append(f"{name} {value}: {why}.")


def read_rows(text: str) -> tuple[Row, ...]:
    """The rows of a CSV table of runs; the columns may stand in any order, unknown ones are ignored.

    A row without `id` is called after its place. Errors: SpecError naming every needed column that the table lacks.
    """
    names = header(text)
    lacking = [names_of for names_of in NEEDED if not set(names_of) & set(names)]
    if lacking:
        raise SpecError(*(_lacking(names_of) for names_of in lacking))
    return tuple(_row(number, cells) for number, cells in read_cells(text))


def header(text: str) -> list[str]:
    """The columns that a CSV table names; SpecError where it is none."""
    table = _table(text)
    return [name.strip() for name in table[0]] if table else []


def read_cells(text: str) -> list[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row of a CSV table with a header line that is not empty.

    A byte order mark, quoting, and `;` or tabs in place of commas are understood.
    """
    names = header(text)
    return [
        (number, dict(zip(names, cells, strict=False)))
        for number, cells in enumerate(_table(text)[1:], start=2)
        if any(cell.strip() for cell in cells)
    ]


def _table(text: str) -> list[list[str]]:
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    header_line = text.removeprefix("\ufeff").partition("\n")[0]
    delimiter = max(",;\t", key=header_line.count)
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise SpecError.of(f"the table cannot be read as CSV: {error}.", hint="Save it as CSV, UTF-8.") from None


def _row(number: int, cells: dict[str, str]) -> Row:
    return Row(id=cells.get("id", "").strip() or f"row-{number}", cells=cells)


def _lacking(names: tuple[str, ...]) -> Finding:
    return Finding(
        code="missing_column",
        message=f"the table has no column {' or '.join(names)}."
        if names is not MEASURED
        else "the table has no column of what was measured, as step_seconds or tokens_per_second_per_gpu.",
        hint="The first line names the columns; docs/reference/validate.md lists them.",
    )


def _short(cell: str) -> str:
    return cell if len(cell) <= 40 else f"{cell[:37]}..."
