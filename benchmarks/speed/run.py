"""Measure how fast CrossZone answers, and print one table.

    python benchmarks/speed/run.py            # prints
    python benchmarks/speed/run.py --write    # also rewrites benchmarks/speed/results.txt

Rows of commands are wall seconds of a whole process, all others CPU seconds in one, of one thread; median and range of
RUNS runs (FEW for the longest) after one that warms caches. A search takes all that `crosszone plan` takes but reading
the job file. Jobs lie in `jobs`, but for those of `examples`.
"""

import argparse
import datetime
import functools
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402 - after the number of threads is set

from crosszone import service  # noqa: E402
from crosszone.core.plan import RECOMPUTES  # noqa: E402
from crosszone.core.problem import Problem  # noqa: E402
from crosszone.frameworks import framework_facts, framework_names  # noqa: E402
from crosszone.planner.candidates import PER_CLASS  # noqa: E402
from crosszone.planner.layouts import layouts  # noqa: E402
from crosszone.planner.limits import objective  # noqa: E402
from crosszone.planner.options import Options, divisors, options, powers_of_two  # noqa: E402
from crosszone.planner.search import search  # noqa: E402
from crosszone.planner.table import CHUNK, Contest, scan  # noqa: E402
from crosszone.spec import read_job_text  # noqa: E402
from crosszone.timeline.evaluate import evaluate  # noqa: E402
from crosszone.timeline.inputs import Inputs, inputs  # noqa: E402
from crosszone.timeline.keys import keyed  # noqa: E402

RUNS, FEW = 7, 3
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
JOBS = HERE / "jobs"
CHINA = ROOT / "examples" / "three-zones-china.yaml"
LEAST_ROWS = 200_000
MOST_BYTES = 4 * 2**30
"""Memory that a search may take: more is an error here, before the machine runs out of it."""
COMMANDS = {
    "crosszone --help": (["--help"], 0.3),
    "crosszone plan, three zones": (["plan", "examples/three-zones-china.yaml"], 1.0),
    "the same as JSON, with the front": (["plan", "examples/three-zones-china.yaml", "--json"], 1.0),
    "crosszone predict, one zone": (["predict", "examples/single-zone-llama-3-8b-8xh100.yaml", "--json"], None),
}
SEARCHES = {
    "OPT-350M, 128 A100 + 384 V100": ("opt-a100-v100.yaml", 1.0, RUNS),
    "5 zones x 128 A100, two regions": ("five-zones.yaml", 0.5, RUNS),
    "3 GPU types x 4 zones": ("three-types-four-zones.yaml", 5.0, FEW),
    "100,000 GPUs, 20 zones, 5 types": ("100000-gpus.yaml", 10.0, FEW),
}


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    lines = [
        f"python benchmarks/speed/run.py --write, {datetime.date.today().isoformat()}",
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}",
        "",
        f"{'what':<44}{'median':>10}{'range':>18}{'target':>12}",
    ]
    lines += [_row(name, _wall_seconds(arguments), target) for name, (arguments, target) in COMMANDS.items()]
    lines += [_row(f"whatif of {CHINA.stem}", _whatif_seconds(), 0.05)]
    lines += [_rate_row(), _whole_row()]
    lines += [_search_row(name, *job) for name, job in SEARCHES.items()]
    lines += ["", f"largest memory of the process: {_peak_bytes() / 2**20:.0f} MiB of {MOST_BYTES / 2**20:.0f}"]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if write:
        HERE.joinpath("results.txt").write_text(text, encoding="utf-8")


def _row(name: str, seconds: list[float], target: float | None) -> str:
    wanted = f"{target:g} s" if target else ""
    spread = f"{min(seconds):.2f}-{max(seconds):.2f} s"
    return f"{name:<44}{statistics.median(seconds):>8.2f} s{spread:>18}{wanted:>12}"


def _wall_seconds(arguments: list[str]) -> list[float]:
    command = [str(Path(sys.executable).with_name("crosszone")), *arguments]

    def run() -> None:
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)

    return _seconds(run, RUNS, time.perf_counter)


def _seconds(run: Callable[[], object], runs: int, clock: Callable[[], float] = time.process_time) -> list[float]:
    found = []
    for _ in range(runs + 1):
        start = clock()
        run()
        found.append(clock() - start)
    return found[1:]


def _whatif_seconds() -> list[float]:
    """A link of the example made twice as wide, its plan fixed: a step of the slider."""
    prepared = service.whatif_base(CHINA)
    return _seconds(lambda: service.whatif(prepared, ["cluster.links[0].bandwidth=20 Gbit/s"]), RUNS)


def _rate_row() -> str:
    """Candidates a second through the full cost model: tables, keys, memory and time of those of one framework."""
    problem = _problem(JOBS / "gpt3-512xa100.yaml")
    prepared = inputs(problem, (framework_facts("torchtitan"),))
    found = scan(prepared, layouts(prepared), _wide(prepared), memory_fraction=float("inf"))
    rows = max((part.rows for part in found.scored), key=len)
    rows = rows.take(np.resize(np.arange(len(rows)), max(LEAST_ROWS, len(rows))))

    def run() -> None:
        keys = keyed(prepared, rows.plans(), rows.space.pools)
        for first in range(0, len(rows), CHUNK):
            part = slice(first, min(first + CHUNK, len(rows)))
            evaluate(prepared, rows.take(part).tables(), keys.take(part))

    rates = [len(rows) / seconds for seconds in _seconds(run, RUNS)]
    spread = f"{min(rates) / 1e3:,.0f}-{max(rates) / 1e3:,.0f} k/s"
    name = f"full cost model, {len(rows):,} candidates"
    return f"{name:<44}{statistics.median(rates) / 1e3:>6,.0f} k/s{spread:>18}{'1,000 k/s':>12}"


def _whole_row() -> str:
    """Everything that can be asked of one homogeneous cluster: a raw candidate is a legal plan for one framework."""
    problem = _problem(JOBS / "gpt3-512xa100.yaml")
    counted: list[int] = []

    def run() -> None:
        prepared = inputs(problem, tuple(framework_facts(name) for name in framework_names()))
        contest = Contest(values=functools.partial(objective, problem), most=PER_CLASS)
        found = scan(prepared, layouts(prepared), _wide(prepared), memory_fraction=0.9, contest=contest)
        counted.append(found.num_candidates + found.num_pruned)

    seconds = _seconds(run, RUNS)
    return _row(f"GPT-3, 512 A100: {counted[-1]:,} raw candidates", seconds, 3.0)


def _wide(prepared: Inputs) -> Options:
    """Every tp, cp, microbatch, number of virtual stages and recomputation that divides, useful or not."""
    problem = prepared.problem
    return replace(
        options(prepared),
        tp=np.array(divisors(problem.model.num_heads)),
        cp=np.array(powers_of_two(512)),
        microbatch_size=np.array(divisors(problem.workload.global_batch_size)),
        num_virtual_stages=np.array(divisors(problem.model.num_layers)),
        recompute=np.arange(len(RECOMPUTES)),
    )


def _search_row(name: str, job: str, target: float, runs: int) -> str:
    problem = _problem(JOBS / job)
    return _row(name, _seconds(lambda: search(problem, top=3), runs), target)


def _problem(path: Path) -> Problem:
    return read_job_text(path.read_text(encoding="utf-8"), path.parent)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
