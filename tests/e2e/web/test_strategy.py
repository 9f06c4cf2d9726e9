"""The page of ranked plans: what it shows is what the API says."""

from __future__ import annotations

import pytest

from crosszone import units
from e2e.web.jobs import TWO_ZONES, with_job

pytestmark = pytest.mark.slow
ADDRESS = with_job("/strategy", TWO_ZONES)


@pytest.fixture(scope="module")
def answer(server):
    """What the page is made of."""
    return server.ask("/api/v1/plan", {"job": TWO_ZONES, "top": 5})


def rows(page, name):
    """The cells of each row of a table."""
    table = page.get_by_role("region", name=name)
    return [row.get_by_role("cell").all_inner_texts() for row in table.locator("tbody tr").all()]


def test_plans_are_ranked_as_the_api_ranks_them_and_one_can_be_looked_at(open_page, keep_picture, answer):
    page = open_page(ADDRESS)
    page.get_by_role("tab").first.wait_for()
    shown = rows(page, "Ranked plans")
    steps = [units.format_seconds(one["prediction"]["step_seconds"]) for one in answer["plans"]]
    assert all(step in row for step, row in zip(steps, shown, strict=False))  # below them: the best of one zone
    sides = page.get_by_role("table", name="The best plan over several zones beside the best of one").inner_text()
    for side in ("spanning", "alone"):
        found = answer["comparison"][side]
        assert units.format_seconds(found["p50_seconds"]) in sides
        assert units.format_dollars(found["total_dollars"]) in sides
    for reason in answer["plans"][0]["reasons"]:
        page.get_by_text(reason).wait_for()
    keep_picture(page, "strategy")
    page.get_by_role("row", name=steps[1]).first.press("Enter")
    page.get_by_text(answer["plans"][1]["reasons"][0]).first.wait_for()


def test_terms_of_the_step_and_memory_are_those_of_the_prediction(open_page, answer):
    page = open_page(ADDRESS)
    page.get_by_role("tab", name="Time and memory").click()
    prediction = answer["plans"][0]["prediction"]
    told = page.get_by_role("group", name="Where a step's time goes").inner_text()
    for term in prediction["terms"]:
        if term["exposed_seconds"] > 1e-3 * prediction["step_seconds"]:
            assert units.format_seconds(term["exposed_seconds"]) in told
    memory = page.get_by_role("group", name="Memory of the fullest rank of each stage").inner_text()
    for stage in prediction["memory"]["stages"]:
        assert units.format_bytes(stage["total_bytes"]) in memory
    page.get_by_role("button", name=units.format_seconds(prediction["terms"][0]["exposed_seconds"])).first.click()
    page.get_by_text(prediction["terms"][0]["formula"]).wait_for()


def test_a_fix_goes_into_the_job_and_every_number_follows(open_page, server):
    page = open_page(ADDRESS)
    page.get_by_role("tab", name="Checks").click()
    rule = page.locator("[data-rule=sequence_length]")
    rule.get_by_role("button", name="Apply").click()
    rule.locator("[aria-label=kept]").wait_for(state="attached")
    mended = TWO_ZONES.replace("16384", "8192")
    best = server.ask("/api/v1/plan", {"job": mended, "top": 5})["plans"][0]["prediction"]
    page.get_by_role("region", name="Ranked plans").get_by_text(
        units.format_seconds(best["step_seconds"])
    ).first.wait_for()


def test_other_strategies_are_as_good_as_the_engine_makes_them(open_page, server):
    page = open_page(ADDRESS, language="zh", scheme="dark")
    page.get_by_role("tab", name="与其他策略对比").click()
    steps = page.get_by_role("group", name="单步时间构成")
    for asked in ("tp=1,pp=1,cp=1,ep=1", "dp=1"):
        why = server.ask("/api/v1/plan", {"job": TWO_ZONES, "why": asked})
        steps.get_by_text(units.format_seconds(why["plan"]["prediction"]["step_seconds"])).first.wait_for()
    page.get_by_role("tab", name="选型向导与反问").click()
    page.get_by_role("button", name="tp=8").click()
    why = server.ask("/api/v1/plan", {"job": TWO_ZONES, "why": "tp=8"})
    table = page.get_by_role("table", name="最优方案与所问方案对比")
    table.get_by_text(units.format_seconds(why["plan"]["prediction"]["step_seconds"]), exact=True).wait_for()
