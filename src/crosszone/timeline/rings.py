"""In which order zones stand on the ring over which they agree, and on which tree."""

import itertools
from collections.abc import Iterable, Sequence

from crosszone.core.cluster import ZoneLink

MOST_PERMUTED = 7
"""Zones up to which every order is tried (6! orders); beyond, the ring grows by its best next hop."""

MOST_CHILDREN = 2
"""Of a zone in a tree. Source: NCCL, whose trees are binary (Jeaugey 2019)."""


def best_ring(links: Sequence[Sequence[ZoneLink | None]], zones: Sequence[int]) -> tuple[int, ...]:
    """The zones in the order whose slowest hop is fastest; ties go to the lower latency, then to the given order."""
    first, rest = zones[0], tuple(zones[1:])
    if len(rest) < 2:
        return tuple(zones)
    if len(zones) <= MOST_PERMUTED:
        return max(((first, *order) for order in itertools.permutations(rest)), key=lambda ring: _merit(links, ring))
    ring, left = [first], list(rest)
    while left:
        ring.append(max(left, key=lambda zone: _hop_merit(links, ring[-1], zone)))
        left.remove(ring[-1])
    return tuple(ring)


def best_path(links: Sequence[Sequence[ZoneLink | None]], zones: Sequence[int]) -> tuple[int, ...]:
    """The zones in the order whose slowest hop, of both directions, is fastest. Many zones: the best ring, cut."""
    if len(zones) < 3:
        return tuple(zones)
    ways: Iterable[tuple[int, ...]]
    if len(zones) <= MOST_PERMUTED:
        place = {zone: index for index, zone in enumerate(zones)}
        ways = (path for path in itertools.permutations(zones) if place[path[0]] < place[path[-1]])
    else:
        ring = best_ring(links, zones)
        ways = (ring[start:] + ring[:start] for start in range(len(ring)))
    merit = {(a, b): _hop_merit(links, a, b) for a, b in itertools.permutations(zones, 2)}
    return max(
        ways, key=lambda path: _worst(merit[hop] for a, b in itertools.pairwise(path) for hop in ((a, b), (b, a)))
    )


def best_tree(links: Sequence[Sequence[ZoneLink | None]], zones: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(child, parent) of a tree over the zones, parents first, with two children at most (as NCCL's trees have).

    It grows from each zone in turn by the link that is fastest both ways, then nearest, then nearest to the root; the
    tree whose slowest link is fastest is kept, then the one with fewer levels. (The best such tree is NP-hard to find;
    without the limit on children this is Prim's algorithm, which is exact.)
    """
    merit = {(a, b): min(_hop_merit(links, a, b), _hop_merit(links, b, a)) for a, b in itertools.permutations(zones, 2)}
    trees = [_grown(merit, root, zones) for root in zones]
    return max(trees, key=lambda tree: (min((merit[edge] for edge in tree), default=()), -tree_levels(tree)))


def tree_levels(edges: Sequence[tuple[int, int]]) -> int:
    """Hops from the root to the zone that is farthest; `edges` are (child, parent), parents first."""
    level: dict[int, int] = {}
    for child, parent in edges:
        level[child] = level.get(parent, 0) + 1
    return max(level.values(), default=0)


def _grown(
    merit: dict[tuple[int, int], tuple[float, float]], root: int, zones: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    level, edges = {root: 0}, list[tuple[int, int]]()
    while len(level) < len(zones):
        free = [zone for zone in level if sum(parent == zone for _, parent in edges) < MOST_CHILDREN]
        left = [zone for zone in zones if zone not in level]
        child, parent = max(
            ((child, parent) for parent in free for child in left), key=lambda edge: (merit[edge], -level[edge[1]])
        )
        level[child] = level[parent] + 1
        edges.append((child, parent))
    return tuple(edges)


def _merit(links: Sequence[Sequence[ZoneLink | None]], ring: Sequence[int]) -> tuple[float, float]:
    return _worst(_hop_merit(links, start, end) for start, end in zip(ring, [*ring[1:], ring[0]], strict=True))


def _worst(hops: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The lowest bandwidth and the longest latency."""
    found = list(hops)
    return min(rate for rate, _ in found), min(latency for _, latency in found)


def _hop_merit(links: Sequence[Sequence[ZoneLink | None]], start: int, end: int) -> tuple[float, float]:
    """(bandwidth, minus latency): larger is better."""
    link = links[start][end]
    if link is None:
        return 0.0, float("-inf")
    caps = (link.bytes_per_second, link.node_bytes_per_second, link.flow_bytes_per_second)
    return min((cap for cap in caps if cap), default=float("inf")), -link.latency_seconds
