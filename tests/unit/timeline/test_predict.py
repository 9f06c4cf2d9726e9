"""The prediction of one plan: numbers that follow with a pencil from the plan and the job."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction, StageMemory
from crosszone.cost.flop import model_flop
from crosszone.cost.parameters import num_parameters
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.predict import predict_plan

Predicted = Callable[..., tuple[Plan, Prediction]]
MESSAGE_BYTES = 2048 * 1024 * 2.0
"""Hidden states of one microbatch of one sequence."""
ONE_GIGABIT = 1e9 / 8


def exposed(prediction: Prediction, name: str) -> float:
    return next(term.exposed_seconds for term in prediction.terms if term.name == name)


def state(row: StageMemory) -> tuple[float, float, float]:
    return row.weight_bytes, row.gradient_bytes, row.optimizer_bytes


def test_throughput_and_mfu_are_the_step_s(job: Any, predicted: Predicted) -> None:
    plan, prediction = predicted({"tp": 2, "pp": 2})
    problem = job({"tp": 2, "pp": 2})
    flop = 16 * model_flop(problem.model, 2048)
    assert prediction.num_gpus == plan.world_size == 16
    assert prediction.tokens_per_second == pytest.approx(16 * 2048 / prediction.step_seconds)
    assert prediction.tokens_per_second_per_gpu == pytest.approx(prediction.tokens_per_second / 16)
    assert prediction.model_flop_per_second_per_gpu == pytest.approx(flop / prediction.step_seconds / 16)
    assert prediction.mfu == pytest.approx(flop / prediction.step_seconds / 16 / 312e12)


def test_recomputation_is_in_hfu_not_in_mfu(predicted: Predicted) -> None:
    _, none = predicted({"tp": 2, "pp": 2, "recompute": "none"})
    _, full = predicted({"tp": 2, "pp": 2, "recompute": "full"})
    assert none.hfu == none.mfu
    assert full.mfu == pytest.approx(none.mfu * none.step_seconds / full.step_seconds)
    # Without the head, a third more.
    assert 1.2 < full.hfu / full.mfu < 4 / 3


def test_totals_follow_from_the_tokens(predicted: Predicted) -> None:
    _, prediction = predicted({"tp": 2, "pp": 2}, train_tokens="1B")
    num_steps = -(-(10**9) // (16 * 2048))
    assert prediction.train_seconds == pytest.approx(num_steps * prediction.step_seconds)
    assert prediction.reliability is not None
    assert prediction.energy_joules == pytest.approx(0.76 * 16 * 400 * (prediction.reliability.wall_seconds or 0.0))
    _, open_ended = predicted({"tp": 2, "pp": 2})
    assert open_ended.train_seconds is None
    assert open_ended.gpu_dollars is None


def test_a_price_that_nobody_knows_stays_unknown(predicted: Predicted) -> None:
    _, prediction = predicted({"tp": 2, "pp": 2}, train_tokens="1B")
    assert prediction.gpu_dollars is None
    assert prediction.egress_dollars is None
    assert all(link.dollars_per_hour is None for link in prediction.links)


# Links.


def test_a_pipeline_over_zones_sends_every_microbatch_both_ways(predicted: Predicted) -> None:
    plan, prediction = predicted({"tp": 2, "pp": 2, "microbatch_size": 1})
    assert plan.zone_axis == "pp"
    (replica,) = plan.replicas
    moved = MESSAGE_BYTES * replica.num_replicas * replica.num_microbatches
    assert {(link.from_zone, link.to_zone): link.step_bytes for link in prediction.links} == {
        ("a", "b"): moved,
        ("b", "a"): moved,
    }
    assert moved == 16 * MESSAGE_BYTES
    for link in prediction.links:
        assert link.groups[0].seconds == pytest.approx(moved / ONE_GIGABIT)
        assert link.raw_seconds == pytest.approx(moved / ONE_GIGABIT + 0.010)
        assert link.bytes_per_second == pytest.approx(ONE_GIGABIT)
        assert link.utilization_fraction == pytest.approx(moved / ONE_GIGABIT / prediction.step_seconds)
    assert prediction.step_seconds >= moved / ONE_GIGABIT


@pytest.mark.parametrize("v", [2, 4])
def test_virtual_stages_cross_the_link_more_often(predicted: Predicted, v: int) -> None:
    # Forward v times over the boundary and v - 1 times around; the gradients the other way.
    request = {"tp": 2, "pp": 2, "microbatch_size": 1, "num_virtual_stages": v, "schedule": "interleaved_1f1b"}
    _, prediction = predicted(request)
    moved = (2 * v - 1) * 16 * MESSAGE_BYTES
    assert [link.step_bytes for link in prediction.links] == pytest.approx([moved, moved])
    assert prediction.step_seconds >= moved / ONE_GIGABIT


ONCE_PER_ZONE = {"tp": 4, "pp": 1, "shard": "optimizer", "dp_shard": 2}
"""Each zone's two replicas share one optimizer, so that groups across zones have one rank of each."""


