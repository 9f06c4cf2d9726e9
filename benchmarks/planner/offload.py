"""What the optimizer's states in host memory would win where something fits without: a line for each drawn problem.

The time model takes the host's own update as hidden behind its transfers, so that the gain is the most there can be.

$ python benchmarks/planner/offload.py 0 24 > benchmarks/planner/offload.txt
"""

import random
import sys
from dataclasses import replace

from crosszone.core.answer import RankedPlan
from crosszone.core.plan import recompute_words
from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.planner.search import search
from crosszone.spec import read_job

MODELS = ("llama-3-8b", "llama-2-13b", "llama-3-70b", "llama-2-7b")
GPUS = ("a100-sxm4-40gb", "a100-sxm4-80gb", "h100-sxm5-80gb", "l40s-48gb", "l4-24gb")
NOTABLE_RATIO = 1.05


def main() -> None:
    """Judge the problems whose seeds lie between the two arguments."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    print(
        "seed  model        GPUs                   on the GPU     offloaded    gain  recomputed: on the GPU | offloaded"
    )
    gains = []
    for seed in range(first, last):
        problem = drawn(seed)
        group = problem.cluster.zones[0].node_groups[0]
        head = f"{seed:4}  {problem.model.name:<12} {group.num_gpus:2} {group.gpu.name:<16}"
        kept, moved = (_best(problem, offload) for offload in ("none", "optimizer"))
        if kept is None or moved is None:
            print(f"{head} {'nothing fits' if moved is None else 'only offloaded'}", flush=True)
            continue
        seconds = [one.prediction.step_seconds for one in (kept, moved)]
        gains.append(seconds[0] / seconds[1] - 1.0)
        words = " | ".join(recompute_words(one.plan) for one in (kept, moved))
        print(f"{head} {seconds[0]:>11.2f} s {seconds[1]:>11.2f} s {gains[-1]:>+7.1%}  {words}", flush=True)
    notable = sum(gain + 1.0 > NOTABLE_RATIO for gain in gains)
    print(f"problems {len(gains)}, faster by more than {NOTABLE_RATIO - 1.0:.0%}: {notable}, most {max(gains):.0%}")


def drawn(seed: int) -> Problem:
    """One zone of 8 to 64 GPUs and a model that may be too large for it."""
    draw = random.Random(seed)
    model, length = draw.choice(MODELS), draw.choice((4096, 8192))
    nodes = {"count": draw.choice((1, 2, 4, 8)), "gpu": draw.choice(GPUS), "gpus_per_node": 8, "network": "200 Gbit/s"}
    return read_job({
        "model": model,
        "workload": {"sequence_length": length, "global_batch_size": 128, "precision": "bf16"},
        "cluster": {"zones": [{"name": "a", "nodes": [nodes]}]},
    })  # fmt: skip


def _best(problem: Problem, offload: str) -> RankedPlan | None:
    try:
        found = search(replace(problem, plan=replace(problem.plan, offload=offload)), top=1)
    except InfeasiblePlan:
        return None
    return next(iter(found.plans), None)


if __name__ == "__main__":
    main()
