"""Span zones or not: both plans side by side, how sure the difference is, and limits that count failures in."""

from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.answer import Answer, Comparison
from crosszone.core.prediction import Interval, Prediction
from crosszone.planner.comparison import comparison, faster_probability, weighed
from crosszone.planner.search import search
from crosszone.units import format_dollars

TOKENS = {"train_tokens": "300B"}
LINK = [{"between": ["a", "b"], "bandwidth": "1 Tbit/s", "rtt": "1 ms", "egress_price": "0.02 USD/GB"}]


@pytest.fixture(scope="module")
def answer(problem: Any, nodes: Any) -> Answer:
    zones = nodes(4, price="2 USD/h"), nodes(4, price="2 USD/h")
    return search(problem(*zones, sequences=64, work=TOKENS, links=LINK), top=1)


@pytest.fixture(scope="module")
def both(answer: Answer) -> Comparison:
    assert answer.comparison is not None
    return answer.comparison


def other_step(prediction: Prediction, ratio: float, width: float) -> Prediction:
    """The prediction with a step and interval of its own, and no totals."""
    step = prediction.step_seconds * ratio
    wide = Interval(level=0.9, low_seconds=step / width, high_seconds=step * width)
    finish = replace(prediction.finish, p50_seconds=None, p90_seconds=None)
    return replace(prediction, step_seconds=step, intervals=(wide,), finish=finish)


def test_both_sides_are_what_their_predictions_say(answer: Answer, both: Comparison) -> None:
    best, alone = answer.plans[0], answer.baseline
    assert alone is not None
    assert (both.spanning.zones, both.alone.zones) == (("a", "b"), alone.plan.zones)
    for side, one in ((both.spanning, best), (both.alone, alone)):
        prediction = one.prediction
        assert side.num_gpus == one.plan.world_size
        assert (side.step_seconds, side.p50_seconds) == (prediction.step_seconds, prediction.finish.p50_seconds)
        assert side.low_seconds < side.step_seconds < side.high_seconds
        assert side.egress_dollars == prediction.egress_dollars
        assert prediction.costs is not None
        assert side.total_dollars == prediction.costs.total_dollars
    assert (both.alone.egress_dollars, both.alone.link_failure_probability) == (0.0, 0.0)


def test_the_verdict_weighs_both(answer: Answer, both: Comparison) -> None:
    assert answer.verdict.startswith("Span zones")
    assert weighed(both) in answer.verdict
    assert "Failures included, spanning is done in" in answer.verdict
    assert "outages of a whole zone or of a link between the 2 are not in these numbers" in answer.verdict


def test_a_job_that_stays_in_one_zone_still_shows_what_spanning_would_take(problem: Any) -> None:
    answer = search(problem(4, 4, sequences=64, bandwidth="1 Gbit/s", work=TOKENS), top=1)
    assert answer.verdict.startswith("Stay in one zone")
    assert answer.comparison is not None
    assert answer.baseline is not None
    assert answer.baseline.plan == answer.plans[0].plan
    assert answer.comparison.spanning.step_seconds > answer.comparison.alone.step_seconds
    assert answer.comparison.faster_probability < 0.5


def test_one_zone_has_nothing_to_compare(problem: Any) -> None:
    answer = search(problem(4), top=1)
    assert answer.comparison is None
    assert "spanning" not in answer.verdict
    assert comparison(None, answer.plans[0]) is None
    assert comparison(answer.plans[0], None) is None


def test_equal_plans_are_as_likely_to_be_first(answer: Answer) -> None:
    one = answer.plans[0].prediction
    assert faster_probability(one, one) == 0.5


def test_the_probability_is_that_of_two_normal_errors(answer: Answer) -> None:
    # Each 90 % interval reaches 1.645 standard deviations; the gain is as wide: Phi(1.645 / sqrt(2)).
    one = answer.plans[0].prediction
    fast, slow = other_step(one, 1.0, 1.5), other_step(one, 1.5, 1.5)
    assert faster_probability(fast, slow) == pytest.approx(0.8776, abs=1e-3)
    assert faster_probability(slow, fast) == pytest.approx(1 - 0.8776, abs=1e-3)
    assert faster_probability(fast, other_step(one, 1.5, 3.0)) < faster_probability(fast, slow)


def test_predictions_without_a_range_are_taken_at_their_word(answer: Answer) -> None:
    fast, slow = (replace(other_step(answer.plans[0].prediction, ratio, 1.5), intervals=()) for ratio in (1.0, 1.01))
    assert (faster_probability(fast, slow), faster_probability(slow, fast)) == (1.0, 0.0)
    assert faster_probability(fast, fast) == 0.5


def test_near_certainty_is_not_told_to_the_last_digit(both: Comparison) -> None:
    assert "above 99 %" in weighed(replace(both, faster_probability=0.9999))
    assert "below 1 %" in weighed(replace(both, faster_probability=0.0001))
    assert "of 73 %" in weighed(replace(both, faster_probability=0.7312))


def test_outages_of_links_are_told_where_they_are_known(problem: Any) -> None:
    links = [{"between": ["a", "b"], "mtbf": "30 d", "repair": "2 h"}]
    answer = search(problem(4, 4, sequences=64, bandwidth="1 Tbit/s", work=TOKENS, links=links_over(links)), top=1)
    assert "a link between its 2 zones fails with a probability of" in answer.verdict
    assert answer.comparison is not None
    assert 0.0 < (answer.comparison.spanning.link_failure_probability or 0.0) < 1.0


def links_over(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"bandwidth": "1 Tbit/s", "rtt": "20 ms", **link} for link in links]


@pytest.mark.parametrize("limit", ["deadline", "budget"])
def test_limits_hold_for_failures_too(problem: Any, nodes: Any, limit: str) -> None:
    def make(**objective: str) -> Any:
        group = nodes(4, price="2 USD/h", mtbf="2 h")
        return problem(group, work={**TOKENS, "restart": "30 min"}, objective={"minimize": "time", **objective})

    best = search(make(), top=1).plans[0].prediction
    assert best.train_seconds is not None
    assert best.finish.p50_seconds is not None
    assert best.finish.p50_seconds > 1.2 * best.train_seconds
    between = (best.train_seconds + best.finish.p50_seconds) / 2
    least, most = between, 1.01 * best.finish.p50_seconds
    written = [f"{seconds} s" if limit == "deadline" else f"{4 * 2 * seconds / 3600} USD" for seconds in (least, most)]
    missed, kept = (search(make(**{limit: text}), top=1) for text in written)
    assert missed.plans == ()
    assert f"the {limit} is" in missed.verdict
    assert kept.plans[0].prediction.step_seconds == best.step_seconds


def test_large_numbers_of_failures_are_written_out(both: Comparison) -> None:
    many = replace(
        both,
        spanning=replace(both.spanning, expected_num_failures=1812.0),
        alone=replace(both.alone, expected_num_failures=0.0597),
    )
    assert "meets 1800 failures on average, one zone 0.06" in weighed(many)


def test_the_verdict_and_the_table_tell_one_total(answer: Answer, both: Comparison) -> None:
    total = both.spanning.total_dollars
    assert total is not None
    assert len(answer.plans[0].plan.zones) > 1
    assert f" for {format_dollars(total)} against " in answer.verdict
