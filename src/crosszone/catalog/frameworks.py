"""Frameworks' numbers: one sheet each in `data/frameworks`, read when it is named.

A sheet may hold older generations, or what one team ran, as tables beside `[figures]` with only what differs from it:

    [nanotron-2025]
    title = "nanotron 0.5"
    version = "nanotron 0.5 (2025-02)"
    launch_seconds = { value = 0.0015, source = "..." }

They explain runs that were measured, or hold for some plans (`frameworks`: MODES); plans are for the software of
`[figures]`, which one can install today.
"""

from __future__ import annotations

import functools
from dataclasses import fields, replace
from typing import Any

from crosszone.catalog.sheets import Figure, Sheet, sheet
from crosszone.core.framework import Fact, Framework
from crosszone.errors import UnknownName

FOLDER = "frameworks"
TEXTS = ("name", "title", "version", "attention_kernel")
"""Fields of a `Framework` that are texts; all others are figures, but `STRUCTURES`."""
STRUCTURES = ("facts", "modes")


@functools.cache
def framework(name: str, generation: str = "") -> Framework:
    """The framework called `name`; with `generation`, as it was then, called by both names.

    Errors: UnknownName with the nearest names.
    """
    found = sheet(FOLDER, name, "framework")
    values: dict[str, Any] = {text: found.text(text) for text in TEXTS}
    for field in fields(Framework):
        if field.name not in (*TEXTS, *STRUCTURES):
            values[field.name] = found.number(field.name)
    facts = tuple(Fact(field=figure.name, source=_source(figure)) for figure in found.figures if _is_todays(figure))
    today = Framework(**values, facts=facts)
    return _of_generation(today, found, generation) if generation else today


@functools.cache
def generations(name: str) -> tuple[str, ...]:
    """Generations that the sheet of `name` holds beside today's, sorted.

    Errors: UnknownName with the nearest names.
    """
    found = sheet(FOLDER, name, "framework")
    names = [figure.name for figure in found.figures] + [key for key, _ in found.texts]
    return tuple(sorted({table for table, dot, _ in (name.rpartition(".") for name in names) if dot}))


def framework_sheet(name: str) -> Sheet:
    """All facts of the framework as it is today, with their sources.

    Errors: UnknownName with the nearest names.
    """
    found = sheet(FOLDER, name, "framework")
    texts = tuple((key, text) for key, text in found.texts if "." not in key)
    return replace(found, texts=texts, figures=tuple(figure for figure in found.figures if _is_todays(figure)))


def _of_generation(today: Framework, found: Sheet, generation: str) -> Framework:
    """Today's facts with what the generation's table says otherwise. Errors: UnknownName."""
    if generation not in generations(found.name):
        raise UnknownName.among(generation, generations(found.name), kind=f"generation of {found.name}")
    texts: dict[str, Any] = {text: found.text(f"{generation}.{text}") or getattr(today, text) for text in TEXTS}
    changed = dict(found.table(generation))
    own = {
        figure.name.rpartition(".")[2]: figure for figure in found.figures if figure.name.startswith(f"{generation}.")
    }
    facts = tuple(fact for fact in today.facts if fact.field not in own)
    facts += tuple(Fact(field=field, source=_source(figure)) for field, figure in own.items())
    return replace(today, **{**texts, **changed, "name": f"{today.name} {generation}", "facts": facts})


def _is_todays(figure: Figure) -> bool:
    return "." not in figure.name


def _source(figure: Figure) -> str:
    return f"{figure.source}: {figure.note}" if figure.note else figure.source
