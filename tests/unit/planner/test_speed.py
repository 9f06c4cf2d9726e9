"""Far below what `benchmarks/speed` measures: these fail where work grows with rows that need none."""

import functools
import time
from pathlib import Path

import pytest

from crosszone.frameworks import framework_facts, framework_names
from crosszone.planner.layouts import layouts
from crosszone.planner.limits import objective
from crosszone.planner.options import options
from crosszone.planner.search import search
from crosszone.planner.table import Contest, Scan, scan
from crosszone.spec import read_job, read_job_text
from crosszone.timeline.inputs import inputs

JOBS = Path(__file__).resolve().parents[3] / "benchmarks" / "speed" / "jobs"
MOST_SECONDS = 10.0
"""Of CPU; 0.1 to 0.5 on an idle machine."""

MANY_ZONES_SECONDS = 30.0
"""Of CPU; 3 on an idle machine. Where work grows with the fourth power of the zones it takes minutes."""


def timed_scan(job: str) -> tuple[Scan, float]:
    problem = read_job_text((JOBS / job).read_text(encoding="utf-8"), JOBS)
    start = time.process_time()
    prepared = inputs(problem, tuple(framework_facts(name) for name in framework_names()))
    contest = Contest(values=functools.partial(objective, problem), most=8)
    found = scan(prepared, layouts(prepared), options(prepared), memory_fraction=0.9, contest=contest)
    return found, time.process_time() - start


@pytest.mark.parametrize("job", ["gpt3-512xa100.yaml", "five-zones.yaml", "opt-a100-v100.yaml"])
def test_scans_are_quick_and_time_few(job: str) -> None:
    found, seconds = timed_scan(job)
    assert seconds < MOST_SECONDS
    assert 0 < found.num_candidates < 0.2 * found.num_pruned


def test_many_zones_over_one_kind_of_link_are_planned_soon() -> None:
    zones = [
        {"name": f"z{index}", "nodes": [{"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]}
        for index in range(60)
    ]
    problem = read_job({
        "model": "llama-3.1-8b",
        "workload": {"sequence_length": 8192, "global_batch_size": 512, "precision": "bf16"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}},
        "plan": {"tp": 4, "cp": 1, "microbatch_size": 1},
    })  # fmt: skip
    start = time.process_time()
    best = search(problem, top=1).plans[0]
    assert time.process_time() - start < MANY_ZONES_SECONDS
    assert len(best.plan.zones) > 30


def test_every_job_of_the_benchmark_reads() -> None:
    for path in sorted(JOBS.glob("*.yaml")):
        problem = read_job_text(path.read_text(encoding="utf-8"), JOBS)
        assert problem.cluster.num_gpus >= 512
