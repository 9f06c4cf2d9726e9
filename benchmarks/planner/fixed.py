"""The free search against searches with one degree fixed: a line for each drawn problem of 40 to 512 GPUs.

Whoever fixes a degree leaves the search less to choose from, so that the free one should never be slower. `longer`: how
much slower the free search is than its own climbs with a larger budget.

$ python benchmarks/planner/fixed.py 0 24 --longer 10 > benchmarks/planner/fixed.txt
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from crosszone.core.answer import RankedPlan
from crosszone.core.plan import RECOMPUTES
from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.planner import refine
from crosszone.planner.options import MOST_VIRTUAL_STAGES, options
from crosszone.planner.search import allowed_inputs, search
from crosszone.spec import read_job

DEGREES = ("tp", "pp", "cp", "microbatch_size", "num_virtual_stages", "recompute", "shard", "framework")
MODELS = ("llama-2-7b", "llama-2-13b", "llama-3.1-8b", "qwen2.5-32b", "llama-3.1-70b", "mixtral-8x7b", "gpt3-6.7b")
OLD = ("v100-sxm2-32gb", "a100-sxm4-40gb", "a100-sxm4-80gb")
NEW = ("a100-sxm4-80gb", "h100-sxm5-80gb", "h20-sxm5-96gb")
Nodes = dict[str, Any]


def main() -> None:
    """Judge the problems whose seeds lie between the two arguments."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, help="the first seed that is left out")
    parser.add_argument("--longer", type=float, nargs="*", default=[], help="budgets of climbs, as multiples")
    parser.add_argument("--only-longer", action="store_true", help="fix nothing")
    asked = parser.parse_args()
    titles = "".join(f"{f'x{times:g}':>9}" for times in asked.longer)
    print(f"seed GPUs zones kinds       step  CPU s    worst{titles}  worst of / plan")
    ratios, headrooms = [], [list[float]() for _ in asked.longer]
    for seed in range(asked.first, asked.last):
        problem = drawn(seed)
        start = time.process_time()
        best = _best(problem)
        seconds = time.process_time() - start
        if best is None:
            print(f"{seed:4} nothing fits", flush=True)
            continue
        ratio, name = (1.0, "") if asked.only_longer else _worst(problem, best)
        longer = [_ratio(best, _longer(problem, times)) for times in asked.longer]
        ratios.append(ratio)
        for listed, one in zip(headrooms, longer, strict=True):
            listed.append(one)
        step = f"{best.prediction.step_seconds:10.4g} s{seconds:6.2f}{ratio - 1.0:9.2%}"
        print(f"{_cluster(seed, problem)}{step}{''.join(f'{one - 1.0:9.2%}' for one in longer)}  {name or '-'} / "
              f"{_words(best)}", flush=True)  # fmt: skip
    print(f"problems {len(ratios)}; {_summary('a fixed degree', ratios)}")
    for times, listed in zip(asked.longer, headrooms, strict=True):
        print(_summary(f"{times:g} times the budget", listed))


def drawn(seed: int) -> Problem:
    """One to four zones of one to three kinds of GPUs, nodes of 2 to 8, links of 1 to 100 Gbit/s."""
    draw = random.Random(seed)
    num_zones, is_mixed = draw.choice((1, 2, 2, 3, 4)), draw.random() < 0.7
    kinds = (draw.choice(OLD), draw.choice(NEW)) if is_mixed else (draw.choice(NEW),) * 2
    most = draw.choice((64, 96, 192, 512))
    zones = _zones(draw, num_zones, kinds, most)
    while not 40 <= _num_gpus(zones) <= most:
        zones = _zones(draw, num_zones, kinds, most)
    work = {
        "sequence_length": draw.choice((2048, 4096, 8192)), "global_batch_size": draw.choice((128, 192, 256, 512)),
        "precision": "fp16" if any(kind.startswith("v100") for kind in kinds) else "bf16",
    }  # fmt: skip
    job: dict[str, Any] = {"model": draw.choice(MODELS), "workload": work, "cluster": {"zones": zones}}
    rates, trip = draw.choice(((1, 2, 5), (10, 20), (25, 100))), draw.choice((1, 10, 40))
    if num_zones > 1:
        pairs = [(one, other) for one in range(num_zones) for other in range(one)]
        job["cluster"]["links"] = [
            {
                "between": [zones[one]["name"], zones[other]["name"]],
                "bandwidth": f"{draw.choice(rates)} Gbit/s",
                "rtt": f"{trip} ms",
            }
            for one, other in pairs
        ]
    return read_job(job)


