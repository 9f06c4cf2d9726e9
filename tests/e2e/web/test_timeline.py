"""The page of one step: what it shows is what the engine played, and however much that is, it moves smoothly."""

from __future__ import annotations

import gzip
import json
import statistics
import urllib.request

import pytest

from crosszone import units
from e2e.web.jobs import TWO_ZONES, with_job

pytestmark = pytest.mark.slow
ADDRESS = with_job("/timeline", TWO_ZONES)
NUM_SLICES = 100_000
FRAME_SECONDS = 0.016
LENIENCY = 3
"""Tests share their cores with others."""
READ_BACK = """
const measure = performance.measure.bind(performance);
performance.measure = (...rest) => {
  document.querySelector('canvas[role=application]').getContext('2d').getImageData(0, 0, 1, 1);
  return measure(...rest);
};
"""
"""Waits for the pixels before a frame counts as drawn: a canvas puts them off."""
LAST_TICK = "[...document.querySelectorAll('[class*=axis] span')].at(-1).innerText"


@pytest.fixture(scope="module")
def played(server):
    """(request, simulation) of the best plan."""
    plan = server.ask("/api/v1/plan", {"job": TWO_ZONES, "top": 5})["plans"][0]["plan"]
    request = {"job": TWO_ZONES, "plan": plan}
    return request, server.ask("/api/v1/simulate", {**request, "detail": NUM_SLICES})


def opened(open_page, **options):
    page = open_page(ADDRESS, **options)
    board = page.get_by_role("application")
    board.wait_for()
    return page, board


def test_a_slice_that_is_found_is_told_as_it_was_played(open_page, keep_picture, played):
    _, simulation = played
    page, _ = opened(open_page)
    name = "forward 12"
    slices = [one for track in simulation["detail"]["tracks"] for one in track["slices"]]
    first = min((one for one in slices if one["name"] == name), key=lambda one: one["start_seconds"])
    page.get_by_label("Find: forward 12").fill(name)
    page.keyboard.press("Enter")
    told = page.get_by_role("status", name="Selected slice")
    told.wait_for()
    for key in ("start_seconds", "duration_seconds"):
        assert units.format_seconds(first[key]) in told.inner_text()
    assert "Model FLOP" in told.inner_text()
    keep_picture(page, "timeline")


def test_stages_and_links_are_as_busy_as_the_simulation_says(open_page, played):
    _, simulation = played
    page, _ = opened(open_page, language="zh", scheme="dark")
    for name, uses in (("流水段", simulation["stages"]), ("可用区间链路", simulation["links"])):
        table = page.get_by_role("region", name=name).last.inner_text()
        for use in uses:
            assert units.format_fraction(use["busy_fraction"]) in table
            assert units.format_seconds(use["busy_seconds"]) in table


def test_keys_move_select_and_filter(open_page):
    page, board = opened(open_page)
    board.focus()
    page.keyboard.press("ArrowRight")
    told = page.get_by_role("status", name="Selected slice")
    told.wait_for()
    before = told.inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("text => document.querySelector('[role=status][aria-label]').innerText !== text", arg=before)
    whole = page.locator("[class*=axis] span").last.inner_text()
    for key in "wwwwd":
        page.keyboard.press(key)
    page.wait_for_function(f"text => {LAST_TICK} !== text", arg=whole)
    page.keyboard.press("0")
    page.wait_for_function(f"text => {LAST_TICK} === text", arg=whole)
    key = page.get_by_role("group", name="Show or hide kinds of work").get_by_role("button", name="Forward")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"


def test_the_file_for_perfetto_is_that_of_the_engine(open_page, server, played, tmp_path):
    request, _ = played
    page, _ = opened(open_page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Perfetto file").click()
    download.value.save_as(tmp_path / "trace.json")
    headers = {"Content-Type": "application/json", "Accept": "application/gzip"}
    asked = urllib.request.Request(f"{server.url}/api/v1/simulate", json.dumps(request).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as response:
        assert (tmp_path / "trace.json").read_bytes() == gzip.decompress(response.read())


def test_a_hundred_thousand_slices_are_drawn_in_a_frame(open_page, played, record_property):
    """Median of what script and canvas need for a frame, all slices in sight at first."""
    _, simulation = played
    body = json.dumps({**simulation, "detail": _many(simulation["step_seconds"])})
    page = open_page("/catalog")
    page.add_init_script(READ_BACK)
    page.route("**/api/v1/simulate", lambda route: route.fulfill(content_type="application/json", body=body))
    page.goto(page.url.replace("/catalog", ADDRESS))
    board = page.get_by_role("application")
    board.wait_for()
    assert str(NUM_SLICES) in board.get_attribute("aria-label")
    board.focus()
    frames = []
    for key in "wwwwwwssssssaddd":
        page.keyboard.press(key)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        frames += page.evaluate(
            "() => performance.getEntriesByName('timeline-draw').map((entry) => entry.duration / 1000)"
        )
    record_property("median_frame_seconds", statistics.median(frames))
    record_property("longest_frame_seconds", max(frames))
    assert statistics.median(frames) <= LENIENCY * FRAME_SECONDS


def _many(step_seconds):
    """A made-up timeline of that many slices over as many tracks as are in sight."""
    num_tracks = 15
    each = NUM_SLICES // num_tracks
    lasting = step_seconds / (each + 1)
    kinds = ("forward", "backward", "pipeline_send")
    track = {"zone": "east", "node_group": 0, "replica": 0, "rank": None, "to_zone": None, "lane": 0}
    return {
        "start_seconds": 0.0,
        "end_seconds": step_seconds,
        "num_spans": NUM_SLICES,
        "is_merged": False,
        "tracks": [
            {
                "track": {**track, "stage": stage, "stream": "compute"},
                "slices": [
                    {
                        "name": f"{kinds[number % 3]} {number}",
                        "category": kinds[number % 3],
                        "depth": 0,
                        "start_seconds": number * lasting,
                        "end_seconds": (number + 0.9) * lasting,
                        "duration_seconds": 0.9 * lasting,
                        "num_spans": 1,
                        "busy_fraction": 1.0,
                        "moved_bytes": 0.0,
                        "args": {},
                    }
                    for number in range(each + (NUM_SLICES % num_tracks if stage == 0 else 0))
                ],
            }
            for stage in range(num_tracks)
        ],
    }
