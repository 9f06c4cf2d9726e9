"""Help: every key of the job file and every word of the vocabulary can be looked up."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow


def is_in(language, text):
    """Whether a text has, or has not, characters of Chinese."""
    return bool(re.search("[一-鿿]", text)) == (language == "zh")


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_every_key_of_the_schema_is_explained(open_page, server, keep_picture, language, scheme):
    page = open_page("/help", language=language, scheme=scheme, height=1400)
    schema = server.ask("/api/v1/schema")
    page.get_by_text("Sync", exact=True).click()
    region = page.get_by_role("region", name="Sync", exact=True)
    region.wait_for()
    shown = region.locator("tbody td:first-child").all_inner_texts()
    assert shown == list(schema["$defs"]["Sync"]["properties"])
    explained = region.locator("tbody td:nth-child(2)").all_inner_texts()
    assert all(is_in(language, text) for text in explained)
    page.get_by_text({"en": "Hardware", "zh": "硬件"}[language], exact=True).first.wait_for()
    keep_picture(page, f"help-{language}-{scheme}")


def test_search_finds_keys_and_words(open_page):
    page = open_page("/help")
    page.get_by_role("searchbox").fill("pseudogradient")
    page.get_by_role("cell", name="what zones send at an outer step").wait_for()
    page.get_by_role("heading", name="First steps").wait_for(state="detached")
