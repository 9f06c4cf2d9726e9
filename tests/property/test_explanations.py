"""Laws of what is told beside the plans: nothing beats the front, no asked plan beats the chosen, order stays."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crosszone.core.explanation import ParetoPlan
from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.planner import pareto as front_of
from crosszone.planner.search import first_that_fits, search
from crosszone.planner.why import why
from crosszone.timeline.predict import predict_plan

ONCE = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
ZONES = st.lists(st.sampled_from([1, 2, 3, 4, 8]), min_size=1, max_size=3)
BANDWIDTHS = st.sampled_from(["1 Gbit/s", "10 Gbit/s", "200 Gbit/s"])
BATCHES = st.sampled_from([12, 16, 48])


def job(problem: Any, zones: list[int], bandwidth: str, batch: int, *, ends: bool, **more: Any) -> Problem:
    found: Problem = problem(zones, bandwidth=bandwidth, sequences=batch, framework=None, **more)
    if not ends:
        return found
    return replace(found, workload=replace(found.workload, train_tokens=1e9))


def axes(one: ParetoPlan) -> tuple[float, float]:
    """Time and risk: these jobs have no prices."""
    seconds = one.p50_seconds or one.step_seconds
    if one.expected_num_failures is not None:
        return seconds, one.expected_num_failures
    return seconds, one.step_seconds / (one.mtbf_seconds or 1.0)


@ONCE
@given(zones=ZONES, bandwidth=BANDWIDTHS, batch=BATCHES, ends=st.booleans())
def test_no_candidate_beats_a_plan_of_the_front(
    problem: Any, zones: list[int], bandwidth: str, batch: int, ends: bool
) -> None:
    asked = job(problem, zones, bandwidth, batch, ends=ends)
    prepared, found = first_that_fits(asked, every=True)
    rows = np.concatenate([front_of.axes(prepared, part) for part in found.scored])
    for row in front_of._front(rows):
        assert not ((rows <= rows[row]).all(axis=1) & (rows < rows[row]).any(axis=1)).any()
    answer = search(asked, top=5, with_front=True)
    assert answer.pareto
    assert answer.pareto[0].plan == answer.plans[0].plan
    for one, other in itertools.permutations(answer.pareto, 2):
        pairs = list(zip(axes(one), axes(other), strict=True))
        assert not (all(a <= b for a, b in pairs) and any(a < b for a, b in pairs))
    for one in answer.pareto:
        prediction = predict_plan(asked, one.plan, framework_facts(one.plan.framework))
        assert prediction.step_seconds == one.step_seconds
        assert prediction.memory.fits


@ONCE
@given(
    zones=ZONES,
    bandwidth=BANDWIDTHS,
    batch=BATCHES,
    text=st.sampled_from(
        ["tp=1", "tp=2", "pp=2", "dp=2", "microbatch_size=2", "shard=optimizer", "zones=a", "framework=megatron",
         "framework=fsdp", "recompute=none", "tp=2,pp=2", "pp=3,dp=1", "tp=4,zones=a", "cp=1,ep=1"]
    ),
)  # fmt: skip
@example(zones=[8, 3], bandwidth="10 Gbit/s", batch=48, text="pp=2")
def test_no_asked_plan_is_better_than_the_chosen(
    problem: Any, zones: list[int], bandwidth: str, batch: int, text: str
) -> None:
    asked = job(problem, zones, bandwidth, batch, ends=False)
    found = why(asked, text)
    assert found.is_possible or found.reasons
    assert found.chosen is not None
    if found.is_possible:
        assert found.plan is not None
        assert found.plan.prediction.step_seconds >= found.chosen.prediction.step_seconds
    for one in found.neighbours:
        assert one.prediction.memory.fits
        assert one.prediction.step_seconds >= (1.0 - 1e-2) * found.chosen.prediction.step_seconds


@ONCE
@given(zones=ZONES, bandwidth=BANDWIDTHS, batch=BATCHES, top=st.integers(1, 12))
def test_how_many_plans_are_shown_changes_nothing_in_their_order(
    problem: Any, zones: list[int], bandwidth: str, batch: int, top: int
) -> None:
    asked = job(problem, zones, bandwidth, batch, ends=False)
    every = search(asked, top=100)
    some = search(asked, top=top)
    assert [one.plan for one in some.plans] == [one.plan for one in every.plans[:top]]
    assert some.search.num_ranked == len(every.plans)
