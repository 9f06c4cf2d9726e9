"""Zones and node groups: the catalog's facts about their GPUs and regions, and defaults where nothing is written."""

from __future__ import annotations

from dataclasses import dataclass

from crosszone import units
from crosszone.catalog.gpus import gpu as catalog_gpu
from crosszone.catalog.prices import gpu_price
from crosszone.catalog.regions import Region, nearest_names, region
from crosszone.core.cluster import Fabric, Gpu, NodeGroup, Zone
from crosszone.errors import UnknownName
from crosszone.spec import job as spec
from crosszone.spec.reporting import Report
from crosszone.spec.shape import LOST_NAME
from crosszone.spec.yaml_source import Path

PCIE = "pcie"
MAX_GPUS = 10_000_000
"""More than anybody has: beyond it a count is a slip."""
UNUSED_NETWORK_BYTES_PER_SECOND = 1.25e9
"""Network of the only node of a cluster, where nobody states it: nothing leaves the node, so that it has no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a zone is, and the zone itself."""

    name: str
    region: Region | None
    """The region of the catalog; None where it has none of that name."""
    location: tuple[float, float] | None
    """Latitude and longitude in degrees, where they are known."""
    zone: Zone | None
    """None where something in it could not be read."""


def read_sites(cluster: spec.Cluster, report: Report) -> tuple[Site, ...]:
    """Each zone of the job file."""
    _check_size(cluster, report)
    is_alone = len(cluster.zones) == 1 and sum(group.count for group in cluster.zones[0].nodes) == 1
    return tuple(_site(zone, ("cluster", "zones", index), is_alone, report) for index, zone in enumerate(cluster.zones))


def named_once(cluster: spec.Cluster, report: Report) -> spec.Cluster:
    """The cluster, in which the name of a zone is lost that is called as one before it: it may have meant any other."""
    first: dict[str, int] = {}
    zones = []
    for index, zone in enumerate(cluster.zones):
        if zone.name != LOST_NAME and zone.name in first:
            path: Path = ("cluster", "zones", index, "name")
            message = f'two zones are called "{zone.name}": zones[{first[zone.name]}] and zones[{index}].'
            report.refuse(path, "duplicate_name", message, f'Rename one of them, as "{zone.name}-2".')
            zone = zone.model_copy(update={"name": LOST_NAME})
        first.setdefault(zone.name, index)
        zones.append(zone)
    return cluster.model_copy(update={"zones": zones})


def _check_size(cluster: spec.Cluster, report: Report) -> None:
    num_gpus = sum(group.count * group.gpus_per_node for zone in cluster.zones for group in zone.nodes)
    if num_gpus > MAX_GPUS:
        message = f"the cluster has {num_gpus} GPUs; at most {MAX_GPUS} are planned for."
        report.refuse(("cluster", "zones"), "out_of_range", message, "Check count and gpus_per_node.")


def _site(zone: spec.Zone, path: Path, is_alone: bool, report: Report) -> Site:
    found = _region(zone, path, report)
    report.doubt_rate((*path, "uplink"), zone.uplink)
    groups = [
        _node_group(group, (*path, "nodes", index), found, is_alone, report) for index, group in enumerate(zone.nodes)
    ]
    location = zone.location
    if location is None and found is not None:
        location = (found.latitude_degrees, found.longitude_degrees)
    whole = tuple(group for group in groups if group is not None)
    resolved = Zone(
        name=zone.name,
        region=zone.region,
        node_groups=whole,
        latitude_degrees=location[0] if location is not None else None,
        longitude_degrees=location[1] if location is not None else None,
        scheduler=zone.scheduler,
        uplink_bytes_per_second=zone.uplink,
        oversubscription=zone.oversubscription or 1.0,
    )
    return Site(name=zone.name, region=found, location=location, zone=resolved if len(whole) == len(groups) else None)


def _region(zone: spec.Zone, path: Path, report: Report) -> Region | None:
    if zone.region is None:
        return None
    found = region(zone.region)
    if found is None:
        close = nearest_names(zone.region)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        message = f'"{zone.region}" is not in the catalog, so it has no coordinates and no prices.{meant}'
        report.warn((*path, "region"), message)
    return found


def _node_group(
    group: spec.NodeGroup, path: Path, found: Region | None, is_alone: bool, report: Report
) -> NodeGroup | None:
    gpu = _gpu(group, path, report)
    if gpu is None:
        return None
    if group.addresses is not None and len(group.addresses) != group.count:
        message = f"{len(group.addresses)} addresses for {group.count} nodes."
        report.refuse((*path, "addresses"), "count_mismatch", message, "Write one for each node.")
    if group.network is not None:
        report.doubt_rate((*path, "network"), group.network[1])
    if group.fabric is not None:
        report.doubt_rate((*path, "fabric", "bandwidth"), group.fabric.bandwidth)
    fabric = _fabric(group, gpu, path, report)
    network = group.network or _standard_network(group, gpu, path, is_alone, report)
    if fabric is None or network is None:
        return None
    return NodeGroup(
        num_nodes=group.count,
        gpu=gpu,
        gpus_per_node=group.gpus_per_node,
        fabric=fabric,
        network_bytes_per_second=network[1],
        num_rails=network[0],
        host_memory_bytes=group.memory,
        num_cpus=group.cpus,
        disk_bytes=group.disk,
        dollars_per_gpu_second=_price(group, gpu, path, found, report),
        is_preemptible=bool(group.preemptible),
        mtbf_seconds=group.mtbf,
        addresses=group.addresses or (),
        interface=group.interface,
        image=group.image,
    )


