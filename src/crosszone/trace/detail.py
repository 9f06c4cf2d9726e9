"""A trace in as many slices as a screen can draw: neighbours are merged where there are more."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crosszone.core.codec import to_json
from crosszone.trace.span import Span, Trace, Track, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What is drawn as one box: a span, or neighbours on one track."""

    name: str
    category: str
    """Of merged spans: the one that takes most of their time."""
    depth: int
    """0; one more for each span that encloses it."""
    start_seconds: float
    end_seconds: float
    duration_seconds: float
    num_spans: int
    """1: the span itself."""
    busy_fraction: float
    """Of the time from start to end that spans fill; 1 for a span itself."""
    moved_bytes: float
    args: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSlices:
    """One line of the picture."""

    track: Track
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Part of a trace, ready to draw."""

    start_seconds: float
    end_seconds: float
    num_spans: int
    """Spans of the trace that lie in the window, nested ones included."""
    is_merged: bool
    """Some slices stand for several spans, or what spans consist of is left out."""
    tracks: tuple[TrackSlices, ...]


def window(trace: Trace, *, start_seconds: float, end_seconds: float, max_slices: int) -> Detail:
    """What happens from start to end, in at most `max_slices` slices (but one for each track that is busy).

    All spans where they are few enough; else without those inside others; else neighbours are merged: those that
    start in the same of equal cells of time.
    """
    inside = [span for span in trace.spans if span.end_seconds > start_seconds and span.start_seconds < end_seconds]
    by_track: dict[Track, list[Span]] = {}
    for span in inside:
        by_track.setdefault(span.track, []).append(span)
    lines = {track: _with_depth(spans) for track, spans in by_track.items()}
    is_merged = len(inside) > max_slices
    if is_merged:
        lines = {track: [(span, 0) for span, depth in line if depth == 0] for track, line in lines.items()}
    num_top = sum(len(line) for line in lines.values())
    num_cells = max(max_slices // max(len(lines), 1), 1) if num_top > max_slices else None
    bounds = start_seconds, end_seconds
    return Detail(
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        num_spans=len(inside),
        is_merged=is_merged,
        tracks=tuple(
            TrackSlices(track=track, slices=tuple(_slices(line, bounds, num_cells))) for track, line in lines.items()
        ),
    )


def detail_json(detail: Detail) -> dict[str, Any]:
    """What our own screen reads: tracks with their slices, all in seconds and bytes."""
    value: dict[str, Any] = to_json(detail)
    for track, listed in zip(detail.tracks, value["tracks"], strict=True):
        listed["track"] = track.track._asdict()
        for one, shown in zip(track.slices, listed["slices"], strict=True):
            shown["args"] = dict(one.args)
    return value


def activity(spans: Iterable[Span], *, start_seconds: float, end_seconds: float, num_cells: int) -> tuple[str, ...]:
    """For each of equal cells of time a category that is in it; "" for nothing.

    Where a cell holds several, what earlier cells left out counts too: each has as many cells as it has time. Spans do
    not overlap.
    """
    width = (end_seconds - start_seconds) / num_cells
    filled: list[dict[str, float]] = [{} for _ in range(num_cells)]
    for span in spans:
        low, high = (time - start_seconds for time in (span.start_seconds, span.end_seconds))
        first, last = (min(max(int(time / width), 0), num_cells - 1) for time in (low, high))
        for cell in range(first, last + 1):
            share = min(high, (cell + 1) * width) - max(low, cell * width)
            if share > 0.0:
                filled[cell][span.category] = filled[cell].get(span.category, 0.0) + share
    owed: dict[str, float] = {}
    names = []
    for inside in filled:
        inside[""] = max(width - sum(inside.values()), 0.0)
        for category, seconds in inside.items():
            owed[category] = owed.get(category, 0.0) + seconds
        name = max((category for category in inside if inside[category] > 0.0), key=lambda category: owed[category])
        owed[name] -= width
        names.append(name)
    return tuple(names)


def _with_depth(spans: list[Span]) -> list[tuple[Span, int]]:
    result, ends = [], list[float]()
    for span in sorted(spans, key=lambda span: (span.start_seconds, -span.end_seconds)):
        while ends and ends[-1] <= span.start_seconds:
            ends.pop()
        result.append((span, len(ends)))
        ends.append(span.end_seconds)
    return result


def _slices(line: Sequence[tuple[Span, int]], bounds: tuple[float, float], num_cells: int | None) -> Iterable[Slice]:
    if num_cells is None or len(line) <= num_cells:
        return [_alone(span, depth) for span, depth in line]
    width = (bounds[1] - bounds[0]) / num_cells
    edges = [bounds[0] + cell * width for cell in range(1, num_cells)]
    cells: dict[int, list[Span]] = {}
    for span, _ in line:
        cells.setdefault(bisect_right(edges, span.start_seconds), []).append(span)
    return [_merged(spans) for spans in cells.values()]


def _alone(span: Span, depth: int) -> Slice:
    return Slice(
        name=span.name,
        category=span.category,
        depth=depth,
        start_seconds=span.start_seconds,
        end_seconds=span.end_seconds,
        duration_seconds=span.duration_seconds,
        num_spans=1,
        busy_fraction=1.0,
        moved_bytes=span.moved_bytes,
        args=span.args,
    )


def _merged(spans: list[Span]) -> Slice:
    if len(spans) == 1:
        return _alone(spans[0], 0)
    seconds: dict[str, float] = {}
    counts: dict[str, int] = {}
    for span in spans:
        seconds[span.category] = seconds.get(span.category, 0.0) + span.duration_seconds
        counts[span.category] = counts.get(span.category, 0) + 1
    start, end = spans[0].start_seconds, max(span.end_seconds for span in spans)
    return Slice(
        name=", ".join(f"{count} {category.replace('_', ' ')}" for category, count in counts.items()),
        category=max(seconds, key=lambda category: seconds[category]),
        depth=0,
        start_seconds=start,
        end_seconds=end,
        duration_seconds=end - start,
        num_spans=len(spans),
        busy_fraction=min(sum(seconds.values()) / (end - start), 1.0) if end > start else 1.0,
        moved_bytes=sum(span.moved_bytes for span in spans),
    )
