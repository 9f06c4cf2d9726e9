"""The search against brute force: plans written in loops, in their general form, judged by their simulated step.

A table of bounds only says which of them need not be simulated; whatever may be better than the search's answer is
written out, asked of its framework and predicted like any plan.
"""

import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from crosszone.core.layout import Layout
from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, IdleGpus, Plan, Replica, Stage
from crosszone.core.pools import Pool, pools
from crosszone.core.problem import Problem
from crosszone.core.tables import PlanTable, ReplicaTable, StageTable
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.search import search
from crosszone.spec import read_job
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.margin import memory_margin
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.rings import best_ring
from crosszone.timeline.rows import Settings, Tables

FRAMEWORKS = ("megatron", "fsdp", "ddp")
SHARDS_OF = {
    "megatron": ("none", "optimizer"), "fsdp": ("gradients", "parameters"), "ddp": ("none",), "deepspeed": SHARDS,
}  # fmt: skip
MOST_STRUCTURES = int(os.environ.get("CROSSZONE_BRUTE_FORCE_STRUCTURES", "2000"))
"""Structures of one problem of which every plan is weighed; of more, as many are drawn by chance."""
MOST_CHAINS = {1: 3, 2: 3, 3: 2, 4: 2, 5: 1, 6: 1}
"""Different chains in one plan, by stages."""
SAME = 1.001
"""Plans that differ by less tie."""
KINDS = [("a100-sxm4-80gb", "v100-sxm2-32gb", "fp16"), ("h100-sxm5-80gb", "h20-sxm5-96gb", "bf16"),
         ("a100-sxm4-80gb", "l4-24gb", "bf16"), ("a100-sxm4-40gb", "h100-sxm5-80gb", "bf16")]  # fmt: skip
ZONES = (
    [[(1, 4, 0)]], [[(1, 8, 0)]], [[(2, 4, 0)]], [[(1, 2, 0), (1, 4, 0)]], [[(1, 4, 0), (1, 4, 1)]],
    [[(1, 8, 0), (1, 4, 1)]], [[(1, 2, 0)], [(1, 2, 0)]], [[(1, 4, 0)], [(1, 4, 0)]], [[(1, 4, 0)], [(1, 4, 1)]],
    [[(1, 8, 0)], [(1, 4, 1)]], [[(1, 2, 0), (1, 2, 1)], [(1, 4, 0)]], [[(2, 4, 0)], [(1, 4, 1)]],
    [[(1, 2, 0)], [(1, 4, 0)], [(1, 8, 0)]], [[(1, 2, 0)], [(1, 4, 1)], [(1, 8, 0)]],
    [[(1, 4, 0)], [(1, 4, 0)], [(1, 4, 0)]], [[(1, 2, 1)], [(1, 2, 0)], [(1, 4, 1)]], [[(1, 8, 0)], [(1, 8, 1)]],
    [[(1, 8, 1)], [(1, 2, 0)]],
)  # fmt: skip
"""Per zone its groups of nodes: (nodes, GPUs of each, kind)."""


class Structure(NamedTuple):
    """Blocks, layers of each stage, and (pool of each stage, replicas) of each group."""

    tp: int
    cp: int
    layers: tuple[int, ...]
    groups: tuple[tuple[tuple[int, ...], int], ...]


class Row(NamedTuple):
    """One plan. `totals` are the microbatches of each group, shared out among units of replicas."""

    structure: Structure
    framework: str
    size: int
    virtual: int
    recompute_layers: tuple[int, ...]
    """Of each stage the first layers of each virtual stage that are recomputed."""
    shard: str
    dp_shard: int
    totals: tuple[int, ...]
    unit: int


