"""Fact sheets: one TOML file for one thing, in which every figure names its source.

    name = "a100-sxm4-80gb"            # that of the file
    title = "NVIDIA A100 SXM4 80 GB"   # what is a name or a sentence stands bare
    aliases = ["a100"]

    [figures]                          # a figure stands with the key of its source
    memory_bytes = { value = 84987084800, source = "driver", note = "79.15 GiB" }

    [fabric]                           # figures of a table other than [figures] are called fabric.num_gpus
    num_gpus = { value = 8, source = "sheet", estimated = true }

    [sources.sheet]
    title = "NVIDIA A100 data sheet"
    url = "https://..."
    retrieved = 2026-11-20

A sheet is found by its file's name; what is not in it is unknown. `estimated` marks what nobody published: the note
says how the figure was made.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from crosszone.errors import UnknownName

PLAIN_TABLE = "figures"
"""The table whose figures are called by their bare key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One value of a sheet and where it comes from."""

    name: str
    """Key, with its table in front: `memory_bytes`, `fabric.num_gpus`. The last word is the unit."""
    value: float | bool
    source: str
    """Citation."""
    url: str
    """Empty where the source has no address."""
    retrieved: str
    """When the source was read, ISO 8601."""
    note: str
    is_estimated: bool
    """Nobody published it; the note says how it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All facts of one thing."""

    name: str
    texts: tuple[tuple[str, str], ...]
    """What is a name or a sentence: title, vendor, fabric.kind."""
    aliases: tuple[str, ...]
    figures: tuple[Figure, ...]

    def text(self, name: str, default: str = "") -> str:
        """The text called `name`."""
        return dict(self.texts).get(name, default)

    def number(self, name: str) -> float:
        """The figure called `name`. KeyError where the sheet has none: a mistake in our own file."""
        value = self.known(name)
        if value is None:
            raise KeyError(f"the sheet of {self.name} has no figure {name}")
        return value

    def known(self, name: str) -> float | None:
        """The figure called `name`, or None where it is unknown."""
        return next((figure.value for figure in self.figures if figure.name == name), None)

    def table(self, name: str) -> tuple[tuple[str, float], ...]:
        """(key, value) of each figure in the table called `name`, in the file's order."""
        prefix = f"{name}."
        return tuple(
            (figure.name.removeprefix(prefix), figure.value)
            for figure in self.figures
            if figure.name.startswith(prefix)
        )


@functools.cache
def sheet_names(folder: str) -> tuple[str, ...]:
    """Names of the sheets in `data/<folder>`, sorted."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _files(folder)))


@functools.cache
def sheet(folder: str, name: str, kind: str) -> Sheet:
    """The sheet of `data/<folder>` called `name`, or one of whose aliases `name` is.

    A sheet's own name reads one file. An alias looks through the folder for the text, and reads the one that has it.

    Errors: UnknownName with the nearest names; `kind` says what was looked for, as "gpu".
    """
    if name in sheet_names(folder):
        return _parse(_folder(folder).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    for file in _files(folder):
        text = file.read_text(encoding="utf-8")
        if f'"{name}"' in text and name in (found := _parse(text)).aliases:
            return found
    raise UnknownName.among(name, sheet_names(folder), kind=kind)


def _files(folder: str) -> list[Traversable]:
    return [file for file in _folder(folder).iterdir() if file.name.endswith(".toml")]


def _folder(folder: str) -> Traversable:
    return resources.files("crosszone.catalog").joinpath("data", folder)


def _parse(text: str) -> Sheet:
    data = tomllib.loads(text)
    sources = data.pop("sources", {})
    aliases = tuple(data.pop("aliases", ()))
    texts: list[tuple[str, str]] = []
    figures: list[Figure] = []
    for key, value in data.items():
        if not isinstance(value, dict):
            texts.append((key, str(value)))
            continue
        prefix = "" if key == PLAIN_TABLE else f"{key}."
        for inner, fact in value.items():
            if isinstance(fact, dict):
                figures.append(_figure(f"{prefix}{inner}", fact, sources))
            else:
                texts.append((f"{prefix}{inner}", str(fact)))
    return Sheet(name=data["name"], texts=tuple(texts), aliases=aliases, figures=tuple(figures))


def _figure(name: str, fact: dict[str, Any], sources: dict[str, Any]) -> Figure:
    source = sources[fact["source"]]
    return Figure(
        name=name,
        value=fact["value"],
        source=source["title"],
        url=source.get("url", ""),
        retrieved=str(source["retrieved"]),
        note=fact.get("note", ""),
        is_estimated=fact.get("estimated", False),
    )
