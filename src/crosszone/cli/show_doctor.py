"""What a look at the nodes found, as people read it: nodes, paths, findings, links, verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.tables import Column, bullets, heading, pairs, paragraph, table

if TYPE_CHECKING:
    from crosszone.core.preflight import NodeFacts, NodePath, PreflightFinding, PreflightReport
    from crosszone.core.ranks import RankReport

MOST_MATRIX_NODES = 6
"""Above it the paths are a list of those that were measured or closed."""
UNKNOWN = "-"


def doctor_view(
    report: PreflightReport, links: Sequence[Mapping[str, Any]], *, is_verbose: bool
) -> Iterator[RenderableType]:
    """All of it; `links` as a job file takes them."""
    yield heading("Nodes")
    yield _one_node(report.facts[0]) if len(report.nodes) == 1 and report.facts[0] else _nodes(report)
    if report.paths:
        yield heading("Paths: round trip and bandwidth, from row to column")
        yield _matrix(report) if len(report.nodes) <= MOST_MATRIX_NODES else _list(report)
        if is_verbose:
            yield heading("Bandwidth by streams")
            yield _rates(report)
    if report.findings:
        yield heading("Findings")
        for finding in report.findings:
            yield _finding(finding)
    if links:
        yield heading(f"Links for the job file (measured {report.measured[:10]})")
        yield paragraph("links:\n" + "\n".join(map(_item, links)))
    if report.not_measured:
        yield heading("Not measured")
        yield bullets(report.not_measured)
    yield heading("Verdict")
    yield paragraph(f"{report.verdict} ({units.format_seconds(report.elapsed_seconds)})")


def ranks_view(report: RankReport) -> Iterator[RenderableType]:
    """What the ranks found when they met."""
    yield heading(f"Ranks: {report.num_ranks} over {report.backend}")
    rows: list[tuple[str, str | Text]] = [
        ("sum of ranks", f"{', '.join(map(str, sorted(set(report.sums)))) or UNKNOWN}, expected {report.expected_sum}")
    ]
    if report.pairs:
        far = max(report.pairs, key=lambda pair: pair.rtt_seconds)
        slow = min(report.pairs, key=lambda pair: pair.bytes_per_second)
        rows.append(("farthest pair", f"{far.from_rank} - {far.to_rank}: {units.format_seconds(far.rtt_seconds)}"))
        rate = units.format_bytes_per_second(slow.bytes_per_second)
        rows.append(("slowest pair", f"{slow.from_rank} - {slow.to_rank}: {rate}"))
    if report.step is not None:
        step = report.step
        rows.append(("step", f"{step.how}: each tensor changed by {step.least_change:.3g} or more"))
        rows.append(("against one process", f"differ by up to {step.largest_difference:.3g} (≤ {step.tolerance:.3g})"))
    rows.append(("verdict", report.verdict))
    yield pairs(rows)
    if report.problem:
        yield paragraph(report.problem)


def _one_node(facts: NodeFacts) -> RenderableType:
    """This machine, line by line."""
    versions = {"torch": facts.package("torch"), "CUDA": facts.cuda_version, "NCCL": facts.nccl_version}
    devices = [f"{each.name} (MTU {each.mtu_bytes}{'' if each.is_up else ', down'})" for each in facts.interfaces]
    clock = {True: "synchronised", False: "not synchronised", None: "not known whether synchronised"}
    return pairs(
        [
            ("name", facts.hostname),
            ("Python", f"{facts.python_version}, {facts.python_path}"),
            *((name, value or "not found") for name, value in versions.items()),
            ("driver", facts.driver_version or "not found"),
            ("GPUs", ", ".join(gpu.name for gpu in facts.gpus) or "none seen"),
            ("memory", f"{_bytes(facts.free_memory_bytes)} free of {_bytes(facts.memory_bytes)}"),
            ("disk", f"{_bytes(facts.free_disk_bytes)} free"),
            ("interfaces", ", ".join(devices)),
            ("TCP", f"{facts.congestion_control or UNKNOWN}, buffers up to {_bytes(facts.socket_bytes)}"),
            ("clock", clock[facts.is_clock_synchronised]),
        ]
    )


def _nodes(report: PreflightReport) -> RenderableType:
    names = (
        "node",
        "zone",
        "Python",
        "torch",
        "CUDA",
        "NCCL",
        "driver",
        "GPUs",
        "memory",
        "disk",
        "interface",
        "MTU",
        "clock",
    )
    rows = []
    for node, facts in zip(report.nodes, report.facts, strict=True):
        if facts is None:
            rows.append((node.label, node.zone, "not reachable from here", *([""] * (len(names) - 3))))
            continue
        path = next((each for each in report.paths if each.from_node == node.index and each.interface), None)
        device = facts.interface(node.interface or (path.interface if path else None))
        versions = (facts.python_version, facts.package("torch"), facts.cuda_version, facts.nccl_version)
        rows.append(
            (
                node.label,
                node.zone,
                *(value or UNKNOWN for value in (*versions, facts.driver_version)),
                str(len(facts.gpus)),
                _bytes(facts.free_memory_bytes),
                _bytes(facts.free_disk_bytes),
                device.name if device else UNKNOWN,
                str(device.mtu_bytes) if device else UNKNOWN,
                _clock(report, node.index),
            )
        )
    return table([Column(name=name) for name in names], rows)


def _clock(report: PreflightReport, index: int) -> str:
    """Difference from the first node's."""
    if index == report.nodes[0].index:
        return "0"
    for path in report.paths:
        if (path.from_node, path.to_node) == (report.nodes[0].index, index) and path.clock_offset_seconds is not None:
            sign = "+" if path.clock_offset_seconds >= 0 else "-"
            return f"{sign}{units.format_seconds(abs(path.clock_offset_seconds), digits=2)}"
    return UNKNOWN


