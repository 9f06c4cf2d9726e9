"""A trace in the JSON Trace Event Format, which ui.perfetto.dev and chrome://tracing open.

Source: "Trace Event Format" (Google, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU), and
what Perfetto reads of it (perfetto.dev/docs/getting-started/other-formats). Stages and links become its processes,
their streams its threads. Each thread's slices nest strictly; the file is the same for the same trace.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from crosszone.trace.span import Counter, Flow, Span, Trace, Track

TICKS_PER_SECOND = 8_000_000
"""Times are written as whole eighths of a microsecond. The format counts microseconds, readers turn them into whole
nanoseconds: an eighth is exact as a binary fraction and as nanoseconds, so that rounding lets no slice overlap."""
TICKS_PER_UNIT = 8
CHUNK_EVENTS = 2000


def perfetto_text(trace: Trace) -> Iterator[str]:
    """The file's text, in pieces, so that a long trace is never whole in memory as text."""
    numbers = _numbers(trace)
    facts = json.dumps({**dict(trace.facts), "origin": trace.origin}, ensure_ascii=False)
    yield f'{{"displayTimeUnit":"ms","otherData":{facts},"traceEvents":[\n'
    events = chain(_names(trace, numbers), _slices(trace, numbers), _counts(trace, numbers))
    piece: list[str] = []
    separator = ""
    for event in events:
        piece.append(event)
        if len(piece) == CHUNK_EVENTS:
            yield separator + ",\n".join(piece)
            piece, separator = [], ",\n"
    yield (separator if piece else "") + ",\n".join(piece) + "\n]}\n"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """pid of every stage and link, tid of every track. No number is 0, which readers take for the idle task, and no
    tid is a pid, which would make its thread the process's main one."""

    pids: dict[Track, int]
    tids: dict[Track, int]

    def place(self, track: Track) -> str:
        return f'"pid":{self.pids[track.group]},"tid":{self.tids[track]}'


def _numbers(trace: Trace) -> _Numbers:
    tracks = sorted({span.track for span in trace.spans}, key=_sort_key)
    counted = {each.track.group for each in trace.counters}
    groups = sorted({track.group for track in tracks} | counted, key=_sort_key)
    return _Numbers(
        pids={group: number for number, group in enumerate(groups, start=1)},
        tids={track: number for number, track in enumerate(tracks, start=len(groups) + 1)},
    )


def _sort_key(track: Track) -> tuple[bool, int, int, int, tuple[str, str, int], bool, str, int]:
    """Replicas by stage first, then links; computing before anything else."""
    replica, stage, rank, node_group = (
        -1 if number is None else number for number in (track.replica, track.stage, track.rank, track.node_group)
    )
    place = (track.zone, track.to_zone or "", node_group)
    return (track.to_zone is not None, replica, stage, rank, place, track.stream != "compute", track.stream, track.lane)


def _names(trace: Trace, numbers: _Numbers) -> Iterator[str]:
    labels = dict(trace.labels)
    for group, pid in numbers.pids.items():
        name = labels.get(group) or _group_name(group)
        yield _metadata("process_name", f'"pid":{pid}', {"name": name})
        yield _metadata("process_sort_index", f'"pid":{pid}', {"sort_index": pid})
    for track, tid in numbers.tids.items():
        name = track.stream + (f" {track.lane + 1}" if track.lane else "")
        yield _metadata("thread_name", numbers.place(track), {"name": name})
        yield _metadata("thread_sort_index", numbers.place(track), {"sort_index": tid})


def _group_name(group: Track) -> str:
    if group.to_zone is not None:
        return f"link {group.zone} to {group.to_zone}"
    parts = [("replica", group.replica), ("stage", group.stage), ("rank", group.rank)]
    return ", ".join([*(f"{name} {number}" for name, number in parts if number is not None), group.zone])


def _metadata(kind: str, place: str, args: dict[str, str | int]) -> str:
    return f'{{"ph":"M","name":"{kind}",{place},"args":{json.dumps(args, ensure_ascii=False)}}}'


def _slices(trace: Trace, numbers: _Numbers) -> Iterator[str]:
    """Slices in order of start, an outer one before what it holds, each followed by its ends of flows.

    An arrow's end belongs to the slice opened last on its thread: it must stand right behind it.
    """
    leaving: dict[int, list[int]] = {}
    entering: dict[int, list[int]] = {}
    for number, flow in enumerate(trace.flows):
        leaving.setdefault(flow.source, []).append(number)
        entering.setdefault(flow.target, []).append(number)
    spans, ids = trace.spans, _Texts()
    places = {track: numbers.place(track) for track in numbers.tids}
    ticks = [(_ticks(span.start_seconds), _ticks(span.end_seconds)) for span in spans]
    for index in sorted(range(len(spans)), key=lambda index: (ticks[index][0], -ticks[index][1], index)):
        span, (start, end) = spans[index], ticks[index]
        place, time = places[span.track], _time(start)
        yield (
            f'{{"ph":"X","name":{ids[span.name]},"cat":{ids[span.category]},"ts":{time},"dur":{_time(end - start)},'
            f'{place},"args":{{{_args(span, ids)}}}}}'
        )
        for number in leaving.get(index, ()):
            yield _flow_end("s", trace.flows[number], number, time, place, ids)
        for number in entering.get(index, ()):
            yield _flow_end("f", trace.flows[number], number, time, place, ids)


class _Texts(dict[str, str]):
    """Each text as JSON, made once."""

    def __missing__(self, text: str) -> str:
        self[text] = encoded = json.dumps(text, ensure_ascii=False)
        return encoded


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS_PER_SECOND)


def _time(ticks: int) -> str:
    """Microseconds with three decimals at most."""
    whole, rest = divmod(ticks, TICKS_PER_UNIT)
    return f"{whole}.{rest * 125:03d}" if rest else str(whole)


def _args(span: Span, ids: _Texts) -> str:
    shown = ((*span.args, ("moved_bytes", span.moved_bytes)) if span.moved_bytes else span.args) or ()
    return ",".join(f"{ids[name]}:{ids[value] if isinstance(value, str) else repr(value)}" for name, value in shown)


def _flow_end(phase: str, flow: Flow, number: int, time: str, place: str, ids: _Texts) -> str:
    binding = ',"bp":"e"' if phase == "f" else ""  # to the slice around it, not to the next one
    return f'{{"ph":"{phase}"{binding},"name":{ids[flow.name]},"cat":"flow","id":{number + 1},"ts":{time},{place}}}'


def _counts(trace: Trace, numbers: _Numbers) -> Iterator[str]:
    for counter in trace.counters:
        yield from _samples(counter, f'"pid":{numbers.pids[counter.track.group]}')


def _samples(counter: Counter, place: str) -> Iterator[str]:
    """A counter belongs to its process. One event per change; where several fall on one tick, the last."""
    name = json.dumps(counter.name)
    by_tick = {_ticks(seconds): value for seconds, value in counter.samples}
    for tick, value in sorted(by_tick.items()):
        yield f'{{"ph":"C","name":{name},"ts":{_time(tick)},{place},"args":{{"value":{value!r}}}}}'
