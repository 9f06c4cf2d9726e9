"""What a framework's generation adds to a step, on one small plan."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.cost.parameters import num_parameters
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.predict import predict_plan

MEMORY_RATE = 2039e9 * 0.85
"""A100 80 GB: bandwidth times `memory_fraction`."""


@pytest.fixture
def with_facts(job: Any) -> Callable[..., tuple[Plan, Prediction]]:
    """The prediction of a plan in one zone under Megatron with some facts changed."""

    def make(plan: dict[str, Any], **facts: Any) -> tuple[Plan, Prediction]:
        problem = job(plan, num_zones=1)
        found = placed(problem)
        return found, predict_plan(problem, found, replace(framework_facts("megatron"), **facts))

    return make


def exposed(prediction: Prediction, name: str) -> float:
    return next(term.exposed_seconds for term in prediction.terms if term.name == name)


def total(prediction: Prediction) -> float:
    return sum(term.exposed_seconds for term in prediction.terms)


def test_adding_gradients_moves_bytes_of_every_parameter_and_microbatch(with_facts: Any, job: Any) -> None:
    layout = {"tp": 1, "pp": 1, "microbatch_size": 1}
    plan, without = with_facts(layout, accumulation_bytes=0.0)
    _, added = with_facts(layout, accumulation_bytes=10.0)
    count = plan.replicas[0].num_microbatches
    seconds = count * 10.0 * num_parameters(job(layout, num_zones=1).model) / MEMORY_RATE
    assert exposed(added, "memory_bound") - exposed(without, "memory_bound") == pytest.approx(seconds, rel=1e-3)
    assert total(added) == pytest.approx(added.step_seconds)


@pytest.mark.parametrize(("pp", "messages"), [(2, 2), (4, 4)])
def test_late_messages_block_each_rank_for_each_neighbour(with_facts: Any, pp: int, messages: int) -> None:
    """Both ways with one neighbour, or with two; filling the pipeline costs half a microbatch for each stage more."""
    layout = {"tp": 1, "pp": pp, "microbatch_size": 1}
    facts = {"late_message_num_gpus": 8.0, "late_message_seconds": 0.25}
    plan, late = with_facts(layout, **facts)
    _, never = with_facts(layout, **{**facts, "late_message_num_gpus": 0.0})
    _, smaller = with_facts(layout, **{**facts, "late_message_num_gpus": 9.0})
    count = plan.replicas[0].num_microbatches
    added = exposed(late, "pipeline_send") - exposed(never, "pipeline_send")
    assert added == pytest.approx((count + (pp - 1) / 2) * messages * 0.25)
    assert smaller.step_seconds == never.step_seconds
    assert total(late) == pytest.approx(late.step_seconds)


def test_messages_are_late_from_a_tensor_parallel_degree_on(with_facts: Any) -> None:
    facts = {"late_message_tp": 4.0, "late_message_seconds": 0.25}
    (_, wide), (_, narrow) = (with_facts({"tp": tp, "pp": 2}, **facts) for tp in (4, 2))
    assert exposed(wide, "pipeline_send") > 1.0 > exposed(narrow, "pipeline_send")


def test_each_bucket_costs_its_own_time(with_facts: Any) -> None:
    layout = {"tp": 1, "pp": 1, "shard": "none", "microbatch_size": 2}
    facts = {"overlaps_gradient_reduce": False, "gradient_bucket_bytes": 10e6}
    _, free = with_facts(layout, **facts)
    _, paid = with_facts(layout, **facts, bucket_seconds=1e-3)
    term = next(term for term in paid.terms if term.name == "gradient_agreement")
    buckets = next(each.value for each in term.inputs if each.name == "num_buckets")
    assert paid.step_seconds - free.step_seconds == pytest.approx(buckets * 1e-3)


def test_without_overlap_in_a_pipeline_its_reduction_waits_for_the_last_backward(with_facts: Any) -> None:
    for pp, costs in ((2, True), (1, False)):
        layout = {"tp": 1, "pp": pp, "shard": "optimizer", "microbatch_size": 2}
        _, beside = with_facts(layout, overlaps_in_pipeline=True)
        _, after = with_facts(layout, overlaps_in_pipeline=False)
        assert (after.step_seconds > beside.step_seconds) is costs
        assert total(after) == pytest.approx(after.step_seconds)


def test_deepspeed_reduces_after_the_backward_without_zero_and_in_a_pipeline(job: Any) -> None:
    """runtime/engine.py, `_backward_epilogue`, and runtime/pipe/engine.py, `_exec_reduce_grads`."""
    hidden = {}
    for pp, shard in ((1, "none"), (1, "optimizer"), (2, "optimizer")):
        problem = job({"pp": pp, "shard": shard, "microbatch_size": 2}, num_zones=1, framework="deepspeed")
        prediction = predict_plan(problem, placed(problem), framework_facts("deepspeed"))
        term = next(term for term in prediction.terms if term.name == "gradient_agreement")
        hidden[pp, shard] = term.overlapped_seconds
    assert hidden[1, "none"] == 0.0 < hidden[1, "optimizer"]
    assert hidden[2, "optimizer"] < hidden[1, "optimizer"]


def test_an_older_attention_kernel_is_slower(with_facts: Any) -> None:
    kernels = ("best", "flash2", "flash1")
    best, second, first = (with_facts({"tp": 1}, attention_kernel=name)[1] for name in kernels)
    assert exposed(best, "attention") == exposed(second, "attention") < exposed(first, "attention")  # on A100


def test_a_stall_needs_a_pipeline_that_leaves_the_node(with_facts: Any) -> None:
    stall = {"receive_stall_seconds": 0.01}
    for layout, is_stalled in (({"tp": 2, "pp": 2}, True), ({"tp": 2, "pp": 1}, False), ({"tp": 1, "pp": 2}, False)):
        _, without = with_facts(layout)
        _, stalled = with_facts(layout, **stall)
        assert (stalled.step_seconds > 2 * without.step_seconds) is is_stalled, layout


def test_hidden_gathers_cost_a_fifth(job: Any) -> None:
    """Sharded weights whose gathering fits behind compute all the same slow it."""
    problem = job({"shard": "parameters", "microbatch_size": 2}, num_zones=1, framework="fsdp")
    prediction = predict_plan(problem, placed(problem), framework_facts("fsdp"))
    term = next(term for term in prediction.terms if term.name == "weight_gather")
    assert term.overlapped_seconds > 0.0
    assert term.exposed_seconds >= 0.2 * (term.exposed_seconds + term.overlapped_seconds) * 0.999


def test_selective_recomputation_by_operation_redoes_products_and_not_attention(with_facts: Any) -> None:
    """More than the attention core, less than everything."""
    layout = {"tp": 1, "pp": 1, "microbatch_size": 2}
    _, core = with_facts({**layout, "recompute": "selective"}, recomputes_operations=False)
    _, operations = with_facts({**layout, "recompute": "selective"}, recomputes_operations=True)
    _, full = with_facts({**layout, "recompute": "full"})
    assert exposed(core, "recompute") < exposed(operations, "recompute") < 0.7 * exposed(full, "recompute")
    assert total(operations) == pytest.approx(operations.step_seconds)
