"""Which framework to take: never a worse one, every one accounted for, and the chosen plan under each."""

from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.framework_choice import FrameworkChoice, FrameworkOption
from crosszone.frameworks import framework_names, supports
from crosszone.planner.framework_choice import framework_choice
from crosszone.planner.search import search


def option(found: FrameworkChoice, name: str) -> FrameworkOption:
    return next(option for option in found.options if option.framework == name)


def test_every_framework_is_accounted_for(problem: Any) -> None:
    found = framework_choice(problem(8, 4))
    assert sorted(option.framework for option in found.options) == list(framework_names())
    for each in found.options:
        assert (each.best is None) == bool(each.obstacles), each.framework
        if each.best is not None:
            assert each.best.plan.framework == each.framework
            assert supports(each.framework, each.best.plan) == ()
            assert each.best.prediction.memory.fits


def test_the_recommended_plan_is_the_best_of_all_and_that_of_the_search(problem: Any) -> None:
    job = problem(8, 4, bandwidth="100 Gbit/s", sequences=32)
    found = framework_choice(job)
    assert found.chosen is not None
    assert found.recommended == found.chosen.plan.framework == found.options[0].framework
    steps = [each.best.prediction.step_seconds for each in found.options if each.best]
    assert found.chosen.prediction.step_seconds == min(steps)
    assert found.chosen.prediction.step_seconds <= search(job, top=1).plans[0].prediction.step_seconds
    assert steps == sorted(steps)
    assert found.options[0].more_fraction == 0.0
    assert found.options[0].difference is None
    assert f"Take {found.recommended}:" in found.verdict


def test_the_chosen_plan_under_each_framework_or_every_reason(problem: Any) -> None:
    found = framework_choice(problem(8, 4))
    assert found.chosen is not None
    for each in found.options:
        plan = replace(found.chosen.plan, framework=each.framework)
        assert each.reasons == supports(each.framework, plan)
        assert (each.as_chosen is None) == bool(each.reasons)
        if each.as_chosen is not None:
            assert each.as_chosen.plan == plan
    own = option(found, found.chosen.plan.framework)
    assert own.as_chosen is not None
    assert own.as_chosen.prediction.step_seconds == found.chosen.prediction.step_seconds


def test_differences_are_against_the_chosen_plan(problem: Any) -> None:
    found = framework_choice(problem(8, 4))
    assert found.chosen is not None
    others = [each for each in found.options if each.best and each.framework != found.recommended]
    assert others
    for each in others:
        assert each.best is not None
        assert each.difference is not None
        gap = each.best.prediction.step_seconds - found.chosen.prediction.step_seconds
        assert each.difference.step_seconds == pytest.approx(gap)
        assert each.more_fraction is not None
        assert each.more_fraction >= 0.0
        assert any(reason.startswith(f"{each.framework}: its best plan takes") for reason in found.reasons)


def test_what_the_job_does_not_allow_is_compared_and_never_recommended(problem: Any) -> None:
    job = problem(8, 4)
    free = framework_choice(job)
    other = next(each.framework for each in free.options if each.best and each.framework != free.recommended)
    for bound in (
        replace(job, framework=other),
        replace(job, constraints=replace(job.constraints, frameworks=(other,))),
    ):
        found = framework_choice(bound)
        assert found.recommended == other
        assert [each.framework for each in found.options if each.is_allowed] == [other]
        assert free.recommended is not None
        best = option(found, free.recommended)
        assert best.more_fraction is not None
        assert best.more_fraction <= 0.0
        if best.more_fraction < 0.0:
            assert any("The job does not allow it." in reason for reason in found.reasons)


def test_where_nothing_fits_each_says_what_it_lacks(problem: Any) -> None:
    found = framework_choice(problem(1, 1, model="llama-3.1-70b"))
    assert found.recommended is None
    assert found.chosen is None
    assert found.verdict == "No framework has a plan that fits."
    assert found.reasons == ()
    assert all(each.obstacles and each.best is None and each.as_chosen is None for each in found.options)


def test_progress_goes_from_nothing_to_all(problem: Any) -> None:
    told: list[float] = []
    framework_choice(problem(8, 4), on_progress=told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
