"""In which order zones stand on the ring over which they agree."""

import itertools
from collections.abc import Sequence

from crosszone.core.cluster import ZoneLink

MOST_PERMUTED = 7
"""Zones up to which every order is tried (6! orders); beyond, the ring grows by its best next hop."""


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
    """The zones in the order whose slowest hop is fastest, without a way back: the ring, cut at its worst hop."""
    ring = best_ring(links, zones)
    if len(ring) < 3:
        return ring
    cuts = (ring[start:] + ring[:start] for start in range(len(ring)))
    return max(cuts, key=lambda path: min(_hop_merit(links, a, b) for a, b in itertools.pairwise(path)))


def _merit(links: Sequence[Sequence[ZoneLink | None]], ring: Sequence[int]) -> tuple[float, float]:
    hops = [_hop_merit(links, start, end) for start, end in zip(ring, [*ring[1:], ring[0]], strict=True)]
    return min(rate for rate, _ in hops), min(latency for _, latency in hops)


def _hop_merit(links: Sequence[Sequence[ZoneLink | None]], start: int, end: int) -> tuple[float, float]:
    """(bandwidth, minus latency): larger is better."""
    link = links[start][end]
    if link is None:
        return 0.0, float("-inf")
    caps = (link.bytes_per_second, link.node_bytes_per_second, link.flow_bytes_per_second)
    return min((cap for cap in caps if cap), default=float("inf")), -link.latency_seconds
