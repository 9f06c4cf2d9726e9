"""Every row of the candidate tables keeps the rules; what the job file fixes holds in all of them."""

import math
from typing import Any

import numpy as np
import pytest

from crosszone.core.plan import SCHEDULES, SHARDS
from crosszone.planner.general import to_plan
from crosszone.planner.layouts import layouts
from crosszone.planner.options import options
from crosszone.planner.space import INTERLEAVED, Space, candidates

MOE = {"num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 512}


def spaces(prepared: Any, **more: Any) -> list[Space]:
    return [candidates(prepared, layout, options(prepared, **more)) for layout in layouts(prepared)]


@pytest.fixture(params=["even", "uneven", "prime batch", "mixture of experts", "batch of one"])
def every(request: pytest.FixtureRequest, prepared: Any, nodes: Any) -> tuple[Any, list[Space]]:
    jobs: dict[str, Any] = {
        "even": prepared(nodes(8, count=2), sequences=64),
        "uneven": prepared(2, nodes(4, gpu="h100-sxm5-80gb"), 8, sequences=24),
        "prime batch": prepared(8, 4, sequences=61),
        "mixture of experts": prepared(4, 4, model=MOE),
        "batch of one": prepared(8, 8, sequences=1),
    }
    ready = jobs[request.param]
    found = spaces(ready)
    assert sum(len(space.plans) for space in found) > 0
    return ready, found


def test_there_are_no_more_replicas_than_microbatches(every: Any) -> None:
    ready, found = every
    for space in found:
        total = ready.problem.workload.global_batch_size // space.plans.microbatch_size
        assert (space.plans.dp <= total).all()
        assert (space.num_replicas >= 1).all()
        assert (space.num_microbatches >= 1).all()


def test_replicas_cover_the_batch_with_less_than_one_microbatch_too_many_each(every: Any) -> None:
    ready, found = every
    for space in found:
        total = ready.problem.workload.global_batch_size // space.plans.microbatch_size
        taken = (space.num_replicas * space.num_microbatches).sum(axis=1)
        assert (taken >= total).all()
        assert ((taken - total < space.plans.dp) | (space.num_microbatches == 1).any(axis=1)).all()


def test_no_row_uses_more_gpus_than_there_are(every: Any) -> None:
    ready, found = every
    for space in found:
        world_size = space.plans.tp * space.plans.cp * space.plans.pp * space.plans.dp
        assert (world_size <= ready.hardware.num_gpus[list(space.pools)].sum()).all()


def test_degrees_agree_with_each_other(every: Any) -> None:
    _, found = every
    for space in found:
        plans = space.plans
        assert (plans.dp == space.num_replicas.sum(axis=1)).all()
        assert (plans.dp % plans.dp_shard == 0).all()
        assert ((plans.dp * plans.cp * plans.tp) % plans.ep == 0).all()
        assert (plans.dp_shard[plans.shard == 0] == 1).all()
        assert (plans.dp_shard[plans.shard > 0] > 1).all()
        assert not plans.sequence_parallel[plans.tp == 1].any()


def test_interleaved_stages_come_in_whole_rounds_of_whole_layers(every: Any) -> None:
    ready, found = every
    for space in found:
        plans, virtual = space.plans, space.plans.num_virtual_stages > 1
        assert (virtual == (plans.schedule == INTERLEAVED)).all()
        rows = np.flatnonzero(virtual)
        assert (plans.pp[rows] > 1).all()
        assert not plans.is_unequal[rows].any()
        num_layers = ready.problem.model.num_layers
        chunks = plans.pp[rows] * plans.num_virtual_stages[rows]
        uneven = space.shapes.is_uneven[space.shape[rows]]
        assert (num_layers % plans.pp[rows][uneven] > 0).all()  # no even stages of as many ranks
        assert (chunks[uneven] <= num_layers + 2).all()  # the embedding and the LM head may stand alone
        assert (num_layers % chunks[~uneven] == 0).all()
        assert (space.num_microbatches[rows, 0] % plans.pp[rows] == 0).all()


def test_rows_with_equal_shares_are_marked_equal(every: Any) -> None:
    ready, found = every
    for space in found:
        total = ready.problem.workload.global_batch_size // space.plans.microbatch_size
        taken = (space.num_replicas * space.num_microbatches).sum(axis=1)
        alike = (space.num_microbatches == space.num_microbatches[:, :1]).all(axis=1) & (taken == total)
        assert (space.plans.is_unequal == ~alike).all()


def test_no_row_is_there_twice(every: Any) -> None:
    _, found = every
    for space in found:
        plans = space.plans
        names = ("tp", "cp", "pp", "dp", "ep", "dp_shard", "num_virtual_stages", "microbatch_size", "shard")
        columns = [*(getattr(plans, name) for name in names), space.shape, *space.num_replicas.T]
        assert len(np.unique(np.stack(columns, axis=1), axis=0)) == len(plans)


def test_two_even_replicas_are_tried_where_three_do_not_divide_the_batch(prepared: Any) -> None:
    found = spaces(prepared(3, sequences=16))[0]
    rows = (found.plans.tp == 1) & (found.plans.pp == 1) & (found.plans.microbatch_size == 1)
    assert set(found.plans.dp[rows].tolist()) == {2, 3}


@pytest.mark.parametrize("dp", [1, 2, 3, 5, 7, 8])
def test_a_fixed_dp_is_kept_whatever_room_there_is(prepared: Any, dp: int) -> None:
    found = spaces(prepared(8, plan={"dp": dp}, sequences=840))
    assert sum(len(space.plans) for space in found) > 0
    assert all((space.plans.dp == dp).all() for space in found)


def test_a_fixed_dp_is_spread_over_zones(prepared: Any) -> None:
    found = [space for space in spaces(prepared(8, 8, plan={"dp": 4})) if len(space.layout.chains) == 2]
    assert (found[0].num_replicas.sum(axis=1) == 4).all()
    assert (found[0].num_replicas >= 1).all()


@pytest.mark.parametrize(
    ("plan", "name", "value"),
    [
        ({"tp": 2}, "tp", 2),
        ({"pp": 2}, "pp", 2),
        ({"cp": 2}, "cp", 2),
        ({"microbatch_size": 2}, "microbatch_size", 2),
        ({"shard": "optimizer"}, "shard", SHARDS.index("optimizer")),
        ({"dp_shard": 2}, "dp_shard", 2),
        ({"dp_shard": 4, "shard": "parameters"}, "dp_shard", 4),
        ({"num_virtual_stages": 2}, "num_virtual_stages", 2),
        ({"schedule": "gpipe"}, "schedule", SCHEDULES.index("gpipe")),
        ({"schedule": "1f1b"}, "schedule", SCHEDULES.index("1f1b")),
        ({"schedule": "interleaved_1f1b"}, "schedule", INTERLEAVED),
        ({"tp": 2, "sequence_parallel": False}, "sequence_parallel", False),
    ],
)
def test_what_the_job_file_fixes_holds_in_every_row(prepared: Any, plan: dict[str, Any], name: str, value: int) -> None:
    found = spaces(prepared(8, 8, plan=plan, length=4096))
    assert sum(len(space.plans) for space in found) > 0
    assert all((getattr(space.plans, name) == value).all() for space in found)


def test_a_shard_group_does_not_mix_zones_unless_it_holds_all(prepared: Any) -> None:
    for space in spaces(prepared(4, 2, plan={"shard": "parameters"})):
        whole = np.gcd.reduce(space.num_replicas, axis=1)
        size, dp = space.plans.dp_shard, space.plans.dp
        assert ((whole % size == 0) | (size == dp)).all()


def test_one_rank_may_shard_where_the_job_file_says_so(prepared: Any) -> None:
    found = spaces(prepared(1, plan={"shard": "parameters"}))[0]
    assert len(found.plans) > 0
    assert (found.plans.dp_shard == 1).all()


def test_a_world_size_that_must_be_met_is_met(prepared: Any) -> None:
    found = spaces(prepared(2, 4), world_size=6)
    sizes = [space.plans.tp * space.plans.cp * space.plans.pp * space.plans.dp for space in found]
    assert (np.concatenate(sizes) == 6).all()
    assert len(np.concatenate(sizes)) > 0


def test_experts_are_spread_over_ranks_of_the_smallest_chain(prepared: Any) -> None:
    for space in spaces(prepared(8, 2, model=MOE)):
        ranks = space.plans.tp * space.plans.cp * space.num_replicas.min(axis=1)
        assert (ranks % space.plans.ep == 0).all()


def test_tables_of_some_rows_are_those_plans_with_all_their_stages(prepared: Any) -> None:
    space = spaces(prepared(4, 8))[-1]
    rows = np.array([0, len(space.plans) // 2, len(space.plans) - 1])
    tables = space.tables(rows, np.zeros(3, dtype=np.int64), recompute=2)
    assert tables.plans.tp.tolist() == space.plans.tp[rows].tolist()
    assert tables.plans.recompute.tolist() == [2, 2, 2]
    layers = np.bincount(tables.stages.replica, weights=tables.stages.run_layers)
    assert layers.tolist() == [8] * len(tables.replicas)
    assert tables.stages.has_embedding.sum() == tables.stages.has_head.sum() == len(tables.replicas)


def test_groups_of_like_replicas_are_those_of_the_placed_plan(every: Any) -> None:
    ready, found = every
    for space in found:
        alike, fewest = space.like_replicas(ready.problem.workload.global_batch_size)
        for row in range(0, len(space.plans), 29):
            one = np.array([row])
            plan = to_plan(ready, space.tables(one, np.zeros_like(one), recompute=0), 0)
            assert math.gcd(*(replica.num_replicas for replica in plan.replicas)) == alike[row]
            assert min(replica.num_microbatches for replica in plan.replicas) == fewest[row]
