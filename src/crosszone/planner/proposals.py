"""Single changes that may make one plan faster: what to set, and by whose word the mechanism exists.

Nothing here says what a change gains: that is for the cost model. A proposal that the framework cannot express, or that
does not fit, is dropped where it is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosszone import units
from crosszone.core.cluster import ZoneLink
from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, STREAMS, ZONE_ALGORITHMS, Plan, recompute_words
from crosszone.core.prediction import Link, Prediction
from crosszone.core.problem import PlanRequest, Problem
from crosszone.cost.codecs import families
from crosszone.cost.network import best_num_streams, flow_bytes_per_second
from crosszone.cost.sync import is_local, sync_methods
from crosszone.cost.zone_collectives import best_bucket_bytes

FASTER = "x2"
RATES = {"bandwidth": "bandwidth", "per_node": "bandwidth per node", "per_flow": "rate per flow"}
"""Keys of a link that cap its rate, and what a person calls them."""
USUAL_EVERY = 30
"""At which DiLoCo's scaling laws were fitted (Charles et al. 2025, arXiv 2503.09799)."""
MOST_PAIRS, MOST_ZONES = 8, 8
"""Pairs of zones whose links, and zones without which, are tried one by one."""
VIRTUAL_STAGES = (2, 4)
BUCKET_FACTORS = (1, 4, 16)
STREAM_AXES = {"gradients": "dp", "pseudogradients": "dp", "activations": "pp"}
"""What of a plan crosses zones where a stream does."""
TCP = "NCCL_NSOCKS_PERTHREAD (NVIDIA NCCL user guide); iperf -P"
MEGATRON = "Narayanan et al. 2021 (SC21), sec. 2.2"
ZERO = "Rajbhandari et al. 2020 (ZeRO), sec. 5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One change."""

    kind: str
    """Of proposals of one kind, the best is shown."""
    title: str
    settings: tuple[str, ...]
    source: str
    """Of the mechanism."""
    is_last_resort: bool = False
    """Only worth its time where nothing of this kind before it could be expressed."""


def proposals(written: dict[str, Any], problem: Problem, plan: Plan, prediction: Prediction) -> Iterator[Proposal]:
    """Everything worth trying on `plan`; `written` is the job file that it came from."""
    yield from _degrees(problem, plan)
    yield from _order_of_work(plan)
    yield from _memory_for_time(plan)
    if len(plan.zones) > 1:
        yield from _links(written, problem, prediction)
        yield from _codecs(plan)
    if "dp" in plan.zone_axis:
        yield from _agreement(plan)
        yield from _bucket(prediction)
        yield from _without_zone(problem, plan)
    yield Proposal(
        kind="batch",
        title="twice the sequences a step",
        settings=(f"workload.global_batch_size={2 * problem.workload.global_batch_size}",),
        source="Goyal et al. 2017 (arXiv 1706.02677), sec. 2.1",
    )


