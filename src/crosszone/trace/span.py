"""Spans, flows and counters: what a timeline consists of, whether it was predicted or measured."""

from dataclasses import dataclass
from typing import NamedTuple

Value = str | int | float
"""What can stand beside a span or a trace."""


class Track(NamedTuple):
    """One line of the timeline; spans on it nest or follow each other. A tuple, because many are looked up.

    Work has `stage` and `replica`, a link has `to_zone`.
    """

    zone: str
    stream: str
    """What of the GPU or link is busy: compute, send, agreement; pp, dp, embedding on a link."""
    node_group: int | None = None
    replica: int | None = None
    """Group of replicas that are placed alike; one of them is shown."""
    stage: int | None = None
    rank: int | None = None
    """Global rank, where a rank was measured; a prediction shows one rank for all of a stage."""
    to_zone: str | None = None
    """Other end of a link, which starts in `zone`."""
    lane: int = 0
    """Counts tracks that are alike because their spans overlap."""

    @property
    def group(self) -> "Track":
        """The track without stream and lane: what belongs to one stage or link."""
        return self._replace(stream="", lane=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that took time on one track."""

    name: str
    category: str
    """forward, backward, ...: what spans that are drawn alike have in common."""
    track: Track
    start_seconds: float
    end_seconds: float
    moved_bytes: float = 0.0
    """Over the link of the track; 0 for work."""
    is_part: bool = False
    """Inside another span of its track, as a part of it."""
    args: tuple[tuple[str, Value], ...] = ()
    """What else is known: microbatch, virtual stage."""

    @property
    def duration_seconds(self) -> float:
        """From start to end."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One span leads to another: a message is sent, or what it brought is used."""

    name: str
    source: int
    """Index of the span that it leaves."""
    target: int
    """Index of the span that it enters; it starts no earlier than the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A quantity over time; each value holds until the next sample."""

    name: str
    """The quantity, its unit the last word: memory_bytes, bytes_per_second."""
    track: Track
    samples: tuple[tuple[float, float], ...]
    """(seconds, value) in order of time."""

    @property
    def peak(self) -> float:
        """Largest value."""
        return max(value for _, value in self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A timeline."""

    origin: str
    """predicted | measured"""
    spans: tuple[Span, ...]
    flows: tuple[Flow, ...] = ()
    counters: tuple[Counter, ...] = ()
    labels: tuple[tuple[Track, str], ...] = ()
    """What to call a stage or link, by `Track.group`, where its fields do not say it all."""
    facts: tuple[tuple[str, Value], ...] = ()
    """About the whole: step_seconds, fingerprint."""

    @property
    def end_seconds(self) -> float:
        """End of the last span; 0 where there is none."""
        return max((span.end_seconds for span in self.spans), default=0.0)
