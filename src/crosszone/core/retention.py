"""How long a server keeps what is large: what was told of tasks, what their ranks said, what they measured."""

from __future__ import annotations

from dataclasses import dataclass

DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long something is kept; what is large and hardly read any more, for the shortest time."""

    events_seconds: float = 365 * DAY_SECONDS
    """After the end of the task that they tell of."""
    lines_seconds: float = 30 * DAY_SECONDS
    """After the end of the task whose ranks said them."""
    samples_seconds: float = 365 * DAY_SECONDS
    """After the end of the task that measured them."""
    looks_seconds: float = 30 * DAY_SECONDS
    """At paths, by their own age: of a run the newest thousand are all that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many rows went."""

    num_events: int
    num_lines: int
    num_samples: int
    num_looks: int
