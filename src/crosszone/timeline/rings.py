"""In which order zones stand on the ring over which they agree, and on which tree."""

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from crosszone.core.cluster import ZoneLink
from crosszone.core.tables import Ints
from crosszone.cost.network import link_bytes_per_second, rate_facts

MOST_PERMUTED = 8
"""Zones up to which every order is tried (7! orders of a ring); beyond, an order is improved until no turn helps."""
MOST_CHILDREN = 2
"""Of a zone in a tree. Source: NCCL, whose trees are binary (Jeaugey 2019)."""
NUM_FLOWS = 8
"""With which links are compared: one node of eight GPUs sends."""

Links = Sequence[Sequence[ZoneLink | None]]
Hop = tuple[int, int]
"""(from zone, to zone)."""
Merit = tuple[float, float]
"""(bytes per second, minus latency): larger is better."""


def best_ring(links: Links, zones: Sequence[int]) -> tuple[int, ...]:
    """The zones in the order whose slowest hop is fastest; ties go to the lower latency, then to the other hops."""
    if len(zones) < 3:
        return tuple(zones)
    merit = _merits(links, zones)
    if len(zones) <= MOST_PERMUTED:
        rings = ((zones[0], *order) for order in itertools.permutations(zones[1:]))
        return max(rings, key=lambda ring: _merit_of_all([merit[hop] for hop in _hops(ring)]))
    ring, left = [zones[0]], list(zones[1:])
    while left:
        ring.append(max(left, key=lambda zone: merit[ring[-1], zone]))
        left.remove(ring[-1])
    return _turned(tuple(ring), lambda order: sorted(merit[hop] for hop in _hops(order)))


def best_path(links: Links, zones: Sequence[int]) -> tuple[int, ...]:
    """The zones in the order whose slowest hop, of both directions, is fastest. Many zones: the best ring, cut."""
    if len(zones) < 3:
        return tuple(zones)
    one_way = _merits(links, zones)
    merit = {(a, b): _worst([one_way[a, b], one_way[b, a]]) for a, b in one_way}
    ways: Iterable[tuple[int, ...]]
    if len(zones) <= MOST_PERMUTED:
        place = {zone: index for index, zone in enumerate(zones)}
        ways = (path for path in itertools.permutations(zones) if place[path[0]] < place[path[-1]])
    else:
        ring = best_ring(links, zones)
        ways = (ring[start:] + ring[:start] for start in range(len(ring)))
    return max(ways, key=lambda path: _worst([merit[hop] for hop in itertools.pairwise(path)]))


def best_tree(links: Links, zones: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(child, parent) of a tree over the zones, parents first, with two children at most (as NCCL's trees have).

    It grows from each zone in turn by the link that is fastest both ways, then nearest, then nearest to the root; the
    tree whose slowest link is fastest is kept, then the one with fewer levels, then the one whose other links are
    faster. (The best such tree is NP-hard to find; without the limit on children this is Prim's algorithm, and exact.)
    """
    one_way = _merits(links, zones)
    merit = {(a, b): min(one_way[a, b], one_way[b, a]) for a, b in one_way}
    rank = _ranked(merit, zones)
    trees = (_grown(rank, root, zones) for root in range(len(zones)))
    return max(trees, key=lambda tree: _merit_of_tree([merit[edge] for edge in tree], tree_levels(tree)))


def tree_levels(edges: Sequence[tuple[int, int]]) -> int:
    """Hops from the root to the zone that is farthest; `edges` are (child, parent), parents first."""
    level: dict[int, int] = {}
    for child, parent in edges:
        level[child] = level.get(parent, 0) + 1
    return max(level.values(), default=0)


def node_bytes_per_second(links: Links, zones: Sequence[int]) -> dict[Hop, float]:
    """What one node gets of every hop; NaN where no cap is known, 0 where there is no link."""
    known: dict[object, float] = {}

    def rate(link: ZoneLink | None) -> float:
        if link is None:
            return 0.0
        facts = rate_facts(link)
        if facts not in known:  # the links of many zones are mostly alike
            known[facts] = float(link_bytes_per_second(link, num_nodes=1, num_flows=NUM_FLOWS))
        return known[facts]

    return {(start, end): rate(links[start][end]) for start, end in itertools.permutations(zones, 2)}


def _merits(links: Links, zones: Sequence[int]) -> dict[Hop, Merit]:
    """Of every hop."""
    found = {}
    for hop, rate in node_bytes_per_second(links, zones).items():
        link = links[hop[0]][hop[1]]
        found[hop] = (rate, float("-inf") if link is None else -link.latency_seconds)
    return found


def _hops(ring: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip(ring, (*ring[1:], ring[0]), strict=True)


def _worst(hops: Sequence[Merit]) -> Merit:
    """The lowest bandwidth and the longest latency."""
    return min(rate for rate, _ in hops), min(latency for _, latency in hops)


def _merit_of_all(hops: Sequence[Merit]) -> tuple[Merit, list[Merit]]:
    """The worst decides, then the others: what is told apart by its links never by the order of a file."""
    return _worst(hops), sorted(hops)


def _merit_of_tree(links: Sequence[Merit], num_levels: int) -> tuple[list[Merit], int, list[Merit]]:
    ordered = sorted(links)
    return ordered[:1], -num_levels, ordered


def _turned(ring: tuple[int, ...], merit: Callable[[tuple[int, ...]], list[Merit]]) -> tuple[int, ...]:
    """2-opt: parts of the ring are turned round while that makes its worst hops better (Croes 1958)."""
    best, improves = merit(ring), True
    while improves:
        improves = False
        for start, end in itertools.combinations(range(1, len(ring) + 1), 2):
            other = ring[:start] + ring[start:end][::-1] + ring[end:]
            found = merit(other)
            if found > best:
                ring, best, improves = other, found, True
    return ring


def _ranked(merit: dict[Hop, Merit], zones: Sequence[int]) -> Ints:
    """[parent, child], by place in `zones`: how many kinds of links are worse; that of a zone to itself is -1."""
    places = {each: place for place, each in enumerate(sorted(set(merit.values())))}
    return np.array([[places[merit[child, parent]] if child != parent else -1 for child in zones] for parent in zones])


def _grown(rank: Ints, root: int, zones: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The tree from the zone at this place. Of links that tie, that of the parent which came first."""
    count = len(zones)
    parents, level, num_children = [root], np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    merit, edges = rank * count, list[tuple[int, int]]()
    merit[:, root] = -2 * count  # less than any link, however deep its parent: no child again
    while len(parents) < count:
        free = [parent for parent in parents if num_children[parent] < MOST_CHILDREN]
        nearest = merit[free] - level[free, np.newaxis]
        place, child = divmod(int(np.argmax(nearest)), count)
        parent = free[place]
        parents.append(child)
        level[child], num_children[parent] = level[parent] + 1, num_children[parent] + 1
        merit[:, child] = merit[:, root]
        edges.append((zones[child], zones[parent]))
    return tuple(edges)
