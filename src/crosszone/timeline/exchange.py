"""The exchange between the zones of a layout: which links it uses, what they carry and how long it takes."""

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Bools, Floats, Ints
from crosszone.cost.zone_collectives import Exchange, ExchangeLinks, direct_exchange, ring_exchange, tree_exchange
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.paths import PoolPair, link_between, rates_at_once
from crosszone.timeline.rings import best_tree, tree_levels


def exchange_links(inputs: Inputs, layout: Layout, algorithm: str = "ring") -> list[PoolPair]:
    """(from pool, to pool) of each directed link, by the first pool of each zone; empty within one zone.

    All of them carry the same bytes. A tree's links are both directions of its edges.
    """
    ring = layout.ring
    if len(ring) < 2:
        return []
    pool = _pools(inputs, layout)
    if algorithm == "ring":
        pairs = list(zip(ring, ring[1:] + ring[:1], strict=True))
    elif algorithm == "tree":
        pairs = [pair for edge in best_tree(inputs.links, ring) for pair in (edge, edge[::-1])]
    else:
        pairs = [(start, end) for start in ring for end in ring if start != end]
    return [(pool[start], pool[end]) for start, end in pairs]


def zone_exchange(
    inputs: Inputs,
    layout: Layout,
    algorithm: str,
    *,
    num_flows: Ints,
    num_ranks: Ints,
    is_flat: Bools,
    all_reduce_bytes: Floats,
    half_bytes: Floats,
    is_warm: Bools,
) -> Exchange:
    """One exchange of plans that all have this layout: a value per plan, 0 within one zone.

    `num_flows` counts the ranks of a zone that send. `half_bytes` are only scattered or gathered, for which `tree`
    takes the ring (no library has a tree for it): ask for `ring`. `is_warm`: it follows another within a time-out.
    """
    pairs = exchange_links(inputs, layout, algorithm)
    if not pairs:
        zeros = np.zeros(len(num_flows))
        return Exchange(link_bytes=zeros, transfer_seconds=zeros, latency_seconds=zeros)
    links = _used(inputs, pairs, num_flows)
    if algorithm == "tree":
        levels = tree_levels(best_tree(inputs.links, layout.ring))
        return tree_exchange(links, num_levels=levels, all_reduce_bytes=all_reduce_bytes, is_warm=is_warm)
    moved = {"all_reduce_bytes": all_reduce_bytes, "half_bytes": half_bytes}
    num_zones = len(layout.ring)
    if algorithm == "direct":
        return direct_exchange(links, num_zones=num_zones, is_warm=is_warm, **moved)
    return ring_exchange(links, num_zones=num_zones, num_ranks=num_ranks, is_flat=is_flat, is_warm=is_warm, **moved)


def exchange_dollars_per_byte(inputs: Inputs, layout: Layout, algorithm: str) -> float:
    """Egress price of one byte on each link of the exchange together; NaN where a link's price is unknown."""
    prices = [link_between(inputs, pair).egress_dollars_per_byte for pair in exchange_links(inputs, layout, algorithm)]
    return float(sum(np.nan if price is None else price for price in prices))


def _pools(inputs: Inputs, layout: Layout) -> dict[int, int]:
    """The pool that stands for each zone of the ring: the first that the layout uses."""
    zone = inputs.hardware.zone
    first = {int(zone[index]): index for index in reversed(range(len(zone)))}
    used = {int(zone[pool]): pool for chain in reversed(layout.chains) for pool in reversed(chain)}
    return first | used


def _used(inputs: Inputs, pairs: list[PoolPair], num_flows: Ints) -> ExchangeLinks:
    links = [link_between(inputs, pair) for pair in pairs]
    streams = np.array([link.num_streams or 1 for link in links])
    return ExchangeLinks(
        bytes_per_second=rates_at_once(inputs, pairs, num_flows),
        latency_seconds=np.array([link.latency_seconds for link in links]),
        # The round trip's spread, as written, comes from two ways that are independent and alike.
        jitter_seconds=np.array([link.jitter_seconds or 0.0 for link in links]) / np.sqrt(2.0),
        num_flows=np.asarray(num_flows[..., np.newaxis] * streams, dtype=float),
    )
