"""What can fail while a training runs: nodes and the paths between zones, and how often."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from crosszone.core.cluster import Cluster, NodeGroup, ZoneLink
from crosszone.core.plan import IdleGpus, Plan
from crosszone.core.pools import pools
from crosszone.core.problem import Problem
from crosszone.cost.reliability import job_mtbf_seconds
from crosszone.units import SECONDS_PER_HOUR

GPU_MTBF_SECONDS = 16_384 * 54 * 86_400.0 / 419
"""Of one GPU with its share of the node and network: 419 unexpected interruptions of a training on 16,384 H100 in 54
days (Grattafiori et al. 2024, "The Llama 3 herd of models", arXiv 2407.21783, sec. 3.3.4): 50,700 h. Stands in, marked
assumed, for GPUs of every kind where nobody wrote `mtbf`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What of the cluster must work at the same time."""

    num_gpus: tuple[tuple[str, int, int], ...]
    """(zone, index of the node group, GPUs that work there)."""
    pairs: frozenset[tuple[str, str]]
    """Zones between which anything is sent, in the order of their names."""
    num_copies: int
    """Of the weights and the optimizer's states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threats:
    """What can fail."""

    mtbf_seconds: float | None
    """None where the rate of a part is unknown."""
    link_failures_per_second: float | None
    """None where paths between zones are used and nobody wrote how often one fails; 0 where none is used."""
    repair_seconds: float
    """What is waited for after a failure until all paths work, as a mean over all failures."""
    repair_variance: float
    """Of the same over all failures, in square seconds; repairs are taken as exponential."""
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]


def plan_footprint(plan: Plan, pairs: Iterable[tuple[str, str]]) -> Footprint:
    """Of a plan that sends something between each of `pairs`."""
    return Footprint(
        num_gpus=tuple((zone, group, count) for (zone, group), count in working_gpus(plan).items()),
        pairs=frozenset((min(pair), max(pair)) for pair in pairs),
        num_copies=max(
            1,
            sum(one.num_replicas for one in plan.replicas if one.own is None) // plan.dp_shard
            + sum(one.num_replicas // one.own.dp_shard for one in plan.replicas if one.own is not None),
        ),
    )


def working_gpus(plan: Plan) -> dict[tuple[str, int], int]:
    """GPUs that work, by zone and index of the node group."""
    found: dict[tuple[str, int], int] = {}
    for replica in plan.replicas:
        for place in zip(replica.zones, replica.node_groups, strict=True):
            found[place] = found.get(place, 0) + plan.tp * plan.cp * replica.num_replicas
    return found


def idle_gpus(cluster: Cluster, plan: Plan) -> tuple[IdleGpus, ...]:
    """GPUs of the cluster that the plan leaves alone."""
    used = working_gpus(plan)
    return tuple(
        IdleGpus(zone=pool.zone.name, node_group=pool.node_group_index, num_gpus=left)
        for pool in pools(cluster)
        if (left := pool.node_group.num_gpus - used.get((pool.zone.name, pool.node_group_index), 0)) > 0
    )


def threats_to(problem: Problem, footprint: Footprint) -> Threats:
    """Rates of everything that must work, added up: nodes, and paths between zones."""
    rate, assumed, unknown = 0.0, [], []
    for zone, index, num_gpus in footprint.num_gpus:
        group = problem.cluster.zone(zone).node_groups[index]
        if group.mtbf_seconds is None and group.is_preemptible:
            unknown.append(zone)
        elif group.mtbf_seconds is None:
            assumed.append(zone)
        rate += _failures_per_second(group, num_gpus)
    links = _outages(problem, footprint)
    link_rate = sum(1.0 / mtbf for mtbf, _ in links)
    total = rate + link_rate
    repair = sum(repair / mtbf for mtbf, repair in links) / total if total else 0.0
    squares = sum(2.0 * repair**2 / mtbf for mtbf, repair in links) / total if total else 0.0
    return Threats(
        mtbf_seconds=None if unknown else float(job_mtbf_seconds(total)),
        link_failures_per_second=link_rate if links or not footprint.pairs else None,
        repair_seconds=repair,
        repair_variance=squares - repair**2,
        assumed=_threat_notes(problem, footprint, assumed, has_outages=bool(links)),
        warnings=_unknown_warnings(unknown),
    )


def _failures_per_second(group: NodeGroup, num_gpus: int) -> float:
    if group.mtbf_seconds is not None:
        return math.ceil(num_gpus / group.gpus_per_node) / group.mtbf_seconds
    return num_gpus / GPU_MTBF_SECONDS


def _outages(problem: Problem, footprint: Footprint) -> list[tuple[float, float]]:
    """(mean time between outages, repair) of each path in use: both directions, and all links of a name, are one."""
    paths: dict[object, tuple[float, float]] = {}
    links = {(link.from_zone, link.to_zone): link for link in problem.cluster.links}
    for pair in sorted(footprint.pairs):
        for link in (links[pair], links[pair[::-1]]):
            if link.mtbf_seconds is not None:
                key = link.shared or pair
                found = (link.mtbf_seconds, -(link.repair_seconds or 0.0))
                paths[key] = min(paths.get(key, found), found)
    return [(mtbf, -negative) for mtbf, negative in paths.values()]


def _threat_notes(problem: Problem, footprint: Footprint, assumed: list[str], *, has_outages: bool) -> tuple[str, ...]:
    found = []
    if assumed:
        lifetime = f"{round(GPU_MTBF_SECONDS / SECONDS_PER_HOUR, -2):,.0f} h"
        found.append(
            f"cluster.zones[].nodes[].mtbf: one failure in {lifetime} of each GPU, as a training of 54 days on 16,384 "
            "H100 saw (Llama 3, 2024)."
        )
    links = [link for pair in footprint.pairs for link in (problem.cluster.link(*pair),)]
    if links and not has_outages:
        found.append("cluster.links[].mtbf: no outages of zone links.")
    if any(_lacks_repair(link) for link in links):
        found.append("cluster.links[].repair: an outage of a zone link is over before the job restarts.")
    return tuple(found)


def _lacks_repair(link: ZoneLink) -> bool:
    return link.mtbf_seconds is not None and link.repair_seconds is None


def _unknown_warnings(zones: list[str]) -> tuple[str, ...]:
    if not zones:
        return ()
    where = ", ".join(dict.fromkeys(zones))
    return (
        f"cluster.zones[].nodes[].mtbf: nodes in {where} are preemptible and nobody wrote how often they go, so "
        "goodput and finish are unknown. Write `mtbf` in those nodes.",
    )
