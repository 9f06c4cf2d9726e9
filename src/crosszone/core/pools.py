"""Node groups of a cluster in one flat order: what placement deals in."""

from dataclasses import dataclass

from crosszone.core.cluster import Cluster, NodeGroup, Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One node group with its place."""

    index: int
    zone: Zone
    node_group_index: int
    node_group: NodeGroup


def pools(cluster: Cluster) -> tuple[Pool, ...]:
    """Every node group, zones in order, groups in order."""
    pairs = [(zone, position, group) for zone in cluster.zones for position, group in enumerate(zone.node_groups)]
    return tuple(
        Pool(index=index, zone=zone, node_group_index=position, node_group=group)
        for index, (zone, position, group) in enumerate(pairs)
    )
