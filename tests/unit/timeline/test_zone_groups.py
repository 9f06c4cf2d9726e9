"""Replicas in several pools of one zone agree as those of one pool of the sum do, at the pace of the slowest."""

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.core.layout import Layout
from crosszone.core.prediction import Prediction
from crosszone.core.tables import PlanTable, ReplicaTable, StageTable
from crosszone.cost.collectives import Path, all_reduce_seconds
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.spec import read_job
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.rows import Tables
from crosszone.timeline.zone_groups import ZoneGroups, zone_groups, zone_path

A100, FAST, SLOW = "a100-sxm4-80gb", "100 Gbit/s", "10 Gbit/s"
DENSE: dict[str, Any] = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "num_kv_heads": 4}
EXPERTS: dict[str, Any] = {"num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 512}
NONE, OPTIMIZER = {"shard": "none"}, {"shard": "optimizer"}
PARAMETERS = {"shard": "parameters"}


def nodes(count: int, network: str = FAST, *, gpus: int = 4, gpu: str = A100) -> dict[str, Any]:
    return {"count": count, "gpu": gpu, "gpus_per_node": gpus, "network": network}


def predicted(
    zones: list[list[dict[str, Any]]], plan: dict[str, Any], *, framework: str = "megatron", **model: Any
) -> Prediction:
    names = "abc"[: len(zones)]
    job = {
        "model": {**DENSE, "vocab_size": 32000, **model},
        "workload": {"sequence_length": 2048, "global_batch_size": 480, "precision": "bf16"},
        "cluster": {
            "zones": [{"name": name, "nodes": groups} for name, groups in zip(names, zones, strict=True)],
            **({"default_link": {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}} if len(zones) > 1 else {}),
        },
        "framework": {"name": framework},
        "plan": {"tp": 1, "pp": 1, "microbatch_size": 1, **{key: plan[key] for key in plan if key != "dp_shard"}},
    }
    problem = read_job(job)
    found = placed(problem)
    found = replace(found, dp_shard=plan.get("dp_shard", found.dp_shard))  # the search tries none that mixes pools
    return predict_plan(problem, found, framework_facts(found.framework))


def number(prediction: Prediction, term: str, name: str) -> float:
    found = next(each for each in prediction.terms if each.name == term)
    return next(each.value for each in found.inputs if each.name == name)


def reduce_seconds(prediction: Prediction) -> float:
    return number(prediction, "gradient_agreement", "reduce_seconds")


# One pool of the sum.


PLANS = {
    "whole": {**NONE, "dp": 16},
    "sharded over all": {**OPTIMIZER, "dp": 16, "dp_shard": 16},
    "sharded inside": {**OPTIMIZER, "dp": 16, "dp_shard": 4},
    "over a pool": {**OPTIMIZER, "dp": 16, "dp_shard": 8},
    "tensor parallel": {**OPTIMIZER, "tp": 2, "dp": 8, "dp_shard": 8},
    "long sequences": {**NONE, "cp": 2, "dp": 8},
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("sizes", [(2, 2), (1, 1, 2)])
def test_pools_alike_are_one_pool_of_their_sum(plan: dict[str, Any], sizes: tuple[int, ...]) -> None:
    one = predicted([[nodes(sum(sizes))]], plan)
    several = predicted([[nodes(size) for size in sizes]], plan)
    assert several.step_seconds == pytest.approx(one.step_seconds, rel=1e-9)
    for term, other in zip(several.terms, one.terms, strict=True):
        assert term.exposed_seconds == pytest.approx(other.exposed_seconds, rel=1e-9, abs=1e-12), term.name
        assert term.overlapped_seconds == pytest.approx(other.overlapped_seconds, rel=1e-9, abs=1e-12), term.name
    assert reduce_seconds(several) == pytest.approx(reduce_seconds(one), rel=1e-9)
    peaks = [max(stage.total_bytes for stage in each.memory.stages) for each in (several, one)]
    assert peaks[0] == pytest.approx(peaks[1], rel=1e-9)


def test_pipelines_of_pools_alike_agree_stage_by_stage() -> None:
    plan = {**OPTIMIZER, "pp": 2, "dp": 8, "dp_shard": 8}
    one, two = (predicted([each], plan) for each in ([nodes(4)], [nodes(2), nodes(2)]))
    assert two.step_seconds == pytest.approx(one.step_seconds, rel=1e-9)


@pytest.mark.parametrize("dp_shard", [4, 8, 16])
def test_weights_are_gathered_over_the_pools_that_hold_them(dp_shard: int) -> None:
    plan = {**PARAMETERS, "dp": 16, "dp_shard": dp_shard}
    one, two = (predicted([each], plan, framework="torchtitan") for each in ([nodes(4)], [nodes(2), nodes(2)]))
    assert number(one, "weight_gather", "gather_and_scatter_seconds") > 0.0
    assert two.step_seconds == pytest.approx(one.step_seconds, rel=1e-9)


@pytest.mark.parametrize("ep", [2, 4, 8])
@pytest.mark.parametrize("more", [NONE, OPTIMIZER])
def test_experts_agree_over_pools_too(ep: int, more: dict[str, Any]) -> None:
    plan = {**more, "dp": 16, "ep": ep}
    one, two = (predicted([each], plan, **EXPERTS) for each in ([nodes(4)], [nodes(2), nodes(2)]))
    assert reduce_seconds(two) == pytest.approx(reduce_seconds(one), rel=1e-9)


@pytest.mark.parametrize(
    "sync", [{}, {"codecs": {"gradients": "powersgd_rank_4"}}, {"method": "streaming_diloco", "every": 4}]
)
def test_what_zones_exchange_is_that_of_zones_of_one_pool(sync: dict[str, Any]) -> None:
    """All replicas of a zone share its part of the exchange and of what codecs keep, whichever pools they lie in."""
    plan = {**NONE, "dp": 32, "sync": sync}
    one, two = (predicted([zone, zone], plan, framework="ddp") for zone in ([nodes(4)], [nodes(2), nodes(2)]))
    assert two.step_seconds == pytest.approx(one.step_seconds, rel=1e-9)
    assert two.links[0].step_bytes == pytest.approx(one.links[0].step_bytes)
    assert two.sync is not None
    assert one.sync is not None
    assert two.sync.exchange_seconds == pytest.approx(one.sync.exchange_seconds, rel=1e-9)
    assert two.sync.held_bytes == pytest.approx(one.sync.held_bytes, rel=1e-9)


def test_shards_over_the_pools_of_a_zone_do_not_span_zones() -> None:
    plan = {**OPTIMIZER, "dp": 32, "dp_shard": 16}
    one, two = (predicted([zone, zone], plan) for zone in ([nodes(4)], [nodes(2), nodes(2)]))
    assert two.links[0].step_bytes == pytest.approx(one.links[0].step_bytes)
    assert two.step_seconds == pytest.approx(one.step_seconds, rel=1e-9)


# The slowest.


@pytest.mark.parametrize("plan", [PLANS["whole"], PLANS["sharded over all"]])
def test_a_slow_network_holds_up_both_pools(plan: dict[str, Any]) -> None:
    """What crosses to the slow pool crosses its network: with one pool ten times slower, all take as if both were."""
    both_fast, mixed, both_slow = (
        predicted([[nodes(2, first), nodes(2, second)]], plan)
        for first, second in ((FAST, FAST), (FAST, SLOW), (SLOW, SLOW))
    )
    assert reduce_seconds(mixed) == pytest.approx(reduce_seconds(both_slow), rel=1e-9)
    assert reduce_seconds(mixed) > 5 * reduce_seconds(both_fast)


def test_two_nodes_of_two_pools_cross_their_networks() -> None:
    """Each pool fits into a fabric domain: agreeing for free inside each was the defect."""
    plan = {**NONE, "dp": 8}
    apart = predicted([[nodes(1), nodes(1)]], plan)
    domain = predicted([[nodes(1, gpus=8)]], plan)
    assert reduce_seconds(apart) == pytest.approx(reduce_seconds(predicted([[nodes(2)]], plan)), rel=1e-9)
    assert reduce_seconds(apart) > 2 * reduce_seconds(domain)


def test_the_smallest_domain_carries_least() -> None:
    """The traffic of a domain of 4 leaves through 4 shares, that of 8 through 8: per GPU the same share, half the rate.

    Bytes: 2 (n-1)/n of the gradients, over 4 shares of a quarter of 100 Gbit/s.
    """
    groups = [nodes(1, "200 Gbit/s", gpus=8), nodes(1, "100 Gbit/s", gpus=4)]
    mixed = predicted([groups], {**NONE, "dp": 12, "bucket_bytes": "100 GB"})
    same = predicted([[nodes(3)]], {**NONE, "dp": 12, "bucket_bytes": "100 GB"})
    assert reduce_seconds(mixed) == pytest.approx(reduce_seconds(same), rel=1e-2)  # but for latency


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    network=st.sampled_from([400, 100, 25, 10]),
    slower=st.floats(1.0, 20.0),
    sizes=st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4])),
    more=st.sampled_from([NONE, OPTIMIZER]),
)
def test_a_slower_second_pool_is_never_faster(
    network: int, slower: float, sizes: tuple[int, int], more: dict[str, Any]
) -> None:
    plan = {**more, "dp": 4 * sum(sizes)}
    first, second = f"{network} Gbit/s", f"{network / slower:.6f} Gbit/s"
    alike = predicted([[nodes(sizes[0], first), nodes(sizes[1], first)]], plan)
    mixed = predicted([[nodes(sizes[0], first), nodes(sizes[1], second)]], plan)
    assert mixed.step_seconds >= alike.step_seconds * (1 - 1e-12)
    assert reduce_seconds(mixed) >= reduce_seconds(alike) * (1 - 1e-12)
    if more == NONE:  # sharded, more ranks gather less each
        alone = predicted([[nodes(sizes[0], first)]], {**more, "dp": 4 * sizes[0]})
        assert reduce_seconds(mixed) >= reduce_seconds(alone) * (1 - 1e-12)


