"""Comparing: plans of the present job, and what was kept, value by value as the API has it."""

from __future__ import annotations

import pytest

from crosszone import units

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_ranked_plans_of_the_present_job_stand_side_by_side(open_page, server, keep_picture, language, scheme):
    page = open_page("/compare", language=language, scheme=scheme, height=1600)
    text = next(each["text"] for each in server.ask("/api/v1/templates")["templates"] if each["name"] == "very-large")
    answer = server.ask("/api/v1/plan", {"job": text, "top": 5})
    results = [{"problem": answer["problem"], **each["prediction"], "plan": each["plan"]} for each in answer["plans"]]
    found = server.ask("/api/v1/compare", {"results": results})
    step = next(row for row in found["rows"] if row["name"] == "step_seconds")
    section = page.get_by_role("region", name={"en": "Time", "zh": "时间"}[language], exact=True).last
    row = section.locator("tbody tr").filter(has=page.locator("[data-name=step_seconds]"))
    row.wait_for()
    cells = row.locator("td").all_inner_texts()[1:]
    assert len(cells) == len(results)
    for cell, value in zip(cells, step["values"], strict=True):
        assert cell.startswith(units.format_seconds(value))
    keep_picture(page, f"compare-{language}-{scheme}")


def test_kept_plans_are_compared_and_the_address_holds_the_choice(open_page, server):
    page = open_page("/compare")
    for name in ("before", "after"):
        page.get_by_role("textbox", name="Name of the present plan").fill(name)
        page.get_by_role("button", name="Keep", exact=True).click()
        page.get_by_role("cell", name=name, exact=True).click()
    page.get_by_text("2 of those that were kept").wait_for()
    ids = [run["id"] for run in server.ask("/api/v1/runs")["runs"]]
    assert all(f"id={key}" in page.url for key in ids)
    page.get_by_role("switch", name="Show what is equal, too").check(force=True)
    found = server.ask("/api/v1/runs/compare?" + page.url.partition("?")[2].partition("#")[0])
    step = units.format_seconds(next(row for row in found["rows"] if row["name"] == "step_seconds")["values"][0])
    time = page.get_by_role("region", name="Time", exact=True).last
    time.locator("tr").filter(has=page.locator("[data-name=step_seconds]")).get_by_text(step).first.wait_for()
