"""What lies under the links between zones, and who shares it: nodes, uplinks, and paths that several links name.

A node sends no more over all its links together than its network carries, nor than the largest `per_node` of them.
A shared path has the bandwidth of its widest link, each way. Which links go the same way follows where the pairs that
name it fall into two sides, as for a sea cable; where they do not (three zones that all share one path), every link
of the path shares with every other, both ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosszone.core.cluster import NodeGroup, ZoneLink
from crosszone.core.tables import Bools, Floats, Ints, Numeric, unique
from crosszone.cost.network import link_bytes_per_second, max_min_rates, rate_facts
from crosszone.timeline.inputs import Inputs

PoolPair = tuple[int, int]
ZonePair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Something that several links may go through, one direction."""

    name: str
    bytes_per_second: float
    takes_turns: bool = True
    """Messages of one replica pass one after the other, as over a link; nodes and uplinks are wider."""


def link_between(inputs: Inputs, pair: PoolPair) -> ZoneLink:
    """The link from the zone of one pool to that of another."""
    zone = inputs.hardware.zone
    link = inputs.links[int(zone[pair[0]])][int(zone[pair[1]])]
    assert link is not None, "the reader of the job file has refused a missing link"
    return link


def achieved_bytes_per_second(inputs: Inputs, pool_pair: PoolPair, num_flows: Numeric) -> Floats:
    """What `num_flows` flows from one pool to another get alone: the link's caps and the uplinks of both zones."""
    start, end = (inputs.pools[index] for index in pool_pair)
    flows = np.asarray(num_flows)
    num_nodes = np.minimum(_num_senders(start.node_group, flows), _num_senders(end.node_group, flows))
    rate = link_bytes_per_second(link_between(inputs, pool_pair), num_nodes=num_nodes, num_flows=flows)
    network = min(pool.node_group.network_bytes_per_second for pool in (start, end))
    uplinks = [pool.zone.uplink_bytes_per_second for pool in (start, end)]
    caps = [np.full(np.shape(rate), cap) for cap in uplinks if cap]
    return np.asarray(np.minimum.reduce([rate, num_nodes * network, *caps]))


def rates_at_once(inputs: Inputs, pairs: Sequence[PoolPair], num_flows: Numeric) -> Floats:
    """[..., pair]: bytes per second from pool to pool while all `pairs` send at once, `num_flows` flows on each.

    Every pair of a pool sends from the same nodes: those whose GPUs the flows fill.
    """
    flows, ends = np.asarray(num_flows), np.array(pairs)
    alone = _alone(inputs, pairs, flows)
    under, users = shared(inputs), dict[Shared, list[int]]()
    for index, pair in enumerate(pairs):
        for each in under[_zones(inputs, pair)]:
            users.setdefault(each, []).append(index)
    uses = list(np.zeros((len(users), len(pairs)), dtype=np.bool_))
    for row, members in zip(uses, users.values(), strict=True):
        row[members] = True
    capacities = [np.full(flows.shape, each.bytes_per_second) for each in users]
    for end in (0, 1):
        for pool in dict.fromkeys(pair[end] for pair in pairs):
            uses.append(ends[:, end] == pool)
            group, zone = inputs.pools[pool].node_group, int(inputs.hardware.zone[pool])
            capacities.append(_num_senders(group, flows) * _node_bytes_per_second(inputs, group, zone, end))
    used, capacity = np.array(uses).T, np.stack(capacities, axis=-1)
    binds = (alone @ used.astype(float) > capacity).any(axis=tuple(range(flows.ndim)))
    return max_min_rates(alone, used[:, binds], capacity[..., binds]) if binds.any() else alone


