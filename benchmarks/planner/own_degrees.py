"""What degrees of its own for each zone win where zones step by themselves: a line for each drawn problem.

Two zones of different GPUs agree by DiLoCo every 30 steps. Beside the best plan over both whose degrees are alike
stands the one that the search finds, and the least step of two zones that agree for nothing and keep nothing for it,
each with the best plan that it has alone for its share of the batch.

$ python benchmarks/planner/own_degrees.py 0 40 > benchmarks/planner/own_degrees.txt
"""

import random
import statistics
import sys
from dataclasses import replace
from typing import Any
from unittest import mock

from crosszone.core.plan import Plan, Sync, zone_plans
from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.planner import search as searching
from crosszone.spec import read_job

GPUS = ("a100-sxm4-40gb", "a100-sxm4-80gb", "h100-sxm5-80gb", "h20-sxm5-96gb", "l4-24gb", "l40s-48gb")
MODELS = ("llama-3-8b", "llama-2-13b", "llama-3-70b")
DILOCO = Sync(method="diloco", every=30)
STEP = 16
"""Sequences by which shares of the batch differ."""
NEAR = 2
"""Shares that are tried on either side of the one by speed."""


def main() -> None:
    """Judge the problems whose seeds lie between the two arguments."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    print(
        "seed  model        zones                                   alike         own   gain    at least  own degrees"
    )
    gains, gaps = [], []
    for seed in range(first, last):
        problem = drawn(seed)
        agreeing = replace(problem, plan=replace(problem.plan, sync=DILOCO))
        found = _best(agreeing, num_zones=2)
        with mock.patch.object(searching, "with_own_degrees", return_value=[]):
            alike = _best(agreeing, num_zones=2)
        names = " + ".join(_name(zone) for zone in problem.cluster.zones)
        head = f"{seed:4}  {problem.model.name:<12} {names:<36}"
        if found is None or alike is None:
            print(f"{head} {'no plan over both' if found is None else f'alike none, own {found[0]:.3f} s'}", flush=True)
            continue
        apart = _apart(problem)
        gains.append(alike[0] / found[0] - 1.0)
        gaps += [] if apart is None else [found[0] / apart - 1.0]
        least = "         -" if apart is None else f"{apart:>8.3f} s"
        print(
            f"{head} {alike[0]:>8.3f} s {found[0]:>9.3f} s {gains[-1]:>6.1%}  {least}  {_looks(found[1])}", flush=True
        )
    print(f"problems {len(gains)}, gain: median {statistics.median(gains):.1%}, largest {max(gains):.1%}")
    print(f"above zones that agree for nothing: median {statistics.median(gaps):.1%}, largest {max(gaps):.1%}")


def drawn(seed: int) -> Problem:
    """Two zones of 8 to 32 GPUs, of another kind in each."""
    draw = random.Random(seed)
    one, other = draw.sample(GPUS, 2)
    zones: list[dict[str, Any]] = [
        {"name": name, "nodes": [{
            "count": draw.choice((1, 2, 4)), "gpu": gpu, "gpus_per_node": 8, "network": "200 Gbit/s",
        }]}
        for name, gpu in (("a", one), ("b", other))
    ]  # fmt: skip
    return read_job({
        "model": draw.choice(MODELS),
        "workload": {"sequence_length": 4096, "global_batch_size": 256, "precision": "bf16"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}},
        "constraints": {"allow": ["local_sgd"], "frameworks": ["ddp", "fsdp"]},
    })  # fmt: skip


def _best(problem: Problem, *, num_zones: int = 1) -> tuple[float, Plan] | None:
    """Step and plan of the best plan over so many zones."""
    try:
        ranked = searching.search(problem, top=50).plans
    except InfeasiblePlan:
        return None
    return next(((one.prediction.step_seconds, one.plan) for one in ranked if len(one.plan.zones) == num_zones), None)


def _alone(problem: Problem, zone: str, batch: int) -> float | None:
    other = "b" if zone == "a" else "a"
    best = _best(replace(
        problem, workload=replace(problem.workload, global_batch_size=batch),
        constraints=replace(problem.constraints, exclude_zones=(other,)),
    ))  # fmt: skip
    return None if best is None else best[0]


def _apart(problem: Problem) -> float | None:
    """The least step of both zones, each as it likes, over shares of the batch near those by speed."""
    batch = problem.workload.global_batch_size
    one, other = (_alone(problem, zone, batch // 2) for zone in "ab")
    if one is None or other is None:
        return None
    near = round(other / (one + other) * batch / STEP) * STEP
    shares = (own for own in range(near - NEAR * STEP, near + NEAR * STEP + 1, STEP) if 0 < own < batch)
    pairs = ([_alone(problem, zone, size) for zone, size in (("a", own), ("b", batch - own))] for own in shares)
    return min((max(pair) for pair in pairs if None not in pair), default=None)  # type: ignore[type-var]


def _name(zone: Any) -> str:
    return f"{zone.num_gpus} {zone.node_groups[0].gpu.name}"


def _looks(plan: Plan) -> str:
    if not plan.has_own_degrees:
        return f"none: {plan.framework} mb{plan.microbatch_size} {plan.shard}/{plan.dp_shard} {plan.recompute}"
    each = (
        f"mb{part.microbatch_size} {part.shard}/{part.dp_shard} {part.recompute} x{part.num_sequences}"
        for part in zone_plans(plan)
    )
    return f"{plan.framework} {' | '.join(each)}"


if __name__ == "__main__":
    main()
