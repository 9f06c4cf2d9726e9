"""Which pools work together, and in what order zones stand."""

from typing import Any

import pytest

from crosszone.core.cluster import ZoneLink
from crosszone.core.layout import Layout
from crosszone.planner.layouts import MOST_SUBSETS, layouts
from crosszone.timeline.rings import best_path, best_ring


def links(num_zones: int, rates: dict[tuple[int, int], float], *, rest: float = 1.0) -> list[list[ZoneLink | None]]:
    """Links both ways between all zones, with these rates where named."""

    def link(start: int, end: int) -> ZoneLink | None:
        if start == end:
            return None
        rate = rates.get((start, end), rates.get((end, start), rest))
        return ZoneLink(from_zone=str(start), to_zone=str(end), latency_seconds=0.01, bytes_per_second=rate)

    return [[link(start, end) for end in range(num_zones)] for start in range(num_zones)]


def zones_of(layout: Layout, prepared: Any) -> set[int]:
    return {int(prepared.hardware.zone[pool]) for chain in layout.chains for pool in chain}


def test_one_zone_of_one_pool_has_one_layout(prepared: Any) -> None:
    assert layouts(prepared(8)) == (Layout(chains=((0,),), ring=(), crosses_pp=False),)


def test_two_zones_are_joined_by_replicas_or_by_a_pipeline_either_way_round(prepared: Any) -> None:
    found = layouts(prepared(4, 4))
    assert len(found) == 5
    assert Layout(chains=((0,), (1,)), ring=(0, 1), crosses_pp=False) in found
    assert Layout(chains=((0, 1),), ring=(), crosses_pp=True) in found
    assert Layout(chains=((1, 0),), ring=(), crosses_pp=True) in found


def test_every_subset_of_three_zones_is_tried(prepared: Any) -> None:
    ready = prepared(2, 4, 8)
    found = {frozenset(zones_of(layout, ready)) for layout in layouts(ready)}
    assert len(found) == 7


def test_plans_of_one_zone_come_first(prepared: Any) -> None:
    ready = prepared(2, 4, 8)
    counts = [len(zones_of(layout, ready)) for layout in layouts(ready)]
    assert counts == sorted(counts)


def test_excluded_zones_are_in_no_layout(prepared: Any) -> None:
    ready = prepared(2, 4, 8)
    assert {1} not in [zones_of(layout, ready) & {1} for layout in layouts(ready, ["b"])]
    assert len(layouts(ready, ["b"])) == 5


def test_pools_of_one_zone_are_tried_alone_and_together_without_crossing_zones(prepared: Any, nodes: Any) -> None:
    found = layouts(prepared([nodes(8), nodes(4), nodes(8, gpu="h100-sxm5-80gb")]))
    used = {frozenset(pool for chain in layout.chains for pool in chain) for layout in found}
    assert len(used) == 7
    assert not any(layout.crosses_pp or layout.ring for layout in found)


def test_zones_of_several_pools_may_each_be_a_pipeline(prepared: Any, nodes: Any) -> None:
    found = layouts(prepared([nodes(8), nodes(4)], [nodes(8)]))
    assert Layout(chains=((0, 1), (2,)), ring=(0, 1), crosses_pp=False) in found


def test_twenty_zones_stay_few_layouts_and_hold_each_zone_alone_and_all_together(prepared: Any) -> None:
    ready = prepared(*[2] * 20)
    found = layouts(ready)
    sets = [zones_of(layout, ready) for layout in found]
    assert len(found) <= 20 + 3 * 19
    assert all({zone} in sets for zone in range(20))
    assert set(range(20)) in sets


def test_many_pools_in_several_zones_stay_few_layouts(prepared: Any, nodes: Any) -> None:
    ready = prepared(*[[nodes(8), nodes(4), nodes(2), nodes(1)]] * 3)
    found = layouts(ready)
    assert len(found) < 150
    together = max(len({pool for chain in layout.chains for pool in chain}) for layout in found)
    assert together == 12


def test_beyond_the_limit_the_pools_that_do_most_work_come_first(prepared: Any, nodes: Any) -> None:
    sizes = [1, 8, 2, 4, 3, 6, 5]
    assert len(sizes) > MOST_SUBSETS
    found = layouts(prepared([nodes(size) for size in sizes]))
    used = {tuple(sorted({pool for chain in layout.chains for pool in chain})) for layout in found}
    assert {(1,), (1, 5), (1, 5, 6), tuple(range(7))} <= used
    assert (0, 2) not in used


def test_the_ring_avoids_the_slowest_link() -> None:
    ring = best_ring(links(4, {(0, 2): 0.01, (1, 3): 0.01}), [0, 1, 2, 3])
    hops = {frozenset(hop) for hop in zip(ring, [*ring[1:], ring[0]], strict=True)}
    assert hops == {frozenset(pair) for pair in ((0, 1), (1, 2), (2, 3), (3, 0))}


def test_a_path_leaves_out_the_worst_hop_of_the_ring() -> None:
    # All three links are in the ring; only the path can avoid the one between the first and the second zone.
    path = best_path(links(3, {(0, 1): 0.01}), [0, 1, 2])
    assert path in ((0, 2, 1), (1, 2, 0))


@pytest.mark.parametrize("num_zones", [1, 2, 3, 9, 20])
def test_rings_and_paths_hold_every_zone_once(num_zones: int) -> None:
    matrix = links(num_zones, {(0, 1): 5.0}) if num_zones > 1 else [[None]]
    for order in (best_ring(matrix, range(num_zones)), best_path(matrix, range(num_zones))):
        assert sorted(order) == list(range(num_zones))


def test_pipelines_go_along_fast_links(problem: Any, prepared: Any) -> None:
    slow = [{"between": ["a", "b"], "bandwidth": "1 Mbit/s", "rtt": "20 ms"}]
    found = [layout.chains[0] for layout in layouts(prepared(2, 2, 2, links=slow)) if layout.crosses_pp]
    assert {(0, 2, 1), (1, 2, 0)} <= set(found)
    assert (0, 1, 2) not in found
