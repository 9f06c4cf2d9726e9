"""What the guide asks and what it knows so far: nouns without logic of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from crosszone.core.answer import RankedPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, with what is legal given the answers before."""

    key: str
    prompt: str
    default: str
    """What is recommended: by the planner where it is about the plan."""
    reason: str
    """Why the default."""
    bounds: str
    """What is legal, and because of which numbers."""
    choices: tuple[str, ...] = ()
    """All legal answers where they are few; empty where they are not listed."""
    low: int | None = None
    """Least legal whole number; None where it is not a whole number."""
    high: int | None = None
    """Most; None where nothing bounds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job half asked for."""

    answers: tuple[tuple[str, str], ...] = ()
    """(key, text) in the order in which they were asked."""
    base: Path | None = None
    """Folder to which a path to a model's config is relative; None: it may name no files."""
    best: RankedPlan | None = None
    """The best plan that keeps to the answers; None until there is enough to search one."""

    def get(self, key: str, default: str = "") -> str:
        """The answer to `key`, or `default` where it was not asked."""
        return dict(self.answers).get(key, default)

    def number(self, key: str, default: int = 1) -> int:
        """The same as a whole number."""
        return int(self.get(key) or default)

    def with_answer(self, key: str, text: str) -> Draft:
        """The draft with one more answer."""
        return replace(self, answers=(*self.answers, (key, text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question of the guide."""

    key: str
    ask: Callable[[Draft], Question]
    take: Callable[[Draft, str], Draft]
    """The draft with the answer. SpecError where it is illegal, with the numbers; InfeasiblePlan where nothing fits."""
    applies: Callable[[Draft], bool] = lambda draft: True
