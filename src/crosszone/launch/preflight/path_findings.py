"""Pairs of nodes that do not reach each other, or not as their network devices promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from crosszone.core.preflight import ERROR, WARNING, NodePath, PreflightFinding, ProbeRequest
from crosszone.launch.preflight.sample import by_zone
from crosszone.launch.preflight.seen import Seen

LEAST_BYTES_PER_SECOND = 1000.0
"""Below this, nothing but the first packets came through."""
MOST_PACKET_BYTES = 2**16 - 1
"""Of IP (RFC 791)."""
CAUSES = {
    "refused": "Something on the way or on {to} rejects it: a firewall, or the address leads to another machine.",
    "timed_out": "Packets are dropped on the way: by a firewall or security group, or there is no way back.",
    "no_route": "{start} has no route to that address.",
    "other_program": "Another program answers at that address and port: a proxy, or another machine.",
    "other_node": "The address leads to another node of the job.",
}
FIXES = {
    "refused": "Allow TCP on {ports} from {start} to {to}, and check that {to} is the address of that node.",
    "timed_out": "Allow TCP on {ports} from {start} to {to} in firewalls and security groups.",
    "no_route": "Add a route on {start}, or write an address of {to} that {start} can reach.",
    "other_program": "Write the node's own address: ranks talk to each other directly, on any port.",
    "other_node": "Write the address of {to} itself.",
}


def path_findings(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    """Names that do not resolve, ports that do not answer, addresses that are hidden, packets that are too large."""
    label = {node.index: node.label for node in request.nodes}
    yield from _unresolved(label, seen)
    closed = [path for path in seen.paths.values() if path.resolved and not path.is_open]
    yield from _everybody(label, seen, closed, request)
    for start, to, address in seen.hidden:
        yield PreflightFinding(
            code="hidden_address",
            severity=ERROR,
            where=f"{label[start]} -> {label[to]}",
            message=f"{label[to]} tells its peers the address {address}, which {label[start]} cannot reach.",
            cause="An address translation stands between them, or the node has several networks.",
            fix="Join the zones by a routed network (VPN or peering), or write addresses that all nodes really have.",
        )
    for pair in sorted(seen.paths):
        if pair[0] < pair[1] or pair[::-1] not in seen.paths:
            yield from _packets(request, seen, seen.paths[pair])
    yield from _sizes(request, seen)


def _unresolved(label: dict[int, str], seen: Seen) -> Iterator[PreflightFinding]:
    for pair, path in sorted(seen.paths.items()):
        if path.resolved:
            continue
        known = [other.resolved[0] for other in seen.paths.values() if other.to_node == pair[1] and other.resolved]
        entry = f'Add "{known[0]} {label[pair[1]]}" to /etc/hosts' if known else "Add it to DNS or /etc/hosts"
        yield PreflightFinding(
            code="unresolved",
            severity=ERROR,
            where=f"{label[pair[0]]} -> {label[pair[1]]}",
            message=f"{label[pair[0]]} finds no address for the name {label[pair[1]]}.",
            cause="Neither its DNS nor its /etc/hosts has the name.",
            fix=f"{entry} of {label[pair[0]]}, or write IP addresses in the job file.",
        )


def _everybody(
    label: dict[int, str], seen: Seen, closed: Sequence[NodePath], request: ProbeRequest
) -> Iterator[PreflightFinding]:
    """One finding for a node that nobody reaches, in place of one for each who tried."""
    told: set[int] = set()
    for path in closed:
        tried = [other for other in seen.paths.values() if other.to_node == path.to_node]
        if path.to_node in told:
            continue
        if len(tried) > 1 and all(_key(other) == _key(path) for other in tried):
            told.add(path.to_node)
            yield _closed("every other node", label[path.to_node], path, request, has_way_back=False)
            continue
        back = seen.paths.get((path.to_node, path.from_node))
        yield _closed(
            label[path.from_node], label[path.to_node], path, request, has_way_back=back is not None and back.is_open
        )


def _key(path: NodePath) -> tuple[bool, str | None]:
    return path.is_open, next((each.problem for each in path.tries if each.problem), None)


def _closed(start: str, to: str, path: NodePath, request: ProbeRequest, *, has_way_back: bool) -> PreflightFinding:
    bad = [each for each in path.tries if each.problem is not None]
    problem = bad[0].problem if bad else "timed_out"
    good_ports = [each.port for each in path.tries if each.problem is None]
    shown = ", ".join(_port(each.port, request) for each in bad[:2])
    ports = f"port {request.port}" if [each.port for each in bad] == [request.port] else "all ports"
    words = {"start": start, "to": to, "ports": ports}
    message = f"no connection to {shown}: {str(problem).replace('_', ' ')}."
    if good_ports:
        message = f"{message[:-1]}; {_port(good_ports[0], request)} answers."
    elif has_way_back:
        message = f"{message[:-1]}; the other direction works."
    cause = CAUSES.get(problem or "", "The system says: {problem}.").format(problem=problem, **words)
    if good_ports and problem in ("refused", "timed_out"):
        cause = "A firewall lets some ports through and not others."
    return PreflightFinding(
        code="unreachable",
        severity=ERROR,
        where=f"{start} -> {to}",
        message=message,
        cause=cause,
        fix=FIXES.get(problem or "", FIXES["timed_out"]).format(**words),
    )


def _port(port: int, request: ProbeRequest) -> str:
    return f"port {port}, where ranks meet" if port == request.port else f"port {port}, chosen by the system"


def _sizes(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    """Devices of one zone, and of two zones, that send packets of different sizes."""
    usual: dict[str, int] = {}
    device = {path.from_node: path.interface for path in seen.paths.values() if path.is_open}
    for zone, members in by_zone(request.nodes).items():
        sizes = {index: size for index in members if (size := _mtu(seen, index, device.get(index))) is not None}
        if not sizes:
            continue
        counts = Counter(sizes.values())
        # Where as many have one size as the other, the smaller passes everywhere.
        usual[zone] = min(counts, key=lambda size: (-counts[size], size))
        for index, size in sizes.items():
            if size != usual[zone]:
                peers = ", ".join(request.label(other) for other in sizes if sizes[other] == usual[zone])
                yield _differs(request.label(index), f"{device[index]} has", size, peers, usual[zone], device[index])
    for start, to in combinations(usual, 2):
        if usual[start] != usual[to]:
            yield _differs(f"{start} -> {to}", "the zone's devices have", usual[start], to, usual[to], "DEVICE")


def _differs(where: str, what: str, size: int, others: str, usual: int, device: str | None) -> PreflightFinding:
    return PreflightFinding(
        code="mtu_differs",
        severity=WARNING,
        where=where,
        message=f"{what} an MTU of {size} bytes, but {others} {usual}; packets above {min(size, usual)} bytes are lost "
        "where no router says so.",
        cause="One side was set up for another packet size than the other.",
        fix=f"Set both alike, as `ip link set dev {device} mtu {usual}` on {where.partition(' -> ')[0]}.",
    )


def _packets(request: ProbeRequest, seen: Seen, path: NodePath) -> Iterator[PreflightFinding]:
    """The path carries less than the devices of both ends send."""
    back = seen.paths.get((path.to_node, path.from_node))
    ends = [each for each in (path, back) if each is not None]
    sizes = [size for each in ends if (size := _mtu(seen, each.from_node, each.interface)) is not None]
    arrived = [each.path_mtu_bytes for each in ends if each.path_mtu_bytes is not None]
    least = min(*sizes, MOST_PACKET_BYTES) if len(sizes) == 2 else 0
    if arrived and min(arrived) < least:
        where = f"{request.label(path.from_node)} -> {request.label(path.to_node)}"
        yield _narrow(where, path, back, min(arrived), least)


def _narrow(where: str, path: NodePath, back: NodePath | None, arrived: int, least: int) -> PreflightFinding:
    rates = [rate.bytes_per_second for each in (path, back) if each is not None for rate in each.rates]
    is_stuck = bool(rates) and min(rates) < LEAST_BYTES_PER_SECOND
    devices = " and ".join(sorted({each.interface for each in (path, back) if each is not None and each.interface}))
    return PreflightFinding(
        code="narrow_path",
        severity=ERROR if is_stuck else WARNING,
        where=where,
        message=f"packets up to {arrived} bytes arrive, but the devices of both ends send up to {least}"
        + ("; connections come about and then carry nothing." if is_stuck else "."),
        cause="A tunnel on the way carries less, and its word about that does not come back."
        if is_stuck
        else "A tunnel on the way carries less.",
        fix=f"Set the MTU of {devices} to {arrived} on both nodes, with `ip link set dev DEVICE mtu {arrived}`.",
    )


def _mtu(seen: Seen, node: int, interface: str | None) -> int | None:
    facts = seen.facts[node]
    device = facts.interface(interface) if facts is not None else None
    return None if device is None else device.mtu_bytes
