"""The trace file: what viewers of the Trace Event Format insist on, checked on the text that is written."""

import json
from fractions import Fraction

import pytest

from crosszone.trace.lanes import in_lanes
from crosszone.trace.perfetto import CHUNK_EVENTS, perfetto_text
from crosszone.trace.span import Counter, Flow, Span, Trace, Track
from nested_spans import is_nested

STAGE = Track(zone="north", stream="compute", node_group=0, replica=0, stage=0)
NEXT = Track(zone="south", stream="compute", node_group=0, replica=0, stage=1)
LINK = Track(zone="north", stream="pp", to_zone="south")


def span(start: float, end: float, *, track: Track = STAGE, name: str = "forward 0", **more) -> Span:
    return Span(name=name, category=name.split()[0], track=track, start_seconds=start, end_seconds=end, **more)


TRACE = Trace(
    origin="predicted",
    spans=(
        span(0.0, 1.0, args=(("microbatch", 0),)),
        span(0.0, 0.75, name="compute"),
        span(0.75, 1.0, name="tensor_parallel"),
        span(1.0, 1.5, track=LINK, name="send 0", moved_bytes=2.5e9),
        span(1.6, 2.6, track=NEXT),
    ),
    flows=(Flow(name="microbatch 0", source=0, target=3), Flow(name="microbatch 0", source=3, target=4)),
    counters=(
        Counter(name="memory_bytes", track=STAGE, samples=((0.0, 1e9), (0.5, 3e9), (2.0, 1e9))),
        Counter(name="bytes_per_second", track=LINK, samples=((1.0, 5e9), (1.5, 0.0))),
    ),
    labels=((STAGE.group, "stage 0 of ×4 «north»"),),
    facts=(("step_seconds", 2.6),),
)


def written(trace: Trace) -> dict:
    return json.loads("".join(perfetto_text(trace)))


def of_phase(trace: Trace, phase: str) -> list[dict]:
    return [event for event in written(trace)["traceEvents"] if event["ph"] == phase]


def check(file: dict) -> None:
    """Raise where a strict reader would complain; nanoseconds as Perfetto makes them of the text."""
    events = file["traceEvents"]
    names = {(event["name"], event["pid"], event.get("tid")) for event in events if event["ph"] == "M"}
    open_slices: dict[tuple[int, int], list[tuple[int, int]]] = {}
    flows: dict[tuple[int, str, str], list[str]] = {}
    counted: dict[tuple[int, str], int] = {}
    last = 0
    for event in events:
        assert event["ph"] in "MXsfC"
        assert event["pid"] > 0
        if event["ph"] == "M":
            continue
        start = clock(event["ts"])
        assert start >= 0
        assert ("process_name", event["pid"], None) in names
        if event["ph"] == "C":
            assert counted.get((event["pid"], event["name"]), -1) < start
            counted[event["pid"], event["name"]] = start
            continue
        assert start >= last, "slices and flows are in order of time"
        last = start
        thread = event["pid"], event["tid"]
        assert ("thread_name", *thread) in names
        stack = open_slices.setdefault(thread, [])
        while stack and stack[-1][1] <= start:
            stack.pop()
        if event["ph"] == "X":
            end = start + clock(event["dur"])
            assert end >= start
            assert not stack or end <= stack[-1][1], f"{event} overlaps {stack[-1]}"
            stack.append((start, end))
        else:
            assert event["ph"] == "s" or event["bp"] == "e"
            flows.setdefault((event["id"], event["cat"], event["name"]), []).append(event["ph"])
    assert all(phases == ["s", "f"] for phases in flows.values())


def clock(written: float) -> int:
    exact = Fraction(written) * 1000
    assert exact == int(written * 1000.0), "truncation of the double would lose time"
    return int(exact)


def test_the_file_is_what_strict_readers_take() -> None:
    check(written(TRACE))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda events: events.append({"ph": "X", "name": "a", "cat": "b", "ts": 9e9, "dur": 1, "pid": 99, "tid": 99}),
        lambda events: next(e for e in events if e["ph"] == "X").update(dur=800000),
        lambda events: events.remove(next(e for e in events if e["ph"] == "f")),
        lambda events: next(e for e in events if e["ph"] == "f").update(name="another"),
        lambda events: next(e for e in events if e["ph"] == "X").update(dur=0.3),
    ],
)
def test_the_check_sees_what_is_wrong(spoil) -> None:
    file = written(TRACE)
    spoil(file["traceEvents"])
    with pytest.raises(AssertionError):
        check(file)


def test_times_are_in_the_unit_of_the_format() -> None:
    first, *_, link, last = of_phase(TRACE, "X")
    assert (first["ts"], first["dur"]) == (0, 1e6)
    assert (link["ts"], link["dur"]) == (1e6, 5e5)
    assert (last["ts"], last["dur"]) == (1.6e6, 1e6)
    assert written(TRACE)["displayTimeUnit"] == "ms"


