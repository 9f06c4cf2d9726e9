"""Which pools to use and what crosses between them: replicas (dp), stages (pp), or nothing."""

import itertools
from collections.abc import Iterator, Sequence

from crosszone.core.layout import Layout
from crosszone.planner.zone_sets import zone_sets
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rings import best_path, best_ring

MOST_SUBSETS = 6
"""Pools of the cluster up to which every subset of each zone's is tried; beyond, the fastest of each, one by one."""


def layouts(inputs: Inputs, excluded_zones: Sequence[str] = ()) -> tuple[Layout, ...]:
    """Every skeleton worth trying, those of one zone first.

    A set of pools is joined in up to three ways: each pool its own replicas, one pipeline through all, or (where a zone
    of several has several pools) one pipeline per zone.
    """
    zones = [index for index, zone in enumerate(inputs.problem.cluster.zones) if zone.name not in excluded_zones]
    found: dict[Layout, None] = {}
    for chosen in zone_sets(inputs, zones):
        for pools in _pool_sets(chosen, inputs):
            found |= dict.fromkeys(_joined(pools, inputs))
    return tuple(sorted(found, key=lambda layout: len(_zones(layout, inputs))))


def zone_of(inputs: Inputs, pool: int) -> int:
    """Index of the pool's zone."""
    return int(inputs.hardware.zone[pool])


def _zones(layout: Layout, inputs: Inputs) -> set[int]:
    return {zone_of(inputs, pool) for chain in layout.chains for pool in chain}


def _pool_sets(zones: Sequence[int], inputs: Inputs) -> Iterator[tuple[int, ...]]:
    """Sets of pools with at least one of each zone: all of them, or the fastest, the two fastest ... of each zone."""
    per_zone = [[pool.index for pool in inputs.pools if zone_of(inputs, pool.index) == zone] for zone in zones]
    if len(inputs.pools) <= MOST_SUBSETS:
        choices = itertools.product(*(_nonempty_subsets(pools) for pools in per_zone))
        yield from (tuple(pool for subset in choice for pool in subset) for choice in choices)
        return
    if len(zones) == 1:
        yield from ((pool,) for pool in per_zone[0])
    for size in range(1, max(len(pools) for pools in per_zone) + 1):
        yield tuple(pool for pools in per_zone for pool in _fastest(pools, size, inputs))


def _nonempty_subsets(pools: Sequence[int]) -> list[tuple[int, ...]]:
    return [subset for size in range(1, len(pools) + 1) for subset in itertools.combinations(pools, size)]


def _fastest(pools: Sequence[int], size: int, inputs: Inputs) -> list[int]:
    """The pools that do most work together, in their order."""
    work = inputs.hardware.gemm_flop_per_second * inputs.hardware.num_gpus
    return sorted(sorted(pools, key=lambda pool: -work[pool])[:size])


def _joined(pools: Sequence[int], inputs: Inputs) -> Iterator[Layout]:
    zones = list(dict.fromkeys(zone_of(inputs, pool) for pool in pools))
    ring = best_ring(inputs.links, zones) if len(zones) > 1 else ()
    yield Layout(chains=tuple((pool,) for pool in pools), ring=ring, crosses_pp=False)
    if len(pools) == 1:
        return
    path = best_path(inputs.links, zones)
    for order in {path, path[::-1]}:
        chain = tuple(pool for zone in order for pool in pools if zone_of(inputs, pool) == zone)
        yield Layout(chains=(chain,), ring=(), crosses_pp=len(zones) > 1)
    if 1 < len(zones) < len(pools):
        chains = tuple(tuple(pool for pool in pools if zone_of(inputs, pool) == zone) for zone in zones)
        yield Layout(chains=chains, ring=ring, crosses_pp=False)
