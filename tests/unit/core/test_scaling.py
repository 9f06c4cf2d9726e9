import math

import pytest

from crosszone.core.scaling import ScalingRun, mean_interval, scaling_points, student_probability, student_quantile


def run(mode: str, num_gpus: int, repeat: int, *seconds: float, tokens: int = 1000) -> ScalingRun:
    return ScalingRun(mode=mode, num_gpus=num_gpus, repeat=repeat, global_batch_tokens=tokens, step_seconds=seconds)


@pytest.mark.parametrize(
    ("degrees", "t"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (5, 2.57058), (10, 2.22814), (30, 2.04227)],
)
def test_quantiles_are_those_of_the_tables(degrees, t) -> None:
    """Abramowitz and Stegun 1964, table 26.10, A(t|n) = 0.95."""
    assert student_quantile(0.95, degrees) == pytest.approx(t, abs=1e-5)
    assert student_probability(t, degrees) == pytest.approx(0.95, abs=1e-6)


def test_an_interval_needs_two_values() -> None:
    assert mean_interval([3.0]) == (pytest.approx(3.0), None)
    mean, half = mean_interval([1.0, 4.0])
    assert mean == pytest.approx(2.0)
    assert half == pytest.approx(12.7062 * math.log(2), rel=1e-5)  # the logarithms are ln 2 from their mean


def test_intervals_of_times_and_speedups_are_above_zero() -> None:
    runs = [run("strong", num, repeat, 8.0 ** (1 - repeat) / num) for num in (1, 2) for repeat in (0, 1)]
    one, two = scaling_points(runs, {})
    for point in (one, two):
        assert point.step_low_seconds is not None
        assert point.step_high_seconds is not None
        assert 0.0 < point.step_low_seconds < point.step_seconds < point.step_high_seconds
    assert two.speedup_low is not None
    assert 0.0 < two.speedup_low < two.speedup == pytest.approx(2.0)


def test_a_prediction_for_other_devices_has_no_error() -> None:
    (point,) = scaling_points([run("strong", 1, 0, 4.0)], {("strong", 1): 1.0}, is_comparable=False)
    assert (point.predicted_step_seconds, point.relative_error) == (1.0, None)


def test_strong_scaling_is_by_time_and_weak_by_tokens() -> None:
    runs = [
        run("strong", 1, 0, 4.0, 4.0),
        run("strong", 4, 0, 1.0, 1.5),
        run("weak", 1, 0, 2.0),
        run("weak", 4, 0, 2.5, tokens=4000),
    ]
    one, four, weak_one, weak_four = scaling_points(runs, {("strong", 4): 1.5})
    assert (one.speedup, one.efficiency_fraction) == (1.0, 1.0)
    assert four.step_seconds == 1.25
    assert four.speedup == pytest.approx(3.2)
    assert four.efficiency_fraction == pytest.approx(0.8)
    assert four.relative_error == pytest.approx(0.2)
    assert one.relative_error is None
    assert weak_one.speedup == 1.0
    assert weak_four.speedup == pytest.approx(4 * 2.0 / 2.5)


def test_speedup_counts_from_the_fewest_gpus_that_ran() -> None:
    two, four = scaling_points([run("strong", 2, 0, 3.0), run("strong", 4, 0, 2.0)], {})
    assert two.speedup == 2.0
    assert four.speedup == pytest.approx(3.0)


def test_half_widths_of_both_logarithms_add_as_squares() -> None:
    runs = [run("strong", 1, 0, 4.0), run("strong", 1, 1, 4.4), run("strong", 2, 0, 2.0), run("strong", 2, 1, 2.1)]
    one, two = scaling_points(runs, {})
    assert one.step_low_seconds is not None
    assert two.step_high_seconds is not None
    assert two.speedup_high is not None
    assert one.speedup_low == one.speedup_high == 1.0
    ones, twos = math.log(one.step_seconds / one.step_low_seconds), math.log(two.step_high_seconds / two.step_seconds)
    assert math.log(two.speedup_high / two.speedup) == pytest.approx(math.hypot(ones, twos))


def test_several_starts_count_once_each() -> None:
    (point,) = scaling_points([run("weak", 1, 0, 1.0, 1.0, 1.0, 1.0), run("weak", 1, 1, 3.0)], {})
    assert point.step_seconds == pytest.approx(math.sqrt(3.0))
    assert point.num_repeats == 2
