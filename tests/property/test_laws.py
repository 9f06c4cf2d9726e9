"""Laws of a prediction with the plan fixed, over drawn clusters and plans."""

import functools
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crosszone.core.cluster import Cluster
from crosszone.core.plan import RECOMPUTES, SHARDS, Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.cost.parameters import num_parameters
from crosszone.errors import InfeasiblePlan, SpecError
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.complete import placed
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_step_seconds, predict_plan

FEW, SOME = settings(max_examples=15), settings(max_examples=40)

CLUSTERS = ((4,), (8,), ((2, 8),), (4, 4), (8, 8), ((2, 4), 8), (4, 4, 4), (4, (2, 4), 4))
"""GPUs of each zone, (nodes, GPUs per node) where there are several nodes."""
PLANS = tuple(
    {"tp": tp, "pp": pp, "microbatch_size": size, **more}
    for tp, pp, size, more in (
        (1, 1, 1, {}),
        (2, 1, 2, {}),
        (4, 1, 2, {"shard": "optimizer"}),
        (2, 1, 1, {"shard": "parameters"}),
        (1, 2, 1, {}),
        (2, 2, 1, {"recompute": "full"}),
        (2, 2, 1, {"num_virtual_stages": 2, "schedule": "interleaved_1f1b"}),
        (1, 2, 2, {"num_virtual_stages": 4, "schedule": "interleaved_1f1b"}),
        (1, 4, 1, {"recompute": "selective"}),
        (2, 4, 1, {"shard": "optimizer"}),
        (1, 4, 1, {"num_virtual_stages": 2, "schedule": "interleaved_1f1b"}),
        (4, 2, 1, {"sequence_parallel": False}),
        (4, 3, 1, {}),
        (2, 2, 2, {"schedule": "gpipe"}),
    )
)
"""What is asked of the plan; the rest follows. Not every cluster can do each of them."""

clusters, requests = st.sampled_from(CLUSTERS), st.sampled_from(PLANS)
several = st.sampled_from([zones for zones in CLUSTERS if len(zones) > 1])
replicated = st.sampled_from([plan for plan in PLANS if plan["pp"] == 1])


def planned(problem: Any, zones: Any, request: dict[str, Any]) -> tuple[Problem, Plan]:
    """The problem and its plan, completed; a draw that no plan expresses does not count."""
    found = _planned(problem, zones, tuple(request.items()))
    assume(found is not None)
    assert found is not None
    return found


@functools.cache
def _planned(problem: Any, zones: Any, request: tuple[tuple[str, Any], ...]) -> tuple[Problem, Plan] | None:
    for framework in ("megatron", "fsdp", "torchtitan"):
        try:
            found = problem(zones, dict(request), framework=framework)
            return found, placed(found)
        except (SpecError, InfeasiblePlan):
            continue
    return None


def predict(problem: Problem, plan: Plan) -> Prediction:
    return predict_plan(problem, plan, framework_facts(plan.framework))


def seconds(problem: Problem, plan: Plan) -> float:
    return predict(problem, plan).step_seconds


def with_links(problem: Problem, **changes: float) -> Problem:
    links = tuple(replace(link, **changes) for link in problem.cluster.links)
    return replace(problem, cluster=replace(problem.cluster, links=links))


def with_groups(problem: Problem, change: Any) -> Problem:
    zones = tuple(
        replace(zone, node_groups=tuple(change(group) for group in zone.node_groups)) for zone in problem.cluster.zones
    )
    return replace(problem, cluster=replace(problem.cluster, zones=zones))


def never_grows(values: list[float]) -> bool:
    return all(after <= before * (1 + 1e-9) for before, after in itertools.pairwise(values))


# More of anything good.