def _zones(draw: random.Random, num_zones: int, kinds: Sequence[str], most: int) -> list[dict[str, Any]]:
    share = max(most // 8 // num_zones, 1)
    return [
        {"name": name, "nodes": [_nodes(draw, kinds, share) for _ in range(draw.choice((1, 1, 1, 2)))]}
        for name in "abcd"[:num_zones]
    ]


def _nodes(draw: random.Random, kinds: Sequence[str], most_nodes: int) -> Nodes:
    size = draw.choice((8, 8, 8, 4, 2))
    network = draw.choice(("100 Gbit/s", "4x200 Gbit/s"))
    return {"count": draw.randint(1, most_nodes), "gpu": draw.choice(kinds), "gpus_per_node": size, "network": network}


def _num_gpus(zones: Sequence[dict[str, Any]]) -> int:
    return sum(nodes["count"] * nodes["gpus_per_node"] for zone in zones for nodes in zone["nodes"])


def _best(problem: Problem) -> RankedPlan | None:
    try:
        return next(iter(search(problem, top=1).plans), None)
    except InfeasiblePlan:
        return None


def _longer(problem: Problem, times: float) -> RankedPlan | None:
    effort = refine.LARGE
    refine.LARGE = replace(effort, seconds=times * effort.seconds)
    try:
        return _best(problem)
    finally:
        refine.LARGE = effort


def _worst(problem: Problem, best: RankedPlan) -> tuple[float, str]:
    """(the greatest ratio of the free search's step to one with a degree fixed, that degree)."""
    ratio, name = 1.0, ""
    for degree in DEGREES:
        for value in _values(problem, best, degree):
            one = _ratio(best, _best(_with(problem, degree, value)))
            ratio, name = max((ratio, name), (one, f"{degree}={value}"))
    return ratio, name


def _values(problem: Problem, best: RankedPlan, degree: str) -> Iterator[int | str]:
    """The best plan's own value, and the ones near it."""
    own = getattr(best.plan, degree)
    if degree == "framework":
        yield from ("megatron", "torchtitan", "deepspeed", "fsdp")
    elif degree == "shard":
        yield from ("none", "optimizer", "gradients", "parameters")
    elif degree == "recompute":
        yield from (word for word in RECOMPUTES if word != "selective")
    elif degree == "num_virtual_stages":
        yield from sorted({1, 2, own, min(own + 1, MOST_VIRTUAL_STAGES)})
    elif degree == "pp":
        yield from sorted({max(own // 2, 1), max(own - 1, 1), own, own + 1, min(2 * own, problem.model.num_layers)})
    else:  # what the search takes for sensible: a job file may ask for more
        known = getattr(options(allowed_inputs(problem)), degree)
        yield from sorted({max(own // 2, 1), own, 2 * own} & set(known.tolist()))


def _with(problem: Problem, degree: str, value: int | str) -> Problem:
    if degree == "framework":
        return replace(problem, framework=str(value))
    fixed: dict[str, Any] = {degree: value}
    return replace(problem, plan=replace(problem.plan, **fixed))


def _ratio(best: RankedPlan, other: RankedPlan | None) -> float:
    """How much longer a step of `best` takes; 1 where the other has less room to spare, or is none."""
    if other is None or (best.prediction.memory.verdict, other.prediction.memory.verdict) == ("fits", "tight"):
        return 1.0
    return best.prediction.step_seconds / other.prediction.step_seconds


def _cluster(seed: int, problem: Problem) -> str:
    zones = problem.cluster.zones
    groups = [group for zone in zones for group in zone.node_groups]
    kinds = "+".join(sorted({group.gpu.name.split("-")[0] for group in groups}))
    return f"{seed:4}{sum(group.num_gpus for group in groups):5}{len(zones):6} {kinds:<10}"


def _words(best: RankedPlan) -> str:
    plan = best.plan
    return (
        f"{plan.framework} tp={plan.tp} cp={plan.cp} pp={plan.pp} dp={plan.dp} v={plan.num_virtual_stages} "
        f"mb={plan.microbatch_size} {plan.shard} {plan.recompute} {'+'.join(plan.zones)}"
    )


def _summary(what: str, ratios: Sequence[float]) -> str:
    over = [ratio for ratio in ratios if ratio > refine.TIE_RATIO]
    more = sum(ratio > 1.01 for ratio in ratios)
    mean = sum(ratios) / max(len(ratios), 1) - 1.0
    return (
        f"{what}: faster in {len(over)}, by over 1 % in {more}, by {mean:.2%} in the mean, "
        f"by {max(ratios, default=1.0) - 1.0:.2%} at most"
    )


if __name__ == "__main__":
    main()