def _alone(inputs: Inputs, pairs: Sequence[PoolPair], num_flows: Numeric) -> Floats:
    """[..., pair]: `achieved_bytes_per_second` of each; those of many zones are mostly alike."""
    ends = {}
    for pool in {pool for pair in pairs for pool in pair}:
        group, uplink = inputs.pools[pool].node_group, inputs.pools[pool].zone.uplink_bytes_per_second
        ends[pool] = group.num_nodes, group.gpus_per_node, group.network_bytes_per_second, uplink
    known: dict[object, Floats] = {}
    found = []
    for pair in pairs:
        facts = (rate_facts(link_between(inputs, pair)), ends[pair[0]], ends[pair[1]])
        if facts not in known:
            known[facts] = achieved_bytes_per_second(inputs, pair, num_flows)
        found.append(known[facts])
    return np.stack(found, axis=-1)


def beside_others(
    inputs: Inputs, pairs: Sequence[PoolPair], groups: Sequence[int], alone: Floats, num_flows: Floats
) -> Floats:
    """[pair]: the rate of each pair while others send, too.

    Those are all pairs of other groups, and pairs of the own group that leave or enter by the same uplink; over links
    and named paths a group's own messages take turns. All share by their flows, as TCP does. Of pairs of one group
    with the same way, the widest is counted.
    """
    under = shared(inputs)
    ways = [(_own(inputs, pair), *under[_zones(inputs, pair)]) for pair in pairs]
    resources = list(dict.fromkeys(each for way in ways for each in way))
    capacities = np.array([each.bytes_per_second for each in resources])
    rates = np.array(alone, dtype=float)
    for index, group in enumerate(groups):
        rivals: dict[tuple[int, tuple[Shared, ...]], int] = {}
        for other in np.argsort(num_flows, kind="stable").tolist():  # the widest comes last and stays
            if groups[other] != group or ways[other] != ways[index]:
                rivals[groups[other], ways[other]] = other
        rows = [index, *rivals.values()]
        uses = np.array(
            [
                [
                    each in ways[row] and not (row != index and groups[row] == group and each.takes_turns)
                    for each in resources
                ]
                for row in rows
            ]
        )
        rates[index] = max_min_rates(alone[rows], uses, capacities, num_flows[rows])[0]
    return rates


def _num_senders(group: NodeGroup, num_flows: Numeric) -> Floats:
    """Nodes whose GPUs so many flows fill."""
    return np.minimum(np.ceil(np.asarray(num_flows) / group.gpus_per_node), group.num_nodes)


def _node_bytes_per_second(inputs: Inputs, group: NodeGroup, zone: int, end: int) -> float:
    """What one node sends (`end` 0) or receives (1) over all its links to other zones together."""
    links = inputs.links[zone] if end == 0 else [row[zone] for row in inputs.links]
    caps = [link.node_bytes_per_second or np.inf for link in links if link is not None]
    return min(group.network_bytes_per_second, max(caps, default=np.inf))


def _own(inputs: Inputs, pair: PoolPair) -> Shared:
    """The link itself, which all groups that cross it share."""
    start, end = _zones(inputs, pair)
    return Shared(name=f"{start}>{end}", bytes_per_second=link_between(inputs, pair).bytes_per_second or np.inf)


def shared(inputs: Inputs) -> dict[ZonePair, tuple[Shared, ...]]:
    """By (from zone, to zone): what the link shares with others."""
    ways, zones = _shared_paths(inputs), range(len(inputs.links))
    nodes = [[_all_nodes(inputs, zone, end) for end in (0, 1)] for zone in zones]
    uplinks = [[_uplink(inputs, zone, end) for end in (0, 1)] for zone in zones]
    return {
        (start, end): (
            nodes[start][0],
            nodes[end][1],
            *uplinks[start][0],
            *uplinks[end][1],
            *ways.get((start, end), ()),
        )
        for start, row in enumerate(inputs.links)
        for end, link in enumerate(row)
        if link is not None
    }


def _uplink(inputs: Inputs, zone: int, end: int) -> tuple[Shared, ...]:
    """That of a zone, one direction, where it has one."""
    found = inputs.problem.cluster.zones[zone]
    cap, name = found.uplink_bytes_per_second, f"uplink {('from', 'to')[end]} {found.name}"
    return (Shared(name=name, bytes_per_second=cap, takes_turns=False),) if cap else ()