def _degrees(problem: Problem, plan: Plan) -> Iterator[Proposal]:
    """Another plan altogether, and other microbatches."""
    if problem.plan != PlanRequest():
        yield Proposal(kind="search", title="let the whole plan be searched", settings=("plan=null",), source=MEGATRON)
    size = plan.microbatch_size
    for other in (2 * size, size // 2):
        if other >= 1:
            yield Proposal(
                kind="microbatch",
                title=f"microbatches of {other} instead of {size}",
                settings=(f"plan.microbatch_size={other}",),
                source=MEGATRON,
            )


def _order_of_work(plan: Plan) -> Iterator[Proposal]:
    if plan.pp == 1:
        return
    for schedule in SCHEDULES:
        for chunks in (1, *VIRTUAL_STAGES):
            if (schedule, chunks) == (plan.schedule, plan.num_virtual_stages):
                continue
            more = f" with {chunks} virtual stages" if chunks > 1 else ""
            yield Proposal(
                kind="schedule",
                title=f"the schedule {schedule}{more}",
                settings=(f"plan.schedule={schedule}", f"plan.num_virtual_stages={chunks}"),
                source=MEGATRON,
            )


def _memory_for_time(plan: Plan) -> Iterator[Proposal]:
    """Keep or gather more, where the memory is there."""
    for recompute in RECOMPUTES[: RECOMPUTES.index(plan.recompute)]:
        yield Proposal(
            kind="recompute",
            title=f"recompute {recompute} instead of {recompute_words(plan)}",
            settings=(f"plan.recompute={recompute}",),
            source="Korthikanti et al. 2022 (arXiv 2205.05198), sec. 5",
        )
    for shard in SHARDS if plan.dp > 1 else ():
        if shard != plan.shard:
            yield Proposal(
                kind="shard",
                title=f"shard {shard} instead of {plan.shard}",
                settings=(f"plan.shard={shard}",),
                source=ZERO,
            )
    if plan.tp > 1 and not plan.sequence_parallel:
        yield Proposal(
            kind="sequence_parallel",
            title="sequence parallel",
            settings=("plan.sequence_parallel=true",),
            source="Korthikanti et al. 2022 (arXiv 2205.05198), sec. 4",
        )
    if plan.offload != "none":
        yield Proposal(kind="offload", title="keep everything on the GPU", settings=("plan.offload=none",), source=ZERO)
    for units_ahead in (1, 2) if plan.shard == "parameters" else ():
        if units_ahead != plan.prefetch:
            yield Proposal(
                kind="prefetch",
                title=f"gather weights {units_ahead} ahead",
                settings=(f"plan.prefetch={units_ahead}",),
                source="Zhao et al. 2023 (PyTorch FSDP), sec. 4.2",
            )


def _links(written: dict[str, Any], problem: Problem, prediction: Prediction) -> Iterator[Proposal]:
    """Better links, those first that cost most: streams and congestion control are free, bandwidth is not."""
    by_pair: dict[tuple[str, str], list[Link]] = {}
    for link in sorted(prediction.links, key=lambda link: -link.exposed_seconds):
        first, second = sorted((link.from_zone, link.to_zone))
        by_pair.setdefault((first, second), []).append(link)
    for pair, ways in list(by_pair.items())[:MOST_PAIRS]:
        name, between = ",".join(pair), f"between {pair[0]} and {pair[1]}"
        yield from _bandwidth(f"links[{name}]", between, _written_links(written, pair))
        known = [problem.cluster.link(way.from_zone, way.to_zone) for way in ways]
        num_streams = max(_num_streams(link, way.bytes_per_second) for link, way in zip(known, ways, strict=True))
        if num_streams > max(link.num_streams or 1 for link in known):
            yield Proposal(
                kind=f"streams {name}",
                title=f"{num_streams} streams a flow {between}: the fewest that fill the link",
                settings=(f"links[{name}].streams={num_streams}",),
                source=TCP,
            )
        if any(link.loss_fraction and link.congestion_control != "bbr" for link in known):
            yield Proposal(
                kind=f"congestion {name}",
                title=f"BBR {between}",
                settings=(f"links[{name}].congestion_control=bbr",),
                source="Cardwell et al. 2016 (BBR)",
            )
    if len(by_pair) > 1:
        cluster = written["cluster"]
        default = [cluster["default_link"]] if cluster.get("default_link") else []
        yield from _bandwidth("links.*", "of every link", [*(cluster.get("links") or ()), *default])


def _bandwidth(key: str, where: str, links: list[dict[str, Any]]) -> Iterator[Proposal]:
    """Twice every rate that all of `links` are written with."""
    rates = [rate for rate in RATES if all(rate in link for link in links)]
    if rates:
        yield Proposal(
            kind=f"bandwidth {key}",
            title=f"twice the {' and '.join(RATES[rate] for rate in rates)} {where}",
            settings=tuple(f"{key}.{rate}={FASTER}" for rate in rates),
            source="the provider",
        )


def _written_links(written: dict[str, Any], pair: tuple[str, str]) -> list[dict[str, Any]]:
    """What the job file says of the links between two zones."""
    cluster = written["cluster"]
    found = [
        link
        for link in cluster.get("links") or ()
        if set(link.get("between") or (link.get("from"), link.get("to"))) == set(pair)
    ]
    return found or [cluster["default_link"]]


def _num_streams(link: ZoneLink, achieved_bytes_per_second: float) -> int:
    """Streams with which the flows that are there fill the link; as many as it has where they are not what binds."""
    streams, one = link.num_streams or 1, flow_bytes_per_second(link)
    if link.bytes_per_second is None or not np.isfinite(one) or not achieved_bytes_per_second > 0.0:
        return streams
    num_flows = achieved_bytes_per_second / (one * streams)
    best = best_num_streams(
        cap_bytes_per_second=link.bytes_per_second, stream_bytes_per_second=one, num_flows=num_flows
    )
    return int(best)


def _codecs(plan: Plan) -> Iterator[Proposal]:
    """Every codec on every stream that crosses zones and has none."""
    steps_apart = is_local(plan.sync.method)
    for stream in STREAMS:
        crosses = STREAM_AXES[stream] in plan.zone_axis and (
            stream == "activations" or steps_apart == (stream[0] == "p")
        )
        if not crosses or dict(plan.sync.codecs).get(stream, "none") != "none":
            continue
        for name, module in families().items():
            if name != "none" and stream in module.STREAMS:
                full = name if module.PARAMETER is None else f"{name}_{module.PARAMETER}"
                yield Proposal(
                    kind=f"codec {stream} {name}",
                    title=f"{stream} as {full} between zones",
                    settings=(f"plan.sync.codecs.{stream}={full}",),
                    source=module.SOURCE,
                )


def _agreement(plan: Plan) -> Iterator[Proposal]:
    """Other ways for zones to agree."""
    for name, module in sync_methods().items():
        if name == plan.sync.method:
            continue
        for every in module.TRIED_EVERY:
            often = f" every {every} steps" if every > 1 else ""
            yield Proposal(
                kind=f"sync {name}",
                title=f"{name}{often} instead of {plan.sync.method}",
                settings=(f"plan.sync.method={name}", *((f"plan.sync.every={every}",) if every > 1 else ())),
                source=module.SOURCE,
            )
    yield Proposal(
        kind="sync diloco",
        title=f"diloco every {USUAL_EVERY} steps, the plan searched for it",
        settings=(
            f"plan={{sync: {{method: diloco, every: {USUAL_EVERY}}}}}",
            f"constraints.allow=[{sync_methods()['diloco'].ALLOWS}]",
        ),
        source=sync_methods()["diloco"].SOURCE,
        is_last_resort=True,
    )
    for algorithm in ZONE_ALGORITHMS:
        if algorithm != plan.sync.algorithm:
            yield Proposal(
                kind="algorithm",
                title=f"{algorithm} instead of {plan.sync.algorithm} between zones",
                settings=(f"plan.sync.algorithm={algorithm}",),
                source="Thakur, Rabenseifner, Gropp 2005, sec. 4",
            )


def _bucket(prediction: Prediction) -> Iterator[Proposal]:
    """Bucket sizes about the one that leaves least exposed on the slowest link that agrees.

    Where the link is busier than what hides it, latencies count for more than the last bucket: larger ones are tried.
    """
    sent = [(link, group) for link in prediction.links for group in link.groups if group.group == "dp"]
    if not sent:
        return
    link, group = max(sent, key=lambda pair: pair[1].seconds)
    given = {
        each.name: each.value for term in prediction.terms if term.name == "zone_agreement" for each in term.inputs
    }
    latency_seconds = given["latency_seconds"] / given["num_calls"]
    best = float(
        best_bucket_bytes(group.step_bytes, bytes_per_second=link.bytes_per_second, bucket_seconds=latency_seconds)
    )
    for factor in BUCKET_FACTORS:
        mebibytes = max(round(factor * best / 2**20), 1)
        yield Proposal(
            kind="bucket",
            title=f"buckets of {units.format_bytes(mebibytes * 2.0**20)}",
            settings=(f"plan.bucket_bytes={mebibytes} MiB",),
            source="Li et al. 2020 (PyTorch DDP), sec. 3.2.3",
        )


def _without_zone(problem: Problem, plan: Plan) -> Iterator[Proposal]:
    """Each zone left out."""
    for zone in plan.zones[:MOST_ZONES]:
        names = ", ".join((*problem.constraints.exclude_zones, zone))
        yield Proposal(
            kind="zones",
            title=f"leave {zone} out",
            settings=(f"constraints.exclude_zones=[{names}]",),
            source="replicas of the other zones share its sequences",
        )
