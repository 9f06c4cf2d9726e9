"""A report: one file that shows without a server what the pages show, in both languages, and asks nobody."""

from __future__ import annotations

import pytest

from crosszone import units
from e2e.web.browsing import LOCALES
from e2e.web.jobs import TWO_ZONES, with_job
from e2e.web.test_quality import AXE, FITS, PHONE_WIDTH, findings

pytestmark = pytest.mark.slow
DRAWN = "() => [...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"
WORDS = {
    "en": {"plan": "Plan", "waterfall": "Where a step's time goes", "tornado": "What a change would be worth"},
    "zh": {"plan": "规划", "waterfall": "一步的时间花在哪里", "tornado": "各种改动值多少"},
}


@pytest.fixture(scope="module")
def opened(browser, server, tmp_path_factory):
    """The report of a job, saved from the page of the plan and opened from the disk; nothing of it is edited."""
    context = browser.new_context(locale=LOCALES["en"], accept_downloads=True)
    page = context.new_page()
    page.goto(server.url + with_job("/plan", TWO_ZONES))
    page.locator("[data-testid=headline][data-stale=false]").wait_for()
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Report").click()
    assert download.value.suggested_filename == "crosszone-report-llama-3-8b.html"
    file = tmp_path_factory.mktemp("report") / download.value.suggested_filename
    download.value.save_as(file)
    context.close()
    requests, errors = [], []
    context = browser.new_context(locale=LOCALES["en"], color_scheme="light", viewport={"width": 1280, "height": 800})
    context.set_offline(True)
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    page.locator("#timeline canvas").first.wait_for()
    yield page
    assert not errors
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def holds_what_the_api_says(page, server, words):
    """The numbers of every section are those of the verb behind it."""
    answer = server.ask("/api/v1/plan", {"job": TWO_ZONES, "top": 5})
    best = answer["plans"][0]
    asked = {"job": TWO_ZONES, "plan": best["plan"]}
    prediction = server.ask("/api/v1/whatif", asked)["changed"]
    step = server.ask("/api/v1/simulate", asked)
    page.get_by_role("heading", name=words["plan"], exact=True).wait_for()
    section = {name: page.locator(f"#{name}") for name in ("plan", "strategy", "map", "communication", "timeline")}
    seconds = units.format_seconds
    shown = section["plan"].locator("[data-field=step_seconds]")
    assert shown.inner_text() == seconds(best["prediction"]["step_seconds"])
    assert section["strategy"].locator("tbody").first.locator("tr").count() >= len(answer["plans"])
    waterfall = section["strategy"].get_by_role("group", name=words["waterfall"])
    terms = [each for each in best["prediction"]["terms"] if each["exposed_seconds"] > 0.01 * step["step_seconds"]]
    told = waterfall.locator("data").all_inner_texts()
    assert {seconds(each["exposed_seconds"]) for each in terms} <= {*told}
    assert section["strategy"].get_by_role("group", name=words["tornado"]).locator("span").count() > 3
    link = section["map"].get_by_test_id("link").locator("[data-field=step_bytes]").first
    assert link.inner_text() == units.format_bytes(best["prediction"]["links"][0]["step_bytes"])
    exposed = section["communication"].locator("[data-field='communication.exposed_seconds']")
    assert exposed.inner_text() == seconds(prediction["communication"]["exposed_seconds"])
    assert seconds(step["stages"][0]["busy_seconds"]) in section["timeline"].inner_text()


def test_it_shows_what_the_api_says_in_both_languages(opened, server, keep_picture):
    holds_what_the_api_says(opened, server, WORDS["en"])
    keep_picture(opened, "report-en")
    opened.get_by_role("button", name="中文").click()
    holds_what_the_api_says(opened, server, WORDS["zh"])
    assert "跨可用区" in opened.locator("#plan").inner_text()
    keep_picture(opened, "report-zh")


def test_a_number_says_how_it_was_computed(opened, server):
    term = server.ask("/api/v1/plan", {"job": TWO_ZONES, "top": 5})["plans"][0]["prediction"]["terms"][0]
    shown = opened.locator("#strategy").get_by_role("button", name=units.format_seconds(term["exposed_seconds"]))
    shown.first.click()
    opened.get_by_text(term["formula"]).wait_for()
    opened.keyboard.press("Escape")


def test_what_would_change_the_job_is_not_shown(opened):
    assert opened.get_by_role("textbox").count() == 1  # the search in the timeline
    assert opened.locator("#map").get_by_role("button", name="east").count() == 0  # which would open the zone
    deeds = {each.strip() for each in opened.locator("main").get_by_role("button").all_inner_texts()}
    assert not deeds & {"Try", "试一试", "Apply", "应用"}


@pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in web/")
def test_axe_has_nothing_serious_against_it_by_day_and_by_night_and_it_fits_a_phone(opened):
    assert findings(opened) == []
    opened.emulate_media(color_scheme="dark", reduced_motion="reduce")
    opened.wait_for_timeout(100)
    assert findings(opened, runOnly=["color-contrast"]) == []
    by_night = opened.evaluate(DRAWN)
    on_paper = opened.evaluate(f"() => {{ dispatchEvent(new Event('beforeprint')); return ({DRAWN})(); }}")
    assert len(by_night) > 1
    assert not set(by_night) & set(on_paper), "no frame comes before paper: what waits for one is printed dark"
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    opened.set_viewport_size({"width": PHONE_WIDTH, "height": 800})
    opened.wait_for_function(FITS, arg=PHONE_WIDTH, timeout=5000)
