"""Layouts that are alike but for the names of their zones: one of each stands for all."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from crosszone.core.cluster import Zone, ZoneLink
from crosszone.core.layout import Layout
from crosszone.core.problem import Problem
from crosszone.timeline.inputs import Inputs

MOST_ZONES = 6
"""Zones of a layout up to which all ways to match them are tried."""

Shape = tuple[object, ...]


class _Looks(NamedTuple):
    zones: list[int]
    links: list[list[int]]


def distinct(inputs: Inputs, layouts: Sequence[Layout]) -> tuple[Layout, ...]:
    """The first of every kind of layouts whose plans cost the same, in order.

    Alike: the zones can be matched so that node groups, uplinks and the links between them are equal, and chains and
    rings are those of the matched zones. Where the job file names zones of its own for something, all are distinct.
    """
    if _names_zones(inputs.problem):
        return tuple(layouts)
    kinds: dict[Shape, list[Layout]] = {}
    looks = _looks(inputs)
    for layout in layouts:
        seen = kinds.setdefault(_outline(inputs, looks, layout), [])
        if not any(_is_alike(inputs, looks, layout, other) for other in seen):
            seen.append(layout)
    kept = {id(layout) for seen in kinds.values() for layout in seen}
    return tuple(layout for layout in layouts if id(layout) in kept)


def _names_zones(problem: Problem) -> bool:
    """A data set that lies in one zone, GPUs that idle in another, links of a path that others share."""
    dataset, request = problem.workload.dataset, problem.plan
    shared = any(link.shared is not None for link in problem.cluster.links)
    return bool(shared or request.idle_gpus or (dataset is not None and dataset.zone is not None))


def _looks(inputs: Inputs) -> _Looks:
    """Every zone and link without its name and place, numbered: equal numbers are equal things."""
    zones, links = inputs.problem.cluster.zones, inputs.links
    numbers: dict[object, int] = {}

    def number(look: object) -> int:
        return numbers.setdefault(look, len(numbers))

    return _Looks(
        zones=[number(_bare_zone(zone)) for zone in zones],
        links=[[number(_bare_link(link)) for link in row] for row in links],
    )


def _outline(inputs: Inputs, looks: _Looks, layout: Layout) -> Shape:
    """Equal for layouts that are alike; cheap."""
    chains = tuple(tuple(looks.zones[_zone(inputs, pool)] for pool in chain) for chain in layout.chains)
    groups = tuple(tuple(inputs.pools[pool].node_group_index for pool in chain) for chain in layout.chains)
    return (chains, groups, len(layout.ring), layout.crosses_pp)


def _is_alike(inputs: Inputs, looks: _Looks, one: Layout, other: Layout) -> bool:
    """Some way to match their zones makes them one."""
    zones, others = _zones(inputs, one), _zones(inputs, other)
    if len(zones) != len(others) or len(zones) > MOST_ZONES:
        return False
    return any(_matches(inputs, looks, one, other, zones, order) for order in itertools.permutations(others))


def _matches(inputs: Inputs, looks: _Looks, one: Layout, other: Layout, zones: list[int], order: Sequence[int]) -> bool:
    to = dict(zip(zones, order, strict=True))
    if any(looks.zones[start] != looks.zones[end] for start, end in to.items()):
        return False
    pairs = itertools.permutations(zones, 2)
    if any(looks.links[start][end] != looks.links[to[start]][to[end]] for start, end in pairs):
        return False
    return _named(inputs, one, to) == _named(inputs, other, {zone: zone for zone in order})


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


def _bare_zone(zone: Zone) -> Zone:
    return replace(zone, name="", region=None, latitude_degrees=None, longitude_degrees=None)


def _bare_link(link: ZoneLink | None) -> ZoneLink | None:
    return None if link is None else replace(link, from_zone="", to_zone="")
