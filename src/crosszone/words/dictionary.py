"""All templates of a language, and the translation of one text by them."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from crosszone.words.template import CLAUSES, LIST, NAMES, WORDS, Template, is_phrase

FOLDER = Path(__file__).parent
KEPT_TEXTS = 4096
"""Translations that are remembered: answers to one job repeat each other."""
MOST_PARTS = 24
"""Sentences of one text; a longer one is a document, and stays as it is."""

_POINT = "。"
_ENDS = re.compile(r"(?<=[.!?]) ")
_ITEMS = re.compile(r"(, | and | or )")
_COMMA, _FINER_COMMA = "，", "、"
_BETWEEN_ITEMS = {", ": _FINER_COMMA, " and ": "和", " or ": "或"}


class Table:
    """Templates, found by a word that their sentences must have."""

    def __init__(self, twins: Mapping[str, str]) -> None:
        self.templates = [Template.of(english, other) for english, other in twins.items()]
        self._by_word: dict[str, list[Template]] = defaultdict(list)
        counts: dict[str, int] = defaultdict(int)
        for template in self.templates:
            for word in template.words:
                counts[word] += 1
        for template in self.templates:
            rarest = min(template.words, key=lambda word: (counts[word], word), default="")
            self._by_word[rarest].append(template)

    def candidates(self, text: str) -> list[Template]:
        """Templates that `text` may be of, those that say most themselves first."""
        found = [each for word in {"", *text.split()} for each in self._by_word.get(word, ())]
        return sorted(found, key=lambda each: -each.num_own_characters)


@cache
def table(language: str, part: str) -> Table:
    """All templates of one part of a language: `sentences` stand alone, `words` only in the slots of others."""
    twins: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
        twins |= tomllib.loads(path.read_text(encoding="utf-8")).get(part, {})
    return Table(twins)


@lru_cache(maxsize=KEPT_TEXTS)
def sentence(text: str, language: str) -> str | None:
    """One or several sentences in `language`; None where one of them is unknown, so that none is half translated."""
    whole = _by(table(language, "sentences"), text, language)
    if whole is not None:
        return whole
    parts = _ENDS.split(text)
    return _joined(parts, language) if 1 < len(parts) <= MOST_PARTS else None


def _joined(parts: list[str], language: str) -> str | None:
    """The parts in as few sentences as there are: a point may also stand inside one, as in "sec. 4"."""
    for end in range(len(parts), 0, -1):
        first = _by(table(language, "sentences"), " ".join(parts[:end]), language)
        if first is None:
            continue
        if end == len(parts):
            return first
        rest = _joined(parts[end:], language)
        if rest is not None:
            return first + rest
    return None


def _by(known: Table, text: str, language: str) -> str | None:
    for template in known.candidates(text):
        values = template.values(text)
        if values is None:
            continue
        told = {name: _slot(template.kinds[name], value, language) for name, value in values.items()}
        if None not in told.values():
            return template.filled({name: value or "" for name, value in told.items()})
    return None


def _slot(kind: str, text: str, language: str) -> str | None:
    if kind == WORDS:
        return _words(text, language)
    if kind == LIST:
        return _list(_ITEMS.split(text), language)
    if kind == NAMES:
        parts = _ITEMS.split(text)
        return _joined_items(parts[::2], parts[1::2])
    if kind == CLAUSES:
        clauses = [_words(part, language) for part in text.split("; ")]
        return None if None in clauses else "；".join(part or "" for part in clauses)
    return text


def _words(text: str, language: str) -> str | None:
    """A phrase, or sentences; the last of them may lack its point, where it is a clause."""
    found = _by(table(language, "words"), text, language) or sentence(text, language)
    if found is None and not text.endswith("."):
        ended = sentence(f"{text}.", language)
        found = None if ended is None else ended.removesuffix(_POINT)
    return found


def _list(parts: list[str], language: str) -> str | None:
    """Items and what stands between them, by turns."""
    items = [_words(part, language) or (None if is_phrase(part) else part) for part in parts[::2]]
    known = [item for item in items if item is not None]
    return _joined_items(known, parts[1::2]) if len(known) == len(items) else None


def _joined_items(items: list[str], betweens: list[str]) -> str:
    is_nested = any(_FINER_COMMA in item for item in items)
    text = items[0]
    for between, item in zip(betweens, items[1:], strict=True):
        text += _COMMA if is_nested and between == ", " else _spaced(text, _BETWEEN_ITEMS[between], item)
        text += item
    return text


def _spaced(before: str, word: str, after: str) -> str:
    """A word with space on the sides where Latin script stands."""
    if word == _FINER_COMMA:
        return word
    return f"{' ' if before[-1:].isascii() else ''}{word}{' ' if after[:1].isascii() else ''}"
