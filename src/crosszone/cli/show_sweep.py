"""The screen of `crosszone sweep`: one line a case."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from crosszone import units
from crosszone.cli.tables import Column, bullets, heading, paragraph, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crosszone.core.sweep import Sweep

DEGREES = ("tp", "pp", "cp", "ep", "dp")
PLANNED = "planned"


def sweep_view(sweep: Sweep) -> Iterable[RenderableType]:
    """The rows, and below them how many cases ended in which way."""
    varied = [name for name in sweep.rows[0] if name in sweep.keys]
    jobs = ["job"] if len({row["job"] for row in sweep.rows}) > 1 else []
    columns = [Column(name=name) for name in (*jobs, *varied)]
    columns += [
        Column(name="plan"),
        Column(name="zones"),
        Column(name="step", is_number=True),
        Column(name="MFU", is_number=True),
        Column(name="times one zone", is_number=True),
    ]
    yield table(columns, [[*(_text(row[name]) for name in (*jobs, *varied)), *_cells(row)] for row in sweep.rows])
    reasons = dict.fromkeys(f"{row['status']}: {row['message']}" for row in sweep.rows if row["status"] != PLANNED)
    if reasons:
        yield heading("Without a plan")
        yield bullets(reasons)
    counts = [(status, sweep.num_with(status)) for status in dict.fromkeys(row["status"] for row in sweep.rows)]
    yield paragraph(", ".join(f"{count} {status}" for status, count in counts))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["status"] != PLANNED:
        return (row["status"], "", "", "", "")
    speedup = row["speedup_ratio"]
    return (
        " ".join([row["framework"], *(f"{name}={row[name]}" for name in DEGREES if row[name] > 1)]),
        f"{len(row['zones'].split())} ({row['zone_axis']} across)" if " " in row["zones"] else row["zones"],
        units.format_seconds(row["step_seconds"]),
        units.format_fraction(row["mfu"]),
        "" if speedup is None else f"{speedup:.2f}",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
