"""Seconds per step from whatever a row prints, worked out by hand; memory and verdicts."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.case import case_of
from crosszone.verify.conventions import palm_flop

TOKENS = 1024 * 2048
PRINTED = {"tflops_per_gpu": "", "tflops_kind": "", "tflops_formula": ""}


def only(case):
    (measured,) = case.measured
    return measured


def test_flop_rate_of_sc21_table_1(make_row) -> None:
    measured = only(case_of(make_row()))
    flop = 96 * 1024 * 2048 * 40 * 6144**2 * (1 + 2048 / 36864 + 51200 / (16 * 40 * 6144))
    assert measured.quantity == "step_seconds"
    assert measured.column == "tflops_per_gpu"
    assert measured.value == pytest.approx(flop / (135e12 * 256))
    assert measured.value == pytest.approx(9.37, rel=0.01)


@pytest.mark.parametrize(
    ("column", "text", "seconds"),
    [
        ("iter_time_s", "9.5", 9.5),
        ("tokens_per_sec_per_gpu", "1000", TOKENS / 256 / 1000),
        ("tokens_per_sec_total", "256000", TOKENS / 256000),
        ("samples_per_sec", "128", 8.0),
        ("samples_per_sec_per_gpu", "0.5", 8.0),
    ],
)
def test_each_metric_by_hand(make_row, column, text, seconds) -> None:
    measured = only(case_of(make_row(**PRINTED, **{column: text})))
    assert (measured.column, measured.value) == (column, pytest.approx(seconds))


@pytest.mark.parametrize(
    ("published", "base"),
    [
        (("iter_time_s", "9.5"), ("step_seconds", "9.5")),
        (("tokens_per_sec_per_gpu", "1000"), ("tokens_per_second_per_gpu", "1000")),
        (("tokens_per_sec_total", "256000"), ("tokens_per_second", "256000")),
        (("samples_per_sec", "128"), ("samples_per_second", "128")),
        (("mfu_pct", "40"), ("mfu", "0.4")),
        (("tflops_per_gpu", "135"), ("flop_per_second_per_gpu", "135e12")),
        (("peak_memory_GiB", "2"), ("peak_memory_bytes", "2147483648")),
    ],
)
def test_columns_in_base_units_say_the_same(make_row, published, base) -> None:
    formula = "96Bslh^2"
    one = only(case_of(make_row(**PRINTED | dict([published]), flop_formula=formula)))
    other = only(case_of(make_row(**PRINTED | dict([base]), flop_formula=formula)))
    assert (other.quantity, other.column) == (one.quantity, base[0])
    assert other.value == pytest.approx(one.value)


def test_metrics_are_taken_in_the_documented_order(make_row) -> None:
    order = {
        "iter_time_s": "9.5",
        "tokens_per_sec_per_gpu": "1000",
        "tokens_per_sec_total": "256000",
        "samples_per_sec": "128",
        "samples_per_sec_per_gpu": "0.5",
        "mfu_pct": "40",
        "tflops_per_gpu": "135",
    }
    cells = dict(order)
    for column in order:
        assert only(case_of(make_row(**cells))).column == column
        cells[column] = ""


def test_a_rate_that_was_rounded_to_nothing_is_passed_over(make_row) -> None:
    measured = only(case_of(make_row(samples_per_sec="0", tokens_per_sec_per_gpu="0.0")))
    assert measured.column == "tflops_per_gpu"


def test_mfu_uses_the_stated_formula_and_the_gpus_peak(make_row) -> None:
    case = case_of(make_row(mfu_pct="40", tflops_formula="6N+12Lhs"))
    flop = palm_flop(case.problem.model, 2048) * 1024
    assert only(case).value == pytest.approx(flop / (0.40 * 312e12 * 256))
    assert not any("convention" in text for text in case.row.assumed)


def test_mfu_uses_the_stated_peak(make_row) -> None:
    stated = only(case_of(make_row(mfu_pct="40", tflops_formula="6N+12Lhs; MFU vs 989")))
    own = only(case_of(make_row(mfu_pct="40", tflops_formula="6N+12Lhs")))
    assert stated.value / own.value == pytest.approx(312 / 989)


def test_mfu_without_a_formula_is_palms_and_says_so(make_row) -> None:
    case = case_of(make_row(mfu_pct="40", tflops_formula=""))
    assert only(case).value == pytest.approx(palm_flop(case.problem.model, 2048) * 1024 / (0.40 * 312e12 * 256))
    assert any(text.startswith("convention of MFU: 6N + 12lhs") for text in case.row.assumed)


def test_flop_rates_of_an_unknown_convention_skip_the_row(make_row) -> None:
    with pytest.raises(SpecError, match='how they count is not known: the formula says "our own"'):
        case_of(make_row(tflops_formula="our own"))


def test_a_row_without_any_figure_is_skipped(make_row) -> None:
    with pytest.raises(SpecError, match="nothing is measured"):
        case_of(make_row(**PRINTED))


def test_one_row_may_give_three_quantities(make_row) -> None:
    case = case_of(make_row(peak_memory_GiB="40.5", status="ran"))
    assert [measured.quantity for measured in case.measured] == ["step_seconds", "peak_memory_bytes", "fits"]
    assert case.measured[1].value == 40.5 * 2**30
    assert case.measured[2].value is True


@pytest.mark.parametrize(("status", "fits"), [("ran", True), ("oom", False), ("oom_or_crash", False), ("OOM", False)])
def test_status(make_row, status, fits) -> None:
    assert only(case_of(make_row(**PRINTED, status=status))).value is fits


@pytest.mark.parametrize("label", ["explicit", "supported (by another)", "supported: extrapolation gives 94 GB"])
def test_sure_labels_count(make_row, label) -> None:
    assert only(case_of(make_row(**PRINTED, status="oom_or_crash", label_check=label))).value is False


@pytest.mark.parametrize("label", ["unverified", "borderline: 75 GB", "contradicted: larger micro-batch ran"])
def test_unsure_labels_do_not(make_row, label) -> None:
    with pytest.raises(SpecError, match="may have another cause than memory"):
        case_of(make_row(**PRINTED, status="oom_or_crash", label_check=label))


def test_an_unsure_label_does_not_take_the_time_with_it(make_row) -> None:
    assert only(case_of(make_row(iter_time_s="9", status="ran", label_check="unverified"))).quantity == "step_seconds"


def test_an_unknown_status_is_told(make_row) -> None:
    with pytest.raises(SpecError, match='status is "maybe"; write ran or oom'):
        case_of(make_row(**PRINTED, status="maybe"))
