"""Which rank is where: the planner's placement, in the order in which frameworks number ranks.

Ranks count through the axes of `Plan.rank_order`, innermost first. Each (replica, stage) has its node group from the
plan; its ranks take that group's GPUs in order, and tensor-parallel neighbours never straddle two nodes that could
each hold them. Replicas that pass through the same zones stand beside each other, so that groups of neighbouring
replicas (dp_shard) stay in a zone wherever the numbers allow.
"""

from collections.abc import Iterator
from itertools import groupby

from crosszone.core.bundle import Agent, Launch, RankPlace
from crosszone.core.cluster import Cluster, NodeGroup
from crosszone.core.plan import Plan, Replica
from crosszone.errors import Finding, InfeasiblePlan

Pool = tuple[str, int]
"""Zone, and node group in it."""


def rank_grid(plan: Plan, cluster: Cluster) -> tuple[RankPlace, ...]:
    """Every rank of `plan`, in order.

    Errors: InfeasiblePlan where tensor-parallel groups do not fit into the nodes that the plan names.
    """
    _check_order(plan)
    replicas = single_replicas(plan)
    taken: dict[Pool, int] = {}
    places = []
    for rank in range(plan.world_size):
        at = _coordinates(plan, rank)
        replica = replicas[at["dp"]]
        pool = replica.zones[at["pp"]], replica.node_groups[at["pp"]]
        group = cluster.zone(pool[0]).node_groups[pool[1]]
        index = _next_gpu(taken.get(pool, 0), plan.tp, at["tp"], group)
        if index >= group.num_gpus:
            raise _too_few(plan, pool, group)
        taken[pool] = index + 1
        node, gpu = divmod(index, group.gpus_per_node)
        places.append(RankPlace(rank=rank, **at, zone=pool[0], node_group=pool[1], node=node, gpu=gpu))
    return tuple(places)


def single_replicas(plan: Plan) -> tuple[Replica, ...]:
    """The replica of each index along dp; those through the same zones are neighbours."""
    kinds = list(dict.fromkeys(replica.zones for replica in plan.replicas))
    ordered = sorted(plan.replicas, key=lambda replica: kinds.index(replica.zones))
    return tuple(replica for replica in ordered for _ in range(replica.num_replicas))


def agents(places: tuple[RankPlace, ...], cluster: Cluster) -> tuple[Agent, ...]:
    """Launchers for `places`: one per node, or several where a node holds ranks that do not follow each other.

    torchrun numbers the ranks of a node consecutively, so that each of its launchers can only start a run of them.
    """
    found = []
    zones = [zone.name for zone in cluster.zones]
    for index, (key, run) in enumerate(groupby(places, key=lambda place: place.node_key)):
        members = list(run)
        zone, node_group, node = key
        group = cluster.zone(zone).node_groups[node_group]
        agent = Agent(
            index=index,
            zone=zone,
            zone_index=zones.index(zone),
            node_group=node_group,
            node=node,
            address=group.addresses[node] if node < len(group.addresses) else None,
            interface=group.interface,
            image=group.image,
            gpus=tuple(place.gpu for place in members),
            has_whole_node=len(members) == group.gpus_per_node,
            first_rank=members[0].rank,
        )
        found.append(agent)
    return tuple(found)


def shared_addresses(launch: Launch) -> Iterator[Finding]:
    """Nodes under the address of another one, among those that a bundle starts and the one where ranks meet."""
    first: dict[str, Agent] = {}
    for agent in (launch.agents[0], *launch.started):
        if agent.address is None:
            continue
        other = first.setdefault(agent.address.casefold(), agent)
        if other.node_key != agent.node_key:
            yield Finding(
                code="shared_address",
                where=_place_of_address(agent),
                message=f"{agent.address} is the address of another node too, at {_place_of_address(other)}.",
                hint="Write for each node where it alone answers.",
            )


def _place_of_address(agent: Agent) -> str:
    return f"cluster.zones[{agent.zone_index}].nodes[{agent.node_group}].addresses[{agent.node}]"


def _coordinates(plan: Plan, rank: int) -> dict[str, int]:
    degrees = {"tp": plan.tp, "cp": plan.cp, "dp": plan.dp, "pp": plan.pp}
    at = {}
    for axis in plan.rank_order:
        rank, at[axis] = divmod(rank, degrees[axis])
    return at


def _check_order(plan: Plan) -> None:
    degrees = {"tp": plan.tp, "cp": plan.cp, "dp": plan.dp, "pp": plan.pp}
    wide = [axis for axis in plan.rank_order if degrees[axis] > 1]
    if plan.tp > 1 and wide[0] != "tp":
        raise InfeasiblePlan.of(
            f"ranks are ordered {'-'.join(plan.rank_order)}, innermost first, which tears tp={plan.tp} apart.",
            where="plan.rank_order",
            hint="Put tp first.",
        )


def _next_gpu(taken: int, tp: int, tp_index: int, group: NodeGroup) -> int:
    """The next free GPU of a group; a tensor-parallel group that would straddle two nodes starts on the next one."""
    left = -taken % group.gpus_per_node
    starts_in_node = tp_index == 0 and left > 0
    return taken + left if starts_in_node and left < min(tp, group.gpus_per_node) else taken


def _too_few(plan: Plan, pool: Pool, group: NodeGroup) -> InfeasiblePlan:
    num_held = group.gpus_per_node // plan.tp * group.num_nodes
    return InfeasiblePlan.of(
        f"node group {pool[1]} of zone {pool[0]} has {group.num_nodes} nodes of {group.gpus_per_node} GPUs, which hold "
        f"{num_held} whole groups of tp={plan.tp}, fewer than the plan puts there.",
        where="plan.tp",
        hint="Take a tp that divides the GPUs of a node.",
    )
