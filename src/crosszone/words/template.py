"""A sentence with slots, and its twin in another language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

VALUE, WORDS, LIST, NAMES, CLAUSES = "", "words", "list", "names", "clauses"
SIZE, PATH, ANY, CITED = "size", "path", "any", "cited"
"""Kinds of slots: `{x}` a value, carried over as it is; `{x:words}` what must have a twin itself, `{x:clauses}` several
of them; `{x:list}` items that have a twin or are names; `{x:names}` items that a person would type, as they are;
`{x:size}` a number with or without unit; `{x:path}` a place in a file; `{x:any}` a text that is quoted;
`{x:cited}` what stands in brackets."""

_SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
_MATCHED = {
    VALUE: r"(?:(?![.;:!?] ).)+?",  # within one sentence
    WORDS: r".+?",
    LIST: r".+?",
    NAMES: r".+?",
    CLAUSES: r".+?",
    SIZE: r"[+-]?\d[\d.,e+-]*(?: [%\w/]+)?",
    PATH: r"[\w.\-\[\]\"/#*]+",
    ANY: r"(?:(?![.!?] [A-Z][a-z])[\s\S])+?",
    CITED: r"[^\[\]]+",
}
_PHRASE = re.compile(r"[a-z]{2,} [a-z]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """An English sentence as a pattern, and how the other language says it."""

    english: str
    other: str
    kinds: Mapping[str, str]
    """Of each slot."""
    words: frozenset[str]
    """That stand in every sentence of it, with space around."""
    num_own_characters: int
    """Outside of slots."""
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, english: str, other: str) -> Template:
        """Of two texts with the same slots. KeyError where a slot is of no kind."""
        own = _SLOT.split(english)[::3]
        kinds = {name: kind or VALUE for name, kind in _SLOT.findall(english)}
        slots = [f"(?P<{name}>{_MATCHED[kind]})" for name, kind in kinds.items()]
        patterns = [re.escape(own[0]), *(slot + re.escape(text) for slot, text in zip(slots, own[1:], strict=True))]
        return cls(
            english=english,
            other=other,
            kinds=kinds,
            words=frozenset(word for word in _SLOT.sub("{}", english).split() if "{}" not in word),
            num_own_characters=sum(map(len, own)),
            pattern=re.compile("".join(patterns)),
        )

    def values(self, text: str) -> dict[str, str] | None:
        """What stands in the slots; None where `text` is another sentence, or a value is a phrase in English."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        values = found.groupdict()
        if any(self.kinds[name] == VALUE and is_phrase(value) for name, value in values.items()):
            return None
        return values

    def filled(self, values: Mapping[str, str]) -> str:
        """The other sentence with these values."""
        return _SLOT.sub(lambda slot: values[slot[1]], self.other)


def is_phrase(value: str) -> bool:
    """Whether it has words in English, and is no mere name or number."""
    return _PHRASE.search(value) is not None
