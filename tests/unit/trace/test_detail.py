"""A trace cut down to what a screen can draw."""

import itertools

import pytest

from crosszone.trace.detail import activity, detail_json, window
from crosszone.trace.span import Span, Trace, Track

TRACKS = [Track(zone="north", stream="compute", replica=0, stage=stage) for stage in range(4)]


def span(start: float, end: float, category: str = "forward", track: Track = TRACKS[0], **more) -> Span:
    return Span(name=category, category=category, track=track, start_seconds=start, end_seconds=end, **more)


def long_trace(count: int = 1000) -> Trace:
    """On each track `count` spans of a second, half of it busy, with one inside."""
    spans = []
    for track in TRACKS:
        for index in range(count):
            spans += [span(index, index + 0.5, "forward" if index % 2 else "backward", track, moved_bytes=1.0)]
            spans += [span(index, index + 0.25, "compute", track)]
    return Trace(origin="predicted", spans=tuple(spans))


def test_few_spans_stay_as_they_are_with_their_depth() -> None:
    detail = window(long_trace(10), start_seconds=0.0, end_seconds=10.0, max_slices=100)
    assert (detail.num_spans, detail.is_merged) == (80, False)
    first, inner = detail.tracks[0].slices[:2]
    assert (first.category, first.depth, first.num_spans, first.busy_fraction) == ("backward", 0, 1, 1.0)
    assert (inner.category, inner.depth) == ("compute", 1)


def test_what_is_inside_goes_first() -> None:
    detail = window(long_trace(10), start_seconds=0.0, end_seconds=10.0, max_slices=79)
    assert detail.is_merged
    assert [len(track.slices) for track in detail.tracks] == [10, 10, 10, 10]
    assert all(one.depth == 0 and one.num_spans == 1 for track in detail.tracks for one in track.slices)


@pytest.mark.parametrize("max_slices", [1, 4, 7, 100, 399, 3999])
def test_never_more_than_asked_and_nothing_lost(max_slices) -> None:
    detail = window(long_trace(), start_seconds=0.0, end_seconds=1000.0, max_slices=max_slices)
    slices = [one for track in detail.tracks for one in track.slices]
    assert len(slices) <= max(max_slices, 4)
    assert sum(one.num_spans for one in slices) == 4000
    assert sum(one.moved_bytes for one in slices) == 4000.0
    busy = sum((one.end_seconds - one.start_seconds) * one.busy_fraction for one in slices)
    assert busy == pytest.approx(2000.0)


def test_merged_slices_say_what_they_hold_and_do_not_overlap() -> None:
    detail = window(long_trace(), start_seconds=0.0, end_seconds=1000.0, max_slices=400)
    slices = detail.tracks[0].slices
    assert len(slices) == 100
    assert slices[0].name == "5 backward, 5 forward"
    assert slices[0].busy_fraction == pytest.approx(5.0 / 9.5)
    assert all(one.end_seconds <= two.start_seconds for one, two in itertools.pairwise(slices))


def test_a_window_shows_what_touches_it() -> None:
    detail = window(long_trace(), start_seconds=100.3, end_seconds=102.1, max_slices=1000)
    starts = sorted({one.start_seconds for track in detail.tracks for one in track.slices})
    assert starts == [100.0, 101.0, 102.0]
    assert window(long_trace(), start_seconds=2000.0, end_seconds=2001.0, max_slices=9).tracks == ()


def test_activity_names_what_fills_each_cell() -> None:
    spans = [span(0.0, 2.0), span(2.0, 3.5, "backward"), span(5.9, 8.0)]
    names = activity(spans, start_seconds=0.0, end_seconds=8.0, num_cells=4)
    assert names == ("forward", "backward", "", "forward")


def test_activity_gives_each_as_many_cells_as_it_has_time() -> None:
    spans = []
    for index in range(100):
        spans += [span(index, index + 0.3), span(index + 0.3, index + 0.9, "backward")]
    names = activity(spans, start_seconds=0.0, end_seconds=100.0, num_cells=50)
    assert [names.count(name) for name in ("forward", "backward", "")] == [15, 30, 5]


def test_activity_of_nothing_is_idle() -> None:
    assert activity([], start_seconds=0.0, end_seconds=1.0, num_cells=2) == ("", "")


def test_the_json_names_tracks_and_keeps_args() -> None:
    trace = Trace(origin="predicted", spans=(span(0.0, 1.0, args=(("microbatch", 7),)),))
    value = detail_json(window(trace, start_seconds=0.0, end_seconds=1.0, max_slices=10))
    (track,) = value["tracks"]
    assert track["track"]["stage"] == 0
    assert track["track"]["zone"] == "north"
    assert track["slices"][0]["args"] == {"microbatch": 7}
    assert track["slices"][0]["end_seconds"] == 1.0


def test_hundred_thousand_spans_are_cut_down_quickly() -> None:
    trace = long_trace(12_500)
    detail = window(trace, start_seconds=0.0, end_seconds=12_500.0, max_slices=2000)
    assert detail.num_spans == 100_000
    assert sum(len(track.slices) for track in detail.tracks) <= 2000
