"""Columns in base units stand for the usual ones."""

import pytest

from crosszone.verify.row import read_rows

HEAD = "gpu,n_gpus,seq_len,global_batch,model"


def only_row(columns: str, cells: str):
    (row,) = read_rows(f"{HEAD},{columns}\na100,8,2048,64,llama-2-7b,{cells}\n")
    return row


@pytest.mark.parametrize(
    ("columns", "cells", "name", "value"),
    [
        ("step_seconds", "1.5", "iter_time_s", 1.5),
        ("tokens_per_second_per_gpu", "4000", "tokens_per_sec_per_gpu", 4000.0),
        ("tokens_per_second", "32000", "tokens_per_sec_total", 32000.0),
        ("samples_per_second", "12", "samples_per_sec", 12.0),
        ("mfu", "0.5", "mfu_pct", 50.0),
        ("flop_per_second_per_gpu", "135000000000000", "tflops_per_gpu", 135.0),
        ("peak_memory_bytes", "2147483648", "peak_memory_GiB", 2.0),
    ],
)
def test_a_column_in_base_units_is_read_as_the_usual_one(columns, cells, name, value):
    assert only_row(columns, cells).number(name) == pytest.approx(value, rel=1e-12)


def test_text_beside_a_figure_is_not_scaled():
    row = only_row("step_seconds,flop_formula,flop_kind", "1,6N+12Lhs,model")
    assert row.text("tflops_formula") == "6N+12Lhs"
    assert row.text("tflops_kind") == "model"


def test_of_two_columns_for_one_thing_the_filled_one_counts():
    assert only_row("step_seconds,iter_time_s", "1.5,").number("iter_time_s") == 1.5
    assert only_row("iter_time_s,step_seconds", "1.5,").number("iter_time_s") == 1.5


def test_what_is_no_number_is_left_for_its_reader_to_refuse():
    assert only_row("mfu", "half").text("mfu_pct") == "half"