def drawn(seed: int) -> Problem:
    """A small cluster of at most 16 GPUs of two types in at most three zones, and a model of 2 to 6 layers."""
    draw = random.Random(seed)
    kinds = draw.choice(KINDS)
    zones = draw.choice(ZONES)
    is_mixed = draw.random() < 0.6
    names = "abc"[: len(zones)]
    length = draw.choice([2048, 4096])
    job: dict[str, Any] = {
        "model": {
            "num_layers": draw.choice([2, 3, 4, 5, 6]), "hidden_size": draw.choice([512, 1024, 4096]),
            "ffn_size": draw.choice([2816, 11008]), "num_heads": 8, "num_kv_heads": 4, "vocab_size": 32000,
        },
        "workload": {
            "sequence_length": length, "global_batch_size": draw.choice([4, 6, 8, 12, 16]), "precision": kinds[2],
        },
        "cluster": {
            "zones": [
                {"name": name, "nodes": [
                    {"count": count, "gpu": kinds[kind if is_mixed else 0], "gpus_per_node": size,
                     "network": "100 Gbit/s"} for count, size, kind in groups
                ]}
                for name, groups in zip(names, zones, strict=True)
            ],
        },
        "constraints": {"frameworks": list(FRAMEWORKS)},
    }  # fmt: skip
    bandwidth = draw.choice(["100 Mbit/s", "1 Gbit/s", "10 Gbit/s", "100 Gbit/s"])
    rtt = draw.choice(["0.2 ms", "5 ms", "40 ms"])
    if len(zones) > 1:
        job["cluster"]["default_link"] = {"bandwidth": bandwidth, "rtt": rtt}
    return read_job(job)


