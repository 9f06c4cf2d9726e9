"""Frameworks' numbers: one sheet each in `data/frameworks`, read when it is named."""

from __future__ import annotations

import functools
from dataclasses import fields
from typing import Any

from crosszone.catalog.sheets import Figure, Sheet, sheet
from crosszone.core.framework import Fact, Framework

FOLDER = "frameworks"
TEXTS = ("name", "title", "version")
"""Fields of a `Framework` that are texts; all others are figures, but `facts`."""


@functools.cache
def framework(name: str) -> Framework:
    """The framework called `name`.

    Errors: UnknownName with the nearest names.
    """
    found = sheet(FOLDER, name, "framework")
    values: dict[str, Any] = {text: found.text(text) for text in TEXTS}
    for field in fields(Framework):
        if field.name not in (*TEXTS, "facts"):
            values[field.name] = found.number(field.name)
    facts = tuple(Fact(field=figure.name, source=_source(figure)) for figure in found.figures)
    return Framework(**values, facts=facts)


def framework_sheet(name: str) -> Sheet:
    """All facts of the framework with their sources.

    Errors: UnknownName with the nearest names.
    """
    return sheet(FOLDER, name, "framework")


def _source(figure: Figure) -> str:
    return f"{figure.source}: {figure.note}" if figure.note else figure.source
