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
        ("layers", "num_layers"),
        ("hidden", "hidden_size"),
        ("heads", "num_heads"),
        ("KV heads", "num_kv_heads"),
        ("vocabulary", "vocab_size"),
        ("experts", "num_experts"),
    ),
    "regions": (("place", "place"), ("latitude", "latitude_degrees"), ("longitude", "longitude_degrees")),
    "frameworks": (("title", "title"), ("versions", "version")),
}


def catalog_view(kind: str, entries: tuple[CatalogEntry, ...], *, is_one: bool) -> Iterator[RenderableType]:
    """A list of `entries`, or where there is one and it was asked for by name, all that is known of it."""
    if is_one and len(entries) == 1:
        yield from _entry_view(entries[0])
        return
    columns = [Column(name="name")]
    for title, attribute in _LISTED[kind]:
        is_number = any(isinstance(_attribute(entry.noun, attribute), int | float) for entry in entries)
        columns.append(Column(name=title, is_number=is_number, is_flexible=not is_number))
    yield table(
        columns,
        [
            (entry.name, *(_shown(attribute, _attribute(entry.noun, attribute)) for _, attribute in _LISTED[kind]))
            for entry in entries
        ],
    )
    yield Text(f"\n{len(entries)} {kind}. All about one, with sources: crosszone catalog {kind} NAME", style="dim")


def _entry_view(entry: CatalogEntry) -> Iterator[RenderableType]:
    facts = entry.facts or getattr(entry.noun, "facts", ())
    hidden = {"name", "facts", "source"} if facts else {"name"}
    yield Text(entry.name, style="bold")
    yield pairs(_fields(entry.noun, hidden))
    if facts:
        yield heading("Sources")
        yield bullets(_sources(facts))
    notes = [(_fact_name(fact), fact.note) for fact in facts if getattr(fact, "note", "")]
    if notes:
        yield heading("Notes")
        yield pairs(notes)


def _fields(noun: Any, hidden: set[str]) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if field.name in hidden:
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], tuple):
            for key, inner in value:
                yield f"{field.name}.{key}", _shown(field.name, inner)
        elif value not in ("", ()):
            yield field.name, _shown(field.name, value)


def _sources(facts: tuple[Any, ...]) -> list[str]:
    """Each source once, with what was taken from it."""
    taken: dict[str, list[str]] = {}
    for fact in facts:
        parts = (fact.source, getattr(fact, "url", ""), getattr(fact, "retrieved", ""))
        taken.setdefault("; ".join(part for part in parts if part), []).append(_fact_name(fact))
    return [f"{source}: {', '.join(names)}" for source, names in taken.items()]


def _fact_name(fact: Any) -> str:
    """Name of a figure: one of a sheet, or of a framework (whose value is in the noun)."""
    name = getattr(fact, "name", None) or fact.field
    return f"{name} (estimated)" if getattr(fact, "is_estimated", False) else str(name)


def _attribute(noun: Any, path: str) -> Any:
    name, _, key = path.partition(".")
    value = getattr(noun, name)
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
}
