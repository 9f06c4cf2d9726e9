"""Pipelines laid on pools: what every shape keeps, and what nodes of unusual size allow."""

from typing import Any

import numpy as np
import pytest

from crosszone.core.layout import Layout
from crosszone.planner.layouts import layouts
from crosszone.planner.options import options
from crosszone.planner.shapes import Shapes, shapes

FABRIC = {"kind": "nvlink", "num_gpus": 72, "bandwidth": "900 GB/s"}


def every(prepared: Any) -> list[tuple[Layout, Shapes]]:
    return [(layout, shapes(prepared, layout, options(prepared))) for layout in layouts(prepared)]


def most_tp(prepared: Any) -> int:
    found = shapes(prepared, Layout(chains=((0,),), ring=(), crosses_pp=False), options(prepared))
    return int(found.tp.max())


def usable(prepared: Any, tp: int) -> int:
    """GPUs that replicas of one stage on `tp` ranks may take together."""
    found = shapes(prepared, Layout(chains=((0,),), ring=(), crosses_pp=False), options(prepared))
    rows = (found.tp == tp) & (found.pp == 1) & (found.cp == 1)
    return int(found.most_replicas[rows, 0].max(initial=0)) * tp


@pytest.fixture(params=["one", "uneven zones", "two pools", "odd nodes", "two pools in two zones", "single GPUs"])
def cluster(request: pytest.FixtureRequest, prepared: Any, nodes: Any) -> Any:
    zones: dict[str, list[Any]] = {
        "one": [nodes(8, count=2)],
        "uneven zones": [2, 4, 8],
        "two pools": [[nodes(8), nodes(4, count=3)]],
        "odd nodes": [nodes(6, count=2), nodes(5, count=3)],
        "two pools in two zones": [[nodes(8), nodes(2)], [nodes(4, gpu="h100-sxm5-80gb")]],
        "single GPUs": [1, 1, 1],
    }
    return prepared(*zones[request.param], length=8192)


def test_layers_and_stages_add_up_in_every_chain(cluster: Any) -> None:
    for layout, found in every(cluster):
        for chain in range(len(layout.chains)):
            runs = np.flatnonzero(found.chain == chain)
            assert (found.run_layers[:, runs].sum(axis=1) == 8).all()
            assert (found.num_stages[:, runs].sum(axis=1) == found.pp).all()


def test_every_stage_has_a_layer_and_absent_runs_have_none(cluster: Any) -> None:
    for _, found in every(cluster):
        assert (found.num_stages >= 0).all()
        assert (found.run_layers >= found.num_stages).all()
        assert (found.run_layers[found.num_stages == 0] == 0).all()


def test_runs_follow_each_other(cluster: Any) -> None:
    for layout, found in every(cluster):
        for chain in range(len(layout.chains)):
            runs = np.flatnonzero(found.chain == chain)
            stages, layers = found.num_stages[:, runs], found.run_layers[:, runs]
            assert (found.stage[:, runs] == np.cumsum(stages, axis=1) - stages).all()
            assert (found.first_layer[:, runs] == np.cumsum(layers, axis=1) - layers).all()


def test_no_pool_gives_more_gpus_than_it_has(cluster: Any) -> None:
    for _, found in every(cluster):
        used = np.zeros((len(found.tp), len(cluster.pools)), dtype=int)
        for run, (pool, chain) in enumerate(zip(found.pool, found.chain, strict=True)):
            used[:, pool] += found.num_stages[:, run] * found.most_replicas[:, chain] * found.tp * found.cp
        assert (used <= cluster.hardware.num_gpus).all()


def test_every_chain_has_a_replica_and_every_pool_of_a_chain_a_stage(cluster: Any) -> None:
    for layout, found in every(cluster):
        assert (found.most_replicas >= 1).all()
        for index, chain in enumerate(layout.chains):
            for pool in chain:
                runs = (found.pool == pool) & (found.chain == index)
                assert (found.num_stages[:, runs].sum(axis=1) >= 1).all()


def test_shapes_are_even_or_say_that_they_are_not(cluster: Any) -> None:
    for _, found in every(cluster):
        assert (8 % found.pp[found.is_even] == 0).all()
        assert (found.is_even != found.is_uneven).all()


