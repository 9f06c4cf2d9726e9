"""What a backend must know of the node groups that work: told before a search where no plan could do without."""

import math
from collections.abc import Iterable, Iterator
from types import ModuleType

from crosszone.core.bundle import DeployRequest
from crosszone.core.cluster import Zone
from crosszone.core.problem import Problem
from crosszone.errors import Finding

Place = tuple[int, int]
"""(zone, node group), both by index."""


def lacking(zones: tuple[Zone, ...], request: DeployRequest, chosen: ModuleType) -> dict[Place, tuple[Finding, ...]]:
    """What the backend `chosen` must know of node groups that work, and the job file does not say."""
    found: dict[Place, tuple[Finding, ...]] = {}
    for zone_index, zone in enumerate(zones):
        for group_index, group in enumerate(zone.node_groups):
            where = f"cluster.zones[{zone_index}]"
            findings = tuple(chosen.lacking(zone, group_index, where, request)) if hasattr(chosen, "lacking") else ()
            if chosen.ADDRESSES_FROM is not None and not group.addresses:
                findings += (no_addresses(request.backend, f"{where}.nodes[{group_index}]"),)
            if findings:
                found[zone_index, group_index] = findings
    return found


def of_working(working: Iterable[Place], found: dict[Place, tuple[Finding, ...]]) -> Iterator[Finding]:
    """Of what was found `lacking`, that of node groups that work, each once."""
    yield from dict.fromkeys(finding for place in working for finding in found.get(place, ()))


def surely_lacking(problem: Problem, request: DeployRequest, chosen: ModuleType) -> Iterator[Finding]:
    """What is missing whatever plan is found: node groups that lack nothing have too few GPUs for any."""
    found = lacking(problem.cluster.zones, request, chosen)
    groups = [
        ((zone_index, group_index), group)
        for zone_index, zone in enumerate(problem.cluster.zones)
        if zone.name not in problem.constraints.exclude_zones
        for group_index, group in enumerate(zone.node_groups)
    ]
    fixed = problem.plan
    degrees = (1,) if fixed.stages or fixed.replicas else (fixed.tp, fixed.cp, fixed.pp, fixed.dp)
    num_ranks = math.prod(degree or 1 for degree in degrees)
    num_nodes = math.ceil(num_ranks / max(group.gpus_per_node for _, group in groups))
    num_known = sum(group.num_gpus for place, group in groups if place not in found)
    if num_ranks > num_known and num_nodes >= (chosen.ADDRESSES_FROM or 1):
        yield from of_working((place for place, _ in groups), found)


def no_addresses(backend: str, where: str) -> Finding:
    """That the node group at `where` has none."""
    return Finding(
        code="missing",
        where=f"{where}.addresses",
        message=f"{backend} needs the address of every node of the group.",
        hint="Write addresses: [host, ...], one per node, in order.",
    )