def _gpu(group: spec.NodeGroup, path: Path, report: Report) -> Gpu | None:
    if group.gpu == LOST_NAME:
        return None
    try:
        return catalog_gpu(group.gpu)
    except UnknownName as error:
        report.absorb((*path, "gpu"), error)
        return None


def _fabric(group: spec.NodeGroup, gpu: Gpu, path: Path, report: Report) -> Fabric | None:
    """The fabric as written; what is absent is the GPU's own, noted as assumed."""
    written = group.fabric or spec.Fabric()
    kind = written.kind or (gpu.fabric_kind if gpu.fabric_num_gpus > 1 else PCIE)
    num_gpus = written.num_gpus or _standard_fabric_size(group, gpu, kind)
    bytes_per_second = written.bandwidth
    if bytes_per_second is None:
        bytes_per_second = gpu.fabric_bytes_per_second if kind == gpu.fabric_kind else None
        if kind == PCIE and bytes_per_second is None:
            bytes_per_second = gpu.pcie_bytes_per_second
    total = group.count * group.gpus_per_node
    if num_gpus > total:
        message = f"a fabric of {num_gpus} GPUs is larger than the group's {total} GPUs."
        report.refuse((*path, "fabric", "num_gpus"), "out_of_range", message, f"Write {total} at most.")
        return None
    if bytes_per_second is None:
        message = f"the catalog knows no {kind} bandwidth of {gpu.name}; its own fabric is {gpu.fabric_kind}."
        report.refuse((*path, "fabric"), "unknown_fact", message, 'Write it: "fabric: {kind: ..., bandwidth: ...}".')
        return None
    missing = [name for name in ("kind", "num_gpus", "bandwidth") if getattr(written, name) is None]
    if missing:
        rate = f"{units.format_bytes(bytes_per_second)}/s"
        report.assume((*path, "fabric"), f"{kind} over {num_gpus} GPUs, {rate} each way per GPU, of {gpu.name}.")
    return Fabric(kind=kind, num_gpus=num_gpus, bytes_per_second=bytes_per_second)


def _standard_fabric_size(group: spec.NodeGroup, gpu: Gpu, kind: str) -> int:
    if kind != gpu.fabric_kind or kind == PCIE:
        return group.gpus_per_node
    reaches_beyond_node = gpu.fabric_num_gpus > gpu.system_gpus_per_node
    return min(gpu.fabric_num_gpus, group.count * group.gpus_per_node if reaches_beyond_node else group.gpus_per_node)


def _standard_network(
    group: spec.NodeGroup, gpu: Gpu, path: Path, is_alone: bool, report: Report
) -> tuple[int, float] | None:
    """(rails, bytes per second) of the GPU's standard system, with as many rails as the node's GPUs have there."""
    path = (*path, "network")
    if gpu.system_network_bytes_per_second is None:
        if is_alone:
            report.assume(path, "nothing known: nothing leaves the only node, so it has no effect.")
            return 1, UNUSED_NETWORK_BYTES_PER_SECOND
        message = f"the catalog knows no standard network of {gpu.name}."
        report.refuse(path, "missing_key", message, 'Write it, as "network: 4x200 Gbit/s".')
        return None
    system_rails = gpu.system_num_rails or 1
    share = min(1.0, group.gpus_per_node / gpu.system_gpus_per_node)
    num_rails = max(1, round(system_rails * share))
    bytes_per_second = gpu.system_network_bytes_per_second / system_rails * num_rails
    rail = units.format_bytes_per_second(bytes_per_second / num_rails)
    message = f"{num_rails}x{rail}, as the standard system of {gpu.name} has for {group.gpus_per_node} GPUs."
    report.assume(path, message)
    return num_rails, bytes_per_second


def _price(group: spec.NodeGroup, gpu: Gpu, path: Path, found: Region | None, report: Report) -> float | None:
    """Dollars per second of one GPU: as written, else the catalog's for the region or its provider, else unknown."""
    if group.price is not None or found is None:
        return group.price
    for place in (found.reference, found.provider):
        fact = gpu_price(place, gpu.name, bool(group.preemptible))
        if fact is not None:
            note = f" {fact.note}" if fact.note else ""
            text = (
                f"{units.format_dollars_per_second(fact.value / units.SECONDS_PER_HOUR)} per GPU, list price of {place}"
            )
            report.assume((*path, "price"), f"{text} ({fact.source}, {fact.date}).{note}")
            return fact.value / units.SECONDS_PER_HOUR
    return None
