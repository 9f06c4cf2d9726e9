"""What surrounds all pages: navigation, languages, colours, keys."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow
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


def test_the_language_changes_in_place_and_stays(open_page):
    page = open_page("/plan")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", level=1, name="规划").wait_for()
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
