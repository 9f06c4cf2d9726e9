"""What changes of links, nodes, GPUs, batch, precision and host memory are worth, the plan searched anew for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from crosszone import units
from crosszone.catalog.gpus import gpu, gpu_names
from crosszone.core.answer import Answer, RankedPlan
from crosszone.core.cluster import Cluster, Gpu, NodeGroup, Zone
from crosszone.core.explanation import Sensitivity
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.errors import CrossZoneError
from crosszone.planner.limits import total_dollars
from crosszone.planner.regime import half_round_trips, twice_as_fast
from crosszone.planner.search import search

MOST_PAIRS = 6
"""Pairs of zones whose links are changed one by one: those that the best plan uses, else the first."""
FASTER_RATIO = 1.05
"""Peak over that of the GPU at hand from which another kind counts as faster."""

WIDE, NARROW = "bf16", "fp8"
"""Weights and activations are kept in bf16 either way."""

Told = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One changed job."""

    kind: str
    change: str
    problem: Problem


def sensitivity(
    answer: Answer, *, gpus: Sequence[str] = (), on_progress: Told = lambda fraction: None
) -> tuple[Sensitivity, ...]:
    """What each change saves of the best plan's step, by a search of its own each; the most first.

    Every zone link twice as fast, and all of them; half of every round trip; one node more in each group; each of
    `gpus`, or the next faster kind of the same vendor and fabric; twice and half the batch, a step of which counts with
    as many tokens; fp8 in place of bf16 where every GPU computes in it; the optimizer's states in host memory, which
    no search tries while something fits without. Empty where there is no best plan.
    Errors: UnknownName of a GPU.
    """
    if not answer.plans:
        return ()
    best, cases = answer.plans[0], list(_cases(answer, gpus))
    found = []
    for index, case in enumerate(cases):
        on_progress(index / len(cases))
        found.append(_weighed(answer.problem, best, case))
    on_progress(1.0)
    return tuple(sorted(found, key=lambda one: -(one.seconds_saved if one.seconds_saved is not None else -1e300)))


