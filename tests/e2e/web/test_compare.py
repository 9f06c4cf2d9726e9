"""Comparing: plans of the present job, and what was kept, value by value as the API has it."""

from __future__ import annotations

import re

import pytest

from crosszone import units
from e2e.web.jobs import TWO_ZONES, with_job

pytestmark = pytest.mark.slow
MOST_SLICES = 25_000


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


def test_kept_plans_are_compared_and_the_address_holds_the_choice(open_page, server, keep_picture):
    answer = server.ask("/api/v1/plan", {"job": TWO_ZONES, "top": 5})
    job = server.ask("/api/v1/job", {"job": TWO_ZONES})["job"]
    result = {"problem": answer["problem"], **answer["plans"][1]["prediction"], "plan": answer["plans"][1]["plan"]}
    server.ask("/api/v1/runs", {"name": "after", "result": result, "job": job})
    page = open_page(with_job("/compare", TWO_ZONES))
    page.get_by_role("textbox", name="Name of the present plan").fill("before")
    page.get_by_role("button", name="Keep", exact=True).click()
    for name in ("before", "after"):
        page.get_by_role("cell", name=name, exact=True).click()
    page.get_by_text("2 of those that were kept").wait_for()
    ids = {run["name"]: run["id"] for run in server.ask("/api/v1/runs")["runs"]}
    query = f"id={ids['before']}&id={ids['after']}"
    assert query in page.url
    page.get_by_role("switch", name="Show what is equal, too").check(force=True)
    found = server.ask(f"/api/v1/runs/compare?{query}")
    step = next(row for row in found["rows"] if row["name"] == "step_seconds")
    assert step["differences"][1] > 0
    written = [units.format_seconds(value) for value in step["values"]]
    far = f"+{units.format_seconds(step['differences'][1])}"
    time = page.get_by_role("region", name="Time", exact=True).last
    row = time.locator("tr").filter(has=page.locator("[data-name=step_seconds]"))
    row.get_by_text(far).wait_for()
    assert row.locator("td").all_inner_texts()[1:] == [written[0], written[1] + far]
    heads = drawn_heads(page, server, [{"job": TWO_ZONES, "plan": each["plan"]} for each in answer["plans"][:2]])
    assert heads == [f"before {written[0]}", f"after {written[1]} · {far} · {step['ratios'][1]:.3g} ×"]
    keep_picture(page, "compare-timelines")
    page.get_by_role("button", name="Forget the 2 that are chosen").click()
    dialog = page.get_by_role("dialog")
    named = dialog.get_by_role("listitem")
    named.first.wait_for()
    moment = r" \d{1,2} \w{3} \d{4}, \d\d:\d\d:\d\d"  # which tells two of one name apart
    for name, text in zip(("before", "after"), named.all_inner_texts(), strict=True):
        assert re.fullmatch(name + moment, text)
    page.route(f"**/runs/{ids['after']}", lambda route: route.fulfill(status=422, json={"detail": "not now"}), times=1)
    dialog.get_by_role("button", name="Forget", exact=True).click()
    dialog.get_by_text("not now").wait_for()
    named.filter(has_text="before").wait_for(state="detached")
    assert re.fullmatch("after" + moment, named.inner_text())
    assert page.url.endswith(f"id={ids['after']}")
    assert page.get_by_role("cell", name="before", exact=True, include_hidden=True).count() == 0
    dialog.get_by_role("button", name="Forget", exact=True).click()
    page.get_by_role("cell", name="after", exact=True, include_hidden=True).wait_for(state="detached")
    page.get_by_text("The ranked plans of the present job").wait_for()
    kept = {run["id"] for run in server.ask("/api/v1/runs")["runs"]}
    assert not kept & set(ids.values())


def drawn_heads(page, server, asked):
    """What stands above the lanes of each step, once every slice is drawn that the engine plays."""
    page.get_by_role("button", name="To the timelines").click()
    details = [server.ask("/api/v1/simulate", {**each, "detail": MOST_SLICES})["detail"] for each in asked]
    count = sum(len(track["slices"]) for detail in details for track in detail["tracks"])
    board = page.get_by_role("application", name=f"Timeline with {count} slices")
    board.wait_for()
    assert board.bounding_box()["height"] > 0
    return [" ".join(head.inner_text().split()) for head in page.get_by_test_id("step-heading").all()]
