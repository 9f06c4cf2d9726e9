"""Peak memory of a stage, as a plan needs it and as tools count it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.framework import Framework
from crosszone.core.prediction import StageMemory
from crosszone.core.problem import Problem
from crosszone.cost.parameters import num_parameters
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.stage_memory import POOL_BYTES

BARE: dict[str, Any] = {
    "fragmentation_fraction": 0.0, "cached_fraction": 0.0, "context_bytes": 0.0, "communicator_bytes": 0.0,
    "gradient_bucket_bytes": 1.0,
}  # fmt: skip
"""Facts of a framework of which nothing but tensors is left."""
Rows = Callable[..., tuple[StageMemory, ...]]


@pytest.fixture
def rows(job: Callable[..., Problem]) -> Rows:
    """Stages of a plan under the facts of a framework, some of them replaced."""

    def make(plan: dict[str, Any], framework: str = "megatron", work: Any = None, **facts: Any) -> tuple[Any, ...]:
        problem = job(plan, num_zones=1, framework=framework, **(work or {}))
        return predict_plan(problem, placed(problem), changed(framework, **facts)).memory.stages

    return make


def changed(framework: str, **facts: Any) -> Framework:
    return replace(framework_facts(framework), **facts)


def test_every_tool_counts_what_the_one_before_does_and_more(rows: Rows) -> None:
    for row in rows({"tp": 2, "pp": 2}):
        parts = row.weight_bytes + row.gradient_bytes + row.optimizer_bytes + row.activation_bytes + row.buffer_bytes
        assert row.allocated_bytes == pytest.approx(parts)
        assert row.allocated_bytes < row.reserved_bytes < row.device_bytes
        assert row.total_bytes == pytest.approx(row.allocated_bytes + row.overhead_bytes)


def test_free_blocks_are_shown_and_not_needed(rows: Rows) -> None:
    (without,) = rows({"tp": 1, "pp": 1}, cached_fraction=0.0)
    (with_blocks,) = rows({"tp": 1, "pp": 1}, cached_fraction=0.1)
    assert with_blocks.total_bytes == without.total_bytes
    # States stay where they were put: what comes and goes leaves free blocks.
    comes_and_goes = without.activation_bytes + without.buffer_bytes
    assert with_blocks.reserved_bytes - without.reserved_bytes == pytest.approx(0.1 * comes_and_goes)
    assert without.device_bytes == pytest.approx(without.total_bytes + POOL_BYTES)


def test_free_blocks_never_take_more_than_the_room_there_is(rows: Rows) -> None:
    (row,) = rows({"tp": 1, "pp": 1}, cached_fraction=1e3)
    assert row.device_bytes == pytest.approx(row.capacity_bytes)
    (row,) = rows({"tp": 1, "pp": 1}, cached_fraction=1e3, context_bytes=2 * row.capacity_bytes)
    assert row.device_bytes == pytest.approx(row.total_bytes)


def test_each_group_of_ranks_has_a_communicator(rows: Rows) -> None:
    # Eight GPUs: dp alone; tp and dp; tp, pp and dp.
    for plan, count in (({"tp": 1, "pp": 1}, 1), ({"tp": 2, "pp": 1}, 2), ({"tp": 2, "pp": 2}, 3), ({"tp": 8}, 1)):
        row = rows({"pp": 1, **plan}, **{**BARE, "communicator_bytes": 1e9, "context_bytes": 5e9})[0]
        assert row.overhead_bytes == pytest.approx(5e9 + count * 1e9)


def test_fragmentation_is_a_share_of_the_tensors(rows: Rows) -> None:
    (row,) = rows({"tp": 1, "pp": 1}, **{**BARE, "fragmentation_fraction": 0.05})
    assert row.overhead_bytes == pytest.approx(0.05 * row.allocated_bytes)


def test_narrow_gradients_beside_their_sums_are_two_bytes_more(job: Any, rows: Rows) -> None:
    size = num_parameters(job({"tp": 1, "pp": 1}).model)
    one, both = (rows({"tp": 1, "pp": 1}, keeps_narrow_gradients=keeps)[0] for keeps in (False, True))
    assert both.gradient_bytes - one.gradient_bytes == pytest.approx(2 * size)
    # There is nothing narrower than gradients that are narrow themselves.
    narrow = {"dtypes": {"gradients": "bf16"}}
    one, both = (rows({"tp": 1, "pp": 1}, work=narrow, keeps_narrow_gradients=keeps)[0] for keeps in (False, True))
    assert one.gradient_bytes == both.gradient_bytes == pytest.approx(2 * size)


def test_buckets_that_are_never_freed_hold_the_gradients_of_several_replicas(job: Any, rows: Rows) -> None:
    plan = {"tp": 2, "pp": 2, "dp": 2, "microbatch_size": 1}
    for alone, more in (({}, 2), ({"tp": 4, "dp": 1}, 0)):
        none, buckets = (rows({**plan, **alone}, **{**BARE, "keeps_gradient_buckets": keeps}) for keeps in (0, 1))
        for without, beside in zip(none, buckets, strict=True):
            parameters = without.weight_bytes / 2
            assert beside.gradient_bytes - without.gradient_bytes == pytest.approx(more * parameters)
    # Two copies of narrow gradients are not a third.
    both = rows(plan, **{**BARE, "keeps_gradient_buckets": True, "keeps_narrow_gradients": True})
    assert both[0].gradient_bytes == pytest.approx(6 * both[0].weight_bytes / 2)


def test_gradients_of_a_backward_take_the_place_of_its_activations(job: Any, rows: Rows) -> None:
    # Short sequences: two bytes a parameter are more than one microbatch's activations, which are gone by then.
    plan, work = {"tp": 1, "pp": 1, "microbatch_size": 1}, {"sequence_length": 16, "global_batch_size": 8}
    (row,) = rows(plan, work=work, **{**BARE, "keeps_gradient_buckets": True})
    size = num_parameters(job({"tp": 1, "pp": 1}).model)
    assert row.activation_bytes + row.buffer_bytes == pytest.approx(2 * size)
    (long,) = rows(plan, **{**BARE, "keeps_gradient_buckets": True})
    (plain,) = rows(plan, **BARE)
    assert long.buffer_bytes == plain.buffer_bytes


WHOLE = 2 * 2048 * 1024
"""Bytes of a whole sequence of one microbatch."""
SLOW_GPU, SLOW_CPU = 0.0, 1.0
"""Seconds to issue a layer."""


@pytest.mark.parametrize(
    ("plan", "launch_seconds", "facts", "count", "per_layer"),
    [
        ({"tp": 4, "pp": 1, "dp": 2}, SLOW_CPU, {}, 20, 0),  # eight microbatches: the queue is full
        ({"tp": 4, "pp": 1, "dp": 2}, SLOW_CPU, {"num_pending_exchanges": 30}, 30, 0),
        ({"tp": 4, "pp": 1, "dp": 2, "microbatch_size": 8}, SLOW_CPU, {}, 0, 2 * 8),  # one: two for each of 8 layers
        ({"tp": 4, "pp": 2, "dp": 1}, SLOW_CPU, {}, 0, 0),  # a message waits for all of it
        ({"tp": 4, "pp": 2, "dp": 1}, SLOW_GPU, {}, 20, 0),
        ({"tp": 4, "pp": 2, "dp": 1, "microbatch_size": 8}, SLOW_GPU, {}, 0, 2 * 8),  # as many microbatches as stages
        ({"tp": 2, "pp": 4, "dp": 1}, SLOW_CPU, {}, 0, 4),  # the pipeline fills: 2 layers, two microbatches of four
        ({"tp": 2, "pp": 4, "dp": 1}, SLOW_GPU, {"late_message_tp": 2}, 0, 0),
        ({"tp": 2, "pp": 4, "dp": 1}, SLOW_GPU, {"late_message_num_gpus": 9}, 20, 0),
        ({"tp": 1, "pp": 1, "dp": 8}, SLOW_GPU, {}, 0, 0),  # no exchange
        ({"tp": 4, "pp": 1, "dp": 2}, SLOW_GPU, {"num_pending_exchanges": 0}, 0, 0),
    ],
)
def test_inputs_of_exchanges_wait_for_the_gpu(
    rows: Rows, plan: dict[str, Any], launch_seconds: float, facts: dict[str, Any], count: int, per_layer: int
) -> None:
    written = {"microbatch_size": 1, "recompute": "none", "schedule": "1f1b", **plan}
    limit = {"num_pending_exchanges": 20 * written["microbatch_size"], "launch_seconds": launch_seconds, **facts}
    first = rows(written, **{**BARE, **limit})[0]
    number = count + per_layer * first.num_layers
    assert first.reserved_bytes - first.allocated_bytes - POOL_BYTES == pytest.approx(number * WHOLE)
    none = rows(written, **{**BARE, **limit, "num_pending_exchanges": 0})[0]
    assert first.total_bytes == none.total_bytes


def test_narrow_gradients_are_widened_for_the_step(job: Any, rows: Rows) -> None:
    # Four bytes a parameter that the rank updates; the activations of so short a sequence are less, and gone by then.
    size = num_parameters(job({"tp": 1, "pp": 1}).model)
    work = {"dtypes": {"gradients": "bf16"}, "sequence_length": 128, "global_batch_size": 8}
    plan = {"tp": 1, "pp": 1, "microbatch_size": 1}
    (whole,) = rows({**plan, "shard": "none"}, work=work, **BARE)
    assert whole.activation_bytes + whole.buffer_bytes == pytest.approx(4 * size)
    (wide,) = rows({**plan, "shard": "none"}, work={**work, "dtypes": {"gradients": "fp32"}}, **BARE)
    assert wide.activation_bytes + wide.buffer_bytes < 4 * size


def test_the_step_needs_nothing_that_the_activations_did_not(rows: Rows) -> None:
    # Long sequences: what the backward held is more than the copies.
    plan = {"tp": 1, "pp": 1, "microbatch_size": 2, "shard": "none"}
    narrow, wide = (rows(plan, work={"dtypes": {"gradients": dtype}}, **BARE)[0] for dtype in ("bf16", "fp32"))
    assert narrow.buffer_bytes == pytest.approx(wide.buffer_bytes)


def test_logits_and_a_layers_backward_are_not_there_at_once(rows: Rows) -> None:
    plan = {"tp": 1, "pp": 1, "microbatch_size": 1, "recompute": "none"}
    passing = 2 * 2048 * (2 * 1024 + 3 * 2816)
    for each, buffer in ((0.0, passing), (14.0, 14 * 2048 * 32000)):
        (row,) = rows(plan, **{**BARE, "logit_bytes": each})
        assert row.buffer_bytes == pytest.approx(buffer)


def test_only_the_last_stage_has_logits(rows: Rows) -> None:
    first, last = rows({"tp": 1, "pp": 2, "microbatch_size": 1}, **BARE)
    assert last.buffer_bytes > first.buffer_bytes == pytest.approx(2 * 2048 * (2 * 1024 + 3 * 2816))


def test_sequence_parallelism_needs_the_whole_sequence_once(rows: Rows) -> None:
    plan = {"tp": 4, "pp": 1, "microbatch_size": 1, "recompute": "none"}
    split, whole = (rows({**plan, "sequence_parallel": is_split}, **BARE)[0] for is_split in (True, False))
    assert split.buffer_bytes - whole.buffer_bytes == pytest.approx(2 * 2048 * 1024)
    assert split.activation_bytes < whole.activation_bytes


def test_with_a_pipeline_weights_and_gradients_may_stay_whole(job: Any, rows: Rows) -> None:
    # FSDP2 in a pipeline gathers once a step: 2 + 4 bytes for every parameter of the stage, not of three layers.
    plan = {"tp": 1, "pp": 2, "dp": 4, "dp_shard": 4, "shard": "parameters", "microbatch_size": 1}
    layers = rows(plan, "torchtitan", **{**BARE, "keeps_gathered_in_pipeline": False})
    stays = rows(plan, "torchtitan", **BARE)
    for whole, part in zip(stays, layers, strict=True):
        parameters = whole.weight_bytes  # 4 bytes each, a quarter of them on each of four ranks
        assert whole.buffer_bytes - part.buffer_bytes == pytest.approx(6 * parameters * (1 - part_of(part)), rel=0.05)
        assert whole.weight_bytes == part.weight_bytes


def test_so_do_sharded_gradients_alone(rows: Rows) -> None:
    plan = {"tp": 1, "pp": 2, "dp": 4, "dp_shard": 4, "shard": "gradients", "microbatch_size": 1}
    parts = rows(plan, "torchtitan", **{**BARE, "keeps_gathered_in_pipeline": False})
    for whole, part in zip(rows(plan, "torchtitan", **BARE), parts, strict=True):
        # A quarter of them is held, all of them are summed: 4 bytes each.
        assert whole.buffer_bytes - part.buffer_bytes == pytest.approx(4 * part.gradient_bytes, rel=1e-6)


def part_of(row: StageMemory) -> float:
    """Of 6 bytes a parameter, what two gathered layers and one layer's gradient come to."""
    return (2 * 2 + 4) / 6 / row.num_layers


