"""Environments of the inventory as the `cluster` of a job file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

from pydantic import ValidationError

from crosszone import units
from crosszone.core.environment import Environment
from crosszone.errors import Finding, SpecError, nearest_hint
from crosszone.spec import job as spec
from crosszone.spec.links import RATES
from crosszone.units import SECONDS_PER_HOUR

DIGITS = 15
"""Written so, a quantity is read as the number that it was."""
Pair = tuple[str, str]


def node_groups(chosen: Sequence[Environment]) -> tuple[tuple[Environment, ...], ...]:
    """Environments that are alike and in one zone, zone after zone, each in the order in which they were chosen."""
    zones = list(dict.fromkeys(each.zone for each in chosen))
    found: dict[str, list[Environment]] = {}
    for each in sorted(chosen, key=lambda each: zones.index(each.zone)):
        found.setdefault(repr([each.zone, *_keys(each).items()]), []).append(each)
    return tuple(map(tuple, found.values()))


def cluster_keys(chosen: Sequence[Environment], known: Mapping[Pair, Mapping[str, Any]]) -> dict[str, Any]:
    """The keys of `cluster`; `known` has what is known of the path from one zone to another."""
    zones: dict[str, dict[str, Any]] = {}
    for group in node_groups(chosen):
        first = group[0]
        zone = zones.setdefault(first.zone, {"name": first.zone, "nodes": []})
        if first.region is not None:
            zone["region"] = first.region
        nodes: dict[str, Any] = {"count": len(group), **_keys(first)}
        if all(each.addresses for each in group):
            nodes["addresses"] = [each.addresses[0] for each in group]
        zone["nodes"].append(nodes)
    links = [
        {"from": start, "to": end, **known[start, end]}
        for start, end in permutations(zones, 2)
        if (start, end) in known
    ]
    return {"zones": list(zones.values()), **({"links": links} if links else {})}


def missing_links(chosen: Sequence[Environment], known: Mapping[Pair, Mapping[str, Any]]) -> tuple[Pair, ...]:
    """(from, to) of every path between zones of which nothing is known."""
    zones = dict.fromkeys(each.zone for each in chosen)
    return tuple(pair for pair in permutations(zones, 2) if pair not in known)


def check_path(path: Mapping[str, Any]) -> None:
    """SpecError with everything that is wrong with a path as a job file writes a link, without its zones."""
    findings: list[Finding] = []
    try:
        spec.Path.model_validate(dict(path))
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            findings += _findings(str(problem["loc"][-1]), problem)
    if not findings and not any(path.get(key) is not None for key in RATES):
        message = f"nothing says how much it carries: {', '.join(RATES)}."
        findings.append(Finding(code="missing_key", message=message, hint='Write "bandwidth": "10 Gbit/s".'))
    if findings:
        raise SpecError(*findings)


def path_figures(path: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(seconds of a round trip, bytes per second that two nodes get at most) of a checked path; None where not said."""
    said = spec.Path.model_validate(dict(path))
    rates = [rate for rate in (said.bandwidth, said.per_node) if rate is not None]
    return said.rtt, min(rates, default=None)


def _keys(each: Environment) -> dict[str, Any]:
    """What a node group says that is of nodes like this one, but for how many they are and where they answer."""
    network = each.network_bytes_per_second
    rails = each.num_rails or 1
    said = {
        "gpu": each.gpu,
        "gpus_per_node": each.num_gpus,
        "network": None
        if network is None
        else f"{rails}x{units.format_bytes_per_second(network / rails, digits=DIGITS)}",
        "memory": None if each.memory_bytes is None else units.format_bytes(each.memory_bytes, digits=DIGITS),
        "cpus": each.num_cpus or None,
        "disk": None if each.disk_bytes is None else units.format_bytes(each.disk_bytes, digits=DIGITS),
        "interface": each.interface,
        "image": each.image,
        "price": None
        if each.dollars_per_gpu_second is None
        else f"{each.dollars_per_gpu_second * SECONDS_PER_HOUR:.{DIGITS}g} USD/h",
        "preemptible": each.is_preemptible or None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _findings(key: str, problem: Any) -> tuple[Finding, ...]:
    if problem["type"] == "value_error":
        found: tuple[Finding, ...] = tuple(problem["ctx"]["error"].findings)
        return tuple(Finding(code=each.code, message=each.message, where=key, hint=each.hint) for each in found)
    known = [field.alias or name for name, field in spec.Path.model_fields.items()]
    return (Finding(code="unknown_key", message=f'unknown key "{key}".', where=key, hint=nearest_hint(key, known)),)
