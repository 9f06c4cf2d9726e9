"""The gap: between none and all of a step, and never below what another plan saves."""

from typing import Any

import pytest

from crosszone.planner.gap import gap_fraction
from crosszone.planner.search import search


def test_no_ranked_plan_saves_more_than_the_gap_says(problem: Any) -> None:
    answer = search(problem(4, 8), top=5)
    gap = answer.search.gap_fraction
    assert gap is not None
    assert 0.0 < gap < 1.0
    least = (1.0 - gap) * answer.plans[0].prediction.step_seconds
    for plan in ({"tp": 4}, {"pp": 2}, {"recompute": "full"}, {"microbatch_size": 1}):
        other = search(problem(4, 8, plan=plan), top=1)
        assert other.plans[0].prediction.step_seconds >= least


def test_the_least_step_is_the_same_for_every_plan_of_a_job(prepared: Any) -> None:
    inputs = prepared(4, 8)
    least = (1.0 - gap_fraction(inputs, 1.0)) * 1.0
    assert gap_fraction(inputs, 2.0) == pytest.approx(1.0 - least / 2.0)
    assert gap_fraction(inputs, least / 2.0) == 0.0


def test_zones_that_are_excluded_do_no_work(prepared: Any) -> None:
    both, one = prepared(4, 4), prepared(4, 4, constraints={"exclude_zones": ["b"]})
    assert 1.0 - gap_fraction(one, 1.0) == pytest.approx(2.0 * (1.0 - gap_fraction(both, 1.0)))


def test_without_a_plan_there_is_no_gap(problem: Any) -> None:
    assert search(problem(1, model="llama-3.1-405b"), top=1).search.gap_fraction is None