def _all_nodes(inputs: Inputs, zone: int, end: int) -> Shared:
    """The networks of all nodes of a zone, one direction."""
    found = inputs.problem.cluster.zones[zone]
    rates = [group.num_nodes * _node_bytes_per_second(inputs, group, zone, end) for group in found.node_groups]
    name = f"network of the nodes {('from', 'to')[end]} {found.name}"
    return Shared(name=name, bytes_per_second=sum(rates), takes_turns=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One direction of crossings between zones, a value per row; NaN, and queue -1, where a row does not cross."""

    latency_seconds: Floats
    bytes_per_second: Floats
    queue: Ints
    """As in `queue_name`: where its messages wait for others of the same replica."""


def queue_name(inputs: Inputs, queue: int) -> str:
    """Of each queue of a `Crossing`: a link as `from>to` by index of zones, or something that links share."""
    num_zones = len(inputs.links)
    start, end = divmod(queue, num_zones)
    return f"{start}>{end}" if start < num_zones else _resources(inputs)[queue - num_zones**2].name


def crossing(inputs: Inputs, pool: Ints, next_pool: Ints, num_flows: Ints, crosses: Bools) -> Crossing:
    """What each row's flows from the zone of `pool` to that of `next_pool` get alone.

    Messages wait for each other at the path that the link shares with others by name, else at the link itself.
    """
    size = len(pool)
    latency, rate = np.full(size, np.nan), np.full(size, np.nan)
    queue = np.full(size, -1, dtype=np.int64)
    pair, under, resources = pool * len(inputs.pools) + next_pool, shared(inputs), _resources(inputs)
    for code in unique(pair[crosses]):
        rows = crosses & (pair == code)
        ends = (int(code) // len(inputs.pools), int(code) % len(inputs.pools))
        zones = _zones(inputs, ends)
        latency[rows] = link_between(inputs, ends).latency_seconds
        rate[rows] = achieved_bytes_per_second(inputs, ends, num_flows[rows])
        queue[rows] = zones[0] * len(inputs.links) + zones[1]
        for path in [each for each in under[zones] if each.takes_turns]:
            queue[rows] = len(inputs.links) ** 2 + resources.index(path)
    return Crossing(latency_seconds=latency, bytes_per_second=rate, queue=queue)


def _resources(inputs: Inputs) -> list[Shared]:
    return list(dict.fromkeys(each for group in shared(inputs).values() for each in group))


def _zones(inputs: Inputs, pair: PoolPair) -> ZonePair:
    return int(inputs.hardware.zone[pair[0]]), int(inputs.hardware.zone[pair[1]])


def _shared_paths(inputs: Inputs) -> dict[ZonePair, tuple[Shared]]:
    """The one named path under each directed link, with its direction; paths of one pair alone are shared by nobody."""
    named: dict[str, dict[ZonePair, ZoneLink]] = {}
    for start, row in enumerate(inputs.links):
        for end, link in enumerate(row):
            if link is not None and link.shared is not None:
                named.setdefault(link.shared, {})[start, end] = link
    ways = {}
    for name, links in named.items():
        if len({frozenset(pair) for pair in links}) < 2:
            continue
        sides = _sides(set(links))
        for pair in links:
            direction = "" if sides is None else " there" if sides[pair[0]] else " back"
            alike = [links[other] for other in links if sides is None or sides[other[0]] == sides[pair[0]]]
            rates = [link.bytes_per_second for link in alike if link.bytes_per_second]
            if rates:
                ways[pair] = (Shared(name=f"{name}{direction}", bytes_per_second=max(rates)),)
    return ways


def _sides(pairs: set[ZonePair]) -> dict[int, bool] | None:
    """The side of each zone, so that every pair joins two sides; None where there are no such sides, or more ways."""
    first = min(min(pair) for pair in pairs)
    sides, left = {first: True}, [first]
    while left:
        zone = left.pop()
        for pair in pairs:
            if zone in pair:
                other = pair[0] if pair[1] == zone else pair[1]
                if other not in sides:
                    sides[other] = not sides[zone]
                    left.append(other)
    told = all(start in sides and end in sides and sides[start] != sides[end] for start, end in pairs)
    return sides if told else None
