"""What bounds a step, told by slopes: the seconds that are saved where one part of the hardware is twice as good."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from crosszone.core.cluster import Cluster, Gpu, NodeGroup, Zone, ZoneLink
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.whatif import Regime, Slope
from crosszone.cost.network import flow_bytes_per_second
from crosszone.frameworks import framework_facts
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_keys, plan_step_seconds

COMPUTE_BOUND_FRACTION = 0.05
"""Where all communication twice as fast saves less of the step, tuning it further is not worth a measurement: it is
less than what predictions of left-out runs miss on average (docs/decisions/0002)."""
MOST_LINKS = 16
"""Directions of links that get a slope of their own: those that cost most."""

ROUNDING = 1e-9
"""Share of a step below which a difference is that of sums in another order."""

Change = Callable[[Cluster], Cluster]


def regime(problem: Problem, plan: Plan, prediction: Prediction, *, in_full: bool = True) -> Regime:
    """Whether communication or compute bounds the step of `plan`, by finite differences of the full cost model.

    - compute_bound: all communication twice as fast (links of twice the rate at half the round trip, networks and
      fabrics inside zones of twice the rate) saves less than `COMPUTE_BOUND_FRACTION` of the step.
    - communication_bound: it saves at least as much as GPUs of twice the compute and memory rates would, so that the
      next faster part to pay for is the network.
    - balanced: in between.

    What is hidden behind compute saves nothing, so that only exposed time counts; and faster GPUs expose what they
    hid. The plan stays as it is: a plan searched for the faster hardware may save more. Unless `in_full`, only the two
    slopes that name the regime are computed.
    """
    framework = (framework_facts(plan.framework),)
    keys = plan_keys(inputs(problem, framework), plan) if in_full else None
    base_seconds = prediction.step_seconds

    def saved(change: Change, *, of_links: bool = False) -> float:
        changed = inputs(dataclasses.replace(problem, cluster=change(problem.cluster)), framework)
        seconds = base_seconds - plan_step_seconds(changed, plan, keys if of_links else None)
        return seconds if abs(seconds) > ROUNDING * base_seconds else 0.0

    slopes = [
        Slope(what="communication", seconds_saved=saved(_all_communication)),
        Slope(what="gpus", seconds_saved=saved(_gpus)),
    ]
    if in_full:
        slopes += [
            Slope(what="gpu_compute", seconds_saved=saved(_gpu_compute)),
            Slope(what="gpu_memory", seconds_saved=saved(_gpu_memory)),
            Slope(what="zone_network", seconds_saved=saved(_zone_networks)),
        ]
    if in_full and prediction.links:
        slopes += [
            Slope(what="zone_links", seconds_saved=saved(_links, of_links=True)),
            Slope(what="rtt", seconds_saved=saved(half_round_trips, of_links=True)),
            *(
                Slope(
                    what="zone_link" if len(ends) == 1 else "zone_pair",
                    from_zone=ends[0][0],
                    to_zone=ends[0][1],
                    seconds_saved=saved(_some_links(ends), of_links=True),
                )
                for ends in _busiest(prediction)
            ),
        ]
    by_name = {slope.what: slope.seconds_saved for slope in slopes}
    return Regime(
        name=_name(by_name["communication"], by_name["gpus"], base_seconds),
        exposed_communication_fraction=prediction.exposed_communication_fraction,
        slopes=tuple(sorted(slopes, key=lambda slope: -slope.seconds_saved)),
    )


def _name(communication_seconds: float, gpu_seconds: float, step_seconds: float) -> str:
    if communication_seconds < COMPUTE_BOUND_FRACTION * step_seconds:
        return "compute_bound"
    return "communication_bound" if communication_seconds >= gpu_seconds else "balanced"


def _busiest(prediction: Prediction) -> list[tuple[tuple[str, str], ...]]:
    """Directions of links by what they cost, and both directions of a pair: what binds both shows in neither alone."""
    used = [link for link in prediction.links if link.step_bytes > 0.0]
    used.sort(key=lambda link: (-link.exposed_seconds, -link.raw_seconds))
    ways = [(link.from_zone, link.to_zone) for link in used[:MOST_LINKS]]
    both = [way for way in ways if way[0] < way[1] and way[::-1] in ways]
    return [(way,) for way in ways] + [(way, way[::-1]) for way in both]


def _all_communication(cluster: Cluster) -> Cluster:
    return _zone_networks(half_round_trips(_links(cluster)))


def _links(cluster: Cluster) -> Cluster:
    """Every zone link and uplink carries twice as much."""
    zones = tuple(
        dataclasses.replace(zone, uplink_bytes_per_second=_twice(zone.uplink_bytes_per_second))
        for zone in cluster.zones
    )
    return dataclasses.replace(cluster, zones=zones, links=tuple(map(twice_as_fast, cluster.links)))


def _some_links(ends: tuple[tuple[str, str], ...]) -> Change:
    """These directions of links carry twice as much."""

    def change(cluster: Cluster) -> Cluster:
        links = tuple(twice_as_fast(link) if (link.from_zone, link.to_zone) in ends else link for link in cluster.links)
        return dataclasses.replace(cluster, links=links)

    return change


def twice_as_fast(link: ZoneLink) -> ZoneLink:
    """The link with every cap doubled; what window, RTT and loss leave to a flow is doubled as one cap."""
    flow = flow_bytes_per_second(link)
    return dataclasses.replace(
        link,
        bytes_per_second=_twice(link.bytes_per_second),
        node_bytes_per_second=_twice(link.node_bytes_per_second),
        flow_bytes_per_second=2.0 * flow if np.isfinite(flow) else None,
        window_bytes=None,
        loss_fraction=None,
    )


def half_round_trips(cluster: Cluster) -> Cluster:
    """Every round trip between zones is half as long."""
    links = tuple(dataclasses.replace(link, latency_seconds=link.latency_seconds / 2.0) for link in cluster.links)
    return dataclasses.replace(cluster, links=links)


def _zone_networks(cluster: Cluster) -> Cluster:
    """Networks and fabrics inside zones are twice as fast."""

    def change(group: NodeGroup) -> NodeGroup:
        fabric = dataclasses.replace(group.fabric, bytes_per_second=2.0 * group.fabric.bytes_per_second)
        return dataclasses.replace(group, fabric=fabric, network_bytes_per_second=2.0 * group.network_bytes_per_second)

    return _with_groups(cluster, change)


def _gpus(cluster: Cluster) -> Cluster:
    return _gpu_memory(_gpu_compute(cluster))


def _gpu_compute(cluster: Cluster) -> Cluster:
    """Every peak is twice as high."""

    def change(gpu: Gpu) -> Gpu:
        peaks = tuple((precision, 2.0 * peak) for precision, peak in gpu.peak_flop_per_second)
        return dataclasses.replace(
            gpu, peak_flop_per_second=peaks, vector_flop_per_second=2.0 * gpu.vector_flop_per_second
        )

    return _with_groups(cluster, lambda group: dataclasses.replace(group, gpu=change(group.gpu)))


def _gpu_memory(cluster: Cluster) -> Cluster:
    """GPUs read and write their memory twice as fast; its size stays."""

    def change(gpu: Gpu) -> Gpu:
        return dataclasses.replace(gpu, memory_bytes_per_second=2.0 * gpu.memory_bytes_per_second)

    return _with_groups(cluster, lambda group: dataclasses.replace(group, gpu=change(group.gpu)))


def _with_groups(cluster: Cluster, change: Callable[[NodeGroup], NodeGroup]) -> Cluster:
    def changed(zone: Zone) -> Zone:
        return dataclasses.replace(zone, node_groups=tuple(map(change, zone.node_groups)))

    return dataclasses.replace(cluster, zones=tuple(map(changed, cluster.zones)))


def _twice(value: float | None) -> float | None:
    return None if value is None else 2.0 * value
