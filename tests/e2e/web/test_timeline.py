"""The page of one step: what it shows is what the engine played, and however much that is, it moves smoothly."""

from __future__ import annotations

import gzip
import json
import statistics
import urllib.request

import pytest

from crosszone import units
from e2e.web.jobs import TWO_ZONES, with_job
from e2e.web.large import MOVES, NUM_SLICES, timeline_frames
from e2e.web.test_quality import PHONE_WIDTH

pytestmark = pytest.mark.slow
ADDRESS = with_job("/timeline", TWO_ZONES)
FRAME_SECONDS = 0.016
LENIENCY = 3
"""Tests share their cores with others."""
LEGEND_IS_WIDE = "width => document.querySelector('[class*=legend]').clientWidth > width"
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
    for name, uses in (("阶段", simulation["stages"]), ("可用区间链路", simulation["links"])):
        table = page.get_by_role("region", name=name).last.inner_text()
        for use in uses:
            assert units.format_fraction(use["busy_fraction"]) in table
            assert units.format_seconds(use["busy_seconds"]) in table
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 800})
    page.wait_for_function(LEGEND_IS_WIDE, arg=0.8 * PHONE_WIDTH, timeout=5000)  # or it is a column of broken words


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


def test_a_hundred_thousand_slices_are_drawn_in_a_frame(open_page, server, record_property):
    """Median of what script and canvas need for a frame, all slices in sight at first."""
    frames = timeline_frames(open_page("/healthz"), server.url + ADDRESS)
    assert len(frames) > len(MOVES) / 2
    record_property("median_frame_seconds", statistics.median(frames))
    record_property("longest_frame_seconds", max(frames))
    assert statistics.median(frames) <= LENIENCY * FRAME_SECONDS
