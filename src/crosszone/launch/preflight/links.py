"""Links between zones as they were measured, and what of them the job file sees too well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crosszone import units
from crosszone.core.cluster import ZoneLink
from crosszone.core.preflight import WARNING, MeasuredLink, NodePath, PreflightFinding, ProbeRequest, Rate
from crosszone.launch.preflight.sample import by_zone, zone_pairs
from crosszone.launch.preflight.seen import Seen

SAME_FRACTION = 0.95
"""Two rates are one where the smaller is at least so much of the larger. Chosen: rates repeat to a few percent."""
SCALES_FRACTION = 0.8
"""Several pairs of nodes bring this much of the sum of one each: more nodes may bring more."""
OPTIMISTIC_FRACTION = 0.2
"""Beyond this the job file is told to be optimistic."""
LOSSY_FRACTION = 0.01
"""Of packets that are sent again. Chosen: cubic is held far below the path by it (Mathis et al. 1997)."""
LEAST_RTT_SECONDS = 0.0005
"""Differences below this are the noise of two programs that wake up. Chosen."""


def measured_links(request: ProbeRequest, seen: Seen) -> tuple[MeasuredLink, ...]:
    """Each direction between two zones of which something was measured."""
    zone = {node.index: node.zone for node in request.nodes}
    members = by_zone(request.nodes)
    together = {(each.from_zone, each.to_zone): each.rate for each in seen.zone_rates}
    found = []
    for pair in zone_pairs(request.nodes):
        path = seen.paths.get(pair)
        if path is None or (path.rate is None and path.rtt_seconds is None):
            continue
        start, end = zone[pair[0]], zone[pair[1]]
        num_nodes = min(len(members[start]), len(members[end]))
        found.append(_link(start, end, path, together.get((start, end)), num_nodes))
    return tuple(found)


def job_links(links: tuple[MeasuredLink, ...]) -> list[dict[str, str | int]]:
    """As they are written in a job file, under `cluster.links`."""
    found = []
    for link in links:
        row: dict[str, str | int] = {"from": link.from_zone, "to": link.to_zone}
        rates = {
            "bandwidth": link.bytes_per_second,
            "per_node": link.node_bytes_per_second,
            "per_flow": link.flow_bytes_per_second,
        }
        row |= {key: units.format_bytes_per_second(rate) for key, rate in rates.items() if rate is not None}
        if link.rtt_seconds is not None:
            row["rtt"] = units.format_seconds(link.rtt_seconds)
        if link.num_streams is not None:
            row["streams"] = link.num_streams
        if link.bytes_per_second is not None:
            found.append(row)
    return found


def link_findings(request: ProbeRequest, links: tuple[MeasuredLink, ...], seen: Seen) -> Iterator[PreflightFinding]:
    """Where the job file has more bandwidth, or a shorter round trip, than was measured."""
    written = {(link.from_zone, link.to_zone): link for link in request.links}
    first = {zone: members[0] for zone, members in by_zone(request.nodes).items()}
    for link in links:
        job = written.get((link.from_zone, link.to_zone))
        if job is None:
            continue
        where = f"{link.from_zone} -> {link.to_zone}"
        path = seen.paths[first[link.from_zone], first[link.to_zone]]
        yield from _slower(where, job, link, path)
        yield from _farther(where, job, link)


def _link(start: str, end: str, path: NodePath, together: Rate | None, num_nodes: int) -> MeasuredLink:
    best, single = path.rate, _rate(path, 1)
    if best is None:
        return MeasuredLink(
            from_zone=start, to_zone=end, bytes_per_second=None, node_bytes_per_second=None,
            flow_bytes_per_second=None, num_streams=None, rtt_seconds=path.rtt_seconds, is_lower_bound=False,
        )  # fmt: skip
    whole = best if together is None or together.bytes_per_second <= best.bytes_per_second else together
    has_more = whole.bytes_per_second * SAME_FRACTION > best.bytes_per_second
    is_scaling = whole.num_pairs > 1 and (
        whole.bytes_per_second > SCALES_FRACTION * whole.num_pairs * best.bytes_per_second
    )
    flow = single.bytes_per_second if single is not None else None
    enough = [rate.num_streams for rate in path.rates if rate.bytes_per_second >= SAME_FRACTION * best.bytes_per_second]
    return MeasuredLink(
        from_zone=start,
        to_zone=end,
        bytes_per_second=whole.bytes_per_second,
        node_bytes_per_second=best.bytes_per_second if has_more else None,
        flow_bytes_per_second=flow if flow is not None and flow < SAME_FRACTION * best.bytes_per_second else None,
        num_streams=min(enough),
        rtt_seconds=path.rtt_seconds,
        is_lower_bound=whole.is_rising
        or whole.is_at_limit
        or (is_scaling and num_nodes > whole.num_pairs)
        or (together is None and num_nodes > 1),
    )


def _rate(path: NodePath, num_streams: int) -> Rate | None:
    return next((rate for rate in path.rates if rate.num_streams == num_streams), None)


def _slower(where: str, job: ZoneLink, link: MeasuredLink, path: NodePath) -> Iterator[PreflightFinding]:
    """What one pair of nodes gets by the job file, with its streams, beside what it got."""
    num_streams = job.num_streams or 1
    tried = [rate for rate in path.rates if rate.num_streams >= num_streams] or list(path.rates)
    if not tried:
        return
    got = min(tried, key=lambda rate: rate.num_streams)
    assumed, cap = _job_rate(job, got.num_streams)
    if (
        assumed is None
        or got.is_rising
        or got.is_at_limit
        or got.bytes_per_second >= assumed * (1 - OPTIMISTIC_FRACTION)
    ):
        return
    best = path.rate
    assert best is not None, "some rate was tried"
    more_streams = best.bytes_per_second > got.bytes_per_second / SAME_FRACTION
    share = units.format_fraction(1 - got.bytes_per_second / assumed)
    yield PreflightFinding(
        code="slower_than_job",
        severity=WARNING,
        where=where,
        message=f"{units.format_bytes_per_second(got.bytes_per_second)} arrived over {got.num_streams} stream(s), "
        f"{share} less than the {units.format_bytes_per_second(assumed)} that the job file says ({cap}).",
        cause=_slow_cause(got, best, link, more_streams=more_streams),
        fix=f"Write streams: {link.num_streams} for this link, and the bandwidth that was measured."
        if more_streams
        else "Write the measured bandwidth into the job file and plan again, or have the path widened.",
    )


def _job_rate(job: ZoneLink, num_streams: int) -> tuple[float | None, str]:
    """(what the job file says that one pair of nodes gets, the key that says so)."""
    caps: Mapping[str, float | None] = {
        "bandwidth": job.bytes_per_second,
        "per_node": job.node_bytes_per_second,
        "per_flow": None if job.flow_bytes_per_second is None else num_streams * job.flow_bytes_per_second,
        "window": None
        if job.window_bytes is None or not job.latency_seconds
        else num_streams * job.window_bytes / (2 * job.latency_seconds),
    }
    known = {key: cap for key, cap in caps.items() if cap is not None}
    if not known:
        return None, ""
    key = min(known, key=lambda each: known[each])
    return known[key], key


def _slow_cause(got: Rate, best: Rate, link: MeasuredLink, *, more_streams: bool) -> str:
    if more_streams:
        return (
            f"One connection is held back by its window, the round trip or loss: {best.num_streams} streams bring "
            f"{units.format_bytes_per_second(best.bytes_per_second)}."
        )
    if got.resent_fraction is not None and got.resent_fraction > LOSSY_FRACTION:
        return f"The path loses packets or is full: {units.format_fraction(got.resent_fraction)} were sent again."
    return "More streams bring no more: the path itself is narrower, or others use it."


def _farther(where: str, job: ZoneLink, link: MeasuredLink) -> Iterator[PreflightFinding]:
    assumed_seconds = 2 * job.latency_seconds
    if link.rtt_seconds is None:
        return
    more_seconds = link.rtt_seconds - assumed_seconds
    if more_seconds <= max(OPTIMISTIC_FRACTION * assumed_seconds, LEAST_RTT_SECONDS):
        return
    yield PreflightFinding(
        code="farther_than_job",
        severity=WARNING,
        where=where,
        message=f"a round trip takes {units.format_seconds(link.rtt_seconds)}, but the job file says "
        f"{units.format_seconds(assumed_seconds)}.",
        cause="The route is longer than assumed, or something on it queues.",
        fix=f"Write rtt: {units.format_seconds(link.rtt_seconds)} for this link.",
    )
