"""The grid of ranks as a map: who is on which GPU of which node of which zone."""

from collections.abc import Iterator, Mapping

from crosszone.core.bundle import RankPlace
from crosszone.core.cluster import Cluster, Zone
from crosszone.core.plan import Plan
from crosszone.core.rank_map import GpuPlace, NodePlace, RankMap, ZonePlace
from crosszone.deploy.ranks import rank_grid

Taken = Mapping[tuple[str, int, int], Mapping[int, GpuPlace]]
"""The GPUs of each node (zone, node group, node) that work."""


def rank_map(plan: Plan, cluster: Cluster, *, zone: str | None = None) -> RankMap:
    """Every zone of `cluster` with what it holds of `plan`; the nodes of `zone` alone, where one is named.

    Errors: InfeasiblePlan where tensor-parallel groups do not fit into the nodes that the plan names.
    """
    places = rank_grid(plan, cluster)
    expert = _expert_indices(plan, places)
    taken: dict[tuple[str, int, int], dict[int, GpuPlace]] = {}
    for place in places:
        taken.setdefault(place.node_key, {})[place.gpu] = GpuPlace(
            gpu=place.gpu, rank=place.rank, dp=place.dp, pp=place.pp, tp=place.tp, cp=place.cp, ep=expert[place.rank]
        )
    zones = tuple(_zone(each, taken, has_nodes=zone in (None, each.name)) for each in cluster.zones)
    return RankMap(world_size=plan.world_size, zones=zones)


def _expert_indices(plan: Plan, places: tuple[RankPlace, ...]) -> dict[int, int]:
    """Index of each rank in its group of experts: neighbours among the ranks of a stage, `ep` at a time.

    Source: Megatron-LM, core/parallel_state.py, with experts that tp does not split.
    """
    seen: dict[int, int] = {}
    found = {}
    for place in places:
        seen[place.pp] = seen.get(place.pp, -1) + 1
        found[place.rank] = seen[place.pp] % plan.ep
    return found


def _zone(zone: Zone, taken: Taken, *, has_nodes: bool) -> ZonePlace:
    working = [gpu for (name, _, _), gpus in taken.items() if name == zone.name for gpu in gpus.values()]
    return ZonePlace(
        zone=zone.name,
        num_nodes=sum(group.num_nodes for group in zone.node_groups),
        num_gpus=zone.num_gpus,
        num_working_gpus=len(working),
        stages=tuple(sorted({gpu.pp for gpu in working if gpu.pp is not None})),
        gpus=tuple(dict.fromkeys(group.gpu.name for group in zone.node_groups)),
        nodes=tuple(_nodes(zone, taken)) if has_nodes else (),
    )


def _nodes(zone: Zone, taken: Taken) -> Iterator[NodePlace]:
    for index, group in enumerate(zone.node_groups):
        for node in range(group.num_nodes):
            held = taken.get((zone.name, index, node), {})
            yield NodePlace(
                node_group=index,
                node=node,
                gpu=group.gpu.name,
                address=group.addresses[node] if node < len(group.addresses) else None,
                gpus=tuple(held.get(gpu, GpuPlace(gpu=gpu)) for gpu in range(group.gpus_per_node)),
            )
