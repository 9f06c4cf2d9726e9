import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosszone.core.plan import RECOMPUTES, Sync
from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.planner import table
from crosszone.planner.bounds import Cutoffs, layout_class, least_gpu_seconds, least_step_seconds
from crosszone.planner.candidates import PER_CLASS
from crosszone.planner.general import to_plan
from crosszone.planner.layouts import layouts
from crosszone.planner.limits import objective
from crosszone.planner.link_bounds import link_bounds
from crosszone.planner.options import options
from crosszone.planner.table import Contest, Scan, scan
from crosszone.spec import read_job_text
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import plan_step_seconds

FRAMEWORKS = ("megatron", "torchtitan", "deepspeed")
TWO_ZONES = """
model: llama-3.2-1b
workload: {sequence_length: 4096, global_batch_size: 96, precision: bf16}
cluster:
  zones:
    - {name: a, nodes: [{count: 2, gpu: a100-sxm4-80gb, gpus_per_node: 8, network: 4x200 Gbit/s}]}
    - {name: b, nodes: [{count: 1, gpu: h100-sxm5-80gb, gpus_per_node: 8, network: 4x200 Gbit/s}]}
  links: [{between: [a, b], bandwidth: 20 Gbit/s, rtt: 20 ms}]
"""


@pytest.fixture(scope="module")
def problem() -> Problem:
    return read_job_text(TWO_ZONES, Path())


@pytest.fixture(scope="module", params=[FRAMEWORKS, ("torchtitan",)], ids="+".join)
def prepared(problem: Problem, request: pytest.FixtureRequest) -> Inputs:
    return inputs(problem, tuple(framework_facts(name) for name in request.param))


@pytest.fixture(scope="module")
def everything(prepared: Inputs) -> Scan:
    return scan(prepared, layouts(prepared), options(prepared, tries_ways=True))


def best_of_each_class(found: Scan, most: int) -> dict[object, list[float]]:
    values: dict[object, list[float]] = {}
    for part in found.scored:
        kind = layout_class(part.rows.layout, part.rows.space.settings.sync.method)
        values.setdefault(kind, []).extend(part.step_seconds.tolist())
    return {kind: sorted(each)[:most] for kind, each in values.items()}


def test_a_contest_keeps_the_best_of_each_class(problem: Problem, prepared: Inputs, everything: Scan) -> None:
    contest = Contest(values=functools.partial(objective, problem), most=PER_CLASS)
    found = scan(prepared, layouts(prepared), options(prepared, tries_ways=True), contest=contest)
    assert found.num_candidates < everything.num_candidates
    kept, all_of_them = best_of_each_class(found, PER_CLASS), best_of_each_class(everything, PER_CLASS)
    assert kept.keys() == all_of_them.keys()
    for kind, values in kept.items():
        assert values == pytest.approx(all_of_them[kind], rel=1e-12)


def test_a_contest_of_money_keeps_the_cheapest(problem: Problem) -> None:
    paid = replace(problem, objective=replace(problem.objective, minimize="cost"))
    zones = tuple(
        replace(zone, node_groups=tuple(replace(each, dollars_per_gpu_second=1e-3) for each in zone.node_groups))
        for zone in paid.cluster.zones
    )
    links = tuple(replace(link, egress_dollars_per_byte=1e-11) for link in paid.cluster.links)
    paid = replace(paid, cluster=replace(paid.cluster, zones=zones, links=links))
    prepared = inputs(paid, (framework_facts("megatron"),))
    contest = Contest(values=functools.partial(objective, paid), most=1)
    whole, best = (
        scan(prepared, layouts(prepared), options(prepared), contest=each).scored for each in (None, contest)
    )
    least = min(part.dollars.min() for part in whole)
    assert min(part.dollars.min() for part in best) == pytest.approx(least, rel=1e-12)


