"""Whole answers in another language: the texts of those keys that hold sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crosszone.words.dictionary import sentence

KEYS = frozenset(
    {
        *("verdict", "reasons", "reason", "message", "warnings", "assumed", "notes", "note", "obstacles", "warning"),
        *("change", "title", "fix", "hint", "effect", "mathematics", "prompt", "bounds", "why", "rule", "detail"),
        *("description", "unseen", "cause", "problem"),
    }
)
"""Of JSON objects whose texts are sentences. Names and codes under them have no twin, and stay."""
TEXT = "text"
"""The sentence of an object under such a key, as of a cause; elsewhere it is what a person or a file says."""


def translated(value: Any, language: str) -> Any:
    """`value`, as JSON has it, with the sentences that are known in `language`; all else is as it was."""
    return _walked(value, False, lambda text: sentence(text, language) or text)


def _walked(value: Any, is_sentence: bool, told: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _walked(each, key in KEYS or (is_sentence and key == TEXT), told) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(each, is_sentence, told) for each in value]
    if is_sentence and isinstance(value, str):
        return told(value)
    return value
