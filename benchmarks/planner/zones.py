"""Zones chosen among many against every set of them: a line for each drawn problem, and how often sets were missed.

$ python benchmarks/planner/zones.py 0 40 > benchmarks/planner/zones.txt
"""

import random
import sys
import time
from typing import Any

from crosszone.core.answer import RankedPlan
from crosszone.core.problem import Problem
from crosszone.planner import zone_sets
from crosszone.planner.search import search
from crosszone.spec import read_job

MODELS: tuple[str | dict[str, Any], ...] = (
    {"num_layers": 16, "hidden_size": 2048, "ffn_size": 5632, "num_heads": 16, "num_kv_heads": 8, "vocab_size": 32000},
    {"num_layers": 24, "hidden_size": 1024, "ffn_size": 4096, "num_heads": 16, "vocab_size": 50304},
    "llama-3-8b",
)
GPUS = (("a100-sxm4-80gb",), ("h100-sxm5-80gb",), ("a100-sxm4-80gb", "h100-sxm5-80gb"))
TIE_RATIO = 1.001


def main() -> None:
    """Judge the problems whose seeds lie between the two arguments."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    few = zone_sets.MOST_ZONES
    print("seed  zones  of the plan  by every set  slower by  CPU seconds")
    missed = 0
    for seed in range(first, last):
        problem = drawn(seed)
        num_zones = len(problem.cluster.zones)
        zone_sets.MOST_ZONES = few
        found, seconds = _best(problem)
        zone_sets.MOST_ZONES = num_zones
        every, all_seconds = _best(problem)
        ratio = found.prediction.step_seconds / every.prediction.step_seconds
        missed += ratio > TIE_RATIO
        names = ["".join(sorted(one.plan.zones)) for one in (found, every)]
        times = f"{seconds:.1f} of {all_seconds:.1f}"
        print(f"{seed:4}{num_zones:7}{names[0]:>13}{names[1]:>14}{ratio - 1.0:>11.2%}  {times}", flush=True)
    print(f"problems {last - first} (seeds {first} to {last - 1}), missed {missed}")


def drawn(seed: int) -> Problem:
    """Seven or eight zones of 8 to 32 GPUs in three regions, wide links within a region and narrow ones between."""
    draw = random.Random(seed)
    names = "abcdefgh"[: draw.choice((7, 8))]
    gpus = draw.choice(GPUS)
    zones = [
        {
            "name": name,
            "nodes": [
                {
                    "count": draw.choice((1, 1, 2, 4)),
                    "gpu": draw.choice(gpus),
                    "gpus_per_node": 8,
                    "network": "200 Gbit/s",
                }
            ],
        }
        for name in names
    ]
    region = {name: draw.randrange(3) for name in names}
    links = [
        _link(draw, one, other, is_near=region[one] == region[other]) for one in names for other in names if one < other
    ]
    batch, framework = draw.choice((64, 128, 256, 512, 1024)), draw.choice(("megatron", "fsdp", "torchtitan"))
    return read_job({
        "model": draw.choice(MODELS),
        "workload": {"sequence_length": 2048, "global_batch_size": batch, "precision": "bf16"},
        "cluster": {"zones": zones, "links": links},
        "framework": {"name": framework},
    })  # fmt: skip


def _link(draw: random.Random, one: str, other: str, *, is_near: bool) -> dict[str, Any]:
    rate = draw.choice((25, 50, 100, 200) if is_near else (1, 2, 5, 10, 25))
    trip = draw.choice((1, 2, 5) if is_near else (20, 40, 80))
    return {"between": [one, other], "bandwidth": f"{rate} Gbit/s", "rtt": f"{trip} ms"}


def _best(problem: Problem) -> tuple[RankedPlan, float]:
    start = time.process_time()
    return search(problem, top=1).plans[0], time.process_time() - start


if __name__ == "__main__":
    main()
