"""What stands in the way of a launch: the node or pair, the cause, the fix, each in one sentence."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from crosszone import units
from crosszone.core.preflight import (
    ERROR,
    PORT_IN_USE,
    WARNING,
    NodeFacts,
    NodePath,
    PreflightFinding,
    ProbedNode,
    ProbeRequest,
)
from crosszone.launch.preflight.sample import ring_pairs
from crosszone.launch.preflight.seen import Seen

CLOCK_SECONDS = 1.0
"""Chosen: logs of two nodes cannot be put in order beyond it."""
SLOW_FRACTION = 0.5
"""Of the other paths of a zone. Chosen: what is built alike differs by less."""
LEAST_MEMORY_BYTES = 2e9
"""Chosen: Python with torch takes about one."""


def node_findings(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    """What single nodes lack, and in what they differ."""
    for node, facts in zip(request.nodes, seen.facts, strict=True):
        if facts is None:
            yield _lost(node, seen)
            continue
        yield from _interface(node, facts, seen)
        yield from _space(request, node, facts)
    yield from _clocks(request, seen)
    yield from _folder(request, seen)
    if seen.port_problem is not None:
        first = request.nodes[0]
        yield PreflightFinding(
            code=PORT_IN_USE,
            severity=ERROR,
            where=first.label,
            message=f"port {request.port}, at which ranks meet, cannot be opened: {seen.port_problem}.",
            cause="Another program listens there, or an earlier run still does.",
            fix=f"End it (`ss -ltnp sport = :{request.port}` names it), or take another port.",
        )


def _lost(node: ProbedNode, seen: Seen) -> PreflightFinding:
    return PreflightFinding(
        code="not_reachable",
        severity=ERROR,
        where=node.label,
        message=f"not reachable from here: {seen.lost.get(node.index, 'it did not answer in time').rstrip('.')}.",
        cause="No program could be started there or it stopped answering; the node itself may be well.",
        fix=f"Make `ssh -o BatchMode=yes {node.label} true` work from here, or name another way to it.",
    )


def _interface(node: ProbedNode, facts: NodeFacts, seen: Seen) -> Iterator[PreflightFinding]:
    if node.interface is None:
        return
    if facts.interface(node.interface) is None:
        names = ", ".join(each.name for each in facts.interfaces)
        yield PreflightFinding(
            code="no_interface",
            severity=ERROR,
            where=node.label,
            message=f"there is no device {node.interface}, which the job file names; there are {names}.",
            cause="Device names differ between the nodes of a group.",
            fix="Write the right name, or leave `interface` out: each node then finds it by its route.",
        )
        return
    routes = {path.interface for path in seen.paths.values() if path.from_node == node.index and path.interface}
    others = sorted(routes - {node.interface})
    if others:
        yield PreflightFinding(
            code="other_interface",
            severity=ERROR,
            where=node.label,
            message=f"the job file says {node.interface}, but the route to other nodes leaves through {others[0]}.",
            cause="The addresses of the job file lie in the network of another device.",
            fix=f"Write interface: {others[0]}, or the addresses that {node.interface} leads to.",
        )


def _space(request: ProbeRequest, node: ProbedNode, facts: NodeFacts) -> Iterator[PreflightFinding]:
    free, need = facts.free_disk_bytes, request.checkpoint_bytes
    if free is not None and need is not None and free < need:
        yield PreflightFinding(
            code="disk_full",
            severity=ERROR,
            where=node.label,
            message=f"{units.format_bytes(free)} are free for checkpoints, which take {units.format_bytes(need)}.",
            cause=f"{request.checkpoint_folder or 'The disk'} is too small or too full.",
            fix="Free some, name another folder, or keep fewer.",
        )
    memory_bytes = facts.free_memory_bytes
    if memory_bytes is not None and memory_bytes < LEAST_MEMORY_BYTES:
        yield PreflightFinding(
            code="little_memory",
            severity=WARNING,
            where=node.label,
            message=f"only {units.format_bytes(memory_bytes)} of memory are free.",
            cause="Other programs hold the rest, or the container was given little.",
            fix="End them, or raise the limit.",
        )


def _clocks(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    first = request.nodes[0].index
    for node in request.nodes[1:]:
        path = seen.paths.get((first, node.index))
        if path is None or path.clock_offset_seconds is None or path.rtt_seconds is None:
            continue
        offset = path.clock_offset_seconds
        if abs(offset) - path.rtt_seconds / 2 <= CLOCK_SECONDS:
            continue
        yield PreflightFinding(
            code="clock_skew",
            severity=WARNING,
            where=node.label,
            message=f"its clock is {units.format_seconds(abs(offset))} {'ahead of' if offset > 0 else 'behind'} "
            f"{request.nodes[0].label}'s (± {units.format_seconds(path.rtt_seconds / 2)}).",
            cause="It is not synchronised.",
            fix="Start chrony or systemd-timesyncd there.",
        )


def _folder(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    if seen.folder is None:
        return
    label = {node.index: node.label for node in request.nodes}
    if seen.folder.problem is not None:
        yield PreflightFinding(
            code="folder_unwritable",
            severity=ERROR,
            where=label[seen.folder.writer],
            message=f"cannot write into {request.checkpoint_folder}: {seen.folder.problem}.",
            cause="The folder is not mounted there, or belongs to somebody else.",
            fix="Mount it, or change its owner, or name another one.",
        )
    for index in seen.folder.missed_by:
        yield PreflightFinding(
            code="folder_not_shared",
            severity=ERROR,
            where=label[index],
            message=f"a file that {label[seen.folder.writer]} wrote into {request.checkpoint_folder} is not there.",
            cause="The folder is the node's own, not the shared one.",
            fix="Mount the shared file system at that path on every node.",
        )


def slow_findings(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    """Pairs of nodes that are slower than the others of their zone."""
    zone = {node.index: node.zone for node in request.nodes}
    for pair, usual in slow_pairs(request, seen.paths):
        rate = seen.paths[pair].rate
        assert rate is not None, "it is slow"
        start, to = (request.label(index) for index in pair)
        yield PreflightFinding(
            code="slow_pair",
            severity=WARNING,
            where=f"{start} -> {to}",
            message=f"{units.format_bytes_per_second(rate.bytes_per_second)} arrived, where other nodes of zone "
            f"{zone[pair[0]]} bring {units.format_bytes_per_second(usual)}.",
            cause=_device_cause(pair, seen),
            fix=f"Look at the devices, cables and switch ports of {start} and {to}.",
        )


def slow_pairs(
    request: ProbeRequest, paths: Mapping[tuple[int, int], NodePath]
) -> Iterator[tuple[tuple[int, int], float]]:
    """(pair, median of the other pairs of its zone) for those that are below `SLOW_FRACTION` of it."""
    zone = {node.index: node.zone for node in request.nodes}
    rates = {
        pair: rate for pair in ring_pairs(request.nodes) if pair in paths and (rate := paths[pair].rate) is not None
    }
    for pair, own in rates.items():
        peers = [
            other.bytes_per_second for each, other in rates.items() if each != pair and zone[each[0]] == zone[pair[0]]
        ]
        if peers and own.bytes_per_second < SLOW_FRACTION * statistics.median(peers):
            yield pair, statistics.median(peers)


def _device_cause(pair: tuple[int, int], seen: Seen) -> str:
    for way in (pair, pair[::-1]):
        facts, path = seen.facts[way[0]], seen.paths.get(way)
        device = facts.interface(path.interface) if facts is not None and path is not None else None
        if device is not None and device.bytes_per_second is not None:
            usual = [each for other in seen.facts if other for each in other.interfaces if each.bytes_per_second]
            fastest = max((each.bytes_per_second or 0.0 for each in usual), default=0.0)
            if device.bytes_per_second < fastest:
                return f"{device.name} runs at {units.format_bytes_per_second(device.bytes_per_second)} only."
    return "One of the two sends or receives more slowly than its neighbours, or the path between them is shared."
