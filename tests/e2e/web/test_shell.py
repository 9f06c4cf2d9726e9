"""What surrounds all pages: navigation, languages, colours, keys."""

from __future__ import annotations

import re

import pytest

from crosszone import units
from e2e.web.jobs import TWO_ZONES, with_job

pytestmark = pytest.mark.slow
ENGLISH = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")
"""Three words that follow each other: names of the API are single ones."""
NAMES = {"en": ("Plan", "Strategy"), "zh": ("规划", "并行策略")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_opens_from_the_navigation(open_page, keep_picture, language):
    page = open_page("/", language=language)
    page.wait_for_url(re.compile("/plan"))
    links = page.locator("nav a")
    for index in range(links.count()):
        title = links.nth(index).inner_text()
        links.nth(index).click()
        page.get_by_role("heading", level=1, name=title).wait_for()
    assert set(NAMES[language]) <= set(links.all_inner_texts())
    keep_picture(page, f"shell-{language}")


def test_the_language_changes_in_place_with_all_texts_and_the_job_stays(open_page, server):
    page = open_page(with_job("/plan", TWO_ZONES))
    page.get_by_role("textbox", name="Global batch").fill("256")
    page.wait_for_function("() => location.hash !== ''")
    changed = TWO_ZONES.replace("global_batch_size: 128", "global_batch_size: 256")
    step = units.format_seconds(
        server.ask("/api/v1/plan", {"job": changed, "top": 5})["plans"][0]["prediction"]["step_seconds"]
    )
    page.locator("[data-field=step_seconds]", has_text=step).wait_for()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", level=1, name="规划").wait_for()
    page.get_by_role("button", name="为什么选这个方案").wait_for()
    page.locator("[data-testid=headline][data-stale=false] [data-field=step_seconds]", has_text=step).wait_for()
    page.wait_for_load_state("networkidle")
    assert page.get_by_role("textbox", name="全局批大小").input_value() == "256"
    assert not ENGLISH.search(page.locator("#main").inner_text())
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.reload()
    page.get_by_role("heading", level=1, name="规划").wait_for()


def test_keys_lead_to_pages_and_the_first_tab_skips_the_navigation(open_page):
    page = open_page("/plan")
    page.get_by_role("heading", level=1, name="Plan").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.get_by_role("heading", level=1, name="Strategy").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def test_an_unknown_address_leads_back(open_page):
    page = open_page("/nowhere")
    page.get_by_role("link", name="Go to the plan").click()
    page.get_by_role("heading", level=1, name="Plan").wait_for()
