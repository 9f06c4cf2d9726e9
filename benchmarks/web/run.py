"""Measure how long a person waits for the web user interface, and print one table.

    python benchmarks/web/run.py            # prints; needs the built pages (`make web`), playwright and chromium
    python benchmarks/web/run.py --write    # also rewrites benchmarks/web/results.txt

The server is warm, its answers are not remembered: each visit brings a job that is new to it. A first plan is a visit
with a browser's empty cache, from the start of navigation until the frame that shows its numbers. A what-if is from a
key on a slider of the page Communication until the frame that shows every number new. Frames are what script and canvas
need for one, pixels read back, without a graphics card.
"""

import argparse
import copy
import datetime
import gzip
import json
import os
import platform
import statistics
import sys
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "benchmarks" / "server"), str(ROOT / "tests")]

from load import server  # noqa: E402

from e2e.web.jobs import TWO_ZONES, with_job  # noqa: E402 - found by the path above
from e2e.web.large import map_frame, timeline_frames  # noqa: E402

VISITS, DRAGS = 9, 5
NUM_FACTORS = 7
"""Of a slider of the page Communication."""
FLAGS = ["--no-sandbox", "--disable-gpu"]
UNLIMITED = ["--disable-frame-rate-limit", "--disable-gpu-vsync"]
"""A frame is as long as its work: it does not wait for a screen."""
CHROMIUM = "/usr/bin/chromium"
SHOWN = """
const look = () => {
  if (document.querySelector('[data-testid=headline] data') == null) requestAnimationFrame(look);
  else requestAnimationFrame(() => { window.shownAfter = performance.now() / 1000; });
};
requestAnimationFrame(look);
"""
"""Runs before the page's own scripts; its clock begins with the navigation."""
TIMED = """() => {
  const totals = document.querySelector('[data-testid=totals]');
  let pressed = null;
  window.waits = [];
  addEventListener('keydown', () => { pressed = performance.now(); }, { capture: true });
  new MutationObserver(() => {
    if (totals.dataset.stale === 'true' || pressed == null) return;
    const since = pressed;
    pressed = null;
    requestAnimationFrame(() => window.waits.push((performance.now() - since) / 1000));
  }).observe(totals, { attributeFilter: ['data-stale'] });
}"""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    load_before = os.getloadavg()[0]
    with server() as (port, _), sync_playwright() as playwright:
        url, rows = f"http://127.0.0.1:{port}", list[str]()
        for measure, flags in ((_waits, FLAGS), (_frames, FLAGS + UNLIMITED)):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            rows += measure(browser, url)
            version = browser.version
            browser.close()
    lines = [
        f"python benchmarks/web/run.py --write, {datetime.date.today().isoformat()}",
        f"{platform.machine()}, {os.cpu_count()} cores, load {load_before:.1f} to {os.getloadavg()[0]:.1f}, "
        f"Chromium {version}",
        "",
        f"{'what':<40}{'number':>8}{'median':>11}{'p95':>11}{'target':>11}",
        *rows,
        f"{'scripts of all pages, compressed':<48}{_script_bytes() / 1e3:>8.0f} kB{'':>11}{'500 kB':>11}",
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if write:
        HERE.joinpath("results.txt").write_text(text, encoding="utf-8")


def _waits(browser: Browser, url: str) -> Iterator[str]:
    yield _row("first plan, cold browser", _first_plans(browser, url), 1.5)
    yield _row("what-if, every number new", _whatifs(browser, url), 0.2)


def _frames(browser: Browser, url: str) -> Iterator[str]:
    frames = timeline_frames(browser.new_page(), url + with_job("/timeline", TWO_ZONES))
    yield _row("frame of the timeline, 100,000 slices", frames, 0.016)
    yield _row("frame of the map, 100 zones", _map_frames(browser, url), 0.016)


def _row(name: str, seconds: list[float], target: float) -> str:
    last = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    shown = [f"{value * 1e3:.0f} ms" for value in (statistics.median(seconds), last, target)]
    row = f"{name:<40}{len(seconds):>8}" + "".join(f"{each:>11}" for each in shown)
    print(row, file=sys.stderr)
    return row


def _first_plans(browser: Browser, url: str) -> list[float]:
    """After one visit that is not counted."""
    return [_first_plan(browser, url, number) for number in range(VISITS + 1)][1:]


def _first_plan(browser: Browser, url: str, number: int) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.add_init_script(SHOWN)
    page = context.new_page()
    page.goto(url + with_job("/plan", TWO_ZONES.replace("100B", f"{101 + number}B")))
    page.wait_for_function("() => window.shownAfter")
    found = float(page.evaluate("window.shownAfter"))
    context.close()
    return found


def _whatifs(browser: Browser, url: str) -> list[float]:
    page = browser.new_page()
    page.goto(url + with_job("/communication", TWO_ZONES))
    page.locator("[data-testid=totals][data-stale=false]").wait_for()
    page.evaluate(TIMED)
    for number, (slider, key) in enumerate(_changes()):
        page.get_by_role("slider", name=slider).press(key)
        page.wait_for_function("number => window.waits.length > number", arg=number)
    waits = page.evaluate("window.waits")
    page.close()
    return list(waits)


def _changes() -> Iterator[tuple[str, str]]:
    """Keys on two sliders; each leads to a pair of values that was not seen before."""
    widths, delay = "Bandwidth of every link", "Round trip of every link"
    yield from [(delay, "Home"), (widths, "Home")]
    for key in ("ArrowRight", "ArrowLeft", "ArrowRight"):
        yield from [(widths, key)] * (NUM_FACTORS - 1)
        yield delay, "ArrowRight"


def _map_frames(browser: Browser, url: str) -> list[float]:
    answer, address = _answer(url), url + with_job("/map", TWO_ZONES)
    return [map_frame(browser.new_page(), address, copy.deepcopy(answer)) for _ in range(DRAGS)]


def _script_bytes() -> int:
    scripts = files("crosszone.server").joinpath("web", "assets").iterdir()
    return sum(len(gzip.compress(file.read_bytes(), mtime=0)) for file in scripts if file.name.endswith(".js"))


def _answer(url: str) -> Any:
    body = json.dumps({"job": TWO_ZONES, "top": 5}).encode()
    request = urllib.request.Request(f"{url}/api/v1/plan", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


if __name__ == "__main__":
    main()
