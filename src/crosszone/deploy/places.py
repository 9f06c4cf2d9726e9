"""What a backend must know of the node groups that work: told before a search where no plan could do without."""

import math
from collections.abc import Iterable, Iterator
from types import ModuleType

from crosszone.core.bundle import DeployRequest
from crosszone.core.cluster import Zone
from crosszone.core.problem import PlanRequest, Problem
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
    num_ranks = least_ranks(problem.plan)
    num_nodes = math.ceil(num_ranks / max(group.gpus_per_node for _, group in groups))
    num_known = sum(group.num_gpus for place, group in groups if place not in found)
    if num_ranks > num_known and num_nodes >= (chosen.ADDRESSES_FROM or 1):
        yield from of_working((place for place, _ in groups), found)
    if request.backend != "local":  # one machine, whatever the job has
        yield from no_checkpoints(request, num_nodes)


def least_ranks(plan: PlanRequest) -> int:
    """Of any plan that keeps to what is fixed; stages and replicas that are written out may be fewer."""
    if plan.replicas or any(stage.tp or stage.dp for stage in plan.stages or ()):
        return 1
    return math.prod(degree or 1 for degree in (plan.tp, plan.cp, plan.pp, plan.dp))


def no_checkpoints(request: DeployRequest, num_nodes: int) -> Iterator[Finding]:
    """That nobody says where at least `num_nodes` nodes save, where our trainer or a framework's does."""
    if num_nodes > 1 and request.checkpoint_folder is None and request.entry_text is None:
        yield Finding(
            code="missing",
            where="--checkpoints",
            message="several nodes save checkpoints, but no folder that all of them see is named.",
            hint="Give its absolute path, or none.",
        )


def no_addresses(backend: str, where: str) -> Finding:
    """That the node group at `where` has none."""
    return Finding(
        code="missing",
        where=f"{where}.addresses",
        message=f"{backend} needs the address of every node of the group.",
        hint="Write addresses: [host, ...], one per node, in order.",
    )
