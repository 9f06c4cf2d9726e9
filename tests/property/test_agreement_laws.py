"""Laws of every way to agree, over drawn clusters, links and settings, with the plan fixed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.core.plan import ZONE_ALGORITHMS, Plan, Sync
from crosszone.core.problem import Problem
from crosszone.cost.codecs import codec, codec_names
from crosszone.cost.sync import sync_method, sync_methods
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_step_seconds, predict_plan

SOME = settings(max_examples=40)
CLUSTERS = ((4, 4), ((2, 8), 8), (4, 4, 4), (4, 8, 4, 4))
REQUEST = {"tp": 1, "pp": 1, "microbatch_size": 1, "shard": "none"}
TINY = 1 + 1e-9


@st.composite
def syncs(draw: Any) -> Sync:
    """Any way with settings that it reads."""
    method = draw(st.sampled_from(sorted(sync_methods())))
    way = sync_method(method)
    every = draw(st.sampled_from([1, 3, 30]))
    name = draw(st.sampled_from([name for name in codec_names() if way.STREAM in codec(name).streams]))  # type: ignore[union-attr]
    return Sync(
        method=method,
        every=every,
        codecs=() if name == "none" else ((way.STREAM, name),),
        num_streams=draw(st.sampled_from([None, 1, 8])),
        num_fragments=draw(st.sampled_from([None, 2, 5])) if method == "streaming_diloco" else None,
        num_delay_steps=draw(st.integers(1, every)) if method == "delayed" or way.IS_LOCAL else None,
        algorithm="ring" if method == "flat" else draw(st.sampled_from(ZONE_ALGORITHMS)),
    )


links = st.fixed_dictionaries(
    {"rate": st.sampled_from([1e7, 1e8, 1.25e9, 1e11]), "latency": st.sampled_from([1e-5, 0.015, 0.2])}
)


@pytest.fixture(scope="module")
def plans(problem: Any) -> dict[Any, tuple[Problem, Plan]]:
    """Replicas over all zones of each cluster."""
    found = {}
    for zones in CLUSTERS:
        one = problem(zones, dict(REQUEST), framework="ddp")
        found[zones] = one, placed(one)
    return found


def linked(problem: Problem, *, rate: float, latency: float) -> Problem:
    found = tuple(
        replace(link, bytes_per_second=rate, latency_seconds=latency, flow_bytes_per_second=rate / 3)
        for link in problem.cluster.links
    )
    return replace(problem, cluster=replace(problem.cluster, links=found))


def seconds(problem: Problem, plan: Plan) -> float:
    return plan_step_seconds(inputs(problem, (framework_facts("ddp"),)), plan)


@SOME
@given(zones=st.sampled_from(CLUSTERS), sync=syncs(), link=links, factor=st.sampled_from([1.01, 2.0, 50.0]))
def test_more_bandwidth_or_less_delay_is_never_slower(
    plans: Any, zones: Any, sync: Sync, link: dict[str, float], factor: float
) -> None:
    problem, plan = plans[zones]
    plan = replace(plan, sync=sync)
    base = seconds(linked(problem, **link), plan)
    assert seconds(linked(problem, **link | {"rate": link["rate"] * factor}), plan) <= base * TINY
    assert seconds(linked(problem, **link | {"latency": link["latency"] / factor}), plan) <= base * TINY


@SOME
@given(zones=st.sampled_from(CLUSTERS), sync=syncs(), link=links)
def test_what_is_exposed_is_part_of_the_whole_and_of_the_step(
    plans: Any, zones: Any, sync: Sync, link: dict[str, float]
) -> None:
    problem, plan = plans[zones]
    prediction = predict_plan(linked(problem, **link), replace(plan, sync=sync), framework_facts("ddp"))
    term = next(term for term in prediction.terms if term.name == "zone_agreement")
    rest = prediction.step_seconds - term.exposed_seconds
    whole = term.exposed_seconds + term.overlapped_seconds
    assert term.exposed_seconds >= 0.0
    assert term.overlapped_seconds >= 0.0
    assert max(rest, term.exposed_seconds) <= prediction.step_seconds <= (rest + whole) * TINY
    assert prediction.sync is not None
    assert prediction.sync.mean_bytes_per_second <= prediction.sync.peak_bytes_per_second * TINY
    assert {round(one.step_bytes) for one in prediction.links} == {round(prediction.sync.exchange_bytes / sync.every)}


@SOME
@given(zones=st.sampled_from(CLUSTERS), sync=syncs(), link=links, factor=st.integers(2, 20))
def test_agreeing_less_often_is_never_slower(
    plans: Any, zones: Any, sync: Sync, link: dict[str, float], factor: int
) -> None:
    problem, plan = plans[zones]
    problem = linked(problem, **link)
    rarely = replace(sync, every=sync.every * factor)
    assert seconds(problem, replace(plan, sync=rarely)) <= seconds(problem, replace(plan, sync=sync)) * TINY


@SOME
@given(zones=st.sampled_from(CLUSTERS), sync=syncs(), link=links)
def test_a_codec_never_sends_more(plans: Any, zones: Any, sync: Sync, link: dict[str, float]) -> None:
    problem, plan = plans[zones]
    problem = linked(problem, **link)
    packed, plain = (
        predict_plan(problem, replace(plan, sync=one), framework_facts("ddp"))
        for one in (sync, replace(sync, codecs=()))
    )
    assert sum(link.step_bytes for link in packed.links) <= sum(link.step_bytes for link in plain.links) * TINY
