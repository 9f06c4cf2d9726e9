"""A rule of good practice, judged on one plan: with numbers, and what to do."""

from dataclasses import dataclass

VERDICTS = ("pass", "warn", "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one rule says of one plan."""

    name: str
    """Of the rule, in snake_case."""
    verdict: str
    """pass | warn (it costs time, money or certainty) | fail (it cannot work, or something better is known)"""
    message: str
    """What was found, with the numbers."""
    fix: str
    """What to do; empty where it passes."""
    settings: tuple[str, ...] = ()
    """The same as `whatif --set` takes it; empty where no key of the job file does it."""
    source: str
    """By whose word the rule stands."""