def test_what_is_known_of_a_span_stands_beside_it() -> None:
    first, *_, link, _ = of_phase(TRACE, "X")
    assert first["args"] == {"microbatch": 0}
    assert link["args"] == {"moved_bytes": 2.5e9}
    assert (first["name"], first["cat"]) == ("forward 0", "forward")


def test_stages_and_links_are_processes_in_order() -> None:
    names = {event["pid"]: event["args"]["name"] for event in of_phase(TRACE, "M") if event["name"] == "process_name"}
    assert list(names.values()) == ["stage 0 of ×4 «north»", "replica 0, stage 1, south", "link north to south"]
    assert list(names) == [1, 2, 3]
    threads = [event for event in of_phase(TRACE, "M") if event["name"] == "thread_name"]
    assert [event["args"]["name"] for event in threads] == ["compute", "compute", "pp"]
    assert len({event["tid"] for event in threads} | set(names)) == 6, "no tid is a pid"


def test_an_arrow_stands_right_behind_the_slices_it_joins() -> None:
    """A reader binds it to the slice opened last on that thread: not to what the slice holds."""
    events = [event for event in written(TRACE)["traceEvents"] if event["ph"] in "Xsf"]
    before = [(events[at - 1]["name"], event["ph"]) for at, event in enumerate(events) if event["ph"] == "s"]
    assert before[0] == ("forward 0", "s")
    assert "".join(event["ph"] for event in events) == "XsXXXsfXf"


def test_counters_belong_to_their_process_and_hold_until_they_change() -> None:
    memory, rate = of_phase(TRACE, "C")[:3], of_phase(TRACE, "C")[3:]
    assert [(event["ts"], event["args"]["value"]) for event in memory] == [(0, 1e9), (500000, 3e9), (2e6, 1e9)]
    assert {event["pid"] for event in memory} == {1}
    assert {event["pid"] for event in rate} == {3}


def test_of_samples_that_fall_together_the_last_counts() -> None:
    counter = Counter(name="memory_bytes", track=STAGE, samples=((0.0, 1.0), (1e-9, 2.0)))
    (event,) = of_phase(Trace(origin="predicted", spans=(), counters=(counter,)), "C")
    assert event["args"]["value"] == 2.0


def test_rounding_lets_no_slice_overlap() -> None:
    """Thirds of a microsecond, nested and end to end."""
    third = 1e-6 / 3
    spans = []
    for index in range(300):
        start, end = index * third, (index + 1) * third
        spans += [span(start, end), span(start, start + third / 2, name="compute"), span(start + third / 2, end)]
    check(written(Trace(origin="predicted", spans=tuple(spans))))


def test_a_long_trace_comes_in_pieces_and_is_the_same_each_time() -> None:
    spans = tuple(span(float(index), index + 0.5) for index in range(2 * CHUNK_EVENTS + 1))
    trace = Trace(origin="measured", spans=spans)
    pieces = list(perfetto_text(trace))
    assert len(pieces) > 3
    assert pieces == list(perfetto_text(trace))
    assert len(of_phase(trace, "X")) == len(spans)
    assert written(trace)["otherData"] == {"origin": "measured"}


@pytest.mark.parametrize("count", [0, 1, CHUNK_EVENTS - 2, CHUNK_EVENTS - 4, CHUNK_EVENTS])
def test_every_length_is_json(count) -> None:
    trace = Trace(origin="predicted", spans=tuple(span(float(index), index + 1.0) for index in range(count)))
    assert len(of_phase(trace, "X")) == count


def test_overlapping_spans_get_lanes() -> None:
    spans = [span(0.0, 3.0), span(1.0, 2.0), span(1.5, 4.0), span(2.0, 5.0), span(3.0, 6.0), span(0.0, 9.0, track=NEXT)]
    assert not is_nested([spans[0], spans[2]])
    laid = in_lanes(spans)
    assert [each.track.lane for each in laid] == [0, 1, 2, 1, 0, 0]
    assert is_nested(laid)
    check(written(Trace(origin="predicted", spans=tuple(laid))))
    assert "compute 3" in {event["args"].get("name") for event in of_phase(Trace(origin="p", spans=tuple(laid)), "M")}


def test_nesting_is_judged_per_track() -> None:
    assert is_nested([span(0.0, 2.0), span(0.0, 1.0), span(1.0, 2.0), span(0.5, 3.0, track=NEXT)])
    assert not is_nested([span(0.0, 2.0), span(1.0, 2.1)])
    assert is_nested([span(0.0, 2.0), span(2.0 - 1e-12, 3.0)], tolerance_seconds=1e-9)
