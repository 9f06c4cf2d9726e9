"""Cells of a table as numbers, and CSV as people save it."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.row import Row, read_rows

HEADER = "id,gpu,n_gpus,seq_len,global_batch,model,iter_time_s"
RUN = "a_1,A100,8,2048,64,llama-2-7b,3.5"


def cell(text: str) -> Row:
    return Row(id="a_1", cells={"x": text})


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{RUN}\n",
        f"\ufeff{HEADER}\r\n{RUN}\r\n",
        f"{HEADER};extra\n{RUN};1".replace(",", ";"),
        f"{HEADER}\n{RUN}\n".replace(",", "\t"),
        f"{HEADER}\n\n{RUN}\n,,,,,,\n",
        '"id","gpu","n_gpus","seq_len","global_batch","model","iter_time_s"\na_1,"A100","8",2048,64,"llama-2-7b",3.5',
    ],
    ids=["plain", "byte-order-mark", "semicolons", "tabs", "blank-lines", "quotes"],
)
def test_a_table_is_read_however_it_is_saved(text) -> None:
    (row,) = read_rows(text)
    assert (row.id, row.text("gpu"), row.number("iter_time_s")) == ("a_1", "A100", 3.5)


def test_columns_stand_in_any_order_and_unknown_ones_are_ignored() -> None:
    (row,) = read_rows("colour,iter_time_s,model,global_batch,seq_len,n_gpus,gpu,id\nred,3.5,m,64,2048,8,A100,a_1")
    assert row.count("n_gpus") == 8


def test_a_quoted_cell_may_hold_a_comma_and_a_line_break() -> None:
    (row,) = read_rows(f'{HEADER}\na_1,"A100, ""SXM""\nof ours",8,2048,64,llama-2-7b,3.5')
    assert row.text("gpu") == 'A100, "SXM"\nof ours'


def test_every_missing_column_is_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        read_rows("id,model,seq_len,iter_time_s\n")
    assert [finding.message for finding in caught.value.findings] == [
        "the table has no column gpu.",
        "the table has no column n_gpus.",
        "the table has no column global_batch or grad_accum.",
    ]
    assert all(finding.code == "missing_column" for finding in caught.value.findings)


def test_a_table_without_anything_measured_is_refused() -> None:
    with pytest.raises(SpecError, match="no column of what was measured, as step_seconds"):
        read_rows("id,gpu,n_gpus,seq_len,global_batch,model\n")


def test_an_empty_file_lacks_every_column() -> None:
    with pytest.raises(SpecError) as caught:
        read_rows("")
    assert len(caught.value.findings) == 6


def test_a_table_of_no_rows_is_empty() -> None:
    assert read_rows(HEADER) == ()


def test_a_short_line_leaves_its_last_cells_blank() -> None:
    (row,) = read_rows(f"{HEADER}\na_1,A100,8")
    assert row.count("global_batch") is None


def test_a_row_without_id_is_called_after_its_line() -> None:
    (row,) = read_rows(f"{HEADER}\n,A100,8,2048,64,m,3.5")
    assert row.id == "row-2"


@pytest.mark.parametrize(
    ("name", "source"),
    [("sc21_T1_1.7B", "sc21"), ("run-12", "run"), ("run7", "run"), ("mine", "mine"), ("17", "17")],
)
def test_the_source_is_the_start_of_the_id(name, source) -> None:
    assert Row(id=name, cells={}).source == source


@pytest.mark.parametrize(("text", "value"), [("3.5", 3.5), (" 12 ", 12.0), ("1e3", 1000.0), ("41%", 41.0), ("", None)])
def test_numbers(text, value) -> None:
    assert cell(text).number("x") == value


@pytest.mark.parametrize("text", ["0", "-1", "inf", "1e999", "1e19", "abc", "1,5", "0x10"])
def test_what_is_no_positive_number_is_told_with_its_text(text) -> None:
    with pytest.raises(SpecError, match=r"^x is "):
        cell(text).number("x")


def test_whole_numbers_may_be_written_as_spreadsheets_do() -> None:
    assert cell("64.0").count("x") == 64
    with pytest.raises(SpecError, match=r"x is 1\.5, which is no whole number"):
        cell("1.5").count("x")


def test_zero_is_a_count_only_where_it_means_something() -> None:
    assert cell("0").count("x", least=0) == 0
    with pytest.raises(SpecError, match="positive"):
        cell("0").count("x")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("True", True), ("no", False), ("0", False), ("", None)])
def test_flags(text, value) -> None:
    assert cell(text).flag("x") is value


def test_a_flag_that_is_neither_is_told() -> None:
    with pytest.raises(SpecError, match='x is "maybe"; write yes or no'):
        cell("maybe").flag("x")


@pytest.mark.parametrize("text", ["", " ", "-", "N/A", "nan", "?", "not stated", "Unknown"])
def test_blanks(text) -> None:
    assert cell(text).number("x") is None


def test_a_long_cell_is_shortened_in_the_reason() -> None:
    with pytest.raises(SpecError) as caught:
        cell("x" * 5000).number("x")
    assert len(str(caught.value)) < 80
