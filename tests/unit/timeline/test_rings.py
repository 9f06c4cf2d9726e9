"""Orders of zones: the slowest hop decides."""

import itertools
import random

import pytest

from crosszone.core.cluster import ZoneLink
from crosszone.timeline.rings import MOST_PERMUTED, best_path, best_ring, best_tree, tree_levels

Links = list[list[ZoneLink | None]]


def matrix(rates: dict[tuple[int, int], float], count: int, *, latency: float = 0.01) -> Links:
    """Links with these rates in both directions; pairs that are not named have 1 byte a second."""

    def link(start: int, end: int) -> ZoneLink:
        rate = rates.get((start, end), rates.get((end, start), 1.0))
        return ZoneLink(from_zone=str(start), to_zone=str(end), latency_seconds=latency, bytes_per_second=rate)

    return [[None if start == end else link(start, end) for end in range(count)] for start in range(count)]


def slowest(links: Links, hops: list[tuple[int, int]]) -> float:
    found = [links[start][end] for start, end in hops]
    return min(link.bytes_per_second or 0.0 for link in found if link)


def ring_hops(ring: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(ring, ring[1:] + ring[:1], strict=True))


def test_one_and_two_zones_have_one_order() -> None:
    links = matrix({}, 3)
    assert best_ring(links, [2]) == best_path(links, [2]) == (2,)
    assert best_ring(links, [0, 2]) == (0, 2)
    assert set(best_path(links, [0, 2])) == {0, 2}


def test_a_ring_avoids_the_slow_hop() -> None:
    # The ring 0-1-2-3 has only fast hops; 0-2 and 1-3 are slow.
    links = matrix({(0, 1): 10.0, (1, 2): 10.0, (2, 3): 10.0, (3, 0): 10.0}, 4)
    assert slowest(links, ring_hops(best_ring(links, [0, 2, 1, 3]))) == 10.0


def test_a_path_is_cut_where_the_ring_is_slowest() -> None:
    links = matrix({(0, 1): 10.0, (1, 2): 10.0, (0, 2): 2.0}, 3)
    path = best_path(links, [0, 1, 2])
    assert path in {(0, 1, 2), (2, 1, 0)}


def test_latency_breaks_ties() -> None:
    links = matrix({(0, 1): 5.0, (0, 2): 5.0, (0, 3): 5.0, (1, 2): 5.0, (2, 3): 5.0, (1, 3): 5.0}, 4)
    for start, end in ((0, 2), (2, 0), (1, 3), (3, 1)):
        link = links[start][end]
        assert link
        links[start][end] = ZoneLink(
            from_zone=link.from_zone, to_zone=link.to_zone, latency_seconds=0.5, bytes_per_second=5.0
        )
    hops = ring_hops(best_ring(links, [0, 2, 1, 3]))
    assert all(links[start][end].latency_seconds == 0.01 for start, end in hops)  # type: ignore[union-attr]


def test_caps_of_nodes_and_flows_count() -> None:
    links = matrix({(0, 1): 10.0, (1, 2): 10.0, (0, 2): 10.0}, 3)
    for start, end in ((0, 1), (1, 0)):
        links[start][end] = ZoneLink(
            from_zone=str(start),
            to_zone=str(end),
            latency_seconds=0.01,
            bytes_per_second=10.0,
            node_bytes_per_second=0.5,
        )
    assert best_path(links, [0, 1, 2]) in {(0, 2, 1), (1, 2, 0)}


@pytest.mark.parametrize("seed", range(8))
def test_no_order_of_few_zones_is_better(seed: int) -> None:
    draw = random.Random(seed)
    count = draw.randint(3, 6)
    pairs = itertools.combinations(range(count), 2)
    links = matrix({pair: float(draw.randint(1, 20)) for pair in pairs}, count)
    ring, path = best_ring(links, list(range(count))), best_path(links, list(range(count)))
    orders = list(itertools.permutations(range(count)))
    assert slowest(links, ring_hops(ring)) == max(slowest(links, ring_hops(order)) for order in orders)
    assert sorted(path) == list(range(count))
    assert slowest(links, list(itertools.pairwise(path))) == max(
        slowest(links, list(itertools.pairwise(order))) for order in orders
    )


def test_a_path_is_walked_both_ways() -> None:
    # 0>1 is fast but 1>0 is not: gradients go back there.
    links = matrix({(0, 1): 10.0, (1, 2): 10.0, (0, 2): 5.0}, 3)
    links[1][0] = ZoneLink(from_zone="1", to_zone="0", latency_seconds=0.01, bytes_per_second=0.1)
    assert best_path(links, [0, 1, 2]) in {(0, 2, 1), (1, 2, 0)}


