"""The page of the plan: the job in three forms, and what comes of it, as the API says it."""

from __future__ import annotations

import re

import pytest

from crosszone import units

pytestmark = pytest.mark.slow
FORMATS = {
    "step_seconds": lambda shown: units.format_seconds(shown["step_seconds"]),
    "tokens_per_second": lambda shown: f"{units.format_count(shown['tokens_per_second'])}/s",
    "mfu": lambda shown: units.format_fraction(shown["mfu"]),
    "peak_bytes": lambda shown: units.format_bytes(shown["memory"]["peak_bytes"]),
}


@pytest.fixture(scope="module")
def job(server):
    """The text of the job that the page begins with."""
    templates = server.ask("/api/v1/templates")["templates"]
    return next(template["text"] for template in templates if template["name"] == "very-large")


def planned(server, text):
    """What the API says of a job."""
    return server.ask("/api/v1/plan", {"job": text, "top": 5})["plans"]


def until_shown(page, prediction):
    """Wait until the page shows these numbers, and shows them as true."""
    page.locator("[data-testid=headline][data-stale=false]").wait_for()
    for name, form in FORMATS.items():
        text = form(prediction).replace("unknown", "未知")
        page.locator(f"[data-field={name}]", has_text=text).wait_for()


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_the_page_shows_what_the_api_says(open_page, server, job, keep_picture, language, scheme):
    page = open_page("/plan", language=language, scheme=scheme, height=1600)
    best = planned(server, job)[0]["prediction"]
    until_shown(page, best)
    terms = {"en": "Where the step goes", "zh": "单步时间的构成"}[language]
    shown = page.get_by_role("region", name=terms).locator("tbody tr")
    seconds = [shown.nth(row).locator("data").first.inner_text() for row in range(shown.count())]
    written = [term for term in best["terms"] if term["exposed_seconds"] or term["overlapped_seconds"]]
    assert seconds == [units.format_seconds(term["exposed_seconds"]) for term in written]
    keep_picture(page, f"plan-{language}-{scheme}")


def test_a_change_in_the_form_is_planned_at_once_and_keeps_the_comments(open_page, server, job):
    page = open_page("/plan")
    page.locator("[data-testid=headline]").wait_for()
    page.get_by_role("textbox", name="Global batch").fill("256")
    page.locator("[data-testid=headline][data-stale=true]").wait_for()
    changed = job.replace("global_batch_size: 512", "global_batch_size: 256")
    assert changed != job
    until_shown(page, planned(server, changed)[0]["prediction"])
    page.get_by_text("YAML", exact=True).click()
    page.locator("pre", has_text="global_batch_size: 256").wait_for()
    assert page.get_by_role("textbox", name="YAML").input_value() == changed


def test_a_change_of_the_text_reaches_the_form(open_page, server, job):
    page = open_page("/plan")
    page.get_by_text("YAML", exact=True).click()
    changed = job.replace("rtt: 20 ms", "rtt: 40 ms")
    assert changed != job
    page.get_by_role("textbox", name="YAML").fill(changed)
    until_shown(page, planned(server, changed)[0]["prediction"])
    page.get_by_text("Form", exact=True).click()
    assert page.get_by_role("textbox", name="Round trip").input_value() == "40 ms"


def test_a_mistake_is_told_beside_its_field_and_the_old_result_stays_grey(open_page):
    page = open_page("/plan")
    page.locator("[data-testid=headline][data-stale=false]").wait_for()
    page.get_by_role("textbox", name="Bandwidth").fill("10")
    page.get_by_text('Write "10 Gbit/s"').first.wait_for()
    page.locator("[data-testid=headline][data-stale=true]").wait_for()
    page.get_by_role("textbox", name="Bandwidth").fill("10 Gbit/s")
    page.get_by_role("textbox", name="TP").fill("3")
    page.get_by_text(
        re.compile("tp 3 does not divide the model's [0-9]+ heads. Nearest legal: tp 2 or 4")
    ).first.wait_for()


def test_another_plan_can_be_chosen_and_fixed(open_page, server, job):
    page = open_page("/plan")
    second = planned(server, job)[1]
    page.locator("[data-testid=headline]").wait_for()
    rows = page.get_by_role("region", name="Ranked plans").locator("tbody tr")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until_shown(page, second["prediction"])
    page.get_by_role("button", name="Fix this plan in the job").click()
    page.get_by_role("button", name="Search the plan again").wait_for()
    assert page.get_by_role("textbox", name="TP").input_value() == str(second["plan"]["tp"])


def test_the_address_carries_the_job(open_page, server, job):
    page = open_page("/plan")
    page.locator("[data-testid=headline]").wait_for()
    page.get_by_role("textbox", name="Global batch").fill("1024")
    page.locator("[data-testid=headline][data-stale=false]").wait_for()
    page.wait_for_function("location.hash.startsWith('#job=')")
    page.wait_for_timeout(1500)  # the address follows the text
    page.get_by_role("button", name="Copy link").click()
    address = page.evaluate("navigator.clipboard.readText()")
    other = open_page(address.removeprefix(server.url))
    other.locator("[data-testid=headline]").wait_for()
    assert other.get_by_role("textbox", name="Global batch").input_value() == "1024"


def test_a_number_says_how_it_was_computed(open_page, server, job):
    page = open_page("/plan")
    term = planned(server, job)[0]["prediction"]["terms"][0]
    page.get_by_role("region", name="Where the step goes").get_by_role("button").filter(
        has_text=units.format_seconds(term["exposed_seconds"])
    ).first.click()
    page.get_by_text(term["formula"]).wait_for()
    page.get_by_text(term["source"]).wait_for()


def test_the_guide_leads_to_a_job(open_page, server):
    page = open_page("/plan")
    page.get_by_text("Guide", exact=True).click()
    answers, asked = [], server.ask("/api/v1/guide", {"answer": []})["question"]
    while asked is not None:
        page.locator("form", has_text=asked["bounds"]).locator("button[type=submit]:not([data-loading])").click()
        answers.append(f"{asked['key']}={asked['default']}")
        page.locator("li code", has_text=f"{asked['key']} = {asked['default']}").wait_for()
        asked = server.ask("/api/v1/guide", {"answer": answers})["question"]
    page.get_by_role("button", name="Use this job").click()
    text = server.ask("/api/v1/guide", {"answer": answers})["job"]
    until_shown(page, planned(server, text)[0]["prediction"])
