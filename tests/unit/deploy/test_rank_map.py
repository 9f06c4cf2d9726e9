"""The map of ranks: every GPU once, and where the grid of ranks has it."""

import pytest

from crosszone import service
from crosszone.deploy.ranks import rank_grid
from crosszone.errors import UnknownName


def job(plan, *, model="llama-2-7b", count=1):
    zones = [
        {"name": name, "nodes": [{"count": count, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]}
        for name in ("east", "west")
    ]
    link = {"bandwidth": "10 Gbit/s", "rtt": "20 ms"}
    return {
        "model": model,
        "workload": {"sequence_length": 4096, "global_batch_size": 64},
        "cluster": {"zones": zones, "default_link": link},
        "framework": {"name": "megatron"},
        "plan": {"microbatch_size": 1, **plan},
    }


def test_every_rank_is_where_a_deployment_starts_it():
    problem = service.read(job({"tp": 2, "pp": 2, "dp": 4}))
    found = service.rank_map(problem)
    places = {
        gpu.rank: (zone.zone, node.node_group, node.node, gpu.gpu, gpu.tp, gpu.cp, gpu.dp, gpu.pp)
        for zone in found.zones
        for node in zone.nodes
        for gpu in node.gpus
    }
    plan = service.predict(problem).plan
    expected = {
        place.rank: (place.zone, place.node_group, place.node, place.gpu, place.tp, place.cp, place.dp, place.pp)
        for place in rank_grid(plan, problem.cluster)
    }
    assert places == expected
    assert [zone.stages for zone in found.zones] == [(0,), (1,)]


def test_idle_gpus_are_on_the_map_without_a_rank():
    idle = [{"zone": name, "num_gpus": 8} for name in ("east", "west")]
    found = service.rank_map(service.read(job({"tp": 4, "pp": 2, "dp": 2, "idle_gpus": idle}, count=2)))
    for zone in found.zones:
        gpus = [gpu for node in zone.nodes for gpu in node.gpus]
        assert len(gpus) == zone.num_gpus == 16
        assert sum(gpu.rank is not None for gpu in gpus) == zone.num_working_gpus == 8
        assert all(gpu.pp is None for gpu in gpus if gpu.rank is None)


def test_experts_are_shared_by_neighbours_of_one_stage():
    found = service.rank_map(service.read(job({"tp": 1, "pp": 2, "dp": 8, "ep": 4}, model="mixtral-8x7b")))
    for zone in found.zones:
        assert [gpu.ep for node in zone.nodes for gpu in node.gpus] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_one_zone_has_its_nodes_and_the_others_their_summary():
    problem = service.read(job({"tp": 2, "pp": 2, "dp": 4}))
    east, west = service.rank_map(problem, zone="west").zones
    assert (east.nodes, east.num_working_gpus, len(west.nodes)) == ((), 8, 1)
    with pytest.raises(UnknownName, match="wset"):
        service.rank_map(problem, zone="wset")
