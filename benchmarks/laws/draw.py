"""Random problems and plans: one to five zones, uneven links, every order of work, every way to agree."""

import dataclasses
import random
from dataclasses import dataclass

from crosszone.catalog.gpus import gpu
from crosszone.catalog.models import model
from crosszone.core.cluster import Cluster, Fabric, NodeGroup, Zone, ZoneLink
from crosszone.core.model import Model
from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, SYNC_METHODS, ZONE_ALGORITHMS, Plan, Replica, Stage, Sync
from crosszone.core.problem import Problem
from crosszone.core.schedules import refusal, traits
from crosszone.core.workload import Workload, standard_dtypes
from crosszone.cost.sync import sync_method

GPUS = ("a100-sxm4-80gb", "h100-sxm5-80gb", "a100-pcie-40gb", "l40s-48gb", "h20-sxm5-96gb", "mi300x-192gb")
MODELS = (
    "gpt2-small", "bert-large", "opt-350m", "qwen3-0.6b", "llama-3.2-1b", "llama-3-8b", "gpt3-13b", "mixtral-8x7b",
    "llama-3.1-70b",
)  # fmt: skip
FRAMEWORKS = ("megatron", "torchtitan", "deepspeed", "fsdp", "ddp", "horovod")
CODECS = ("none", "bf16", "fp16", "int8_block", "int4", "powersgd_rank_4", "topk_64")
STATED = tuple(name for name in SCHEDULES if not traits(name).is_generated)
CONTROLS = (None, "cubic", "reno", "bbr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A problem and plans of it that agree in the same way."""

    problem: Problem
    framework: str
    plans: tuple[Plan, ...]


def drawn(draw: random.Random, num_plans: int) -> Drawn:
    """One problem, and `num_plans` plans with the same settings."""
    shape = _model(draw)
    cluster = _cluster(draw)
    workload = Workload(
        sequence_length=draw.choice((128, 512, 2048, 8192)),
        global_batch_size=draw.choice((16, 64, 512)),
        dtypes=standard_dtypes(draw.choice(("bf16", "bf16", "fp32"))),
    )
    framework = draw.choice(FRAMEWORKS)
    sync = _sync(draw)
    settings = {
        "framework": framework,
        "sync": sync,
        "bucket_bytes": draw.choice((None, None, 5e6, 1e9)),
        "prefetch": draw.choice((None, None, 0, 2)),
        "overlap_fraction": draw.choice((None,) * 9 + (0.5,)),
    }
    return Drawn(
        problem=Problem(model=shape, workload=workload, cluster=cluster),
        framework=framework,
        plans=tuple(_plan(draw, cluster, shape, settings) for _ in range(num_plans)),
    )


def improved(draw: random.Random, problem: Problem) -> Problem:
    """The same on links that are better or equal in everything: wider, nearer, steadier, with less loss."""
    links, kinds = [], draw.sample(("rate", "rtt", "jitter", "loss"), draw.randint(1, 4))
    for link in problem.cluster.links:
        changes = {}
        if draw.random() < 0.3:
            links.append(link)
            continue
        if "rate" in kinds:
            for name in ("bytes_per_second", "node_bytes_per_second", "flow_bytes_per_second", "window_bytes"):
                value = getattr(link, name)
                if value is not None:
                    changes[name] = value * _log_uniform(draw, 1.0, 8.0)
        if "rtt" in kinds:
            changes["latency_seconds"] = link.latency_seconds / _log_uniform(draw, 1.0, 20.0)
        if "jitter" in kinds and link.jitter_seconds:
            changes["jitter_seconds"] = link.jitter_seconds * draw.random()
        if "loss" in kinds and link.loss_fraction:
            changes["loss_fraction"] = draw.choice((None, link.loss_fraction / _log_uniform(draw, 1.0, 10.0)))
        links.append(dataclasses.replace(link, **changes))
    return dataclasses.replace(problem, cluster=dataclasses.replace(problem.cluster, links=tuple(links)))


def relabelled(draw: random.Random, case: Drawn) -> Drawn:
    """The same with other names, and everything listed in another order."""
    cluster = case.problem.cluster
    zones, links = list(cluster.zones), list(cluster.links)
    draw.shuffle(zones)
    draw.shuffle(links)
    names = {zone.name: f"zone-{index}" for index, zone in enumerate(zones)}
    found = Cluster(
        zones=tuple(dataclasses.replace(zone, name=names[zone.name]) for zone in zones),
        links=tuple(
            dataclasses.replace(link, from_zone=names[link.from_zone], to_zone=names[link.to_zone]) for link in links
        ),
    )
    plans = []
    for plan in case.plans:
        replicas = [
            dataclasses.replace(replica, zones=tuple(names[name] for name in replica.zones))
            for replica in plan.replicas
        ]
        draw.shuffle(replicas)
        plans.append(dataclasses.replace(plan, replicas=tuple(replicas)))
    return dataclasses.replace(case, problem=dataclasses.replace(case.problem, cluster=found), plans=tuple(plans))


def _log_uniform(draw: random.Random, low: float, high: float) -> float:
    return low * (high / low) ** draw.random()


def _model(draw: random.Random) -> Model:
    """From the catalog, often with fewer or more layers, sometimes with a tied table."""
    found = model(draw.choice(MODELS))
    layers = draw.choice((found.num_layers, 16, 20, 33))
    return dataclasses.replace(
        found, num_layers=max(layers, 16), tied_embeddings=draw.random() < 0.3, global_layers=None, moe_layers=None
    )


def _cluster(draw: random.Random) -> Cluster:
    count = draw.choice((1, 2, 2, 3, 3, 4, 5))
    names = [f"z{index}" for index in range(count)]
    has_uplinks, has_paths = draw.random() < 0.15, draw.random() < 0.15
    zones = tuple(
        Zone(
            name=name,
            node_groups=tuple(_node_group(draw) for _ in range(draw.choice((1, 1, 2)))),
            uplink_bytes_per_second=_log_uniform(draw, 1e8, 1e10) if has_uplinks and draw.random() < 0.7 else None,
            oversubscription=draw.choice((1.0, 1.0, 2.0)),
        )
        for name in names
    )
    links = []
    for first in range(count):
        for second in range(first + 1, count):
            link = _link(draw, names[first], names[second], is_on_path=has_paths and draw.random() < 0.6)
            back = _link(draw, names[second], names[first]) if draw.random() < 0.3 else link
            links += [link, dataclasses.replace(back, from_zone=link.to_zone, to_zone=link.from_zone,
                                                shared=link.shared)]  # fmt: skip
    return Cluster(zones=zones, links=tuple(links))


def _node_group(draw: random.Random) -> NodeGroup:
    found, count = gpu(draw.choice(GPUS)), draw.choice((4, 8))
    return NodeGroup(
        num_nodes=draw.choice((1, 2, 8)),
        gpu=found,
        gpus_per_node=count,
        fabric=Fabric(kind=found.fabric_kind, num_gpus=count, bytes_per_second=found.fabric_bytes_per_second or 16e9),
        network_bytes_per_second=_log_uniform(draw, 1e9, 2e11),
        num_rails=1,
    )


def _link(draw: random.Random, start: str, end: str, *, is_on_path: bool = False) -> ZoneLink:
    def maybe(low: float, high: float) -> float | None:
        return _log_uniform(draw, low, high) if draw.random() < 0.25 else None

    return ZoneLink(
        from_zone=start,
        to_zone=end,
        latency_seconds=draw.choice((0.0, 1e-3, _log_uniform(draw, 1e-4, 0.2))),
        bytes_per_second=_log_uniform(draw, 1e7, 1e11),
        node_bytes_per_second=maybe(1e8, 1e10),
        flow_bytes_per_second=maybe(1e6, 1e9),
        window_bytes=maybe(1e5, 1e8),
        num_streams=draw.choice((None, None, 4)),
        jitter_seconds=maybe(1e-4, 0.02),
        loss_fraction=maybe(1e-7, 1e-2),
        congestion_control=draw.choice(CONTROLS),
        shared="cable" if is_on_path else None,
        egress_dollars_per_byte=draw.choice((None, 5e-11)),
    )


def _sync(draw: random.Random) -> Sync:
    method = draw.choice(SYNC_METHODS)
    way = sync_method(method)
    codecs = [(way.STREAM, draw.choice(CODECS))] if draw.random() < 0.4 else []
    if draw.random() < 0.2:
        codecs.append(("activations", draw.choice(CODECS[:5])))
    return Sync(
        method=method,
        every=draw.choice((2, 10, 100)) if way.IS_LOCAL else draw.choice((1, 1, 4)),
        codecs=tuple(codecs),
        num_streams=draw.choice((None, None, 1, 8)),
        num_fragments=draw.choice((None, 2, 5)) if method == "streaming_diloco" else None,
        num_delay_steps=draw.choice((None, 1, 2)) if way.IS_LOCAL or method == "delayed" else None,
        algorithm="ring" if method == "flat" else draw.choice(ZONE_ALGORITHMS),
    )


def _plan(draw: random.Random, cluster: Cluster, shape: Model, settings: dict) -> Plan:
    pp = draw.choice((1, 1, 2, 2, 3, 4, 6))
    counts = [draw.randint(1, 8) for _ in range(draw.choice((1, 1, 2, 3)))]
    schedule, v = _schedule(draw, pp, counts)
    replicas = [
        Replica(
            num_replicas=draw.choice((1, 2, 4)), zones=zones, node_groups=groups, num_microbatches=m,
            weight=1.0 / len(counts),
        )
        for m, (zones, groups) in zip(counts, (_chain(draw, cluster, pp) for _ in counts), strict=True)
    ]  # fmt: skip
    dp, tp, cp = sum(replica.num_replicas for replica in replicas), draw.choice((1, 2, 4)), draw.choice((1, 1, 2))
    shard = draw.choice(SHARDS) if dp > 1 else "none"
    divisors = [size for size in range(2, dp + 1) if dp % size == 0]
    recompute = draw.choice(RECOMPUTES)
    return Plan(
        tp=tp,
        pp=pp,
        cp=cp,
        ep=2 if shape.num_experts and draw.random() < 0.5 and tp % 2 == 0 else 1,
        dp=dp,
        dp_shard=1 if shard == "none" else draw.choice(divisors),
        num_virtual_stages=v,
        microbatch_size=draw.choice((1, 2)),
        schedule=schedule,
        sequence_parallel=tp > 1 and draw.random() < 0.5,
        shard=shard,
        recompute=recompute,
        offload=draw.choice(("none", "none", "optimizer")),
        stages=_stages(draw, shape.num_layers, pp, v, tp, dp, recompute),
        replicas=tuple(replicas),
        **settings,
    )


def _schedule(draw: random.Random, pp: int, counts: list[int]) -> tuple[str, int]:
    """One that can run all `counts` of microbatches, which are changed where it wants multiples of `pp`."""
    if pp == 1:
        return "1f1b", 1
    name = draw.choice(SCHEDULES if draw.random() < 0.5 else STATED)
    v = traits(name).least_virtual_stages
    if name == "interleaved_1f1b":
        counts[:] = [max(count // pp, 1) * pp for count in counts]
        v = 2
    if any(refusal(name, pp, count) for count in counts):
        return "1f1b", 1
    return name, v


def _chain(draw: random.Random, cluster: Cluster, pp: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Zones of the stages: a walk over some of the zones, each with a run of neighbours."""
    used = draw.sample(cluster.zones, draw.randint(1, min(pp, len(cluster.zones))))
    cuts = sorted(draw.sample(range(1, pp), len(used) - 1))
    zones, groups = [], []
    for zone, start, end in zip(used, [0, *cuts], [*cuts, pp], strict=True):
        zones += [zone.name] * (end - start)
        groups += [draw.randrange(len(zone.node_groups))] * (end - start)
    return tuple(zones), tuple(groups)


def _stages(
    draw: random.Random, num_layers: int, pp: int, v: int, tp: int, dp: int, recompute: str
) -> tuple[Stage, ...]:
    """Layers split evenly, or at random."""
    if draw.random() < 0.5 or num_layers < 2 * pp * v:
        sizes = [num_layers // pp + (index < num_layers % pp) for index in range(pp)]
    else:
        cuts = sorted(draw.sample(range(1, num_layers // v), pp - 1))
        sizes = [(end - start) * v for start, end in zip([0, *cuts], [*cuts, num_layers // v], strict=True)]
        sizes[-1] += num_layers - sum(sizes)
    stages, first = [], 0
    for size in sizes:
        stages.append(
            Stage(first_layer=first, num_layers=size, zone=None, node_group=None, tp=tp, dp=dp, recompute=recompute)
        )
        first += size
    return tuple(stages)
