"""What holds for every page: no serious finding of axe, nothing that moves or is too wide, little to load."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
WEB = Path(__file__).parents[3] / "web"
AXE = WEB / "node_modules/axe-core/axe.min.js"
PAGES = sorted(path.name for path in (WEB / "src/pages").iterdir())
DESK_WIDTH, PHONE_WIDTH = 1280, 390
FITS = "width => document.documentElement.scrollWidth <= width"
SMALL = """() => [...document.querySelectorAll('#main *')]
  .filter((each) => [...each.childNodes].some((part) => part.nodeType === 3 && part.data.trim() !== ''))
  .filter((each) => !each.closest('svg, sup') && parseFloat(getComputedStyle(each).fontSize) < 11)
  .map((each) => each.outerHTML.slice(0, 160))"""
"""Text too small to read: below 11 px."""
SERIOUS = ("serious", "critical")
MOST_SCRIPT_BYTES = 500_000
"""Of all pages in both languages, compressed. No visit loads all of it."""
MOST_FIRST_BYTES = 250_000
MOST_LAYOUT_SHIFT = 0.1
"""Above which a layout counts as unsteady, of web.dev/articles/cls."""
SHIFTED = """() => new Promise((tell) => {
  let shifted = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
  });
  observer.observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => tell(shifted), 100);
})"""
"""How far what is on the screen has moved since the page was opened; the observer is told a moment later."""


def opened(open_page, name, **looks):
    """A page that has come to rest."""
    page = open_page(f"/{name}", **looks)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # for charts
    return page


def findings(page, **options):
    """What axe has against a page, each with the elements that it concerns."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("more => axe.run(document, { resultTypes: ['violations'], ...more })", options)["violations"]
    return [
        f"{each['id']}: {' | '.join(node['html'][:160] for node in each['nodes'][:3])}"
        for each in found
        if each["impact"] in SERIOUS
    ]


@pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in web/")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_stays_where_it_is_fits_and_has_no_serious_fault(open_page, name):
    """One visit: nothing moves once it is there; by day, by night and on a phone."""
    page = opened(open_page, name, width=DESK_WIDTH)
    assert page.evaluate(SHIFTED) < MOST_LAYOUT_SHIFT
    assert page.evaluate(FITS, DESK_WIDTH)
    assert page.evaluate(SMALL) == []
    assert findings(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.wait_for_timeout(100)
    assert findings(page, runOnly=["color-contrast"]) == []
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 800})
    page.wait_for_function(FITS, arg=PHONE_WIDTH, timeout=5000)


@pytest.mark.soak
@pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in web/")
@pytest.mark.parametrize("width", [DESK_WIDTH, PHONE_WIDTH])
@pytest.mark.parametrize(("language", "scheme"), [("en", "dark"), ("zh", "light"), ("zh", "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_axe_has_nothing_serious_against_a_page_in_other_looks(open_page, name, language, scheme, width):
    assert findings(opened(open_page, name, language=language, scheme=scheme, width=width)) == []


@pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in web/")
def test_no_form_of_the_job_has_a_serious_fault(open_page):
    page = open_page("/plan")
    for view in ("Guide", "YAML"):
        page.get_by_text(view, exact=True).click()
        page.locator("form button[type=submit], textarea").first.wait_for()
        assert findings(page) == []


def test_scripts_are_small_and_the_first_load_is_smaller():
    built = files("crosszone.server").joinpath("web")
    sizes = {
        file.name: len(gzip.compress(file.read_bytes(), mtime=0))
        for file in built.joinpath("assets").iterdir()
        if file.name.endswith(".js")
    }
    index = built.joinpath("index.html").read_text(encoding="utf-8")
    first = re.findall(r"assets/([\w.-]+\.js)", index)
    assert first
    assert sum(sizes[name] for name in first) <= MOST_FIRST_BYTES
    assert sum(sizes.values()) <= MOST_SCRIPT_BYTES, sorted(sizes.items(), key=lambda item: -item[1])[:6]