@given(zones=several, request=requests)
@SOME
def test_more_bandwidth_between_zones_is_never_slower(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    steps = [seconds(with_links(found, bytes_per_second=rate), plan) for rate in (1e7, 1e8, 3e8, 1e9, 1e10, 1e11)]
    assert never_grows(steps)


@given(zones=clusters, request=requests)
@SOME
def test_the_searchs_step_is_the_predictions(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    framework = framework_facts(plan.framework)
    quick = plan_step_seconds(inputs(found, (framework,)), plan)
    assert quick == pytest.approx(predict_plan(found, plan, framework).step_seconds, rel=1e-12)


@given(zones=several, request=requests)
@SOME
def test_a_shorter_round_trip_is_never_slower(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    steps = [seconds(with_links(found, latency_seconds=delay), plan) for delay in (0.2, 0.05, 0.01, 0.001, 0.0)]
    assert never_grows(steps)


@given(zones=clusters, request=requests)
@example(zones=(8, (2, 4)), request={"tp": 2, "pp": 1, "microbatch_size": 2})
@SOME
def test_a_faster_fabric_is_never_slower(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)

    def step(factor: float) -> float:
        return seconds(
            with_groups(
                found,
                lambda group: replace(
                    group, fabric=replace(group.fabric, bytes_per_second=group.fabric.bytes_per_second * factor)
                ),
            ),
            plan,
        )

    assert never_grows([step(factor) for factor in (0.1, 0.5, 1.0, 2.0, 8.0)])


@given(zones=clusters, request=requests)
@FEW
def test_a_faster_network_is_never_slower(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)

    def step(factor: float) -> float:
        change = lambda group: replace(group, network_bytes_per_second=group.network_bytes_per_second * factor)  # noqa: E731
        return seconds(with_groups(found, change), plan)

    assert never_grows([step(factor) for factor in (0.1, 0.5, 1.0, 2.0, 8.0)])


@given(zones=clusters, request=requests)
@FEW
def test_faster_memory_is_never_slower(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)

    def step(factor: float) -> float:
        def change(group: Any) -> Any:
            rate = group.gpu.memory_bytes_per_second * factor
            return replace(group, gpu=replace(group.gpu, memory_bytes_per_second=rate))

        return seconds(with_groups(found, change), plan)

    assert never_grows([step(factor) for factor in (0.25, 0.5, 1.0, 2.0, 4.0)])


# What a prediction consists of.


@given(zones=clusters, request=requests)
@SOME
def test_terms_add_up_to_the_step(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    prediction = predict(found, plan)
    assert sum(term.exposed_seconds for term in prediction.terms) == pytest.approx(prediction.step_seconds, rel=1e-12)
    slack = -1e-9 * prediction.step_seconds
    assert all(term.exposed_seconds >= slack and term.overlapped_seconds >= slack for term in prediction.terms)
    fractions = (
        prediction.compute_fraction,
        prediction.exposed_communication_fraction,
        prediction.bubble_fraction,
        prediction.other_fraction,
    )
    assert sum(fractions) == pytest.approx(1.0)
    assert 0.0 < prediction.mfu <= prediction.hfu < 1.0
    assert len({term.name for term in prediction.terms}) == len(prediction.terms)


@given(zones=st.sampled_from([zones for zones in CLUSTERS if len(zones) == 1]), request=requests)
@FEW
def test_one_zone_has_no_traffic_and_no_penalty(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    prediction = predict(found, plan)
    assert prediction.links == ()
    assert prediction.cross_zone_penalty_ratio == 1.0
    zone_terms = [term.exposed_seconds for term in prediction.terms if term.name.startswith("zone_")]
    assert zone_terms == [0.0, 0.0]


@given(zones=several, request=requests)
@SOME
def test_several_zones_cost_no_less_than_one_as_large(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    prediction = predict(found, plan)
    assert prediction.cross_zone_penalty_ratio >= 1.0 - 1e-9
    for link in prediction.links:
        assert 0.0 <= link.exposed_seconds <= prediction.step_seconds
        assert 0.0 < link.utilization_fraction <= 1.0
        assert link.step_bytes == pytest.approx(sum(group.step_bytes for group in link.groups))


@given(zones=clusters, request=requests)
@FEW
def test_the_same_question_has_the_same_answer(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    assert placed(found) == plan
    assert repr(predict(found, plan)) == repr(predict(found, plan))


# Where zones stand in the file.


@given(zones=several, request=requests, data=st.data())
@SOME
def test_the_order_and_names_of_zones_do_not_matter(problem: Any, zones: Any, request: Any, data: Any) -> None:
    found, plan = planned(problem, zones, request)
    order = data.draw(st.permutations(range(len(zones))))
    renamed = {zone.name: f"zone-{index}" for index, zone in enumerate(found.cluster.zones)}
    cluster = Cluster(
        zones=tuple(
            replace(found.cluster.zones[index], name=renamed[found.cluster.zones[index].name]) for index in order
        ),
        links=tuple(
            replace(link, from_zone=renamed[link.from_zone], to_zone=renamed[link.to_zone])
            for link in reversed(found.cluster.links)
        ),
    )
    moved = replace(
        plan,
        stages=tuple(replace(stage, zone=stage.zone and renamed[stage.zone]) for stage in plan.stages),
        replicas=tuple(
            replace(replica, zones=tuple(renamed[name] for name in replica.zones))
            for replica in reversed(plan.replicas)
        ),
    )
    assert seconds(replace(found, cluster=cluster), moved) == pytest.approx(seconds(found, plan), rel=1e-9)


# Bytes on links.


@given(zones=several, request=requests)
@SOME
def test_bytes_on_links_follow_from_the_plan(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    prediction = predict(found, plan)
    wanted: dict[tuple[str, str], float] = {}
    message = plan.microbatch_size * 2048 * 1024 * 2.0
    for replica in plan.replicas:
        count = message * replica.num_replicas * replica.num_microbatches
        hops = list(itertools.pairwise(replica.zones)) * plan.num_virtual_stages
        hops += [(replica.zones[-1], replica.zones[0])] * (plan.num_virtual_stages - 1)
        for start, end in hops:
            if start != end:  # hidden states one way, their gradients the other
                wanted[start, end] = wanted.get((start, end), 0.0) + count
                wanted[end, start] = wanted.get((end, start), 0.0) + count
    carried = {
        (link.from_zone, link.to_zone): group.step_bytes
        for link in prediction.links
        for group in link.groups
        if group.group == "pp"
    }
    assert carried == pytest.approx(wanted)


@given(zones=several, request=replicated)
@SOME
def test_agreeing_moves_two_shares_of_the_gradient(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    plan = replace(plan, sync=replace(plan.sync, method="hierarchical"))
    groups = [group for link in predict(found, plan).links for group in link.groups if group.group == "dp"]
    count = len({zones for replica in plan.replicas for zones in replica.zones})
    assume("dp" in plan.zone_axis and plan.shard == "none")
    gradient = num_parameters(found.model) * 4.0
    ring = 2 * (count - 1) / count * gradient
    assert [group.step_bytes for group in groups] == pytest.approx([ring] * len(groups))
    assert len(groups) == (2 if count == 2 else count)


# Memory.


def recomputing(plan: Plan, kind: str) -> Plan:
    """The same, every layer of every stage in this way."""
    stages = tuple(replace(stage, recompute=kind, recompute_layers=None) for stage in plan.stages)
    return replace(plan, recompute=kind, stages=stages)


def peak(problem: Problem, plan: Plan) -> float:
    return predict(problem, plan).memory.peak_bytes


@given(zones=clusters, request=requests)
@SOME
def test_more_sharding_never_takes_more_state(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    inside = math.gcd(*(replica.num_replicas for replica in plan.replicas))
    assume(inside > 1)
    states = []
    for shard in SHARDS:
        sharded = replace(plan, shard=shard, dp_shard=1 if shard == "none" else inside)
        stages = predict(found, sharded).memory.stages
        states.append(max(row.weight_bytes + row.gradient_bytes + row.optimizer_bytes for row in stages))
    assert never_grows(states)
    assert states[1] < states[0]


@given(zones=clusters, request=requests)
@example(zones=((2, 4), 8), request={"tp": 1, "pp": 1, "microbatch_size": 1})
@SOME
def test_more_recomputation_never_takes_more_memory_nor_less_time(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    found = replace(found, workload=replace(found.workload, attention="unfused"))
    ways = [recomputing(plan, kind) for kind in RECOMPUTES]
    assert never_grows([peak(found, way) for way in ways])
    assert never_grows([seconds(found, way) for way in reversed(ways)])


@given(zones=clusters, request=requests)
@FEW
def test_memory_is_the_sum_of_its_parts(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    memory = predict(found, plan).memory
    assert memory.peak_bytes == pytest.approx(max(row.total_bytes for row in memory.stages))
    assert memory.fits == all(row.total_bytes <= row.capacity_bytes for row in memory.stages)
    for row in memory.stages:
        parts = (row.weight_bytes, row.gradient_bytes, row.optimizer_bytes, row.activation_bytes, row.buffer_bytes)
        assert sum(parts) + row.overhead_bytes == pytest.approx(row.total_bytes)
        assert min(parts) >= 0.0


# Completing a plan.


@given(zones=clusters, request=requests)
@SOME
def test_a_completed_plan_keeps_what_was_asked(problem: Any, zones: Any, request: Any) -> None:
    found, plan = planned(problem, zones, request)
    for name, value in request.items():
        assert getattr(plan, name) == value
    idle = sum(group.num_gpus for group in plan.idle_gpus)
    assert plan.world_size + idle == found.cluster.num_gpus
    assert sum(stage.num_layers for stage in plan.stages) == found.model.num_layers
    assert [stage.first_layer for stage in plan.stages[1:]] == list(
        itertools.accumulate(stage.num_layers for stage in plan.stages[:-1])
    )
    sequences = sum(replica.num_replicas * replica.num_microbatches for replica in plan.replicas) * plan.microbatch_size
    assert sequences == found.workload.global_batch_size
    assert sum(replica.weight for replica in plan.replicas) == pytest.approx(1.0)
    assert sum(replica.num_replicas for replica in plan.replicas) == plan.dp
    assert supports(plan.framework, plan) == ()
