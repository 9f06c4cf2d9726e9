"""The page of ranked plans: what it shows is what the API says."""

from __future__ import annotations

import re

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
    limits = page.get_by_role("region", name="What keeps it from being better").inner_text()
    told = [binding["message"] for binding in answer["binding"]]
    assert all(message in limits for message in (*told, answer["runner_up"]["difference"]["message"]))
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
    memory = page.get_by_role("region", name="Memory by stage").inner_text()
    for stage in prediction["memory"]["stages"]:
        assert units.format_bytes(stage["total_bytes"]) in memory
    page.get_by_role("button", name=units.format_seconds(prediction["terms"][0]["exposed_seconds"])).first.click()
    page.get_by_text(prediction["terms"][0]["formula"]).wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="What would help").click()
    page.get_by_role("button", name="Show as a table").click()
    front = page.get_by_role("region", name=re.compile("Plans that no other beats")).locator("tbody tr")
    for row, plan in zip(front.all(), answer["pareto"], strict=True):
        figures = row.inner_text()
        assert units.format_seconds(plan["p50_seconds"]) in figures
        assert units.format_dollars(plan["total_dollars"]) in figures


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


def test_other_strategies_are_as_good_as_the_engine_makes_them(open_page, server, answer):
    page = open_page(ADDRESS, language="zh", scheme="dark")
    page.get_by_role("tab", name="与其他策略对比").click()
    table = page.get_by_role("table", name="对比：仅数据并行、仅模型并行").locator("tbody tr")
    job = server.ask("/api/v1/job", {"job": TWO_ZONES})["job"]  # as the page asks: nothing is computed twice
    asked = ("tp=1,pp=1,cp=1,ep=1", "dp=1")
    found = [server.ask("/api/v1/plan", {"job": job, "why": one})["plan"] for one in asked]
    for index, ranked in enumerate([answer["plans"][0], *found]):
        prediction = ranked["prediction"]
        table.get_by_role("cell", name=units.format_seconds(prediction["step_seconds"])).nth(0).wait_for()
        shown = [row.locator("td").nth(index).inner_text() for row in table.all()]
        assert shown[:5] == [
            units.format_seconds(prediction["step_seconds"]),
            units.format_fraction(prediction["mfu"]),
            units.format_fraction(prediction["exposed_communication_fraction"]),
            units.format_bytes(prediction["memory"]["peak_bytes"]),
            units.format_dollars(prediction["costs"]["total_dollars"]),
        ]
    page.get_by_role("tab", name="选型向导与反问").click()
    page.get_by_role("button", name="tp=8").click()
    why = server.ask("/api/v1/plan", {"job": job, "why": "tp=8"})
    table = page.get_by_role("table", name="最优方案与所问方案对比")
    table.get_by_text(units.format_seconds(why["plan"]["prediction"]["step_seconds"]), exact=True).wait_for()
    whole = server.ask("/api/v1/plan", {"job": job, "why": f"{asked[0]},shard=none"})
    assert not whole["is_possible"]
    rung = page.locator("[data-rung=replicated]")
    rung.get_by_text("不可行").wait_for()
    assert rung.get_by_role("button").is_disabled()
    page.get_by_role("button", name="比较框架").click()
    options = server.ask("/api/v1/plan", {"job": job, "frameworks": True})["options"]
    rows = page.get_by_role("region", name="用哪个框架？").last.locator("tbody tr")
    rows.first.wait_for()
    for row, option in zip(rows.all(), options, strict=True):
        assert option["framework"] in row.inner_text()
        if option["best"]:
            assert units.format_seconds(option["best"]["prediction"]["step_seconds"]) in row.inner_text()


def test_a_scenario_is_taken_and_what_would_help_it_is_told(open_page, server):
    page = open_page("/plan", language="zh")
    templates = server.ask("/api/v1/templates")["templates"]
    page.get_by_role("button", name="模板").click()
    page.get_by_role("menuitem").first.wait_for()
    assert page.get_by_role("menuitem").count() == len(templates)
    page.get_by_role("menuitem", name="微调 LLaMA2-7B").click()
    job = next(template["text"] for template in templates if template["name"] == "llama-2-7b-fine-tune")
    best = server.ask("/api/v1/plan", {"job": job, "top": 5})["plans"][0]
    page.locator(
        "[data-field=step_seconds]", has_text=units.format_seconds(best["prediction"]["step_seconds"])
    ).wait_for()
    page.get_by_role("link", name="并行策略").click()
    page.get_by_role("tab", name="怎样更快").click()
    techniques = page.get_by_role("region", name="优化技术").last.locator("tbody tr")
    for key, value in (("recompute", "none"), ("recompute", "selective"), ("shard", "gradients")):
        tried = server.ask("/api/v1/whatif", {"job": job, "plan": best["plan"], "set": [f"plan.{key}={value}"]})
        row = techniques.filter(has_text=f"{best['plan'][key]} → {value}")
        changes = {change["name"]: change["difference"] for change in tried["changes"]}
        row.get_by_text(signed(units.format_seconds, changes["step_seconds"])).wait_for()
        row.get_by_text(signed(units.format_bytes, changes["memory.peak_bytes"])).wait_for()
        assert row.get_by_role("button").is_enabled() == tried["changed"]["memory"]["fits"]
    page.get_by_role("button", name="开始搜索").click()
    worth = server.ask("/api/v1/plan", {"job": job, "sensitivity": True, "top": 1})["sensitivity"]
    told = page.get_by_role("group", name="各种改动值多少")
    for change in worth:
        if change["plan"]:
            told.get_by_text(units.format_fraction(change["saved_fraction"])).first.wait_for()


def signed(form, value):
    """A difference as pages write it."""
    return f"+{form(value)}" if value > 0 else form(value).replace("-", "−")
