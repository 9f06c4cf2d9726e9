"""A row as a problem and a plan: degrees, batch, defaults, and why a row cannot be expressed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosszone.errors import SpecError
from crosszone.verify.case import case_of, spread_layers


def test_a_whole_row_is_a_plan_and_nothing_is_assumed_but_the_fabric(make_row) -> None:
    case = case_of(make_row())
    plan = case.plan
    assert (plan.tp, plan.pp, plan.cp, plan.ep, plan.dp) == (8, 1, 1, 1, 32)
    assert (plan.microbatch_size, plan.replicas[0].num_microbatches) == (8, 4)
    assert (plan.shard, plan.dp_shard, plan.recompute, plan.sequence_parallel) == ("none", 1, "full", False)
    assert plan.schedule == "1f1b"
    assert case.problem.workload.attention == "unfused"
    assert [text.split(":")[0] for text in case.row.assumed] == ["fabric"]


@pytest.mark.parametrize(
    ("num_layers", "pp", "layers"),
    [
        (8, 4, (2, 2, 2, 2)),
        (70, 12, (5, *[6] * 10, 5)),  # BLOOM
        (126, 16, (7, *[8] * 14, 7)),  # Llama 3.1 405B
        (61, 4, (15, 16, 15, 15)),
        (7, 4, (2, 2, 2, 1)),
        (4, 4, (1, 1, 1, 1)),
    ],
)
def test_left_over_layers_lie_in_the_middle(num_layers, pp, layers) -> None:
    assert spread_layers(num_layers, pp) == layers


@given(pp=st.integers(1, 64), more=st.integers(0, 300))
def test_spread_layers_are_all_there_and_even(pp, more) -> None:
    layers = spread_layers(pp + more, pp)
    assert len(layers) == pp
    assert sum(layers) == pp + more
    assert max(layers) - min(layers) <= 1


def test_stages_follow_each_other(make_row) -> None:
    case = case_of(make_row(pp="12", tp="8", n_gpus="192", dp="2", layers="70", global_batch="1024"))
    stages = case.plan.stages
    assert [stage.first_layer for stage in stages][:3] == [0, 5, 11]
    assert stages[-1].first_layer + stages[-1].num_layers == 70


def test_blank_degrees_are_one_and_say_so(make_row) -> None:
    row = make_row(tp="", pp="", cp="", ep="", dp="", n_gpus="8")
    plan = case_of(row).plan
    assert (plan.tp, plan.pp, plan.cp, plan.ep, plan.dp) == (1, 1, 1, 1, 8)
    assert [f"{name} 1: not stated." in row.assumed for name in ("tp", "pp", "cp", "ep")] == [True] * 4


def test_gpus_follow_from_the_degrees(make_row) -> None:
    row = make_row(n_gpus="")
    assert case_of(row).plan.world_size == 256
    assert "n_gpus 256: tp*pp*cp*dp." in row.assumed


def test_a_microbatch_follows_from_accumulation_else_is_one(make_row) -> None:
    row = make_row(micro_batch="", grad_accum="16.0")
    assert case_of(row).plan.microbatch_size == 2
    assert "micro_batch 2: global_batch / (dp * grad_accum)." in row.assumed
    row = make_row(micro_batch="")
    assert case_of(row).plan.microbatch_size == 1
    assert "micro_batch 1: not stated." in row.assumed


def test_torchtitans_pipeline_makes_as_many_microbatches_as_stages(make_row) -> None:
    pipeline = {"micro_batch": "", "pp": "4", "dp": "8", "framework": "torchtitan", "year": "2024"}
    row = make_row(**pipeline)
    case = case_of(row)
    assert case.plan.replicas[0].num_microbatches == 4
    assert case.plan.microbatch_size == 1024 // 8 // 4
    assert "micro_batch 32: as many microbatches as stages, the default." in row.assumed
    # Nobody else does so, nor torchtitan without a pipeline.
    assert case_of(make_row(**{**pipeline, "framework": "Megatron-LM"})).plan.microbatch_size == 1
    assert case_of(make_row(micro_batch="", framework="torchtitan")).plan.microbatch_size == 1


def test_a_batch_follows_from_accumulation(make_row) -> None:
    row = make_row(global_batch="", grad_accum="4")
    assert case_of(row).problem.workload.global_batch_size == 32 * 4 * 8
    assert "global_batch 1024: dp * grad_accum * micro_batch." in row.assumed


def test_virtual_stages_interleave(make_row) -> None:
    plan = case_of(make_row(pp="4", vpp="2", n_gpus="256", dp="8")).plan
    assert (plan.schedule, plan.num_virtual_stages) == ("interleaved_1f1b", 2)


def test_virtual_stages_without_a_pipeline_mean_nothing(make_row) -> None:
    assert case_of(make_row(vpp="5")).plan.num_virtual_stages == 1


def test_sequence_parallel_is_on_where_nothing_is_said(make_row) -> None:
    row = make_row(sequence_parallel="")
    assert case_of(row).plan.sequence_parallel
    assert "sequence_parallel yes: not stated." in row.assumed
    assert not case_of(make_row(sequence_parallel="yes", tp="1", n_gpus="32")).plan.sequence_parallel


def test_sharding_is_over_dp(make_row) -> None:
    plan = case_of(make_row(zero_stage="1")).plan
    assert (plan.shard, plan.dp_shard) == ("optimizer", 32)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"n_gpus": "100"}, "tp*pp*cp = 8 does not divide n_gpus = 100."),
        ({"n_gpus": "128"}, "tp*pp*cp*dp = 256, but n_gpus is 128."),
        ({"n_gpus": "", "dp": ""}, "n_gpus is blank, and dp too."),
        ({"global_batch": ""}, "global_batch is blank, and grad_accum does not give it."),
        ({"global_batch": "1000"}, "global_batch = 1000 is not shared evenly by dp = 32 replicas."),
        ({"micro_batch": "7"}, "dp * micro_batch = 224 does not divide global_batch = 1024."),
        ({"seq_len": ""}, "seq_len is blank."),
        ({"layers": "2", "pp": "4", "dp": "8"}, "2 layers are fewer than pp*vpp = 4 pieces."),
        ({"ep": "8"}, "ep = 8, but GPT-18.4B has no experts."),
        ({"ep": "8", "moe_experts": "12"}, "ep = 8 does not divide 12 experts, or tp*cp*dp = 256 ranks."),
        ({"task": "lora"}, "task is lora: training of adapters alone is not modelled."),
        ({"global_batch": "0:384 200B:768"}, 'global_batch is "0:384 200B:768", which is no number.'),
        ({"micro_batch": "1.5"}, "micro_batch is 1.5, which is no whole number."),
        ({"tp": "0"}, "tp is 0; it must be positive and finite."),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_expressed_is_told_with_its_numbers(make_row, cells, reason) -> None:
    with pytest.raises(SpecError) as caught:
        case_of(make_row(**cells))
    assert str(caught.value) == reason


def test_interleaving_needs_a_multiple_of_the_stages(make_row) -> None:
    with pytest.raises(SpecError, match="1 microbatches are no multiple of pp = 4"):
        case_of(make_row(pp="4", vpp="2", n_gpus="256", dp="8", micro_batch="128"))
