"""The search against brute force: plans written in loops, in their general form, predicted one by one."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crosszone.core.plan import IdleGpus, Plan, Replica, Stage
from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.search import search
from crosszone.timeline.predict import predict_plan

FRAMEWORKS = ("megatron", "fsdp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Degrees:
    """What a loop chooses besides the zones."""

    framework: str
    tp: int
    size: int
    v: int
    recompute: str
    shard: str


def brute_force(problem: Problem) -> Iterator[Plan]:
    """Every plan of one chain through some zones (pp crosses), or of equal chains in each of them (dp crosses)."""
    names = [zone.name for zone in problem.cluster.zones]
    for degrees in every_degree(problem):
        for count in range(1, len(names) + 1):
            for order in itertools.permutations(names, count):
                yield from one_chain(problem, degrees, order)
            if count > 1:
                for chosen in itertools.combinations(names, count):
                    yield from chain_in_each(problem, degrees, chosen)


def every_degree(problem: Problem) -> Iterator[Degrees]:
    model = problem.model
    tps = [tp for tp in (1, 2, 4, 8) if model.num_heads % tp == 0 and model.num_kv_heads % tp == 0]
    for framework, tp, size, v, recompute, shard in itertools.product(
        FRAMEWORKS, tps, (1, 2, 4), (1, 2), ("none", "full"), ("none", "optimizer", "parameters")
    ):
        if problem.workload.global_batch_size % size == 0:
            yield Degrees(framework=framework, tp=tp, size=size, v=v, recompute=recompute, shard=shard)


def one_chain(problem: Problem, of: Degrees, order: tuple[str, ...]) -> Iterator[Plan]:
    """dp replicas, each with as many stages in each zone as fit."""
    gpus = {zone.name: zone.num_gpus for zone in problem.cluster.zones}
    for dp in (1, 2, 4, 8):
        per_zone = [gpus[name] // (of.tp * dp) for name in order]
        if min(per_zone) < 1:
            continue
        choices = [range(1, most + 1) for most in per_zone] if len(order) == 1 else [[most] for most in per_zone]
        for counts in itertools.product(*choices):
            chain = tuple(name for name, stages in zip(order, counts, strict=True) for _ in range(stages))
            yield from plans_of(problem, of, [(chain, dp)])


def chain_in_each(problem: Problem, of: Degrees, zones: tuple[str, ...]) -> Iterator[Plan]:
    """pp stages inside every zone, as many replicas as fit."""
    gpus = {zone.name: zone.num_gpus for zone in problem.cluster.zones}
    for pp in range(1, problem.model.num_layers + 1):
        replicas = [gpus[name] // (of.tp * pp) for name in zones]
        if min(replicas) >= 1:
            yield from plans_of(problem, of, [((name,) * pp, dp) for name, dp in zip(zones, replicas, strict=True)])


def plans_of(problem: Problem, of: Degrees, groups: list[tuple[tuple[str, ...], int]]) -> Iterator[Plan]:
    """The plan with these replica groups in general form, where batch and layers divide."""
    dp, pp = sum(count for _, count in groups), len(groups[0][0])
    layers, rest = divmod(problem.model.num_layers, pp)
    microbatches, left = divmod(problem.workload.global_batch_size // of.size, dp)
    interleaves = of.v > 1
    if rest or left or not microbatches or layers % of.v or (interleaves and (pp == 1 or microbatches % pp)):
        return
    if of.shard != "none" and dp == 1:
        return
    whole = min(count for _, count in groups)
    for dp_shard in {1} if of.shard == "none" else {whole, dp}:
        if dp % dp_shard:
            continue
        yield Plan(
            framework=of.framework, tp=of.tp, pp=pp, cp=1, ep=1, dp=dp, dp_shard=dp_shard, num_virtual_stages=of.v,
            microbatch_size=of.size, schedule="interleaved_1f1b" if interleaves else "1f1b",
            sequence_parallel=of.tp > 1, shard=of.shard, recompute=of.recompute,
            stages=stages_of(of, groups, dp, layers), replicas=tuple(
                Replica(
                    num_replicas=count, zones=chain, node_groups=(0,) * pp, num_microbatches=microbatches,
                    weight=count / dp,
                )
                for chain, count in groups
            ),
            idle_gpus=idle_of(problem, of, groups),
        )  # fmt: skip


def stages_of(of: Degrees, groups: list[tuple[tuple[str, ...], int]], dp: int, layers: int) -> tuple[Stage, ...]:
    stages = []
    for index, zones in enumerate(zip(*(chain for chain, _ in groups), strict=True)):
        zone = zones[0] if len(set(zones)) == 1 else None
        stages.append(
            Stage(
                first_layer=index * layers,
                num_layers=layers,
                zone=zone,
                node_group=None if zone is None else 0,
                tp=of.tp,
                dp=dp,
                recompute=of.recompute,
            )
        )
    return tuple(stages)


def idle_of(problem: Problem, of: Degrees, groups: list[tuple[tuple[str, ...], int]]) -> tuple[IdleGpus, ...]:
    idle = []
    for zone in problem.cluster.zones:
        used = of.tp * sum(chain.count(zone.name) * count for chain, count in groups)
        if used < zone.num_gpus:
            idle.append(IdleGpus(zone=zone.name, node_group=0, num_gpus=zone.num_gpus - used))
    return tuple(idle)


def best_by_force(problem: Problem) -> tuple[float, Plan | None, int]:
    """(seconds, plan, plans that fit): of those with room to spare if there are any, else of tight ones."""
    found: dict[str, tuple[float, Plan | None]] = {"fits": (float("inf"), None), "tight": (float("inf"), None)}
    count = 0
    for plan in brute_force(problem):
        if supports(plan.framework, plan):
            continue
        prediction = predict_plan(problem, plan, framework_facts(plan.framework))
        if prediction.memory.fits:
            count += 1
            if prediction.step_seconds < found[prediction.memory.verdict][0]:
                found[prediction.memory.verdict] = (prediction.step_seconds, plan)
    best, chosen = found["fits"] if found["fits"][1] is not None else found["tight"]
    return best, chosen, count


def drawn(problem: Any, seed: int) -> Problem:
    """A small cluster of at most 16 GPUs in at most three zones, and a model of 2 or 4 layers."""
    draw = random.Random(seed)
    zones = draw.choice([(4,), (8,), (2, 2), (4, 4), (2, 4), (8, 4), (2, 2, 4), (4, 4, 4), (8, 8), ((2, 4), 4)])
    kinds = ["a100-sxm4-80gb", "l4-24gb", "h100-sxm5-80gb"]
    gpus = [draw.choice(kinds) for _ in zones] if draw.random() < 0.4 else [draw.choice(kinds)] * len(zones)
    return problem(
        zones,
        framework=None,
        constraints={"frameworks": list(FRAMEWORKS)},
        bandwidth=draw.choice(["100 Mbit/s", "1 Gbit/s", "10 Gbit/s", "100 Gbit/s"]),
        rtt=draw.choice(["0.2 ms", "5 ms", "40 ms"]),
        sequences=draw.choice([8, 16, 32]),
        model={"num_layers": draw.choice([2, 4]), "hidden_size": draw.choice([512, 1024, 4096])},
        gpus=gpus,
    )


def check(problem: Problem) -> None:
    by_force, chosen, count = best_by_force(problem)
    try:
        answer = search(problem, top=1)
    except InfeasiblePlan:
        assert count == 0
        return
    if not answer.plans:
        assert count == 0, f"{count} plans fit, among them {chosen}"
        return
    best = answer.plans[0]
    assert best.prediction.memory.fits
    assert supports(best.plan.framework, best.plan) == ()
    assert best.prediction.step_seconds <= by_force * (1 + 1e-6), chosen


@pytest.mark.parametrize("seed", range(10))
def test_the_search_is_never_worse_than_brute_force(problem: Any, seed: int) -> None:
    check(drawn(problem, seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 200))
def test_the_search_is_never_worse_than_brute_force_for_long(problem: Any, seed: int) -> None:
    check(drawn(problem, seed))


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
