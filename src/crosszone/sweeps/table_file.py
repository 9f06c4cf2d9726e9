"""Rows as a CSV or Parquet file, whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosszone.core.sweep import Row
from crosszone.errors import PreflightFailed, SpecError

FORMATS = (".csv", ".parquet")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes text that begins so for a formula. Source: OWASP, CSV Injection."""


def check_format(path: Path) -> None:
    """Before the work: `path` names a format, and what writes it is here. SpecError, PreflightFailed."""
    if path.suffix not in FORMATS:
        message = f'"{path.name}" says neither CSV nor Parquet.'
        raise SpecError.of(message, where="--output", hint="Name it *.csv or *.parquet.", code="usage")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401 - whether it can be imported is the question
        except ImportError:
            hint = 'Install it: pip install "crosszone[sweep]", or write a .csv.'
            raise PreflightFailed.of("the package pyarrow is not installed.", where="--output", hint=hint) from None


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """`rows`, which have the same columns, in the file at `path`. OSError."""
    data = _parquet(rows) if path.suffix == ".parquet" else _csv(rows).encode()
    written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        written.write_bytes(data)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_cell(name) for name in rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Numbers as they are, unknown empty, text that is no formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    columns = {name: pyarrow.array(_of_one_type([row[name] for row in rows])) for name in rows[0]}
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()


def _of_one_type(values: Sequence[Any]) -> list[Any]:
    """A column has one type: numbers where all are, else text."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known):
        return list(values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        is_whole = all(isinstance(value, int) for value in known)
        return list(values) if is_whole else [None if value is None else float(value) for value in values]
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
