"""Far below what `benchmarks/speed` measures: these fail where work grows with rows that need none."""

import functools
import time
from pathlib import Path

import pytest

from crosszone.frameworks import framework_facts, framework_names
from crosszone.planner.layouts import layouts
from crosszone.planner.limits import objective
from crosszone.planner.options import options
from crosszone.planner.table import Contest, Scan, scan
from crosszone.spec import read_job_text
from crosszone.timeline.inputs import inputs

JOBS = Path(__file__).resolve().parents[3] / "benchmarks" / "speed" / "jobs"
MOST_SECONDS = 10.0
"""Of CPU; 0.1 to 0.5 on an idle machine."""


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


def test_every_job_of_the_benchmark_reads() -> None:
    for path in sorted(JOBS.glob("*.yaml")):
        problem = read_job_text(path.read_text(encoding="utf-8"), JOBS)
        assert problem.cluster.num_gpus >= 512