def test_no_estimate_is_below_its_bound(prepared: Inputs, everything: Scan) -> None:
    gpu_seconds = least_gpu_seconds(prepared, options(prepared))
    for part in everything.scored:
        rows, space = part.rows, part.rows.space
        keys = keyed(prepared, rows.plans(), space.pools)
        paces = table._paces(prepared, rows, keys)  # the scan's own, of every row
        alone = paces.step_seconds(np.arange(len(rows)), space.num_microbatches[rows.row])
        bound = link_bounds(prepared, space).step_seconds(rows.row, alone)
        assert (alone <= bound).all()
        assert (bound <= part.step_seconds * (1.0 + 1e-9)).all()
        assert least_step_seconds(prepared, gpu_seconds, rows.layout) <= part.step_seconds.min()


def test_no_simulated_step_is_below_its_bound(prepared: Inputs, everything: Scan) -> None:
    drawn = np.random.default_rng(5)
    for part in everything.scored:
        row = part.rows.take(drawn.integers(len(part.rows), size=1))
        paces = table._paces(prepared, row, keyed(prepared, row.plans(), row.space.pools))
        alone = paces.step_seconds(np.zeros(1, dtype=int), row.space.num_microbatches[row.row])
        bound = float(link_bounds(prepared, row.space).step_seconds(row.row, alone)[0])
        plan = to_plan(prepared, row.tables(), 0)
        # Replicas that do one microbatch more are rounded up in the estimate, and dealt out exactly in the plan.
        share = (
            1.0 - 1.0 / int(row.space.num_microbatches[row.row].min()) if part.rows.plans().is_unequal.any() else 1.0
        )
        assert plan_step_seconds(prepared, plan) >= bound * share * (1.0 - 1e-6)


@pytest.mark.parametrize("algorithm", ["ring", "tree", "direct"])
def test_zones_exchange_no_faster_than_their_bound(algorithm: str) -> None:
    alike = TWO_ZONES.replace("h100", "a100").replace("sxm5", "sxm4").replace("20 Gbit/s", "1 Gbit/s")
    far = read_job_text(alike, Path())
    far = replace(far, plan=replace(far.plan, sync=Sync(algorithm=algorithm)))
    prepared = inputs(far, tuple(framework_facts(name) for name in ("ddp", "fsdp")))
    gains = []
    for part in scan(prepared, layouts(prepared), options(prepared, tries_ways=True)).scored:
        rows = part.rows
        bound = link_bounds(prepared, rows.space).step_seconds(rows.row, np.zeros(len(rows)))
        assert (bound <= part.step_seconds * (1.0 + 1e-9)).all()
        if rows.layout.ring:
            gains.append((bound / part.step_seconds).max())
    assert max(gains) > 0.9  # hardly anything but the exchange counts here


def test_paces_of_each_recomputation_are_those_of_its_rows(prepared: Inputs, everything: Scan) -> None:
    """Also where a framework's facts depend on it: layers that torchtitan does not compile are slower."""
    part = max(everything.scored, key=lambda each: len(each.rows))
    keys = keyed(prepared, part.rows.plans(), part.rows.space.pools)
    every = list(range(len(RECOMPUTES)))
    for recompute, together in zip(every, table._paces_by_recompute(prepared, part.rows, keys, every), strict=True):
        alone = table._paces(prepared, replace(part.rows, recompute=recompute), keys)
        np.testing.assert_array_equal(together.pace_seconds, alone.pace_seconds)
        np.testing.assert_array_equal(together.lead_seconds, alone.lead_seconds)


def test_batches_do_not_change_what_is_timed(
    prepared: Inputs, everything: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "CHUNK", 100)
    again = scan(prepared, layouts(prepared), options(prepared, tries_ways=True))
    for one, other in zip(everything.scored, again.scored, strict=True):
        np.testing.assert_array_equal(one.rows.row, other.rows.row)
        np.testing.assert_allclose(one.step_seconds, other.step_seconds, rtol=1e-9)


def test_cutoffs_wait_for_enough_values() -> None:
    kind = (False, False, "hierarchical")
    cutoffs = Cutoffs(most=2)
    cutoffs.add(kind, np.array([3.0, np.inf, np.nan]))
    assert cutoffs.cutoff(kind) == np.inf
    cutoffs.add(kind, np.array([5.0, 4.0]))
    assert cutoffs.cutoff(kind) == pytest.approx(4.0, rel=1e-3)
    assert cutoffs.cutoff((True, False, "hierarchical")) == np.inf
