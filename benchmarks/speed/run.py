"""Measure how fast CrossZone answers, and print one table.

    python benchmarks/speed/run.py            # prints
    python benchmarks/speed/run.py --write    # also rewrites benchmarks/speed/results.txt

Whole-process rows are wall seconds, median and range of RUNS runs after one that warms the file cache. The candidate
rates time the full cost model on one core, tables of candidates built included.
"""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from crosszone.frameworks import framework_facts
from crosszone.planner.layouts import layouts
from crosszone.planner.options import options
from crosszone.planner.table import CHUNK, scan
from crosszone.spec import read_job_text
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import inputs
from crosszone.timeline.keys import keyed

RUNS = 7
ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "crosszone --help": (["--help"], 0.3),
    "crosszone plan, three zones": (["plan", "examples/three-zones-china.yaml", "--json"], 2.0),
    "crosszone predict, one zone": (["predict", "examples/single-zone-llama-3-8b-8xh100.yaml", "--json"], None),
}
LARGE_JOB = """
model: gpt3-175b
workload: {sequence_length: 2048, global_batch_size: 1536, precision: bf16}
cluster:
  zones: [{name: a, nodes: [{count: 64, gpu: a100-sxm4-80gb, gpus_per_node: 8, network: 8x200 Gbit/s}]}]
framework: {name: torchtitan}
"""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    lines = [
        f"python benchmarks/speed/run.py --write, {datetime.date.today().isoformat()}",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}",
        "",
        f"{'what':<34}{'median':>10}{'range':>18}{'target':>10}",
        *(_command_row(name, arguments, target) for name, (arguments, target) in COMMANDS.items()),
        *_rate_rows(),
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if write:
        Path(__file__).with_name("results.txt").write_text(text, encoding="utf-8")


def _command_row(name: str, arguments: list[str], target: float | None) -> str:
    command = [str(Path(sys.executable).with_name("crosszone")), *arguments]
    seconds = [_wall_seconds(command) for _ in range(RUNS + 1)][1:]
    wanted = f"{target:g} s" if target else ""
    spread = f"{min(seconds):.2f}-{max(seconds):.2f} s"
    return f"{name:<34}{statistics.median(seconds):>8.2f} s{spread:>18}{wanted:>10}"


def _wall_seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _rate_rows() -> list[str]:
    """Candidates a second: through the full cost model, and through the whole search with its pruning."""
    problem = read_job_text(LARGE_JOB, ROOT)
    prepared = inputs(problem, (framework_facts("torchtitan"),))
    space, free = layouts(prepared), options(prepared)
    rates, considered = [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        found = scan(prepared, space, free)
        considered.append((found.num_candidates + found.num_pruned) / (time.perf_counter() - start))
        rows = max((part.rows for part in found.scored), key=len)
        start = time.perf_counter()
        keys = keyed(prepared, rows.plans(), rows.space.pools)
        for first in range(0, len(rows), CHUNK):
            part = slice(first, min(first + CHUNK, len(rows)))
            evaluate(prepared, rows.take(part).tables(), keys.take(part))
        rates.append(len(rows) / (time.perf_counter() - start))
    return [
        _rate_row(f"full cost model, {len(rows)} candidates", rates, 200_000),
        _rate_row("search, pruned ones included", considered, None),
    ]


def _rate_row(name: str, rates: list[float], target: int | None) -> str:
    wanted = f"{target:,}/s" if target else ""
    spread = f"{min(rates) / 1e3:,.0f}-{max(rates) / 1e3:,.0f} k/s"
    return f"{name:<34}{statistics.median(rates) / 1e3:>6,.0f} k/s{spread:>18}{wanted:>10}"


if __name__ == "__main__":
    main()
