"""A figure that somebody published, and the reader of the tables that hold many of them.

The tables of `data/providers` are CSV: the first column names what a row is about, the column `source` is a key of
`sources.csv`, where citation, date and method stand once. Only the rows that are asked for are parsed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

PROVIDERS_FOLDER = "data/providers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One published figure."""

    value: float
    """The figure, in `unit`."""
    unit: str
    """Base unit, as the end of a name: `seconds`, `bytes_per_second`, `dollars_per_byte`, `dollars_per_hour`."""
    source: str
    """Public citation."""
    date: str
    """When it was measured or published, ISO 8601, as exact as the source says: `2022-04-16`, `2023-04`, `2025`."""
    note: str = ""
    """How it was obtained and what to beware of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row of `sources.csv`: where a set of figures comes from."""

    key: str
    date: str
    citation: str
    how: str
    """How the figures were obtained."""
    left_out: str
    """What the source also has and our table has not, with the reason; empty if nothing."""
    instances: tuple[tuple[str, str], ...]
    """(provider, machine type) of a measurement between machines; empty where not recorded."""
    num_streams: int | None
    """Parallel TCP streams of a throughput measurement; None where not recorded."""

    def instance(self, provider: str) -> str:
        """The machine type that stood at `provider`, or an empty text where it was not recorded."""
        return dict(self.instances).get(provider, "")


def provider_rows(table: str, first: str) -> list[dict[str, str]]:
    """Rows of `data/providers/<table>.csv` whose first column is `first`; an empty list where there are none."""
    header, lines = _lines_by_first_column(table)
    return list(csv.DictReader([header, *lines.get(first, ())]))


def provider_places(table: str) -> tuple[str, ...]:
    """What the first column of `data/providers/<table>.csv` names, once each, in the order of the file."""
    return tuple(_lines_by_first_column(table)[1])


@cache
def source(key: str) -> Source:
    """The source with this key. KeyError where `sources.csv` has no such row: a mistake in our own table."""
    rows = provider_rows("sources", key)
    if not rows:
        raise KeyError(f"sources.csv has no row {key!r}")
    row = rows[0]
    pairs = (part.strip().split(" ", 1) for part in row["instances"].split(";") if part.strip())
    return Source(
        key=key,
        date=row["date"],
        citation=row["citation"],
        how=row["how"],
        left_out=row["left_out"],
        instances=tuple((provider, machine) for provider, machine in pairs),
        num_streams=int(row["num_streams"]) if row["num_streams"] else None,
    )


@cache
def _lines_by_first_column(table: str) -> tuple[str, dict[str, list[str]]]:
    # Splitting at the first comma finds the rows without parsing all of them. It holds because no first column is
    # quoted and no cell has a line break, which a test checks.
    file = resources.files("crosszone.catalog").joinpath(PROVIDERS_FOLDER, f"{table}.csv")
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.split(",", 1)[0], []).append(line)
    return header, found