def test_replicas_in_two_zones_exchange_one_gradient(job: Any, predicted: Predicted) -> None:
    plan, prediction = predicted(ONCE_PER_ZONE)
    assert (plan.zone_axis, plan.sync.method) == ("dp", "hierarchical")
    gradient = 4.0 * num_parameters(job({"tp": 4, "pp": 1}).model)
    assert [link.step_bytes for link in prediction.links] == pytest.approx([gradient, gradient])
    assert all(link.groups[0].group == "dp" for link in prediction.links)
    assert prediction.step_seconds >= gradient / ONE_GIGABIT
    # 2(Z-1) rounds of 10 ms wait as well, and idle connections need up to 8 round trips of 20 ms to come to speed.
    assert exposed(prediction, "zone_agreement") <= gradient / ONE_GIGABIT + 2 * 0.010 + 8 * 0.020


def test_a_flat_ring_sends_more_than_once_per_zone(predicted: Predicted) -> None:
    _, once = predicted(ONCE_PER_ZONE)
    plan, flat = predicted({"tp": 4, "pp": 1, "shard": "none"})
    assert plan.sync.method == "flat"
    assert flat.links[0].step_bytes == pytest.approx(2 * 3 / 4 * once.links[0].step_bytes)
    assert flat.step_seconds > once.step_seconds


def test_the_penalty_is_against_links_as_good_as_the_network(job: Any, predicted: Predicted) -> None:
    plan, slow = predicted({"tp": 4, "pp": 1})
    problem = job({"tp": 4, "pp": 1})
    ideal_rate = 2 * 100e9 / 8
    links = tuple(replace(link, bytes_per_second=ideal_rate, latency_seconds=0.0) for link in problem.cluster.links)
    near = replace(problem, cluster=replace(problem.cluster, links=links))
    fast = predict_plan(near, plan, framework_facts(plan.framework))
    assert fast.cross_zone_penalty_ratio == pytest.approx(1.0)
    assert slow.cross_zone_penalty_ratio == pytest.approx(slow.step_seconds / fast.step_seconds)


def test_one_zone_uses_no_link(predicted: Predicted) -> None:
    _, prediction = predicted({"tp": 4, "pp": 2}, num_zones=1)
    assert prediction.links == ()
    assert prediction.cross_zone_penalty_ratio == 1.0


