"""Laws of links: more bandwidth or less round trip is never slower, names do not matter, shares are fair and fit.

With the plan and its order of work fixed. Two kinds of sharing make anomalies possible and are left out of the first
law: where several links divide an uplink or what a node sends, or replica groups a link, what one gains another may
lose.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.core.cluster import Cluster, Zone, ZoneLink
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.cost.network import loss_bytes_per_second, max_min_rates, slow_start_seconds
from crosszone.cost.zone_collectives import Exchange, ExchangeLinks, direct_exchange, ring_exchange, tree_exchange
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_step_seconds

NUM_CASES = 100_000
SLACK = 1.0 + 1e-9
SOME = settings(max_examples=60)


@pytest.fixture(scope="module")
def draw() -> np.random.Generator:
    return np.random.default_rng(20261121)


def log_uniform(draw: np.random.Generator, low: float, high: float, *shape: int) -> Any:
    return np.exp(draw.uniform(np.log(low), np.log(high), shape or NUM_CASES))


class TestMessages:
    def test_faster_paths_are_never_slower(self, draw: np.random.Generator) -> None:
        size, flows = log_uniform(draw, 1e2, 1e12), draw.integers(1, 256, NUM_CASES)
        rate, rtt = log_uniform(draw, 1e5, 1e12), log_uniform(draw, 1e-5, 0.5)

        def seconds(rate: Any, rtt: Any, size: Any = size) -> Any:
            return size / rate + slow_start_seconds(size, bytes_per_second=rate, rtt_seconds=rtt, num_flows=flows)

        base = seconds(rate, rtt)
        more = log_uniform(draw, 1.0, 100.0)
        assert (seconds(rate * more, rtt) <= base * SLACK).all()
        assert (seconds(rate, rtt / more) <= base * SLACK).all()
        assert (seconds(rate, rtt, size / more) <= base * SLACK).all()

    @pytest.mark.parametrize("control", ["reno", "cubic"])
    def test_less_loss_and_less_distance_are_never_slower(self, draw: np.random.Generator, control: str) -> None:
        loss, rtt, less = log_uniform(draw, 1e-9, 0.1), log_uniform(draw, 1e-5, 0.5), log_uniform(draw, 1.0, 10.0)
        base = loss_bytes_per_second(loss, rtt, control)
        assert (loss_bytes_per_second(loss / less, rtt, control) * SLACK >= base).all()
        assert (loss_bytes_per_second(loss, rtt / less, control) * SLACK >= base).all()


class TestExchanges:
    ZONES = 4

    def links(self, draw: np.random.Generator) -> ExchangeLinks:
        return ExchangeLinks(
            bytes_per_second=log_uniform(draw, 1e6, 1e11, NUM_CASES, self.ZONES),
            latency_seconds=log_uniform(draw, 1e-4, 0.2, self.ZONES),
            jitter_seconds=log_uniform(draw, 1e-5, 0.02, self.ZONES),
            num_flows=draw.integers(1, 256, NUM_CASES),
        )

    def exchanges(self, links: ExchangeLinks, size: Any) -> list[Exchange]:
        return [
            ring_exchange(links, num_zones=self.ZONES, num_ranks=64, is_flat=np.array(is_flat), all_reduce_bytes=size)
            for is_flat in (False, True)
        ] + [
            tree_exchange(links, num_levels=2, all_reduce_bytes=size),
            direct_exchange(links, num_zones=self.ZONES, all_reduce_bytes=size),
        ]

    def test_faster_links_are_never_slower(self, draw: np.random.Generator) -> None:
        links, size = self.links(draw), log_uniform(draw, 1e4, 1e12)
        more = log_uniform(draw, 1.0, 10.0, NUM_CASES, self.ZONES)
        wider = dataclasses.replace(links, bytes_per_second=links.bytes_per_second * more)
        nearer = dataclasses.replace(links, latency_seconds=links.latency_seconds / more[0])
        steadier = dataclasses.replace(links, jitter_seconds=links.jitter_seconds / more[0])
        for better in (wider, nearer, steadier):
            for base, other in zip(self.exchanges(links, size), self.exchanges(better, size), strict=True):
                assert (other.seconds <= base.seconds * SLACK).all()
                assert (other.link_bytes == base.link_bytes).all()

    def test_the_order_of_links_does_not_matter(self, draw: np.random.Generator) -> None:
        links, size = self.links(draw), log_uniform(draw, 1e4, 1e12)
        order = draw.permutation(self.ZONES)
        turned = ExchangeLinks(
            bytes_per_second=links.bytes_per_second[:, order],
            latency_seconds=links.latency_seconds[order],
            jitter_seconds=links.jitter_seconds[order],
            num_flows=links.num_flows,
        )
        for base, other in zip(self.exchanges(links, size), self.exchanges(turned, size), strict=True):
            assert (other.seconds == base.seconds).all()


class TestFairShares:
    def test_they_fit_and_are_fair(self, draw: np.random.Generator) -> None:
        num_flows, num_resources = 5, 3
        for _ in range(20):
            uses = draw.random((num_flows, num_resources)) < 0.5
            caps = log_uniform(draw, 0.1, 10.0, NUM_CASES // 20, num_flows)
            capacities = log_uniform(draw, 0.1, 20.0, NUM_CASES // 20, num_resources)
            weights = draw.integers(1, 4, (NUM_CASES // 20, num_flows)).astype(float)
            rates = max_min_rates(caps, uses, capacities, weights)
            load = rates @ uses.astype(float)
            assert (load <= capacities * SLACK).all()
            assert (rates <= caps * SLACK).all()
            # Whoever is below its cap crosses something full, on which nobody has more by its weight.
            level = rates / weights
            is_full = load >= capacities * (1.0 - 1e-9)
            most = np.where(uses, level[..., np.newaxis], 0.0).max(axis=-2)
            is_held = (uses & is_full[:, np.newaxis] & (level[..., np.newaxis] * SLACK >= most[:, np.newaxis])).any(-1)
            assert (is_held | (rates * SLACK >= caps)).all()

    def test_names_do_not_matter(self, draw: np.random.Generator) -> None:
        caps, uses = log_uniform(draw, 0.1, 10.0, 1000, 5), draw.random((5, 3)) < 0.5
        capacities, order = log_uniform(draw, 0.1, 20.0, 1000, 3), draw.permutation(5)
        rates = max_min_rates(caps, uses, capacities)
        assert max_min_rates(caps[:, order], uses[order], capacities) == pytest.approx(rates[:, order])


PLANS = (
    {"tp": 1, "pp": 1, "microbatch_size": 1},
    {"tp": 2, "pp": 1, "microbatch_size": 2, "sync": {"method": "flat"}},
    {"tp": 2, "pp": 1, "microbatch_size": 1, "sync": {"algorithm": "tree"}},
    {"tp": 2, "pp": 1, "microbatch_size": 1, "sync": {"algorithm": "direct"}},
    {"tp": 2, "pp": 3, "microbatch_size": 1},
    {"tp": 1, "pp": 6, "microbatch_size": 1},
    {"tp": 4, "pp": 3, "microbatch_size": 2},
)
GOOD = {"bytes_per_second": 1e9, "latency_seconds": 0.02}
BETTER = {
    "bytes_per_second": 4e9,
    "node_bytes_per_second": None,
    "flow_bytes_per_second": None,
    "window_bytes": 1e8,
    "latency_seconds": 0.005,
    "jitter_seconds": 0.0,
    "loss_fraction": None,
    "congestion_control": "bbr",
}
WORSE = st.fixed_dictionaries(
    {},
    optional={
        "node_bytes_per_second": st.sampled_from([5e8, 2e9]),
        "flow_bytes_per_second": st.sampled_from([1e7, 1e8]),
        "window_bytes": st.sampled_from([1e5, 2.669e6]),
        "latency_seconds": st.sampled_from([0.001, 0.1]),
        "jitter_seconds": st.sampled_from([0.001, 0.01]),
        "loss_fraction": st.sampled_from([1e-5, 1e-2]),
        "congestion_control": st.sampled_from(["reno", "cubic"]),
        "shared": st.just("cable"),
    },
)


@functools.cache
def planned(problem: Any, request: int) -> tuple[Problem, Plan]:
    """Three zones of four GPUs, and one of `PLANS`, completed."""
    found = problem((4, 4, 4), PLANS[request])
    return found, placed(found)


def changed(problem: Problem, links: dict[tuple[str, str], dict[str, Any]], zones: tuple[Zone, ...] = ()) -> Problem:
    found = tuple(
        dataclasses.replace(link, **{**GOOD, **links.get((link.from_zone, link.to_zone), {})})
        for link in problem.cluster.links
    )
    return dataclasses.replace(problem, cluster=Cluster(zones=zones or problem.cluster.zones, links=found))


def step_seconds(problem: Problem, plan: Plan) -> float:
    return plan_step_seconds(inputs(problem, (framework_facts(plan.framework),)), plan)


PAIRS = [(start, end) for start in "abc" for end in "abc" if start != end]
drawn_links = st.fixed_dictionaries(dict.fromkeys(PAIRS, WORSE))


@SOME
@given(
    request=st.integers(0, len(PLANS) - 1),
    links=drawn_links,
    pair=st.sampled_from(PAIRS),
    key=st.sampled_from(list(BETTER)),
)
def test_a_better_link_never_slows_a_step(problem: Any, request: int, links: Any, pair: Any, key: str) -> None:
    base, plan = planned(problem, request)
    if plan.pp > 1:  # links of the stages between divide what their nodes send
        links = {ends: {**said, "node_bytes_per_second": None} for ends, said in links.items()}
    before = step_seconds(changed(base, links), plan)
    old = {**GOOD, **links[pair]}.get(key)
    new = BETTER[key]
    if old is not None and key == "latency_seconds":
        new = min(old, new)
    better = {**links, pair: {**links[pair], key: new}}
    assert step_seconds(changed(base, better), plan) <= before * SLACK


@SOME
@given(request=st.integers(0, len(PLANS) - 1), links=drawn_links, uplink=st.sampled_from([None, 5e8, 2e9]))
def test_names_of_zones_do_not_matter(problem: Any, request: int, links: Any, uplink: float | None) -> None:
    base, plan = planned(problem, request)
    other = dict(zip("abc", ("zeta", "alpha", "mu"), strict=True))
    zones = tuple(dataclasses.replace(zone, uplink_bytes_per_second=uplink) for zone in base.cluster.zones)
    first = changed(base, links, zones)
    renamed = dataclasses.replace(
        first,
        cluster=Cluster(
            zones=tuple(dataclasses.replace(zone, name=other[zone.name]) for zone in zones),
            links=tuple(_renamed(link, other) for link in first.cluster.links),
        ),
    )
    stages = tuple(dataclasses.replace(stage, zone=other[stage.zone] if stage.zone else None) for stage in plan.stages)
    replicas = tuple(
        dataclasses.replace(each, zones=tuple(other[zone] for zone in each.zones)) for each in plan.replicas
    )
    same = dataclasses.replace(plan, stages=stages, replicas=replicas)
    assert step_seconds(renamed, same) == pytest.approx(step_seconds(first, plan), rel=1e-12)


def _renamed(link: ZoneLink, other: dict[str, str]) -> ZoneLink:
    return dataclasses.replace(link, from_zone=other[link.from_zone], to_zone=other[link.to_zone])


@SOME
@given(request=st.integers(0, len(PLANS) - 1), links=drawn_links, cap=st.sampled_from([2e8, 1e9, 3e9]))
def test_an_uplink_never_speeds_a_step_up(problem: Any, request: int, links: Any, cap: float) -> None:
    base, plan = planned(problem, request)
    own = {pair: {key: value for key, value in said.items() if key != "shared"} for pair, said in links.items()}
    zones = tuple(dataclasses.replace(zone, uplink_bytes_per_second=cap) for zone in base.cluster.zones)
    assert step_seconds(changed(base, own, zones), plan) * SLACK >= step_seconds(changed(base, own), plan)


def test_a_shared_path_slows_what_meets_on_it(problem: Any) -> None:
    base, plan = planned(problem, 0)
    alone = step_seconds(changed(base, {}), plan)
    together = step_seconds(changed(base, {pair: {"shared": "cable"} for pair in PAIRS}), plan)
    assert together > alone