# The groups themselves.


def groups_of(
    zones: list[int], chains: tuple[tuple[int, ...], ...], rows: list[tuple[int, int, int, int]]
) -> ZoneGroups:
    """Of one plan; rows are (chain, pool, stage, num_stages)."""
    chain, pool, stage, num_stages = np.array(rows).T
    columns: dict[str, Any] = {field.name: np.zeros(len(rows), dtype=np.int64) for field in fields(StageTable)}
    columns |= {"replica": chain, "pool": pool, "stage": stage, "num_stages": num_stages}
    plan = np.zeros(len(chains), dtype=np.int64)
    nothing: Any = np.zeros(1, dtype=np.int64)
    tables = Tables(
        layouts=(Layout(chains=chains, ring=(), crosses_pp=False),),
        plans=PlanTable(**dict.fromkeys([field.name for field in fields(PlanTable)], nothing)),
        replicas=ReplicaTable(plan=plan, num_replicas=plan + 1, num_microbatches=plan + 1),
        stages=StageTable(**columns),
    )
    inputs: Any = SimpleNamespace(hardware=SimpleNamespace(zone=np.array(zones)))
    return zone_groups(inputs, tables)


def test_pools_of_different_zones_are_no_group() -> None:
    assert groups_of([0, 1], ((0,), (1,)), [(0, 0, 0, 1), (1, 1, 0, 1)]).is_empty


