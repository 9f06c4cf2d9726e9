"""The page of communication: sums, groups, links and terms as the API has them, and what a change does to each."""

from __future__ import annotations

import time

import pytest

from crosszone import units
from e2e.web.jobs import TWO_ZONES, with_job

pytestmark = pytest.mark.slow
ADDRESS = with_job("/communication", TWO_ZONES)
LONGEST_SECONDS = 2.0
"""From a touched control to numbers on the screen, on a machine that does other things too."""


@pytest.fixture(scope="module")
def plan(server):
    """The plan that the page looks at."""
    return server.ask("/api/v1/plan", {"job": TWO_ZONES, "top": 5})["plans"][0]["plan"]


def tried(server, plan, *settings):
    return server.ask("/api/v1/whatif", {"job": TWO_ZONES, "plan": plan, "set": list(settings)})


def until_shown(page, result):
    """Wait for the sums of a result, then compare groups and links with it."""
    page.locator("[data-testid=totals][data-stale=false]").wait_for()
    shown, sent = result["changed"], result["changed"]["communication"]
    page.locator("[data-field=step_seconds]", has_text=units.format_seconds(shown["step_seconds"])).wait_for()
    exposed, moved = units.format_seconds(sent["exposed_seconds"]), units.format_bytes(sent["zone_bytes"])
    hidden = units.format_seconds(sent["overlapped_seconds"])
    page.locator("[data-field='communication.overlapped_seconds']", has_text=hidden).wait_for()
    page.locator("[data-field='communication.exposed_seconds']", has_text=exposed).wait_for()
    page.locator("[data-field='communication.zone_bytes']", has_text=moved).wait_for()
    links = page.get_by_role("region", name="By link").locator("tbody tr")
    for index, link in enumerate(shown["links"]):
        row = links.nth(index).inner_text()
        assert f"{link['from_zone']} → {link['to_zone']}" in row
        assert units.format_bytes(link["step_bytes"]) in row
        assert units.format_fraction(link["utilization_fraction"]) in row
    groups = page.get_by_role("region", name="By group").locator("tbody")
    for group in sent["groups"]:
        if group["exposed_seconds"] > 0:
            assert units.format_seconds(group["exposed_seconds"]) in groups.inner_text()


def test_what_is_sent_and_what_bounds_the_step_are_the_apis(open_page, server, plan, keep_picture):
    page = open_page(ADDRESS, height=1600)
    base = tried(server, plan)
    until_shown(page, base)
    regime = {"communication_bound": "Communication-bound", "balanced": "Balanced", "compute_bound": "Compute-bound"}
    panel = page.get_by_role("region", name=regime[base["base_regime"]["name"]])
    for slope in base["base_regime"]["slopes"][:3]:
        assert units.format_seconds(slope["seconds_saved"]) in panel.inner_text()
    advice = page.get_by_role("region", name="What would save most").inner_text()
    for each in base["advice"]:
        assert units.format_seconds(each["seconds_saved"]) in advice
    keep_picture(page, "communication")


SAW_STALE = """() => new MutationObserver((changes) => {
  window.sawStale ||= changes.some(({ target }) => target.dataset.stale === 'true');
}).observe(document.querySelector('[data-testid=totals]'), { attributeFilter: ['data-stale'] })"""


def test_a_control_changes_every_number_at_once_with_its_difference_to_the_base(open_page, server, plan):
    page = open_page(ADDRESS)
    until_shown(page, tried(server, plan))
    slider = page.get_by_role("slider", name="Bandwidth of every link")
    slider.focus()
    expected = tried(server, plan, "links.*.bandwidth=x0.1")
    page.evaluate(SAW_STALE)
    begun = time.monotonic()
    slider.press("Home")
    until_shown(page, expected)
    assert time.monotonic() - begun < LONGEST_SECONDS
    change = next(each for each in expected["changes"] if each["name"] == "step_seconds")
    assert change["difference"] > 0
    assert page.evaluate("window.sawStale"), "numbers of the base stood there as if they were those of the change"
    totals = page.get_by_test_id("totals").inner_text()
    assert f"+{units.format_seconds(change['difference'])}" in totals
    page.get_by_role("button", name="Reset").click()
    until_shown(page, tried(server, plan))
    page.get_by_role("combobox", name="Recompute").select_option("selective")
    page.get_by_role("textbox", name="Overlap, assumed").fill("50%")
    page.get_by_role("textbox", name="Global batch").fill("256")
    settings = ("plan.recompute=selective", "plan.overlap_fraction=50%", "workload.global_batch_size=256")
    expected = tried(server, plan, *settings)
    until_shown(page, expected)
    assumed = [each for each in expected["changed"]["assumed"] if each not in expected["base"]["assumed"]]
    assert assumed
    assert expected["warnings"]
    for note in (*assumed, *expected["warnings"]):
        page.get_by_role("complementary").get_by_text(note).wait_for()


def test_advice_can_be_tried_and_written_into_the_job_and_its_files(open_page, server, plan):
    page = open_page(ADDRESS)
    advice = tried(server, plan)["advice"]
    page.get_by_role("button", name="Try").first.click()
    until_shown(page, tried(server, plan, *advice[0]["settings"]))
    assert page.get_by_text("Of the job as it is.").count() == 2, "slopes and advice are not of what is tried"
    page.get_by_role("button", name="Apply to the job").click()
    written = server.ask("/api/v1/job", {"job": TWO_ZONES, "set": advice[0]["settings"]})["text"]
    page.locator("[data-testid=totals][data-stale=false]").wait_for()
    page.wait_for_function("text => localStorage.getItem('crosszone.job') === text", arg=written)
    page.get_by_role("link", name="Deploy", exact=True).click()
    page.get_by_role("button", name="Render files").click()
    page.get_by_role("list", name="Files").get_by_role("button", name="launch/zone-0/agent-0.sh").click()
    (size,) = (text.partition("=")[2] for text in advice[0]["settings"] if "global_batch_size" in text)
    page.get_by_test_id("file").get_by_text(f"--global-batch-size {size}").wait_for()


def test_a_change_that_cannot_be_says_why_and_keeps_the_old_numbers(open_page, server, plan):
    page = open_page(ADDRESS, language="zh")
    page.locator("[data-testid=totals][data-stale=false]").wait_for()
    page.get_by_role("textbox", name="微批大小").fill("7")
    page.get_by_role("alert").wait_for()
    page.locator("[data-testid=totals][data-stale=true]").wait_for()


def test_a_number_opens_its_formula_with_inputs_and_source(open_page, server, plan):
    page = open_page(ADDRESS)
    base = tried(server, plan)["changed"]
    sent = {name for group in base["communication"]["groups"] for name in group["terms"]}
    term = max((one for one in base["terms"] if one["name"] in sent), key=lambda one: one["exposed_seconds"])
    terms = page.get_by_role("region", name="By term").last
    terms.get_by_role("button", name=units.format_seconds(term["exposed_seconds"])).click()
    page.get_by_text(term["formula"]).wait_for()
    page.get_by_text(term["source"]).wait_for()
