"""Layouts that are alike but for the names of their zones: one of each stands for all."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from crosszone.core.cluster import Zone, ZoneLink
from crosszone.core.layout import Layout
from crosszone.core.problem import Problem
from crosszone.timeline.inputs import Inputs

MOST_ZONES = 6
"""Zones of a layout up to which all ways to match them are tried."""

Shape = tuple[object, ...]


def distinct(inputs: Inputs, layouts: Sequence[Layout]) -> tuple[Layout, ...]:
    """The first of every kind of layouts whose plans cost the same, in order.

    Alike: the zones can be matched so that node groups, uplinks and the links between them are equal, and chains and
    rings are those of the matched zones. Where the job file names zones of its own for something, all are distinct.
    """
    if _names_zones(inputs.problem):
        return tuple(layouts)
    kinds: dict[Shape, list[Layout]] = {}
    for layout in layouts:
        seen = kinds.setdefault(_outline(inputs, layout), [])
        if not any(_is_alike(inputs, layout, other) for other in seen):
            seen.append(layout)
    kept = {id(layout) for seen in kinds.values() for layout in seen}
    return tuple(layout for layout in layouts if id(layout) in kept)


def _names_zones(problem: Problem) -> bool:
    """A data set that lies in one zone, GPUs that idle in another, links of a path that others share."""
    dataset, request = problem.workload.dataset, problem.plan
    shared = any(link.shared is not None for link in problem.cluster.links)
    return bool(shared or request.idle_gpus or (dataset is not None and dataset.zone is not None))


def _outline(inputs: Inputs, layout: Layout) -> Shape:
    """Equal for layouts that are alike; cheap."""
    chains = tuple(tuple(_bare_zone(inputs, _zone(inputs, pool)) for pool in chain) for chain in layout.chains)
    groups = tuple(tuple(inputs.pools[pool].node_group_index for pool in chain) for chain in layout.chains)
    return (chains, groups, len(layout.ring), layout.crosses_pp)


def _is_alike(inputs: Inputs, one: Layout, other: Layout) -> bool:
    """Some way to match their zones makes them one."""
    zones, others = _zones(inputs, one), _zones(inputs, other)
    if len(zones) != len(others) or len(zones) > MOST_ZONES:
        return False
    return any(_matches(inputs, one, other, zones, order) for order in itertools.permutations(others))


def _matches(inputs: Inputs, one: Layout, other: Layout, zones: list[int], order: Sequence[int]) -> bool:
    to = dict(zip(zones, order, strict=True))
    alike = all(_bare_zone(inputs, start) == _bare_zone(inputs, end) for start, end in to.items()) and all(
        _bare_link(inputs.links[start][end]) == _bare_link(inputs.links[to[start]][to[end]])
        for start, end in itertools.permutations(zones, 2)
    )
    same = {zone: zone for zone in order}
    return alike and _named(inputs, one, to) == _named(inputs, other, same)


def _named(inputs: Inputs, layout: Layout, to: dict[int, int]) -> Shape:
    """Chains and ring with renamed zones; chains in any order, the ring from anywhere and either way round."""
    chains = [
        tuple((to[_zone(inputs, pool)], inputs.pools[pool].node_group_index) for pool in chain)
        for chain in layout.chains
    ]
    ring = [to[zone] for zone in layout.ring]
    edges = {frozenset(pair) for pair in zip(ring, ring[1:] + ring[:1], strict=True)}
    return frozenset((chain, chains.count(chain)) for chain in chains), frozenset(edges), layout.crosses_pp


def _zones(inputs: Inputs, layout: Layout) -> list[int]:
    return list(dict.fromkeys(_zone(inputs, pool) for chain in layout.chains for pool in chain))


def _zone(inputs: Inputs, pool: int) -> int:
    return int(inputs.hardware.zone[pool])


def _bare_zone(inputs: Inputs, zone: int) -> Zone:
    return replace(
        inputs.problem.cluster.zones[zone], name="", region=None, latitude_degrees=None, longitude_degrees=None
    )


def _bare_link(link: ZoneLink | None) -> ZoneLink | None:
    return None if link is None else replace(link, from_zone="", to_zone="")
