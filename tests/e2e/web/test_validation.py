"""Validation: what was shipped is shown as it is; a table of one's own is predicted, and says what it skips."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosszone import units

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_accuracy_by_source_is_what_the_api_says(open_page, server, keep_picture, language, scheme):
    page = open_page("/validation", language=language, scheme=scheme, height=1500)
    accuracy = server.ask("/api/v1/accuracy")
    median = units.format_fraction(accuracy["total"]["median_ape"])
    page.locator("[data-field=median_ape_fraction]", has_text=median).wait_for()
    for source in accuracy["sources"]:
        row = page.locator("tbody tr", has_text=source["title"]).first
        cells = row.locator("td").all_inner_texts()
        assert cells[1:3] == [str(source["num_rows"]), units.format_fraction(source["mape"])]
    chart = page.locator("figure").get_by_role("slider")
    chart.press("End")
    slowest = max(accuracy["rows"], key=lambda row: row["measured"])
    assert slowest["id"] in chart.get_attribute("aria-valuetext")
    assert units.format_seconds(slowest["predicted"]) in page.get_by_role("tooltip").inner_text()
    keep_picture(page, f"validation-{language}-{scheme}")


def test_a_table_of_my_own_is_predicted_and_says_what_it_skips(open_page, server, tmp_path, keep_picture):
    lines = (ROOT / "benchmarks/accuracy/data/sc21.csv").read_text().splitlines()
    gpu = lines[0].split(",").index("gpu")
    broken = lines[1].split(",")
    broken[0], broken[gpu] = "broken_row", "abacus"
    table = "\n".join([*lines, ",".join(broken)])
    file = tmp_path / "own.csv"
    file.write_text(table)
    page = open_page("/validation", height=1200)
    page.locator("input[type=file]").set_input_files(file)
    result = page.get_by_test_id("own-result")
    found = server.ask("/api/v1/validate", {"table": table})
    bias = units.format_fraction(found["summary"]["bias"]).replace("-", "−")
    result.locator("[data-field=bias_fraction]", has_text=bias).wait_for()
    assert result.get_by_role("region", name="Rows of your table").locator("tbody tr").count() == len(found["rows"])
    (skipped,) = found["skipped"]
    result.get_by_text(skipped["reason"]).wait_for()
    keep_picture(page, "validation-own")


def test_a_table_without_what_every_row_needs_is_refused_in_words(open_page, tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("gpu,seq_len\na100,2048\n")
    page = open_page("/validation")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("alert").wait_for()
