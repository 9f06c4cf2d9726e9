"""Whole tables of list prices and measured round trips; `prices` and `links` answer for one figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crosszone.catalog.facts import provider_places, provider_rows, source


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPrice:
    """What a provider asks for one GPU with its share of the machine."""

    place: str
    """Provider, or region as `provider:code`."""
    gpu: str
    """Catalog name."""
    kind: str
    """`on_demand`, or `preemptible`: a snapshot of a price that moves."""
    dollars_per_hour: float
    source: str
    """Public citation."""
    date: str
    """When it was published, ISO 8601, as exact as the source says."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPrice:
    """What a byte costs that leaves a region (or any of a provider) for another; the sender pays."""

    place: str
    to: str
    """A region, a provider, or `internet`."""
    dollars_per_byte: float
    source: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """What a round trip between machines of two regions was measured to take."""

    place: str
    to: str
    rtt_seconds: float
    source: str
    date: str
    note: str
    """How it was measured."""


def gpu_prices() -> Iterator[GpuPrice]:
    """Every price of a GPU."""
    for row in _rows("gpu_prices", None):
        origin = source(row["source"])
        yield GpuPrice(
            place=row["place"],
            gpu=row["gpu"],
            kind=row["kind"],
            dollars_per_hour=float(row["dollars_per_hour"]),
            source=origin.citation,
            date=origin.date,
            note=row["note"],
        )


def egress_prices(place: str | None = None) -> Iterator[EgressPrice]:
    """Every price of what leaves `place` (a region or a provider); of all where None."""
    for row in _rows("egress_prices", place):
        origin = source(row["source"])
        price = float(row["dollars_per_byte"])
        yield EgressPrice(
            place=row["from"], to=row["to"], dollars_per_byte=price, source=origin.citation, date=origin.date
        )


def round_trips(place: str | None = None) -> Iterator[RoundTrip]:
    """Every round trip that was measured from `place` (a region); from all where None."""
    for row in _rows("network_rtt", place):
        origin = source(row["source"])
        yield RoundTrip(
            place=row["from"],
            to=row["to"],
            rtt_seconds=float(row["rtt_seconds"]),
            source=origin.citation,
            date=origin.date,
            note=origin.how,
        )


def _rows(table: str, place: str | None) -> Iterator[dict[str, str]]:
    for each in provider_places(table) if place is None else (place,):
        yield from provider_rows(table, each)