def test_without_a_pipeline_layers_are_gathered_one_by_one(rows: Rows) -> None:
    plan = {"tp": 1, "pp": 1, "dp_shard": 8, "shard": "parameters", "microbatch_size": 1}
    (stays,), (layers,) = (
        rows(plan, "torchtitan", **{**BARE, "keeps_gathered_in_pipeline": keeps}) for keeps in (True, False)
    )
    assert stays == layers


@pytest.mark.parametrize(
    ("times_capacity", "verdict"),
    [(0.5, "fits"), (0.89, "fits"), (0.95, "tight"), (1.01, "does not fit"), (1.15, "does not fit")],
)
def test_the_verdict_is_of_what_a_plan_needs(job: Any, times_capacity: float, verdict: str) -> None:
    """The same plan on GPUs of the memory that makes it so; free blocks do not count."""
    problem = job({"tp": 2, "pp": 2}, num_zones=1)
    plan, facts = placed(problem), changed("megatron", cached_fraction=0.3)
    need = predict_plan(problem, plan, facts).memory.peak_bytes
    group = problem.cluster.zones[0].node_groups[0]
    gpu = replace(group.gpu, memory_bytes=need / times_capacity)
    zone = replace(problem.cluster.zones[0], node_groups=(replace(group, gpu=gpu),))
    memory = predict_plan(replace(problem, cluster=replace(problem.cluster, zones=(zone,))), plan, facts).memory
    assert memory.peak_bytes == pytest.approx(need)
    assert memory.peak_bytes / memory.capacity_bytes == pytest.approx(times_capacity)
    assert (memory.verdict, memory.fits) == (verdict, verdict != "does not fit")