@pytest.mark.parametrize(
    ("link", "rate"),
    [
        ({"bandwidth": "2 Gbit/s"}, 2 * ONE_GIGABIT),
        ({"bandwidth": "10 Gbit/s", "per_node": "1 Gbit/s"}, 2 * ONE_GIGABIT),  # two nodes send
        ({"bandwidth": "10 Gbit/s", "per_flow": "0.1 Gbit/s"}, 0.8 * ONE_GIGABIT),  # tp * dp = 8 flows
    ],
)
def test_caps_of_a_link_slow_its_messages(predicted: Predicted, link: dict[str, str], rate: float) -> None:
    _, prediction = predicted({"tp": 2, "pp": 2, "microbatch_size": 1}, link=link)
    assert prediction.links[0].bytes_per_second == pytest.approx(rate)


# Memory: the table of Rajbhandari et al. 2020 (ZeRO), sec. 5, with fp32 gradients: 18 bytes a parameter.


@pytest.mark.parametrize(
    ("shard", "per_parameter"),
    [
        ("none", (2, 4, 12)),
        ("optimizer", (2, 4, 12 / 8)),
        ("gradients", (2, 4 / 8, 12 / 8)),
        ("parameters", (2 / 8, 4 / 8, 12 / 8)),
    ],
)
def test_sharding_divides_state_level_by_level(job: Any, shard: str, per_parameter: tuple[float, ...]) -> None:
    # Eight ranks on one zone, tp = 1: each row divides what the row above leaves whole.
    problem = job({"tp": 1, "pp": 1, "shard": "none"}, num_zones=1)
    plan = replace(placed(problem), shard=shard, dp_shard=1 if shard == "none" else 8)
    prediction = predict_plan(problem, plan, framework_facts("megatron"))
    size = num_parameters(problem.model)
    assert [value / size for value in state(prediction.memory.stages[0])] == pytest.approx(list(per_parameter))


def test_where_fp32_weights_are_the_master_they_are_sharded_whole(job: Any) -> None:
    problem = job({"tp": 1, "pp": 1, "shard": "parameters", "dp_shard": 8}, num_zones=1, framework="fsdp")
    plan = placed(problem)
    prediction = predict_plan(problem, plan, framework_facts("fsdp"))
    size = num_parameters(problem.model)
    assert plan.dp_shard == 8
    assert [value / size for value in state(prediction.memory.stages[0])] == pytest.approx([4 / 8, 4 / 8, 8 / 8])


def test_stages_hold_all_parameters_once(job: Any, predicted: Predicted) -> None:
    _, prediction = predicted({"tp": 1, "pp": 4, "shard": "none"})
    size = num_parameters(job({"tp": 1, "pp": 4}).model)
    assert sum(row.weight_bytes for row in prediction.memory.stages) == pytest.approx(2 * size)


def test_early_stages_hold_more_activations(predicted: Predicted) -> None:
    # 1F1B: p - stage microbatches, 2 layers each.
    _, prediction = predicted({"tp": 2, "pp": 4, "microbatch_size": 1})
    held = [row.activation_bytes for row in prediction.memory.stages]
    assert [size / held[-1] for size in held] == pytest.approx([4, 3, 2, 1])


def test_gpipe_holds_every_microbatch(predicted: Predicted) -> None:
    request = {"tp": 4, "pp": 2, "microbatch_size": 1}
    _, one_by_one = predicted(request, framework="torchtitan")
    plan, at_once = predicted({**request, "schedule": "gpipe"}, framework="torchtitan")
    ratio = at_once.memory.stages[0].activation_bytes / one_by_one.memory.stages[0].activation_bytes
    assert ratio == pytest.approx(plan.replicas[0].num_microbatches / 2)


def test_offloaded_states_leave_the_gpu_for_the_host(predicted: Predicted) -> None:
    _, kept = predicted({"tp": 1, "pp": 1, "shard": "optimizer"}, framework="deepspeed", num_zones=1)
    _, moved = predicted(
        {"tp": 1, "pp": 1, "shard": "optimizer", "offload": "optimizer"}, framework="deepspeed", num_zones=1
    )
    assert moved.memory.stages[0].optimizer_bytes == 0.0
    # Four ranks of a node.
    assert moved.host_memory_bytes == pytest.approx(4 * kept.memory.stages[0].optimizer_bytes)
    assert moved.memory.peak_bytes < kept.memory.peak_bytes