def test_stages_agree_with_the_same_stages_only() -> None:
    """Two pipelines of two stages through pools 0, 1 and 1, 0 of one zone; a third in another zone is left alone."""
    rows = [(0, 0, 0, 1), (0, 1, 1, 1), (1, 1, 0, 1), (1, 0, 1, 1), (2, 2, 0, 1), (2, 2, 1, 1)]
    groups = groups_of([0, 0, 1], ((0, 1), (1, 0), (2, 2)), rows)
    values = np.array([1.0, 2.0, 10.0, 20.0, 100.0, 200.0])
    assert groups.total(values).tolist() == [11.0, 22.0, 11.0, 22.0, 100.0, 200.0]
    assert groups.least(values).tolist() == [1.0, 2.0, 1.0, 2.0, 100.0, 200.0]
    assert groups.most(values).tolist() == [10.0, 20.0, 10.0, 20.0, 100.0, 200.0]
    assert groups.are_several(6).tolist() == [True] * 4 + [False] * 2


def test_runs_of_different_stages_share_by_their_stages() -> None:
    """Four stages as one run; as runs of one and three: each stage has one replica of either chain."""
    groups = groups_of([0, 0], ((0,), (1,)), [(0, 0, 0, 4), (1, 1, 0, 1), (1, 1, 1, 3)])
    assert groups.total(np.array([2.0, 3.0, 3.0])).tolist() == [5.0, 5.0, 5.0]


def test_the_path_of_unlike_pools_is_that_of_their_slowest() -> None:
    """Domains of 8 and 4: three of the latter beside one of the former are 20 ranks in 4 domains."""
    groups = groups_of([0, 0], ((0,), (1,)), [(0, 0, 0, 1), (1, 1, 0, 1)])
    path = Path(
        fabric_bytes_per_second=np.array([3e11, 2e11]),
        network_bytes_per_second=np.array([1e9, 4e9]),
        fabric_latency_seconds=np.array([1e-6, 2e-6]),
        network_latency_seconds=np.array([5e-6, 4e-6]),
    )
    ranks = np.array([8.0, 12.0])
    inside, joint = zone_path(path, groups, ranks, np.array([8.0, 4.0]))
    assert inside.tolist() == [5.0, 5.0]
    assert np.asarray(joint.network_bytes_per_second) * inside == pytest.approx([8e9, 8e9])
    assert np.asarray(joint.fabric_bytes_per_second).tolist() == [2e11, 2e11]
    seconds = all_reduce_seconds(groups.total(ranks), inside, 1e9, joint)
    latency = 2 * (3 * 2e-6 + 2 * 5e-6)
    assert seconds == pytest.approx(2 * 19 / 20 * 1e9 / 8e9 + latency)