def _matrix(report: PreflightReport) -> RenderableType:
    paths = {(path.from_node, path.to_node): path for path in report.paths}
    columns = [Column(name="from"), *(Column(name=node.label) for node in report.nodes)]
    rows = [
        (start.label, *("" if start is end else _cell(paths.get((start.index, end.index))) for end in report.nodes))
        for start in report.nodes
    ]
    return table(columns, rows)


def _list(report: PreflightReport) -> RenderableType:
    label = {node.index: node.label for node in report.nodes}
    shown = [path for path in report.paths if path.rates or not path.is_open]
    columns = [Column(name=name) for name in ("from", "to", "path")]
    return table(columns, [(label[path.from_node], label[path.to_node], _cell(path)) for path in shown])


def _cell(path: NodePath | None) -> str | Text:
    if path is None:
        return UNKNOWN
    if not path.resolved:
        return Text("no address", style="red")
    if not path.is_open:
        return Text("closed", style="red")
    parts = [units.format_seconds(path.rtt_seconds)] if path.rtt_seconds is not None else ["open"]
    if path.rate is not None:
        more = "≥ " if path.rate.is_rising or path.rate.is_at_limit else ""
        parts.append(more + units.format_bytes_per_second(path.rate.bytes_per_second))
    return ", ".join(parts)


def _rates(report: PreflightReport) -> RenderableType:
    label = {node.index: node.label for node in report.nodes}
    columns = [Column(name="from"), Column(name="to"), *(Column(name=name, is_number=True) for name in RATE_NAMES)]
    return table(
        columns,
        [
            (
                label[path.from_node],
                label[path.to_node],
                str(rate.num_streams),
                units.format_bytes_per_second(rate.bytes_per_second),
                UNKNOWN if rate.resent_fraction is None else units.format_fraction(rate.resent_fraction),
                str(path.path_mtu_bytes or UNKNOWN),
            )
            for path in report.paths
            for rate in sorted(path.rates, key=lambda rate: rate.num_streams)
        ],
    )


RATE_NAMES = ("streams", "bandwidth", "sent again", "largest packet")


def _finding(finding: PreflightFinding) -> RenderableType:
    style = "red" if finding.severity == "error" else "yellow"
    title = Text.assemble((finding.severity, style), f"  {finding.where}: {finding.message}")
    return pairs([("•", title), ("", f"Cause: {finding.cause}"), ("", f"Fix: {finding.fix}")])


def _item(link: Mapping[str, Any]) -> str:
    """As YAML; names are quoted as JSON, which YAML reads."""
    shown = {key: json.dumps(value) if key in ("from", "to") else value for key, value in link.items()}
    return "\n".join(f"  {'- ' if key == 'from' else '  '}{key}: {value}" for key, value in shown.items())


def _bytes(num_bytes: float | None) -> str:
    return UNKNOWN if num_bytes is None else units.format_bytes(num_bytes)
