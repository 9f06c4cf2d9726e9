"""What holds for every page: no serious finding of axe, no shift of what is on the screen, little to load."""

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
PHONE_WIDTH = 390
FITS = "width => document.documentElement.scrollWidth <= width"
SERIOUS = ("serious", "critical")
MOST_SCRIPT_BYTES = 500_000
"""Of all pages in both languages, compressed. No visit loads all of it."""
MOST_FIRST_BYTES = 250_000
MOST_LAYOUT_SHIFT = 0.1
"""Above which a layout counts as unsteady, of web.dev/articles/cls."""
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""


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
def test_axe_has_nothing_serious_against_a_page_by_day_and_by_night_and_it_fits_a_phone(open_page, name):
    page = opened(open_page, name)
    assert findings(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.wait_for_timeout(100)
    assert findings(page, runOnly=["color-contrast"]) == []
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 800})
    page.wait_for_function(FITS, arg=PHONE_WIDTH, timeout=5000)


@pytest.mark.soak
@pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in web/")
@pytest.mark.parametrize("width", [1280, PHONE_WIDTH])
@pytest.mark.parametrize(("language", "scheme"), [("en", "dark"), ("zh", "light"), ("zh", "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_axe_has_nothing_serious_against_a_page_in_other_looks(open_page, name, language, scheme, width):
    assert findings(opened(open_page, name, language=language, scheme=scheme, width=width)) == []


@pytest.mark.parametrize("name", PAGES)
def test_what_is_on_the_screen_stays_where_it_is(browser, server, name):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(SHIFTS)
    page = context.new_page()
    page.goto(f"{server.url}/{name}")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    shifted = page.evaluate("window.shifted")
    context.close()
    assert shifted < MOST_LAYOUT_SHIFT


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
