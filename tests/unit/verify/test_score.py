"""Scores by hand."""

import dataclasses

import pytest

from crosszone.core.validation import ValidatedRow
from crosszone.verify.score import middle_of_repeats, quantity_scores, regrets

ROW = ValidatedRow(
    id="a_1", source="a", quantity="step_seconds", unit="s", measured=10.0, predicted=11.0, relative_error=0.1,
    assumed=(), column="iter_time_s", quality="A", is_counted=True, gpu="g1", framework="f1", family="m1", group="x",
    null_model_seconds=5.0,
)  # fmt: skip


def row(measured: float, predicted: float, **changes) -> ValidatedRow:
    error = predicted / measured - 1.0
    return dataclasses.replace(ROW, measured=measured, predicted=predicted, relative_error=error, **changes)


def fits(measured: bool, predicted: bool, source: str = "a") -> ValidatedRow:
    return dataclasses.replace(
        ROW, quantity="fits", unit="boolean", measured=measured, predicted=predicted, relative_error=None,
        source=source, null_model_seconds=None,
    )  # fmt: skip


def test_mean_median_and_bias() -> None:
    scores = quantity_scores([row(10, 11), row(10, 8), row(10, 13)])["step_seconds"]
    total = scores.total
    assert (total.num_rows, total.mape) == (3, pytest.approx(0.2))
    assert total.median_ape == pytest.approx(0.2)
    assert total.bias == pytest.approx((0.1 - 0.2 + 0.3) / 3)
    assert total.null_model_mape == pytest.approx(0.5)
    assert (total.balanced_accuracy, total.confusion) == (None, None)


def test_sources_count_alike_in_the_mean_over_sources() -> None:
    rows = [row(10, 11), row(10, 11), row(10, 11), row(10, 15, source="b")]
    scores = quantity_scores(rows)["step_seconds"]
    assert scores.total.mape == pytest.approx(0.2)
    assert scores.source_mape == pytest.approx(0.3)
    assert list(scores.by_source) == ["a", "b"]
    assert scores.by_source["b"].mape == pytest.approx(0.5)


def test_scores_are_split_by_gpu_framework_and_family() -> None:
    scores = quantity_scores([row(10, 11), row(10, 12, gpu="g2", framework="f2", family="m2")])["step_seconds"]
    for split, other in ((scores.by_gpu, "g2"), (scores.by_framework, "f2"), (scores.by_family, "m2")):
        assert split[other].mape == pytest.approx(0.2)
        assert len(split) == 2


def test_rows_that_do_not_count_are_left_out() -> None:
    assert quantity_scores([row(10, 20, is_counted=False)]) == {}
    scores = quantity_scores([row(10, 11), row(10, 20, is_counted=False)])["step_seconds"]
    assert scores.total.num_rows == 1


def test_regret_is_what_the_predicted_best_loses() -> None:
    # Predicted best is the second, which measured 12 where 10 was possible.
    assert regrets([row(10, 9), row(12, 8), row(14, 15)]) == [pytest.approx(0.2)]
    assert regrets([row(10, 7), row(12, 8), row(14, 15)]) == [0.0]


def test_regret_needs_three_plans_and_counts_group_by_group() -> None:
    assert regrets([row(10, 9), row(12, 8)]) == []
    two = [row(10, 9, group="y"), row(13, 8, group="y"), row(14, 15, group="y")]
    scores = quantity_scores([row(10, 9), row(12, 8), row(14, 15), *two])["step_seconds"]
    assert scores.total.num_groups == 2
    assert scores.total.regret == pytest.approx((0.2 + 0.3) / 2)


def test_of_repeats_of_a_plan_the_median_counts() -> None:
    # Run three times, the plan that is chosen took 11 in the middle; its luckiest run is nobody's to choose.
    repeats = [row(measured, 8, layout="tp 2") for measured in (9, 11, 20)]
    others = [row(10, 9, layout="tp 4"), row(14, 15, layout="tp 8")]
    assert regrets([*repeats, *others]) == [pytest.approx(0.1)]
    assert regrets([*repeats, others[0]]) == []  # two plans are no choice
    # Rows without a layout are plans of their own.
    assert regrets([dataclasses.replace(each, layout="") for each in repeats]) == [pytest.approx(20 / 9 - 1)]


def test_plans_that_are_predicted_alike_count_as_the_slowest_of_them() -> None:
    assert regrets([row(10, 8), row(12, 8), row(14, 15)]) == [pytest.approx(0.2)]


def test_balanced_accuracy_weighs_both_classes_alike() -> None:
    rows = [fits(True, True)] * 8 + [fits(True, False)] * 2 + [fits(False, False)] + [fits(False, True)]
    total = quantity_scores(rows)["fits"].total
    assert total.balanced_accuracy == pytest.approx((0.8 + 0.5) / 2)
    assert total.confusion is not None
    confusion = total.confusion
    assert (confusion.ran_fits, confusion.ran_does_not_fit) == (8, 2)
    assert (confusion.failed_fits, confusion.failed_does_not_fit) == (1, 1)
    assert (total.mape, total.bias, total.regret, total.null_model_mape) == (None, None, None, None)


def test_one_class_alone_is_its_own_share() -> None:
    assert quantity_scores([fits(True, True), fits(True, False)])["fits"].total.balanced_accuracy == 0.5


def test_the_mean_over_sources_of_verdicts_is_what_is_wrong() -> None:
    rows = [fits(True, True), fits(False, False), fits(True, True, "b"), fits(False, True, "b")]
    assert quantity_scores(rows)["fits"].source_mape == pytest.approx((0.0 + 0.5) / 2)


def test_quantities_keep_their_order() -> None:
    memory = row(10, 11, quantity="peak_memory_bytes", unit="bytes", null_model_seconds=None)
    assert list(quantity_scores([fits(True, True), memory, row(10, 11)])) == [
        "step_seconds",
        "peak_memory_bytes",
        "fits",
    ]


def test_the_middle_of_repeats_stands_for_them() -> None:
    rows = [("g", "s", 3.0), ("g", "s", 1.0), ("g", "s", 2.0), ("", "s", 9.0), ("", "s", 9.0), ("g", "m", 7.0)]
    assert middle_of_repeats(rows) == {2, 3, 4, 5}


def test_of_two_repeats_the_lower_counts() -> None:
    assert middle_of_repeats([("g", "s", 3.0), ("g", "s", 1.0)]) == {1}
