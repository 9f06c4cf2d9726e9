"""The catalog: what is listed is what the API has, each figure with its source."""

from __future__ import annotations

import pytest

from crosszone import units

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_every_gpu_is_listed_and_its_facts_name_their_sources(open_page, server, keep_picture, language, scheme):
    page = open_page("/catalog", language=language, scheme=scheme)
    gpus = server.ask("/api/v1/catalog/gpus")["gpus"]
    rows = page.locator("tbody tr[aria-selected]")
    rows.nth(len(gpus) - 1).wait_for()
    assert rows.count() == len(gpus)
    page.get_by_role("searchbox").fill("h100-sxm5-80gb")
    (gpu,) = (each for each in gpus if each["name"] == "h100-sxm5-80gb")
    cells = rows.first.locator("td").all_inner_texts()
    assert cells[0] == gpu["name"]
    assert units.format_bytes(gpu["memory_bytes"]) in cells
    entry = page.get_by_role("complementary", name=gpu["name"])
    for fact in gpu["facts"][:3]:
        item = entry.locator("li").filter(has=page.get_by_title(fact["name"], exact=True))
        item.get_by_role("link", name=fact["source"]).wait_for()
    assert entry.locator("li").count() == len(gpu["facts"])
    keep_picture(page, f"catalog-{language}-{scheme}")


def test_round_trips_are_those_of_the_chosen_region_sorted_by_time(open_page, server, keep_picture):
    page = open_page("/catalog/links")
    links = server.ask("/api/v1/catalog/links/aws:us-east-1")["links"]
    page.get_by_text(f"{len(links)} of {len(links)}").wait_for()
    page.get_by_role("button", name="Round trip", exact=True).click()
    shortest = min(link["rtt_seconds"] for link in links)
    page.locator("tbody tr[aria-selected]").first.get_by_text(units.format_seconds(shortest), exact=True).wait_for()
    keep_picture(page, "catalog-links")
    page.get_by_role("combobox", name="From").fill("alibaba:cn-beijing")
    page.get_by_role("option", name="alibaba:cn-beijing").click()
    page.get_by_text("No figure is known from alibaba:cn-beijing").wait_for()


def test_a_phone_shows_list_and_entry_below_each_other(open_page, keep_picture):
    page = open_page("/catalog/models?name=llama-3-8b", width=390)
    page.get_by_role("complementary", name="llama-3-8b").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep_picture(page, "catalog-phone")
