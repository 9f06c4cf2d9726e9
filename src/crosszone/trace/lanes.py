"""Overlapping spans laid out on as few tracks as they need."""

import heapq
from collections.abc import Sequence
from dataclasses import replace

from crosszone.trace.span import Span


def in_lanes(spans: Sequence[Span]) -> list[Span]:
    """The same spans, in the same order, those of one track that overlap on lanes of their own.

    Each goes to the lowest lane that is free when it starts; spans of one track come in order of their start.
    """
    free: dict[object, list[int]] = {}
    busy: dict[object, list[tuple[float, int]]] = {}
    result = []
    for span in spans:
        lanes, ends = free.setdefault(span.track, []), busy.setdefault(span.track, [])
        while ends and ends[0][0] <= span.start_seconds:
            heapq.heappush(lanes, heapq.heappop(ends)[1])
        lane = heapq.heappop(lanes) if lanes else len(ends)
        heapq.heappush(ends, (span.end_seconds, lane))
        result.append(replace(span, track=span.track._replace(lane=lane)) if lane else span)
    return result
