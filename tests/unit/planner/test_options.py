"""Values that each part of a plan may take."""

from typing import Any

import pytest

from crosszone.core.plan import RECOMPUTES, SHARDS
from crosszone.planner.options import divisors, options, powers_of_two

EVERY_SHARD = list(range(len(SHARDS)))


def test_divisors_and_powers_of_two_are_complete() -> None:
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert powers_of_two(1) == [1]
    assert powers_of_two(9) == [1, 2, 4, 8]


def test_tensor_parallel_ranks_hold_whole_heads(prepared: Any) -> None:
    assert options(prepared(8, model={"num_heads": 12, "num_kv_heads": 12, "head_size": 64})).tp.tolist() == [
        1,
        2,
        3,
        4,
        6,
    ]


def test_ranks_share_a_key_value_head_or_hold_whole_ones(prepared: Any) -> None:
    # 6 ranks would hold 4/6 of a key-value head each.
    found = options(prepared(12, model={"num_heads": 12, "num_kv_heads": 4, "hidden_size": 1536}))
    assert found.tp.tolist() == [1, 2, 4, 12]


def test_tensor_parallel_stays_below_the_largest_pool(prepared: Any) -> None:
    assert options(prepared(2, 4)).tp.tolist() == [1, 2, 4]


def test_context_parts_stay_long_and_even(prepared: Any) -> None:
    assert options(prepared(8, length=8192)).cp.tolist() == [1, 2, 4]
    assert options(prepared(8, length=1000)).cp.tolist() == [1]


def test_an_odd_sequence_still_has_one_context_part(prepared: Any) -> None:
    assert options(prepared(8, length=4097)).cp.tolist() == [1]


@pytest.mark.parametrize(
    ("sequences", "sizes"), [(1, [1]), (13, [1]), (48, [1, 2, 3, 4, 6, 8, 12, 16, 24]), (100, [1, 2, 4])]
)
def test_microbatches_divide_the_batch_by_usual_sizes(prepared: Any, sequences: int, sizes: list[int]) -> None:
    assert options(prepared(8, sequences=sequences)).microbatch_size.tolist() == sizes


def test_experts_are_spread_by_divisors_and_only_where_there_are_any(prepared: Any) -> None:
    moe = {"num_experts": 6, "experts_per_token": 2, "expert_ffn_size": 512}
    assert options(prepared(4, model=moe)).ep.tolist() == [1, 2, 3]
    assert options(prepared(8)).ep.tolist() == [1]


@pytest.mark.parametrize(
    ("plan", "name", "value"),
    [
        ({"tp": 2}, "tp", [2]),
        ({"cp": 2}, "cp", [2]),
        ({"microbatch_size": 16}, "microbatch_size", [16]),
        ({"num_virtual_stages": 2}, "num_virtual_stages", [2]),
        ({"recompute": "full"}, "recompute", [2]),
        ({"shard": "gradients"}, "shard", [2]),
    ],
)
def test_what_the_job_file_fixes_stands_alone(prepared: Any, plan: dict[str, Any], name: str, value: list[int]) -> None:
    assert getattr(options(prepared(8, plan=plan)), name).tolist() == value


@pytest.mark.parametrize(
    ("schedule", "chunks"), [("gpipe", [1]), ("1f1b", [1]), ("interleaved_1f1b", [2, 4, 8]), (None, [1, 2, 4, 8])]
)
def test_only_interleaving_has_virtual_stages(prepared: Any, schedule: str | None, chunks: list[int]) -> None:
    found = options(prepared(8, plan={"schedule": schedule} if schedule else {"tp": 1}))
    assert found.num_virtual_stages.tolist() == chunks


@pytest.mark.parametrize(("dp_shard", "shards"), [(4, EVERY_SHARD[1:]), (1, [0])])
def test_a_fixed_shard_group_says_whether_something_is_sharded(prepared: Any, dp_shard: int, shards: list[int]) -> None:
    assert options(prepared(8, plan={"dp_shard": dp_shard})).shard.tolist() == shards


def test_sequence_parallelism_that_is_asked_for_needs_ranks_to_split_over(prepared: Any) -> None:
    assert options(prepared(8, plan={"sequence_parallel": True})).tp.tolist() == [2, 4, 8]


def test_fused_attention_is_not_redone_alone_unless_asked(prepared: Any, nodes: Any) -> None:
    selective = RECOMPUTES.index("selective")
    assert selective not in options(prepared(nodes(8))).recompute
    assert selective in options(prepared(nodes(8), work={"attention": "unfused"})).recompute
    assert options(prepared(nodes(8), plan={"recompute": "selective"})).recompute.tolist() == [selective]
