"""What a layout of its own for each zone would win where zones step by themselves: a line for each drawn problem.

Two zones of different GPUs agree by DiLoCo every 30 steps. Beside the best plan over both, which has one layout, each
zone gets the best plan that it has alone, for its share of the batch; a step then lasts as long as the slower zone, and
the agreement is taken as free, so that the gain is the most there can be.

$ python benchmarks/planner/layouts_by_zone.py 0 40 > benchmarks/planner/layouts_by_zone.txt
"""

import random
import statistics
import sys
from dataclasses import replace
from typing import Any

from crosszone.core.plan import Plan, Sync
from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.planner.search import search
from crosszone.spec import read_job

GPUS = ("a100-sxm4-40gb", "a100-sxm4-80gb", "h100-sxm5-80gb", "h20-sxm5-96gb", "l4-24gb", "l40s-48gb")
MODELS = ("llama-3-8b", "llama-2-13b", "llama-3-70b")
FRAMEWORKS = (["torchtitan"], ["ddp", "fsdp"])
DILOCO = Sync(method="diloco", every=30)
STEP = 16
"""Sequences by which shares of the batch differ."""
NEAR = 2
"""Shares that are tried on either side of the one by speed."""


def main() -> None:
    """Judge the problems whose seeds lie between the two arguments."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    print("seed  model        zones                             one layout  a layout each  gain  which")
    gains = []
    for seed in range(first, last):
        problem = drawn(seed)
        whole = _best(replace(problem, plan=replace(problem.plan, sync=DILOCO)), num_zones=2)
        apart = _apart(problem)
        names = " + ".join(_name(zone) for zone in problem.cluster.zones)
        head = f"{seed:4}  {problem.model.name:<12} {names:<36}"
        if whole is None or apart is None:
            print(f"{head} {'no plan over both' if whole is None else 'a zone alone holds no plan'}", flush=True)
            continue
        (seconds, plan), (least, plans) = whole, apart
        gains.append(seconds / least - 1.0)
        looks = " | ".join(_looks(one) for one in (plan, *plans))
        print(f"{head} {seconds:>8.3f} s {least:>12.3f} s {gains[-1]:>6.1%}  {looks}", flush=True)
    print(f"problems {len(gains)}, gain at most: median {statistics.median(gains):.1%}, largest {max(gains):.1%}")


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
        "constraints": {"allow": ["local_sgd"], "frameworks": draw.choice(FRAMEWORKS)},
    })  # fmt: skip


def _best(problem: Problem, *, num_zones: int = 1) -> tuple[float, Plan] | None:
    """Step and plan of the best plan over so many zones."""
    try:
        ranked = search(problem, top=50).plans
    except InfeasiblePlan:
        return None
    return next(((one.prediction.step_seconds, one.plan) for one in ranked if len(one.plan.zones) == num_zones), None)


def _alone(problem: Problem, zone: str, batch: int) -> tuple[float, Plan] | None:
    other = "b" if zone == "a" else "a"
    return _best(replace(
        problem, workload=replace(problem.workload, global_batch_size=batch),
        constraints=replace(problem.constraints, exclude_zones=(other,)),
    ))  # fmt: skip


def _apart(problem: Problem) -> tuple[float, tuple[Plan, Plan]] | None:
    """The least step of both zones, each as it likes, over shares of the batch near those by speed."""
    batch = problem.workload.global_batch_size
    rates = [_alone(problem, zone, batch // 2) for zone in "ab"]
    if rates[0] is None or rates[1] is None:
        return None
    share = rates[1][0] / (rates[0][0] + rates[1][0])
    near = round(share * batch / STEP) * STEP
    found = []
    for own in range(near - NEAR * STEP, near + NEAR * STEP + 1, STEP):
        both = (
            [_alone(problem, zone, size) for zone, size in (("a", own), ("b", batch - own))] if 0 < own < batch else []
        )
        if both and both[0] is not None and both[1] is not None:
            found.append((max(both[0][0], both[1][0]), (both[0][1], both[1][1])))
    return min(found, key=lambda one: one[0], default=None)


def _name(zone: Any) -> str:
    return f"{zone.num_gpus} {zone.node_groups[0].gpu.name}"


def _looks(plan: Plan) -> str:
    size = plan.microbatch_size
    return (
        f"{plan.framework} tp{plan.tp} cp{plan.cp} pp{plan.pp} mb{size} {plan.shard}/{plan.dp_shard} {plan.recompute}"
    )


if __name__ == "__main__":
    main()
