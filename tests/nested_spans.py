"""What every viewer of traces needs of spans."""

from collections.abc import Iterable

from crosszone.trace.span import Span, Track


def is_nested(spans: Iterable[Span], *, tolerance_seconds: float = 0.0) -> bool:
    """Whether spans of each track nest or follow each other."""
    open_ends: dict[Track, list[float]] = {}
    for span in sorted(spans, key=lambda span: (span.start_seconds, -span.end_seconds)):
        ends = open_ends.setdefault(span.track, [])
        while ends and ends[-1] <= span.start_seconds + tolerance_seconds:
            ends.pop()
        if ends and span.end_seconds > ends[-1] + tolerance_seconds:
            return False
        ends.append(span.end_seconds)
    return True