def test_a_model_too_large_is_said_not_to_fit(job: Any) -> None:
    problem = job({"tp": 1, "pp": 1, "shard": "none"}, num_zones=1)
    huge = replace(problem, model=replace(problem.model, num_layers=800, hidden_size=4096, head_size=512))
    plan = placed(problem)
    plan = replace(plan, stages=(replace(plan.stages[0], num_layers=800),))
    memory = predict_plan(huge, plan, framework_facts("megatron")).memory
    assert not memory.fits
    assert memory.verdict == "does not fit"
    assert memory.peak_bytes > memory.capacity_bytes


# Terms.


def test_the_bubble_is_the_textbook_s(predicted: Predicted) -> None:
    # One zone, so that delays are small: bubble = (p - 1)/m of the busy time, less what uneven stages leave.
    plan, prediction = predicted({"tp": 2, "pp": 2, "microbatch_size": 1, "shard": "none"}, num_zones=1)
    m = plan.replicas[0].num_microbatches
    busy = prediction.compute_fraction + exposed(prediction, "tensor_parallel") / prediction.step_seconds
    assert 0.5 / m < prediction.bubble_fraction / busy <= 1.0 / m + 1e-9


def test_more_microbatches_make_the_bubble_smaller(predicted: Predicted) -> None:
    fractions = [
        predicted({"tp": 2, "pp": 2, "microbatch_size": 1}, num_zones=1, global_batch_size=size)[1].bubble_fraction
        for size in (4, 16, 64)
    ]
    assert fractions == sorted(fractions, reverse=True)
    assert fractions[0] > 4 * fractions[-1]


def test_interleaving_shrinks_the_bubble_inside_a_zone(predicted: Predicted) -> None:
    request = {"tp": 2, "pp": 2, "microbatch_size": 1}
    _, plain = predicted(request, num_zones=1)
    _, split = predicted({**request, "num_virtual_stages": 4, "schedule": "interleaved_1f1b"}, num_zones=1)
    assert exposed(split, "pipeline_bubble") < exposed(plain, "pipeline_bubble") / 2


def test_every_term_says_where_it_comes_from(predicted: Predicted) -> None:
    _, prediction = predicted({"tp": 2, "pp": 2})
    for term in prediction.terms:
        assert term.formula
        assert term.source
        assert term.inputs
        assert all(one.name.isidentifier() for one in term.inputs)
    by_name = {term.name: {one.name: one.value for one in term.inputs} for term in prediction.terms}
    work = by_name["matrix_multiply"]
    busiest = work["num_microbatches"] * (work["forward_seconds"] + work["backward_seconds"])
    shown = {term.name: term.exposed_seconds for term in prediction.terms}
    assert shown["pipeline_bubble"] == pytest.approx(by_name["pipeline_bubble"]["pipeline_seconds"] - busiest)


def test_the_slowest_replica_counts(job: Any) -> None:
    # Two groups with 7 and 1 microbatches take as long as the one with 7.
    problem = job({"tp": 4, "pp": 1, "microbatch_size": 1, "shard": "none"})
    plan = placed(problem)
    uneven = replace(
        plan,
        replicas=tuple(
            replace(replica, num_microbatches=count) for replica, count in zip(plan.replicas, (7, 1), strict=True)
        ),
    )
    even, skewed = (predict_plan(problem, one, framework_facts("megatron")) for one in (plan, uneven))
    work = sum(exposed(even, name) for name in ("matrix_multiply", "attention", "memory_bound"))
    more = sum(exposed(skewed, name) for name in ("matrix_multiply", "attention", "memory_bound"))
    assert plan.replicas[0].num_microbatches == 4
    assert more == pytest.approx(work * 7 / 4)
    assert skewed.num_microbatches == 7