def heavy(seed: int) -> Problem:
    """At most 8 GPUs of two types and little memory for what one microbatch keeps: some layers must be recomputed."""
    draw = random.Random(seed)
    kinds = draw.choice([("l4-24gb", "a100-sxm4-40gb", "bf16"), ("v100-sxm2-16gb", "v100-sxm2-32gb", "fp16")])
    zones = draw.choice([[[(1, 2, 0)]], [[(1, 4, 0)]], [[(1, 2, 0), (1, 2, 1)]], [[(1, 2, 0)], [(1, 2, 1)]],
                         [[(1, 4, 1)], [(1, 2, 0)]], [[(1, 2, 0)], [(1, 4, 0)]]])  # fmt: skip
    job: dict[str, Any] = {
        "model": {
            "num_layers": draw.choice([4, 5, 6]), "hidden_size": draw.choice([2048, 4096]),
            "ffn_size": draw.choice([8192, 11008]), "num_heads": 8, "num_kv_heads": 4, "vocab_size": 8192,
        },
        "workload": {
            "sequence_length": draw.choice([32768, 65536]), "global_batch_size": draw.choice([4, 6, 8]),
            "precision": kinds[2],
        },
        "cluster": {
            "zones": [
                {"name": name, "nodes": [
                    {"count": count, "gpu": kinds[kind], "gpus_per_node": size, "network": "100 Gbit/s"}
                    for count, size, kind in groups
                ]}
                for name, groups in zip("abc", zones, strict=False)
            ],
        },
        "constraints": {"frameworks": draw.choice([["deepspeed", "fsdp"], ["megatron", "fsdp", "ddp"]])},
    }  # fmt: skip
    if len(zones) > 1:
        job["cluster"]["default_link"] = {"bandwidth": draw.choice(["1 Gbit/s", "100 Gbit/s"]), "rtt": "5 ms"}
    return read_job(job)


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to write `total` as `parts` whole numbers of at least 1."""
    for cuts in itertools.combinations(range(1, total), parts - 1):
        edges = (0, *cuts, total)
        yield tuple(end - start for start, end in itertools.pairwise(edges))


def structures(problem: Problem) -> Iterator[Structure]:
    """Every cut of the layers, every chain of pools, every number of replicas of up to three chains, idle GPUs too."""
    flat = pools(problem.cluster)
    model = problem.model
    for tp, cp in itertools.product((1, 2, 4, 8), (1, 2, 4)):
        if model.num_heads % tp or problem.workload.sequence_length // cp < 2048:
            continue
        blocks = [group.num_nodes * (group.gpus_per_node // tp) * tp // (tp * cp)
                  for group in (pool.node_group for pool in flat)]  # fmt: skip
        for pp in range(1, model.num_layers + 1):
            chains = [chain for chain in itertools.product(range(len(flat)), repeat=pp)
                      if all(times <= blocks[pool] for pool, times in Counter(chain).items())]  # fmt: skip
            for groups in replica_groups(chains, blocks, MOST_CHAINS[pp], problem.workload.global_batch_size):
                for layers in compositions(model.num_layers, pp):
                    yield Structure(tp, cp, layers, groups)


def replica_groups(
    chains: list[tuple[int, ...]], blocks: list[int], most_chains: int, most_replicas: int
) -> Iterator[tuple[tuple[tuple[int, ...], int], ...]]:
    """Every set of chains with every number of replicas of each, as far as there are GPUs."""
    if not most_chains or not chains or not most_replicas:
        return
    chain, others = chains[0], chains[1:]
    yield from replica_groups(others, blocks, most_chains, most_replicas)
    need = Counter(chain)
    for count in range(1, min(most_replicas, *(blocks[pool] // times for pool, times in need.items())) + 1):
        left = [has - count * need[pool] for pool, has in enumerate(blocks)]
        yield ((chain, count),)
        for more in replica_groups(others, left, most_chains - 1, most_replicas - count):
            yield ((chain, count), *more)


def recomputed(layers: tuple[int, ...], virtual: int, framework: str) -> Iterator[tuple[int, ...]]:
    """Every number of layers that each stage may recompute of each virtual stage; Megatron has one for all."""
    most = [-(-held // virtual) for held in layers]
    if framework == "megatron":
        yield from (tuple(min(number, each) for each in most) for number in range(max(most) + 1))
    else:
        yield from itertools.product(*(range(each + 1) for each in most))


def rows(problem: Problem, of: Structure) -> Iterator[Row]:
    """Every plan with this structure."""
    batch, pp = problem.workload.global_batch_size, len(of.layers)
    counts = [count for _, count in of.groups]
    dp, whole = sum(counts), int(np.gcd.reduce(counts))
    is_alone = pp == of.tp == of.cp == 1
    for size in (1, 2, 3, 4, 6, 8, 12, 16):
        total = batch // size
        if batch % size or total < dp:
            continue
        for framework in problem.constraints.frameworks:
            if not (is_alone or framework == "megatron" or (framework == "deepspeed" and of.tp == of.cp == 1)):
                continue
            for shard in SHARDS_OF[framework]:
                groups = {1} if shard == "none" else {s for s in range(2, dp + 1) if whole % s == 0 or s == dp}
                groups |= {1} if dp == 1 and of.cp > 1 else set()  # over the ranks of cp
                for dp_shard, virtual in itertools.product(groups, (1, 2, 3)):
                    if virtual > 1 and (pp == 1 or min(of.layers) < virtual or framework == "deepspeed"):
                        continue
                    for again in recomputed(of.layers, virtual, framework):
                        for totals, unit in shares(total, counts, framework, dp_shard):
                            yield Row(of, framework, size, virtual, again, shard, dp_shard, totals, unit)


def shares(total: int, counts: list[int], framework: str, unit: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Microbatches of each group: alike, or in every way where gradients are weighted by tokens."""
    dp = sum(counts)
    if total % dp == 0:
        yield tuple(count * total // dp for count in counts), 1
    if framework in ("megatron", "deepspeed") or total % unit or any(count % unit for count in counts):
        return
    units = [count // unit for count in counts]
    free = total // unit - sum(units)
    for cut in itertools.combinations_with_replacement(range(free + 1), len(counts) - 1):
        edges = (0, *cut, free)
        more = [end - start for start, end in itertools.pairwise(edges)]
        yield tuple((extra + own) * unit for extra, own in zip(more, units, strict=True)), unit


def parts(row: Row) -> list[list[tuple[int, int]]]:
    """Per group: (replicas, microbatches of each)."""
    found = []
    for (_, count), total in zip(row.structure.groups, row.totals, strict=True):
        least, busier = divmod(total // row.unit, count // row.unit)
        pairs = [(busier * row.unit, least + 1), (count - busier * row.unit, least)]
        found.append([pair for pair in pairs if pair[0]])
    return found


def plan_of(problem: Problem, row: Row) -> Plan:
    """The plan in general form."""
    of, flat = row.structure, pools(problem.cluster)
    dp, pp = sum(count for _, count in of.groups), len(of.layers)
    total = sum(row.totals)
    used: Counter[int] = Counter()
    for chain, count in of.groups:
        for pool in chain:
            used[pool] += of.tp * of.cp * count
    return Plan(
        framework=row.framework, tp=of.tp, pp=pp, cp=of.cp, ep=1, dp=dp, dp_shard=row.dp_shard,
        num_virtual_stages=row.virtual, microbatch_size=row.size,
        schedule="interleaved_1f1b" if row.virtual > 1 else "1f1b", sequence_parallel=of.tp > 1, shard=row.shard,
        recompute="full" if any(row.recompute_layers) else "none", stages=tuple(stages_of(flat, row, dp)),
        replicas=tuple(
            Replica(
                num_replicas=num, zones=tuple(flat[pool].zone.name for pool in chain),
                node_groups=tuple(flat[pool].node_group_index for pool in chain), num_microbatches=each,
                weight=num * each / total,
            )
            for (chain, _), own in zip(of.groups, parts(row), strict=True) for num, each in own
        ),
        idle_gpus=tuple(
            IdleGpus(zone=pool.zone.name, node_group=pool.node_group_index,
                     num_gpus=pool.node_group.num_gpus - used[pool.index])
            for pool in flat if used[pool.index] < pool.node_group.num_gpus
        ),
    )  # fmt: skip


def stages_of(flat: tuple[Pool, ...], row: Row, dp: int) -> Iterator[Stage]:
    first = 0
    for index, (held, again) in enumerate(zip(row.structure.layers, row.recompute_layers, strict=True)):
        places = {chain[index] for chain, _ in row.structure.groups}
        pool = flat[places.pop()] if len(places) == 1 else None
        yield Stage(
            first_layer=first, num_layers=held, zone=pool.zone.name if pool else None,
            node_group=pool.node_group_index if pool else None, tp=row.structure.tp, dp=dp,
            recompute="full" if again else "none",
            recompute_layers=again if 0 < again * row.virtual < held else None,
        )  # fmt: skip
        first += held


def tables_of(prepared: Inputs, found: list[Row]) -> Tables:
    """The rows side by side, one row per stage: only to say what need not be predicted."""
    names = [framework.name for framework in prepared.frameworks]
    layouts: dict[Layout, int] = {}
    plan_layout, plan, counts, microbatches = (list[int]() for _ in range(4))
    replica, pool, stage, first, layers, again = (list[int]() for _ in range(6))
    for index, row in enumerate(found):
        of = row.structure
        plan_layout.append(layouts.setdefault(layout_of(prepared, of), len(layouts)))
        for (chain, count), own in zip(of.groups, parts(row), strict=True):
            replica += [len(counts)] * len(chain)
            plan.append(index)
            counts.append(count)
            microbatches.append(max(each for _, each in own))
            pool += chain
            stage += range(len(chain))
            first += np.cumsum((0, *of.layers))[:-1].tolist()
            layers += of.layers
            again += row.recompute_layers
    pps, held = np.array([len(row.structure.layers) for row in found]), np.array(layers)
    plans: dict[str, Any] = {
        "layout": plan_layout, "framework": [names.index(row.framework) for row in found],
        "tp": [row.structure.tp for row in found], "cp": [row.structure.cp for row in found], "pp": pps,
        "ep": np.ones(len(found)), "dp": [sum(count for _, count in row.structure.groups) for row in found],
        "dp_shard": [row.dp_shard for row in found], "num_virtual_stages": [row.virtual for row in found],
        "microbatch_size": [row.size for row in found],
        "schedule": [SCHEDULES.index("interleaved_1f1b" if row.virtual > 1 else "1f1b") for row in found],
        "recompute": [RECOMPUTES.index("full" if any(row.recompute_layers) else "none") for row in found],
        "shard": [SHARDS.index(row.shard) for row in found],
    }  # fmt: skip
    flags: dict[str, Any] = {
        "sequence_parallel": [row.structure.tp > 1 for row in found], "offloads_optimizer": [False] * len(found),
        "is_unequal": [len({each for own in parts(row) for _, each in own}) > 1 for row in found],
    }  # fmt: skip
    last = pps[np.array(plan)][np.array(replica)] - 1
    columns: dict[str, Any] = {name: np.array(values, dtype=np.int64) for name, values in plans.items()}
    columns |= {name: np.array(values, dtype=np.bool_) for name, values in flags.items()}
    return Tables(
        layouts=tuple(layouts),
        plans=PlanTable(**columns),
        replicas=ReplicaTable(
            plan=np.array(plan), num_replicas=np.array(counts), num_microbatches=np.array(microbatches)
        ),
        stages=StageTable(
            replica=np.array(replica), pool=np.array(pool), stage=np.array(stage),
            num_stages=np.ones(len(held), dtype=np.int64), first_layer=np.array(first), run_layers=held,
            num_layers=held, recompute_layers=np.array(again), has_embedding=np.array(stage) == 0,
            has_head=np.array(stage) == last,
        ),
        settings=Settings(),
    )  # fmt: skip


def layout_of(prepared: Inputs, of: Structure) -> Layout:
    zone = prepared.hardware.zone
    zones = [[int(zone[pool]) for pool in chain] for chain, _ in of.groups]
    crosses = any(len(set(column)) > 1 for column in zip(*zones, strict=True))
    used = sorted({one for chain in zones for one in chain}) if crosses else []
    return Layout(
        chains=tuple(chain for chain, _ in of.groups), ring=best_ring(prepared.links, used) if used else (),
        crosses_pp=any(len(set(chain)) > 1 for chain in zones),
    )  # fmt: skip


def least_seconds(prepared: Inputs, found: list[Row]) -> tuple[Any, Any]:
    """(seconds that no simulation undercuts, memory left of the share of a plan with room to spare) of each row."""
    tables = tables_of(prepared, found)
    keys = keyed(prepared, tables.plans, range(len(prepared.pools)))
    timed = evaluate(prepared, tables, keys)
    stages, replica = tables.stages, tables.stages.replica
    both = timed.seconds.forward + timed.seconds.backward
    virtual = tables.plans.num_virtual_stages[tables.replicas.plan[replica]]
    passed = np.cumsum(both / virtual) - both / virtual
    before = passed - passed[np.searchsorted(replica, np.arange(len(tables.replicas)))][replica]
    pipeline = tables.most(before * (1 - 1e-9) + tables.replicas.num_microbatches[replica] * both)
    rest = timed.pool_exposed_seconds + timed.zone_exposed_seconds + timed.late_seconds
    rest = rest + timed.tie_seconds + timed.optimizer_seconds
    assert len(stages) == len(both)
    return pipeline + rest, memory_margin(prepared, tables, keys, TIGHT_FRACTION)


def best_by_force(problem: Problem, known_seconds: float, *, needs_room: bool) -> tuple[float, Plan | None, int]:
    """(seconds, plan) of the best plan below `known_seconds`, if there is one, and how many plans were weighed."""
    laid = list(structures(problem))
    if len(laid) > MOST_STRUCTURES:
        laid = random.Random(0).sample(laid, MOST_STRUCTURES)
    every = [row for structure in laid for row in rows(problem, structure)]
    prepared = inputs(problem, tuple(framework_facts(name) for name in problem.constraints.frameworks))
    best, chosen = known_seconds / SAME, None
    for start in range(0, len(every), 4096):
        some = every[start : start + 4096]
        least, room = least_seconds(prepared, some)
        for index in np.argsort(least, kind="stable").tolist():
            if least[index] >= best:
                break
            if needs_room and room[index] < 0.0:
                continue
            plan = plan_of(problem, some[index])
            if supports(plan.framework, plan):
                continue
            prediction = predict_plan(problem, plan, framework_facts(plan.framework))
            fits = prediction.memory.verdict == "fits" if needs_room else prediction.memory.fits
            if fits and prediction.step_seconds < best:
                best, chosen = prediction.step_seconds, plan
    return best, chosen, len(every)


def check(problem: Problem) -> None:
    try:
        answer = search(problem, top=1)
    except InfeasiblePlan:
        answer = None
    if answer is None or not answer.plans:
        _, chosen, _ = best_by_force(problem, float("inf"), needs_room=False)
        assert chosen is None
        return
    best = answer.plans[0]
    assert best.prediction.memory.fits
    assert supports(best.plan.framework, best.plan) == ()
    needs_room = best.prediction.memory.verdict == "fits"
    seconds, chosen, _ = best_by_force(problem, best.prediction.step_seconds, needs_room=needs_room)
    assert chosen is None, f"{best.prediction.step_seconds / seconds - 1.0:.2%} faster: {chosen}"


@pytest.mark.parametrize("seed", [1, 3, 6, 7, 11, 23, 24, 28, 34, 62])
def test_the_search_is_never_worse_than_brute_force(seed: int) -> None:
    check(drawn(seed))


@pytest.mark.parametrize("seed", [0, 12, 14, 80])
def test_the_search_recomputes_as_little_as_brute_force(seed: int) -> None:
    check(heavy(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200))
def test_the_search_recomputes_as_little_as_brute_force_for_long(seed: int) -> None:
    check(heavy(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(500))
def test_the_search_is_never_worse_than_brute_force_for_long(seed: int) -> None:
    check(drawn(seed))


@pytest.mark.parametrize("seed", range(30))
def test_what_is_shown_does_not_change_what_is_best(seed: int) -> None:
    problem = drawn(seed)
    try:
        alone = search(problem, top=1)
    except InfeasiblePlan:
        with pytest.raises(InfeasiblePlan):
            search(problem, top=10, in_full=True, with_front=True)
        return
    full = search(problem, top=10, in_full=True, with_front=True)
    assert [one.plan for one in alone.plans] == [one.plan for one in full.plans[:1]]
    assert alone.verdict == full.verdict
    for plan in (one.plan for one in full.plans):  # the first chunk may hold the embedding alone, the last the head
        slimmest = min(stage.num_layers + (index in (0, plan.pp - 1)) for index, stage in enumerate(plan.stages))
        assert plan.num_virtual_stages == 1 or plan.num_virtual_stages <= slimmest


def test_replicas_far_slower_than_others_still_share_the_whole_batch(problem: Any) -> None:
    # Eight slow replicas take one microbatch each, more than their share: the fast ones give back several.
    for sequences in (16, 32, 64):
        uneven = problem(
            (8, 4), None, framework=None, constraints={"frameworks": ["ddp", "fsdp"]}, bandwidth="100 Gbit/s",
            rtt="0.2 ms", sequences=sequences, gpus=["l4-24gb", "h100-sxm5-80gb"],
        )  # fmt: skip
        for ranked in search(uneven, top=5).plans:
            plan = ranked.plan
            shares = [(replica.num_replicas, replica.num_microbatches) for replica in plan.replicas]
            assert sum(count * share for count, share in shares) * plan.microbatch_size == sequences
            assert all(share >= 1 for _, share in shares)
            assert sum(count for count, _ in shares) == plan.dp
