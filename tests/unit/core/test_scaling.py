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
    assert mean_interval([3.0]) == (3.0, None)
    mean, half = mean_interval([1.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-5)


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


def test_relative_errors_of_both_times_add_as_squares() -> None:
    runs = [run("strong", 1, 0, 4.0), run("strong", 1, 1, 4.4), run("strong", 2, 0, 2.0), run("strong", 2, 1, 2.1)]
    one, two = scaling_points(runs, {})
    assert one.step_low_seconds is not None
    assert two.step_high_seconds is not None
    assert two.speedup_high is not None
    assert one.speedup_low == one.speedup_high == 1.0
    ones, twos = (one.step_seconds - one.step_low_seconds) / 4.2, (two.step_high_seconds - two.step_seconds) / 2.05
    assert two.speedup_high / two.speedup - 1 == pytest.approx(math.hypot(ones, twos))


def test_several_starts_count_once_each() -> None:
    (point,) = scaling_points([run("weak", 1, 0, 1.0, 1.0, 1.0, 1.0), run("weak", 1, 1, 3.0)], {})
    assert point.step_seconds == 2.0
    assert point.num_repeats == 2