def test_chains_cut_the_model_at_the_same_layers(prepared: Any, nodes: Any) -> None:
    # Their stages agree on gradients, layer by layer.
    ready = prepared(nodes(8), nodes(4, gpu="h100-sxm5-80gb"))
    layout = next(layout for layout in layouts(ready) if len(layout.chains) == 2)
    found = shapes(ready, layout, options(ready))
    first, second = (found.run_layers[:, found.chain == chain] for chain in (0, 1))
    assert (first == second).all()


def test_groups_of_tp_stay_inside_a_node_of_six(prepared: Any, nodes: Any) -> None:
    ready = prepared(nodes(6, count=2))
    assert usable(ready, 4) == 8
    assert usable(ready, 2) == 12
    assert most_tp(ready) == 4


def test_groups_of_tp_span_nodes_only_where_they_fill_them(prepared: Any, nodes: Any) -> None:
    heads = {"num_heads": 16, "num_kv_heads": 16}
    assert usable(prepared(nodes(8, count=3), model=heads, plan={"tp": 16}), 16) == 16
    assert usable(prepared(nodes(5, count=4), model=heads, plan={"tp": 16}), 16) == 0
    assert usable(prepared(nodes(6, count=4), model=heads, plan={"tp": 8}), 8) == 0


def test_groups_of_tp_span_nodes_only_where_the_job_file_asks(prepared: Any, nodes: Any) -> None:
    heads = {"num_heads": 16, "num_kv_heads": 16}
    assert most_tp(prepared(nodes(8, count=3), model=heads)) == 8


def test_a_fabric_beyond_the_node_is_used_whole(prepared: Any, nodes: Any) -> None:
    heads = {"num_heads": 16, "num_kv_heads": 16}
    assert usable(prepared(nodes(4, count=18, gpu="gb200-nvl72", fabric=FABRIC), model=heads), 16) == 64


def test_groups_of_tp_do_not_straddle_two_fabrics(prepared: Any, nodes: Any) -> None:
    heads = {"num_heads": 16, "num_kv_heads": 16}
    # 9 groups of 16 would need one across the two fabrics of 72; the 4 GPUs of the third hold none.
    assert usable(prepared(nodes(4, count=37, gpu="gb200-nvl72", fabric=FABRIC), model=heads), 16) == 128


def test_gpus_that_the_job_file_wants_idle_are_left_alone(prepared: Any, nodes: Any) -> None:
    idle = [{"zone": "a", "num_gpus": 4}]
    ready = prepared(nodes(8, count=2), plan={"idle_gpus": idle})
    assert usable(ready, 4) == 12
    assert usable(ready, 8) == 8


def test_a_fixed_depth_is_the_only_one(prepared: Any) -> None:
    for _, found in every(prepared(4, 8, plan={"pp": 3})):
        assert (found.pp == 3).all()


def test_a_pipeline_through_zones_spends_what_each_has(prepared: Any) -> None:
    ready = prepared(2, 4, 8)
    chain = next(layout for layout in layouts(ready) if len(layout.chains[0]) == 3)
    found = shapes(ready, chain, options(ready))
    rows = (found.tp == 1) & (found.cp == 1) & (found.most_replicas[:, 0] == 2) & ~found.is_even
    # 1 + 2 + 4 stages of two replicas each: none of the 14 GPUs is idle.
    assert (found.pp[rows] == 7).all()
    assert rows.sum() >= 1


def test_a_heavy_head_leaves_the_last_stage_fewer_layers(prepared: Any) -> None:
    ready = prepared(4, model={"vocab_size": 512000, "num_layers": 16})
    found = shapes(ready, Layout(chains=((0,),), ring=(), crosses_pp=False), options(ready))
    rows = np.flatnonzero((found.pp == 4) & ~found.is_even)
    assert len(rows)
    assert (found.run_layers[rows, -1] < 4).all()


def test_a_faster_pool_holds_more_layers(prepared: Any, nodes: Any) -> None:
    ready = prepared([nodes(1), nodes(1, gpu="h100-sxm5-80gb")], model={"num_layers": 16, "vocab_size": 1000})
    layout = next(layout for layout in layouts(ready) if len(layout.chains[0]) == 2)
    found = shapes(ready, layout, options(ready))
    balanced = np.flatnonzero((found.pp == 2) & ~found.is_even)
    slow, fast = (int(found.run_layers[balanced[0], found.pool == pool].sum()) for pool in (0, 1))
    assert fast > slow
