"""Ranks: groups are rebuilt from the rank numbers alone, as frameworks do, and must lie where the plan says."""

import dataclasses
from collections import defaultdict

import pytest

from crosszone.core.plan import Plan
from crosszone.deploy.ranks import agents, rank_grid, single_replicas
from crosszone.errors import InfeasiblePlan


def groups(plan: Plan, axis: str) -> list[list[int]]:
    """Ranks of each group along `axis`, from the numbers alone: those that differ in its digit only."""
    degrees = {"tp": plan.tp, "cp": plan.cp, "dp": plan.dp, "pp": plan.pp}
    stride = 1
    for inner in plan.rank_order[: plan.rank_order.index(axis)]:
        stride *= degrees[inner]
    size = degrees[axis]
    found = defaultdict(list)
    for rank in range(plan.world_size):
        found[rank - (rank // stride % size) * stride].append(rank)
    return list(found.values())


def node(zone: int, count: int, per_node: int) -> dict:
    return {
        "count": count,
        "gpu": "a100-sxm4-80gb",
        "gpus_per_node": per_node,
        "network": "100 Gbit/s",
        "addresses": [f"10.{zone}.0.{index + 1}" for index in range(count)],
    }


def megatron(counts: list[tuple[int, int]], plan: dict) -> dict:
    """One zone for each (nodes, GPUs per node)."""
    zones = [{"name": f"zone{zone}", "nodes": [node(zone, *size)]} for zone, size in enumerate(counts)]
    return {
        "model": {
            "num_layers": 6,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 4,
            "vocab_size": 512,
        },
        "workload": {"sequence_length": 64, "global_batch_size": 24, "precision": "bf16"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "1 Gbit/s", "rtt": "30 ms"}},
        "framework": {"name": "megatron"},
        "plan": {"microbatch_size": 1, **plan},
    }


CASES = {
    "three zones pp": megatron([(2, 4)] * 3, {"tp": 2, "pp": 3, "dp": 4}),
    "three zones dp": megatron([(2, 4)] * 3, {"tp": 4, "dp": 6}),
    "both": megatron([(1, 8)] * 3, {"tp": 2, "pp": 2, "dp": 6}),
    "cp": megatron([(2, 4)] * 3, {"tp": 2, "cp": 2, "pp": 3, "dp": 2}),
    "uneven": megatron([(1, 2), (1, 4), (1, 8)], {"tp": 2, "dp": 7, "pp": 1}),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_groups_lie_where_the_plan_says(planned, case) -> None:
    value = CASES[case]
    value["workload"]["global_batch_size"] = 28 if case == "uneven" else 24
    problem, plan = planned(value)
    places = rank_grid(plan, problem.cluster)
    assert [place.rank for place in places] == list(range(plan.world_size))
    for ranks in groups(plan, "tp"):
        assert len({places[rank].node_key for rank in ranks}) == 1
    replicas = single_replicas(plan)
    for ranks in groups(plan, "pp"):
        replica = replicas[places[ranks[0]].dp]
        assert tuple(places[rank].zone for rank in ranks) == replica.zones
        assert tuple(places[rank].node_group for rank in ranks) == replica.node_groups
    for ranks in groups(plan, "dp"):
        assert [places[rank].zone for rank in ranks] == [each.zones[places[ranks[0]].pp] for each in replicas]
    for ranks in groups(plan, "cp"):
        assert len({places[rank].zone for rank in ranks}) == 1
    assert len({(place.node_key, place.gpu) for place in places}) == plan.world_size


@pytest.mark.parametrize("case", sorted(CASES))
def test_agents_start_every_rank_once_in_order(planned, case) -> None:
    problem, plan = planned(CASES[case])
    places = rank_grid(plan, problem.cluster)
    found = agents(places, problem.cluster)
    started = [
        (agent.first_rank + index, agent.node_key, gpu) for agent in found for index, gpu in enumerate(agent.gpus)
    ]
    assert started == [(place.rank, place.node_key, place.gpu) for place in places]
    assert [agent.index for agent in found] == list(range(len(found)))


def test_a_node_whose_ranks_do_not_follow_each_other_has_several_agents(planned) -> None:
    problem, plan = planned(megatron([(1, 4), (1, 4)], {"tp": 2, "pp": 2, "dp": 2}))
    assert plan.zone_axis in ("dp", "pp")
    found = agents(rank_grid(plan, problem.cluster), problem.cluster)
    if plan.zone_axis == "dp":
        assert [agent.zone for agent in found] == ["zone0", "zone1", "zone0", "zone1"]
        assert [agent.gpus for agent in found] == [(0, 1), (0, 1), (2, 3), (2, 3)]
        assert not any(agent.has_whole_node for agent in found)
    else:
        assert [agent.zone for agent in found] == ["zone0", "zone1"]


def test_world_size_counts_processes_of_uneven_nodes(planned) -> None:
    """Nodes of 2, 4 and 8 GPUs are 14 ranks, not 3."""
    value = megatron([(1, 2), (1, 4), (1, 8)], {"dp": 14})
    value["workload"]["global_batch_size"] = 28
    value["framework"]["name"] = "ddp"
    problem, plan = planned(value)
    found = agents(rank_grid(plan, problem.cluster), problem.cluster)
    assert [(agent.first_rank, agent.num_ranks) for agent in found] == [(0, 2), (2, 4), (6, 8)]
    assert [agent.address for agent in found] == ["10.0.0.1", "10.1.0.1", "10.2.0.1"]


def test_tp_first_or_not_at_all(planned) -> None:
    problem, plan = planned(CASES["three zones pp"])
    torn = dataclasses.replace(plan, rank_order=("dp", "tp", "cp", "pp"))
    with pytest.raises(InfeasiblePlan, match="tears tp=2 apart"):
        rank_grid(torn, problem.cluster)


def test_a_tp_group_never_straddles_nodes_that_could_hold_it(planned) -> None:
    problem, plan = planned(megatron([(2, 4), (2, 4)], {"tp": 2, "dp": 8}))
    first = dataclasses.replace(problem.cluster.zones[0].node_groups[0], num_nodes=3, gpus_per_node=3)
    zone = dataclasses.replace(problem.cluster.zones[0], node_groups=(first,))
    cluster = dataclasses.replace(problem.cluster, zones=(zone, *problem.cluster.zones[1:]))
    with pytest.raises(InfeasiblePlan, match="hold 3 whole groups of tp=2"):
        rank_grid(plan, cluster)


def test_replicas_through_the_same_zones_are_neighbours(planned) -> None:
    _, plan = planned(CASES["three zones dp"])
    north, south = ("a",), ("b",)
    mixed = dataclasses.replace(
        plan,
        replicas=tuple(
            dataclasses.replace(plan.replicas[0], num_replicas=1, zones=zones, num_microbatches=count)
            for zones, count in ((north, 3), (south, 2), (north, 1))
        ),
    )
    assert [(each.zones, each.num_microbatches) for each in single_replicas(mixed)] == [
        (north, 3),
        (north, 1),
        (south, 2),
    ]
