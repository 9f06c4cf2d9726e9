"""One look at the nodes of a job, and what is made of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from crosszone.core.preflight import ERROR, PreflightFinding, PreflightReport, ProbeRequest
from crosszone.launch.preflight.findings import node_findings, slow_findings
from crosszone.launch.preflight.links import link_findings, measured_links
from crosszone.launch.preflight.look import look
from crosszone.launch.preflight.path_findings import path_findings
from crosszone.launch.preflight.reach_file import Reach
from crosszone.launch.preflight.sample import MOST_FULL_NODES, measured_pairs
from crosszone.launch.preflight.seen import Seen
from crosszone.launch.preflight.version_findings import version_findings


def preflight(
    request: ProbeRequest, reach: Reach, *, on_progress: Callable[[float], None] = lambda fraction: None
) -> PreflightReport:
    """Look at all nodes of `request`; what stands in the way is told, never raised."""
    began, started = datetime.now(UTC), time.monotonic()
    seen = look(request, reach, on_progress=on_progress)
    return report(
        request, seen, measured=began.isoformat(timespec="seconds"), elapsed_seconds=time.monotonic() - started
    )


def report(request: ProbeRequest, seen: Seen, *, measured: str, elapsed_seconds: float) -> PreflightReport:
    """What `seen` says: errors first, then warnings."""
    links = measured_links(request, seen)
    found = [
        *node_findings(request, seen),
        *version_findings(request, seen),
        *path_findings(request, seen),
        *link_findings(request, links, seen),
        *slow_findings(request, seen),
    ]
    errors = [each for each in found if each.severity == ERROR]
    warnings = [each for each in found if each.severity != ERROR]
    return PreflightReport(
        is_ready=not errors,
        verdict=_verdict(request, errors, warnings),
        measured=measured,
        elapsed_seconds=elapsed_seconds,
        nodes=request.nodes,
        facts=seen.facts,
        paths=tuple(seen.paths[pair] for pair in sorted(seen.paths)),
        measured_links=links,
        findings=(*errors, *warnings),
        not_measured=(*seen.not_measured, *_left_out(request)),
    )


def _verdict(request: ProbeRequest, errors: list[PreflightFinding], warnings: list[PreflightFinding]) -> str:
    num_nodes = len(request.nodes)
    what = "this machine" if num_nodes == 1 and request.nodes[0].address is None else f"{num_nodes} node(s)"
    if errors:
        first = errors[0]
        return f"Not ready: {len(errors)} problem(s) on {what}; first {first.where}: {first.message}"
    if warnings:
        return f"Ready, with {len(warnings)} warning(s) on {what}."
    return f"Ready: nothing stands in the way on {what}."


def _left_out(request: ProbeRequest) -> list[str]:
    """What the sample of pairs leaves out."""
    num_nodes = len(request.nodes)
    num_pairs, num_measured = num_nodes * (num_nodes - 1), len(measured_pairs(request.nodes))
    found = []
    if num_pairs > num_measured:
        found.append(
            f"Bandwidth of {num_pairs - num_measured} of {num_pairs} ordered pairs of nodes: one pair of nodes stands "
            "for two zones, and in a zone each node sends to the next."
        )
    if num_nodes > MOST_FULL_NODES:
        found.append(f"Connections between all pairs: there are more than {MOST_FULL_NODES} nodes.")
    return found