def test_many_zones_are_each_visited_once() -> None:
    count = MOST_PERMUTED + 3
    draw = random.Random(1)
    links = matrix({pair: draw.uniform(1.0, 10.0) for pair in itertools.combinations(range(count), 2)}, count)
    assert sorted(best_ring(links, list(range(count)))) == list(range(count))
    assert sorted(best_path(links, list(range(count)))) == list(range(count))


def test_a_missing_link_is_the_last_resort() -> None:
    links = matrix({(0, 1): 1.0, (1, 2): 1.0, (2, 3): 1.0, (3, 0): 1.0}, 4)
    for start, end in ((0, 2), (2, 0), (1, 3), (3, 1)):
        links[start][end] = None
    assert all(links[start][end] for start, end in ring_hops(best_ring(links, [0, 2, 1, 3])))


def test_the_best_path_need_not_lie_on_the_best_ring() -> None:
    # The ring's slowest hop is 2 in any order, so that latency chooses among them; the path 0-1-2-3 has only tens.
    links = matrix({(0, 1): 10.0, (1, 2): 10.0, (2, 3): 10.0, (0, 3): 1.0, (0, 2): 2.0, (1, 3): 2.0}, 4)
    path = best_path(links, [0, 1, 2, 3])
    assert slowest(links, list(itertools.pairwise(path))) == 10.0


def test_many_zones_are_turned_until_nothing_helps() -> None:
    # Zones on a circle, fast to their neighbours only. By the best next hop alone, ties lead astray.
    count = 12
    near = {(zone, (zone + 1) % count): 10.0 for zone in range(count)}
    links = matrix(near, count)
    draw = random.Random(3)
    for _ in range(5):
        zones = draw.sample(range(count), count)
        assert slowest(links, ring_hops(best_ring(links, zones))) == 10.0


def test_windows_and_loss_count() -> None:
    # Long paths carry less than their bandwidth: eight windows of 1 MB over 400 ms are 20 MB/s.
    links = matrix({(0, 1): 1e9, (1, 2): 1e8, (0, 2): 1e8}, 3)
    for start, end in ((0, 1), (1, 0)):
        links[start][end] = ZoneLink(
            from_zone=str(start), to_zone=str(end), latency_seconds=0.2, bytes_per_second=1e9, window_bytes=1e6
        )
    assert best_path(links, [0, 1, 2]) in {(0, 2, 1), (1, 2, 0)}


class TestTree:
    def test_it_takes_the_fastest_links(self) -> None:
        links = matrix({(0, 1): 10.0, (1, 2): 10.0, (2, 3): 10.0, (0, 2): 2.0, (1, 3): 2.0, (0, 3): 1.0}, 4)
        edges = best_tree(links, [0, 1, 2, 3])
        assert {frozenset(edge) for edge in edges} == {frozenset((0, 1)), frozenset((1, 2)), frozenset((2, 3))}
        # Rooted in the middle: two levels, not three.
        assert tree_levels(edges) == 2

    def test_equal_links_give_a_binary_tree(self) -> None:
        links = matrix(dict.fromkeys(itertools.combinations(range(7), 2), 5.0), 7)
        edges = best_tree(links, list(range(7)))
        assert tree_levels(edges) == 2
        assert max(sum(parent == zone for _, parent in edges) for zone in range(7)) == 2

    @pytest.mark.parametrize("count", [1, 2, 3, 9])
    def test_every_zone_but_the_root_has_a_parent_before_it(self, count: int) -> None:
        draw = random.Random(count)
        links = matrix({pair: draw.uniform(1.0, 9.0) for pair in itertools.combinations(range(count), 2)}, count)
        edges = best_tree(links, list(range(count)))
        seen = {edges[0][1]} if edges else {0}
        for child, parent in edges:
            assert parent in seen
            seen.add(child)
        assert seen == set(range(count))

    def test_both_directions_of_an_edge_count(self) -> None:
        links = matrix({(0, 1): 10.0, (1, 2): 5.0, (0, 2): 5.0}, 3)
        links[1][0] = ZoneLink(from_zone="1", to_zone="0", latency_seconds=0.01, bytes_per_second=0.1)
        assert {frozenset(edge) for edge in best_tree(links, [0, 1, 2])} == {frozenset((0, 2)), frozenset((1, 2))}
