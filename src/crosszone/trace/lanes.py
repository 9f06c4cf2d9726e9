"""Overlapping spans laid out on as few tracks as they need."""

import heapq
from collections.abc import Sequence
from dataclasses import replace

from crosszone.trace.span import Span

ROUNDING = 1e-9
"""Share of its end by which a span may begin before the one before it has ended: they follow each other."""


def in_lanes(spans: Sequence[Span]) -> list[Span]:
    """The same spans, in the same order, those of one track that overlap on lanes of their own.

    Each goes to the lowest lane that is free when it starts; spans of one track come in order of their start. Where
    rounding alone lets two overlap, the second is moved behind the first.
    """
    free: dict[object, list[int]] = {}
    busy: dict[object, list[tuple[float, int]]] = {}
    result = []
    for span in spans:
        lanes, ends = free.setdefault(span.track, []), busy.setdefault(span.track, [])
        start = span.start_seconds
        while ends and ends[0][0] <= span.start_seconds + ROUNDING * ends[0][0]:
            end, lane = heapq.heappop(ends)
            start = max(start, end)
            heapq.heappush(lanes, lane)
        lane = heapq.heappop(lanes) if lanes else len(ends)
        heapq.heappush(ends, (span.end_seconds, lane))
        if lane or start != span.start_seconds:
            track = span.track._replace(lane=span.track.lane + lane)
            span = replace(span, track=track, start_seconds=min(start, span.end_seconds))
        result.append(span)
    return result
