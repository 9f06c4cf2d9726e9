"""A verb that can be asked for: the keys of its request, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_TEXTS = 1000
MOST_WHOLES = 64
MOST_CHARACTERS = 2**20

FLAG, WHOLE, WHOLES, NUMBER, TEXT, TEXTS = "flag", "whole", "wholes", "number", "text", "texts"
OBJECT, OBJECTS, TEXT_OR_OBJECT = "object", "objects", "text_or_object"
"""Kinds of values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key of a request."""

    name: str
    kind: str
    meaning: str
    example: Any = None
    is_required: bool = False
    most: int | None = None
    """Of a number; the least of a whole one is 1."""
    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        text: dict[str, Any] = {"type": "string", "maxLength": MOST_CHARACTERS}
        whole = {"type": "integer", "minimum": 1, **({} if self.most is None else {"maximum": self.most})}
        schemas: dict[str, dict[str, Any]] = {
            FLAG: {"type": "boolean"},
            WHOLE: whole,
            WHOLES: {"type": "array", "items": whole, "minItems": 1, "maxItems": MOST_WHOLES},
            NUMBER: {"type": "number", "exclusiveMinimum": 0, **({} if self.most is None else {"maximum": self.most})},
            TEXT: {**text, **({"enum": list(self.choices)} if self.choices else {})},
            TEXTS: {"type": "array", "items": text, "maxItems": MOST_TEXTS},
            OBJECT: {"type": "object"},
            OBJECTS: {"type": "array", "items": {"type": "object"}, "maxItems": MOST_TEXTS},
            TEXT_OR_OBJECT: {"anyOf": [text, {"type": "object"}]},
        }
        return {**schemas[self.kind], "description": self.meaning}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb."""

    name: str
    path: str
    summary: str
    description: str
    options: tuple[Option, ...]
    is_long: bool
    """Whether it may search or render for seconds, and so waits behind its like."""
    result: str
    """Name of the schema of its answer; empty where that is a page in HTML, to be saved."""
    example: dict[str, Any]
    """Of a request."""
    is_file_too: bool = False
    """Whether it answers with a file, packed by gzip, where that is asked for."""
    is_older: bool = False
    """Whether the programs before this one answered it: problems then say `success` and `error`, too."""
