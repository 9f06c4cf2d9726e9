"""Reading a sheet: figures by name, tables in order, what is missing."""

import pytest

from crosszone.catalog.sheets import Figure, Sheet, sheet, sheet_names
from crosszone.errors import UnknownName


def figure(name: str, value: float) -> Figure:
    return Figure(name=name, value=value, source="a paper", url="", retrieved="2026-11-20", note="", is_estimated=False)


SHEET = Sheet(
    name="thing",
    texts=(("title", "A thing"),),
    aliases=(),
    figures=(figure("mass_bytes", 3), figure("peak.fp16", 2.0), figure("peak.fp8", 4.0), figure("peakless.x", 9.0)),
)


def test_a_figure_is_found_by_its_name() -> None:
    assert SHEET.number("mass_bytes") == 3
    assert SHEET.known("peak.fp8") == 4.0


def test_what_is_missing_is_none_where_it_may_be_and_a_bug_where_it_may_not() -> None:
    assert SHEET.known("l2_bytes") is None
    with pytest.raises(KeyError, match="thing has no figure l2_bytes"):
        SHEET.number("l2_bytes")


def test_a_table_keeps_its_order_and_takes_no_neighbours() -> None:
    assert SHEET.table("peak") == (("fp16", 2.0), ("fp8", 4.0))


def test_a_text_may_be_absent() -> None:
    assert SHEET.text("title") == "A thing"
    assert SHEET.text("note") == ""


def test_reading_keeps_tables_estimates_and_notes_apart() -> None:
    found = sheet("gpus", "ascend-910b", "gpu")
    by_name = {figure.name: figure for figure in found.figures}
    assert by_name["fabric.bytes_per_second"].is_estimated
    assert "halved" in by_name["fabric.bytes_per_second"].note
    assert not by_name["memory_bytes"].is_estimated
    assert found.text("fabric.kind") == "hccs"
    assert found.text("system.name") == "Atlas 800T A2"


def test_a_word_that_a_sheet_holds_is_no_alias() -> None:
    """ "NVIDIA" stands in quotes in most files."""
    with pytest.raises(UnknownName, match='unknown gpu "NVIDIA"'):
        sheet("gpus", "NVIDIA", "gpu")


def test_names_are_those_of_the_files_sorted() -> None:
    names = sheet_names("frameworks")
    assert "megatron" in names
    assert list(names) == sorted(names)
