"""The front: nothing on it is beaten, its ends are there, and what is unknown is said."""

import itertools
from typing import Any

import numpy as np
import pytest

from crosszone.core.answer import Answer
from crosszone.core.explanation import ParetoPlan
from crosszone.planner import pareto as front_of
from crosszone.planner.pareto import MOST_PLANS, undominated
from crosszone.planner.search import search

TOKENS = {"train_tokens": "100B"}
LINKS = [{"between": ["a", "b"], "bandwidth": "400 Gbit/s", "rtt": "1 ms", "egress_price": "0.05 USD/GB"}]


def plane(one: ParetoPlan) -> tuple[float, float, float]:
    dollars = one.total_dollars if one.total_dollars is not None else one.step_dollars
    values = (one.p50_seconds or one.step_seconds, dollars, one.expected_num_failures)
    return tuple(float("inf") if value is None else value for value in values)  # type: ignore[return-value]


def beats(one: ParetoPlan, other: ParetoPlan) -> bool:
    pairs = list(zip(plane(one), plane(other), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@pytest.fixture(scope="module")
def priced(problem: Any, nodes: Any) -> Answer:
    zones = nodes(8, price="2 USD/h"), nodes(4, price="1 USD/h", gpu="a100-sxm4-40gb")
    return search(problem(*zones, work=TOKENS, links=LINKS, sequences=64, length=4096), top=5, with_front=True)


def test_undominated_rows_are_those_that_a_loop_finds() -> None:
    random = np.random.default_rng(0)
    boxes = random.integers(0, 6, (200, 3))
    loop = [
        not any((other <= one).all() and (other < one).any() for other in boxes)
        for one in boxes
    ]  # fmt: skip
    assert undominated(boxes).tolist() == loop


def test_no_plan_of_the_front_beats_another(priced: Answer) -> None:
    assert priced.pareto is not None
    assert 1 < len(priced.pareto) <= MOST_PLANS
    assert not any(beats(one, other) for one, other in itertools.permutations(priced.pareto, 2))


def test_no_ranked_plan_beats_one_of_the_front(priced: Answer) -> None:
    assert priced.pareto is not None
    for ranked, one in itertools.product(priced.plans, priced.pareto):
        prediction = ranked.prediction
        assert prediction.costs is not None
        assert prediction.reliability is not None
        values = (
            prediction.finish.p50_seconds or 0.0,
            prediction.costs.total_dollars or 0.0,
            prediction.reliability.expected_num_failures or 0.0,
        )
        assert not all(a <= b * 0.995 for a, b in zip(values, plane(one), strict=True))


def test_the_first_plan_is_the_fast_end_and_ranks_are_places_in_the_list(priced: Answer) -> None:
    assert priced.pareto is not None
    assert priced.pareto[0].plan == priced.plans[0].plan
    assert priced.pareto[0].reason.startswith("Fastest")
    times = [plane(one)[0] for one in priced.pareto]
    assert times == sorted(times)
    for one in priced.pareto:
        assert one.rank is None or priced.plans[one.rank - 1].plan == one.plan


def test_what_is_given_for_what_is_told_in_numbers(priced: Answer) -> None:
    assert priced.pareto is not None
    first = plane(priced.pareto[0])
    for one in priced.pareto[1:]:
        slower = plane(one)[0] / first[0] - 1.0
        assert "more time than the fastest" in one.reason
        assert f"{slower:.2%}"[:2].strip("0.%") in one.reason


def test_all_candidates_are_compared(problem: Any, nodes: Any) -> None:
    # A plan of the front is never beaten by any candidate that was scored, by the estimate.
    job = problem(nodes(8, price="2 USD/h"), work=TOKENS)
    from crosszone.planner.search import first_that_fits

    prepared, found = first_that_fits(job)
    rows = np.concatenate([front_of.axes(prepared, part) for part in found.scored])
    index = front_of._front(rows)
    assert len(index)
    for row in index:
        assert not ((rows <= rows[row]).all(axis=1) & (rows < rows[row]).any(axis=1)).any()


def test_without_prices_the_front_is_of_time_and_risk_and_says_so(problem: Any) -> None:
    answer = search(problem(8, 4, work=TOKENS, bandwidth="400 Gbit/s", sequences=64), top=5, with_front=True)
    assert answer.pareto
    assert all(one.total_dollars is None and one.step_dollars is None for one in answer.pareto)
    assert not any(beats(one, other) for one, other in itertools.permutations(answer.pareto, 2))
    assert len(answer.notes) == 1
    assert "price of GPUs in a, b" in answer.notes[0]
    assert "time and risk alone" in answer.notes[0]


def test_without_an_end_steps_are_compared(problem: Any, nodes: Any) -> None:
    answer = search(problem(nodes(8, price="2 USD/h")), top=3, with_front=True)
    assert answer.pareto
    for one in answer.pareto:
        assert (one.p50_seconds, one.total_dollars, one.expected_num_failures) == (None, None, None)
        assert one.step_dollars == pytest.approx(8 * 2.0 / 3600.0 * one.step_seconds)
        assert one.mtbf_seconds is not None


def test_plans_that_break_a_limit_are_not_on_the_front(problem: Any, nodes: Any) -> None:
    zones = nodes(8, price="2 USD/h"), nodes(8, price="2 USD/h")
    more = {"work": TOKENS, "links": LINKS, "sequences": 64, "length": 4096}
    held = search(problem(*zones, constraints={"max_egress": "0 USD"}, **more), top=3, with_front=True)
    assert held.pareto
    assert all(len(one.plan.zones) == 1 for one in held.pareto)


def test_nobody_asked_and_nothing_fits(problem: Any) -> None:
    assert search(problem(4), top=1).pareto is None
    assert search(problem(1, model="gpt3-175b"), top=1, with_front=True).pareto == ()