def _cases(answer: Answer, gpus: Sequence[str]) -> Iterator[Case]:
    problem = answer.problem
    for kind, change, cluster in _clusters(answer, gpus):
        yield Case(kind=kind, change=change, problem=replace(problem, cluster=cluster))
    batch = problem.workload.global_batch_size
    for size in (2 * batch, batch // 2) if batch % 2 == 0 else (2 * batch,):
        workload = replace(problem.workload, global_batch_size=size)
        change = f"{size} sequences a step instead of {batch}"
        yield Case(kind="batch", change=change, problem=replace(problem, workload=workload))
    dtypes = problem.workload.dtypes
    if dtypes.compute == WIDE and _all_compute_in(problem, NARROW):
        workload = replace(problem.workload, dtypes=replace(dtypes, compute=NARROW))
        change = f"{NARROW} instead of {WIDE}"
        yield Case(kind="precision", change=change, problem=replace(problem, workload=workload))
    if problem.plan.offload is None and answer.plans[0].plan.offload == "none" and not problem.plan.stages:
        offloading = replace(problem, plan=replace(problem.plan, offload="optimizer"))
        yield Case(kind="offload", change="the optimizer's states in host memory", problem=offloading)


def _all_compute_in(problem: Problem, precision: str) -> bool:
    zones = [zone for zone in problem.cluster.zones if zone.name not in problem.constraints.exclude_zones]
    return all(group.gpu.peak(precision) is not None for zone in zones for group in zone.node_groups)


def _clusters(answer: Answer, gpus: Sequence[str]) -> Iterator[tuple[str, str, Cluster]]:
    cluster, excluded = answer.problem.cluster, answer.problem.constraints.exclude_zones
    pairs = _pairs(answer)
    for first, second in pairs:
        yield "link", f"twice the bandwidth between {first} and {second}", _faster(cluster, {(first, second)})
    if len(pairs) > 1:
        every = {(link.from_zone, link.to_zone) for link in cluster.links}
        yield "links", "twice the bandwidth of every zone link", _faster(cluster, every)
    if pairs:
        yield "rtt", "half of every round trip between zones", half_round_trips(cluster)
    for zone in cluster.zones:
        for index, group in enumerate(zone.node_groups):
            if zone.name not in excluded:
                change = f"one more node of {group.gpus_per_node} {group.gpu.name} in {zone.name}"
                yield "nodes", change, _with_node(cluster, zone.name, index)
    for old, new in _swaps(answer.problem, gpus):
        name = old.name if old is not None else "every GPU"
        yield "gpu", f"{new.name} instead of {name}", _with_gpu(cluster, old, new)


def _pairs(answer: Answer) -> list[tuple[str, str]]:
    """Pairs of zones whose links matter, those first that the best plan uses."""
    excluded = answer.problem.constraints.exclude_zones
    sent = [sorted((link.from_zone, link.to_zone)) for link in answer.plans[0].prediction.links]
    known = [
        sorted((link.from_zone, link.to_zone))
        for link in answer.problem.cluster.links
        if link.from_zone not in excluded and link.to_zone not in excluded
    ]
    found = dict.fromkeys((first, second) for first, second in sent or known)
    return list(found)[:MOST_PAIRS]


def _faster(cluster: Cluster, pairs: set[tuple[str, str]]) -> Cluster:
    """Both directions of each pair carry twice as much."""
    ways = pairs | {(second, first) for first, second in pairs}
    links = tuple(twice_as_fast(link) if (link.from_zone, link.to_zone) in ways else link for link in cluster.links)
    return replace(cluster, links=links)


def _with_node(cluster: Cluster, zone: str, index: int) -> Cluster:
    def more(place: str, number: int, group: NodeGroup) -> NodeGroup:
        return replace(group, num_nodes=group.num_nodes + 1) if (place, number) == (zone, index) else group

    return _with_groups(cluster, more)


def _with_gpu(cluster: Cluster, old: Gpu | None, new: Gpu) -> Cluster:
    """Groups of `old` (None: all) with `new` GPUs, whose price nobody said."""

    def swapped(place: str, number: int, group: NodeGroup) -> NodeGroup:
        if group.gpu.name == new.name or (old is not None and group.gpu.name != old.name):
            return group
        fabric = group.fabric
        if fabric.kind == new.fabric_kind and new.fabric_bytes_per_second is not None:
            fabric = replace(fabric, bytes_per_second=new.fabric_bytes_per_second)
        return replace(group, gpu=new, fabric=fabric, dollars_per_gpu_second=None)

    return _with_groups(cluster, swapped)


def _with_groups(cluster: Cluster, change: Callable[[str, int, NodeGroup], NodeGroup]) -> Cluster:
    def changed(zone: Zone) -> Zone:
        groups = tuple(change(zone.name, index, group) for index, group in enumerate(zone.node_groups))
        return replace(zone, node_groups=groups)

    return replace(cluster, zones=tuple(changed(zone) for zone in cluster.zones))


def _swaps(problem: Problem, names: Sequence[str]) -> Iterator[tuple[Gpu | None, Gpu]]:
    """(kind at hand, other kind): those that a person named for all, else the next faster of each."""
    at_hand = {group.gpu.name: group.gpu for zone in problem.cluster.zones for group in zone.node_groups}
    if names:
        yield from ((None, gpu(name)) for name in names)
        return
    precision = problem.workload.dtypes.compute
    for old in at_hand.values():
        new = _next_faster(old, precision)
        if new is not None:
            yield old, new


def _next_faster(old: Gpu, precision: str) -> Gpu | None:
    """The slowest kind that is faster, of the same vendor and fabric, with no less memory."""
    peak = old.peak(precision) or 0.0
    faster = [
        other
        for other in map(gpu, gpu_names())
        if (other.vendor, other.fabric_kind) == (old.vendor, old.fabric_kind)
        and (other.peak(precision) or 0.0) > FASTER_RATIO * peak
        and other.memory_bytes >= 0.99 * old.memory_bytes
    ]
    return min(faster, key=lambda other: (other.peak(precision) or 0.0, other.memory_bytes, other.name), default=None)


def _weighed(problem: Problem, best: RankedPlan, case: Case) -> Sensitivity:
    try:
        answer = search(case.problem, top=1)
    except CrossZoneError as error:
        return _none(case, " ".join(finding.message for finding in error.findings))
    if not answer.plans:
        return _none(case, answer.verdict)
    other, base = answer.plans[0], best.prediction
    tokens = problem.workload.global_batch_tokens / case.problem.workload.global_batch_tokens
    seconds = base.step_seconds - other.prediction.step_seconds * tokens
    dollars = total_dollars(base), total_dollars(other.prediction)
    return Sensitivity(
        change=case.change,
        kind=case.kind,
        plan=other.plan,
        is_same_plan=_looks(other.plan) == _looks(best.plan),
        step_seconds=other.prediction.step_seconds,
        seconds_saved=seconds,
        saved_fraction=seconds / base.step_seconds,
        dollars_saved=None if dollars[0] is None or dollars[1] is None else dollars[0] - dollars[1],
        note=_note(case, dollars[0], dollars[1]),
    )


def _note(case: Case, before: float | None, after: float | None) -> str:
    if case.kind == "batch":
        return "Another batch changes the mathematics of training: learning rate and convergence follow it."
    if case.kind == "offload":
        return "The host's own update is taken as hidden behind its transfers, and its memory as free: try it first."
    if case.kind == "precision":
        return f"{NARROW} changes the mathematics of training: check convergence against {WIDE} first."
    if case.kind == "gpu" and before is not None and after is None:
        return f"What it costs is unknown; now it is {units.format_dollars(before)} in all."
    return ""


def _none(case: Case, why: str) -> Sensitivity:
    return Sensitivity(
        change=case.change,
        kind=case.kind,
        plan=None,
        is_same_plan=False,
        step_seconds=None,
        seconds_saved=None,
        saved_fraction=None,
        dollars_saved=None,
        note=why,
    )


def _looks(plan: Plan) -> tuple[object, ...]:
    """What makes a plan the same plan for a reader: dp may have grown with the cluster."""
    names = ("framework", "tp", "pp", "cp", "ep", "schedule", "num_virtual_stages", "shard", "recompute", "sync")
    return (*(getattr(plan, name) for name in names), frozenset(plan.zones), plan.zone_axis)
