"""The catalog as people read it: one line per entry, or all facts of one entry with their sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.tables import Column, bullets, heading, pairs, table
from crosszone.service import CatalogEntry

# What a list shows of each kind: (heading, attribute). A dot leads to a key of a table of pairs.
_LISTED: dict[str, tuple[tuple[str, str], ...]] = {
    "gpus": (
        ("memory", "memory_bytes"),
        ("memory rate", "memory_bytes_per_second"),
        ("bf16 peak", "peak_flop_per_second.bf16"),
        ("fp16 peak", "peak_flop_per_second.fp16"),
        ("fabric", "fabric_kind"),
    ),
    "models": (
        ("size", "num_parameters"),
        ("active", "num_active_parameters"),
        ("layers", "num_layers"),
        ("hidden", "hidden_size"),
        ("heads", "num_heads"),
        ("vocab", "vocab_size"),
    ),
    "regions": (("place", "place"), ("latitude", "latitude_degrees"), ("longitude", "longitude_degrees")),
    "frameworks": (("title", "title"), ("versions", "version")),
    "prices": (("price", "dollars_per_hour"), ("date", "date")),
    "egress": (("price", "dollars_per_byte"), ("date", "date")),
    "links": (("round trip", "rtt_seconds"), ("date", "date")),
}


TABLES = ("prices", "egress", "links")
"""Kinds whose entries are single figures: their sources stand below the list, each once."""


def catalog_view(kind: str, entries: tuple[CatalogEntry, ...], *, is_one: bool) -> Iterator[RenderableType]:
    """A list of `entries`, or where there is one and it was asked for by name, all that is known of it."""
    if is_one and len(entries) == 1:
        yield from _entry_view(entries[0])
        return
    columns = [Column(name="name")]
    for title, attribute in _LISTED[kind]:
        is_number = any(isinstance(_attribute(entry, attribute), int | float) for entry in entries)
        columns.append(Column(name=title, is_number=is_number, is_flexible=not is_number))
    yield table(
        columns,
        [
            (entry.name, *(_shown(attribute, _attribute(entry, attribute)) for _, attribute in _LISTED[kind]))
            for entry in entries
        ],
    )
    if kind in TABLES:
        yield heading("Sources")
        yield bullets(list(dict.fromkeys(f"{entry.noun.source}; {entry.noun.date}" for entry in entries)))
        return
    yield Text(f"\n{len(entries)} {kind}. All about one, with sources: crosszone catalog {kind} NAME", style="dim")


def _entry_view(entry: CatalogEntry) -> Iterator[RenderableType]:
    yield Text(entry.name, style="bold")
    yield pairs(_fields(entry))
    if entry.facts:
        yield heading("Sources")
        yield bullets(_sources(entry.facts))
    notes = [(_fact_name(fact), fact.note) for fact in entry.facts if fact.note]
    if notes:
        yield heading("Notes")
        yield pairs(notes)


def _fields(entry: CatalogEntry) -> Iterator[tuple[str, str]]:
    hidden = {"name", "facts", "source"} if entry.facts else {"name"}
    noun = [(field, getattr(entry.noun, field.name)) for field in dataclasses.fields(entry.noun)]
    # A field at its default is something that this model does not have; JSON carries it.
    special = [(field.name, value) for field, value in noun if value != field.default]
    for name, value in (*special, *entry.more):
        if name in hidden or value in ("", ()):
            continue
        if isinstance(value, tuple) and isinstance(value[0], tuple):
            for key, inner in value:
                yield f"{name}.{key}", _shown(name, inner)
        else:
            yield name, _shown(name, value)


def _sources(facts: tuple[Any, ...]) -> list[str]:
    """Each source once, with what was taken from it."""
    taken: dict[str, list[str]] = {}
    for fact in facts:
        parts = (fact.source, fact.url, fact.retrieved)
        taken.setdefault("; ".join(part for part in parts if part), []).append(_fact_name(fact))
    return [f"{source}: {', '.join(names)}" for source, names in taken.items()]


def _fact_name(fact: Any) -> str:
    return f"{fact.name} (estimated)" if fact.is_estimated else str(fact.name)


def _attribute(entry: CatalogEntry, path: str) -> Any:
    name, _, key = path.partition(".")
    more = dict(entry.more)
    value = more[name] if name in more else getattr(entry.noun, name)
    return dict(value).get(key) if key else value


def _shown(name: str, value: Any) -> str:
    """`value` as its name's last words, the unit, have it written."""
    if value is None:
        return "none" if name.startswith("peak_") else "unknown"  # of a peak, None says that the hardware has none
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    if not isinstance(value, int | float):
        return str(value)
    if name.endswith("_parameters"):
        return units.format_count(value)
    if "flop_per_second" in name:
        return units.format_flop_per_second(value)
    if name.endswith("network_bytes_per_second"):
        return units.format_bytes_per_second(value)
    if name.endswith("bytes_per_second"):
        return f"{units.format_bytes(value)}/s"  # memory and fabrics are sold in bytes, networks in bits
    for ending, formatted in _FORMATS.items():
        if name.endswith(ending):
            return formatted(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


_FORMATS = {
    "_bytes": units.format_bytes,
    "_seconds": units.format_seconds,
    "_hertz": units.format_hertz,
    "_watts": units.format_watts,
    "_fraction": units.format_fraction,
    "dollars_per_hour": lambda dollars: f"{units.format_dollars(dollars)}/h",
    "dollars_per_byte": units.format_dollars_per_byte,
}
