"""Table rows as placed plans: shares, weights, idle GPUs, and the way back."""

from typing import Any

import numpy as np
import pytest

from crosszone.core.plan import Plan
from crosszone.planner.general import to_plan
from crosszone.planner.layouts import layouts
from crosszone.planner.options import options
from crosszone.planner.space import candidates
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import plan_step_seconds
from crosszone.timeline.tabulate import tabulate

ESTIMATE_ERROR = 0.25
"""How far the estimate of the search may be from the simulation of its plan."""


def sampled(prepared: Inputs, *, every: int) -> list[tuple[Plan, float]]:
    """(plan, estimate of its step) of every n-th candidate of every layout."""
    found = []
    for layout in layouts(prepared):
        space = candidates(prepared, layout, options(prepared))
        rows = np.arange(0, len(space.plans), every)
        if not len(rows):
            continue
        tables = space.tables(rows, np.zeros_like(rows), recompute=0)
        seconds = evaluate(prepared, tables, keyed(prepared, tables.plans, space.pools)).step_seconds
        found += [(to_plan(prepared, tables, row), float(seconds[row])) for row in range(len(rows))]
    return found


@pytest.fixture(scope="module")
def clusters(prepared: Any, nodes: Any) -> list[tuple[Inputs, list[tuple[Plan, float]]]]:
    jobs = [
        prepared(nodes(8, count=2), sequences=48),
        prepared(2, nodes(4, gpu="h100-sxm5-80gb"), 8, sequences=25),
        prepared([nodes(8), nodes(6)], [nodes(5)], sequences=61),
    ]
    return [(job, sampled(job, every=7)) for job in jobs]


@pytest.fixture(params=range(3))
def cluster(request: pytest.FixtureRequest, clusters: Any) -> tuple[Inputs, list[tuple[Plan, float]]]:
    found: tuple[Inputs, list[tuple[Plan, float]]] = clusters[request.param]
    assert len(found[1]) > 20
    return found


def test_replicas_work_off_the_batch_exactly(cluster: Any) -> None:
    prepared, plans = cluster
    batch = prepared.problem.workload.global_batch_size
    for plan, _ in plans:
        shares = [replica.num_replicas * replica.num_microbatches for replica in plan.replicas]
        assert sum(shares) * plan.microbatch_size == batch
        assert sum(replica.num_replicas for replica in plan.replicas) == plan.dp
        assert all(replica.num_microbatches >= 1 for replica in plan.replicas)


def test_weights_are_shares_of_the_tokens(cluster: Any) -> None:
    prepared, plans = cluster
    for plan, _ in plans:
        assert sum(replica.weight for replica in plan.replicas) == pytest.approx(1.0)
        total = prepared.problem.workload.global_batch_size // plan.microbatch_size
        for replica in plan.replicas:
            assert replica.weight == pytest.approx(replica.num_replicas * replica.num_microbatches / total)


def test_working_and_idle_gpus_are_all_gpus(cluster: Any) -> None:
    prepared, plans = cluster
    for plan, _ in plans:
        assert plan.world_size + sum(idle.num_gpus for idle in plan.idle_gpus) == prepared.problem.cluster.num_gpus
        assert all(idle.num_gpus > 0 for idle in plan.idle_gpus)


def test_stages_hold_the_model_in_order(cluster: Any) -> None:
    _, plans = cluster
    for plan, _ in plans:
        assert len(plan.stages) == plan.pp
        assert [stage.first_layer for stage in plan.stages] == np.cumsum([0, *_layers(plan)])[:-1].tolist()
        assert sum(_layers(plan)) == 8
        assert all(len(replica.zones) == len(replica.node_groups) == plan.pp for replica in plan.replicas)


def test_a_stage_names_its_zone_where_all_replicas_keep_it_there(cluster: Any) -> None:
    _, plans = cluster
    for plan, _ in plans:
        for index, stage in enumerate(plan.stages):
            places = {(replica.zones[index], replica.node_groups[index]) for replica in plan.replicas}
            assert (stage.zone, stage.node_group) == (places.pop() if len(places) == 1 else (None, None))


def test_the_way_back_to_a_table_keeps_the_plan(cluster: Any) -> None:
    prepared, plans = cluster
    for plan, _ in plans:
        tables = tabulate(prepared, plan)
        assert tables.stages.num_layers[: plan.pp].tolist() == _layers(plan)
        most: dict[Any, int] = {}
        for replica in plan.replicas:
            place = (replica.zones, replica.node_groups)
            most[place] = max(most.get(place, 0), replica.num_microbatches)
        assert tables.replicas.num_microbatches.tolist() == list(most.values())
        assert tables.replicas.num_replicas.sum() == plan.dp


def test_the_simulated_step_is_near_the_estimate_that_ranked_it(cluster: Any) -> None:
    prepared, plans = cluster
    errors = [abs(plan_step_seconds(prepared, plan) / estimate - 1.0) for plan, estimate in plans[::3]]
    assert max(errors) < ESTIMATE_ERROR


def test_of_stages_between_the_first_and_the_last_later_ones_take_what_is_left_over(prepared: Any) -> None:
    ready = prepared(6, plan={"pp": 6}, model={"num_layers": 12})
    between = {tuple(_layers(plan)[1:-1]) for plan, _ in sampled(ready, every=1)}
    assert any(len(set(layers)) > 1 for layers in between)
    assert all(list(layers) == sorted(layers) for layers in between)


def test_replicas_that_do_one_more_share_links_with_those_that_do_not(prepared: Any) -> None:
    # 13 microbatches for two replicas: 7 and 6. Their pipelines send over the same link at the same time.
    unequal = prepared(2, 2, plan={"pp": 2, "dp": 2}, sequences=13, bandwidth="1 Gbit/s")
    equal = prepared(2, 2, plan={"pp": 2, "dp": 2}, sequences=14, bandwidth="1 Gbit/s")
    seconds = [
        min(plan_step_seconds(ready, plan) for plan, _ in sampled(ready, every=1) if plan.zone_axis == "pp")
        for ready in (unequal, equal)
    ]
    assert seconds[0] == pytest.approx(seconds[1])


def test_what_the_search_does_not_vary_is_the_job_files(prepared: Any) -> None:
    ready = prepared(4, 4, plan={"sync": {"method": "flat"}, "bucket_bytes": "64 MB", "prefetch": 2})
    plan = sampled(ready, every=50)[0][0]
    assert plan.sync.method == "flat"
    assert plan.bucket_bytes == 64e6
    assert plan.prefetch == 2


def _layers(plan: Plan) -> list[int]:
    return [stage.num_layers for stage in plan.stages]
