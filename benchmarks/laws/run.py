"""Hold predictions across zones to their laws on many random plans, and print one table.

    python benchmarks/laws/run.py                            # 2,000 cases
    python benchmarks/laws/run.py --cases 100000 --write     # also rewrites benchmarks/laws/results.txt

A case is one plan: a model, one to five zones with links of their own, an order of work and a way to agree, all drawn.
The order of work and the routes of exchanges stay as they were while links get better, and no queue is shared; where
they may not, what is slower is no violation, and its rate and size stand below. Exits with 1 where a law is broken.
"""

import argparse
import datetime
import multiprocessing
import os
import platform
import sys
import time
from pathlib import Path

from laws import ANOMALIES, LAWS, Tally, check, tallies

PLANS = 50
"""Of each problem that is drawn."""


def main() -> None:
    """Count, print, and say by the exit status whether all laws hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    start = time.perf_counter()
    seeds = range(asked.first, asked.first + -(-asked.cases // PLANS))
    found = counted(seeds, asked.workers)
    text = "\n".join(_lines(found, asked, time.perf_counter() - start)) + "\n"
    print(text, end="")
    if asked.write:
        Path(__file__).with_name("results.txt").write_text(text, encoding="utf-8")
    sys.exit(1 if any(found[law].violations for law in LAWS) else 0)


def counted(seeds: range, workers: int) -> dict[str, Tally]:
    """All laws on `PLANS` plans of each seed."""
    found = tallies()
    with multiprocessing.Pool(workers) as pool:
        for part in pool.imap_unordered(_checked, seeds):
            for name, tally in part.items():
                found[name].merge(tally)
    return found


def _checked(seed: int) -> dict[str, Tally]:
    found = tallies()
    check(seed, PLANS, found)
    return found


def _lines(found: dict[str, Tally], asked: argparse.Namespace, seconds: float) -> list[str]:
    cases = max(tally.cases for tally in found.values())
    return [
        f"python benchmarks/laws/run.py --cases {asked.cases} --workers {asked.workers}"
        f"{' --write' if asked.write else ''}, {datetime.date.today().isoformat()}",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{cases:,} cases in {seconds:.0f} s",
        "",
        f"{'law':<74}{'cases':>9}{'violations':>12}{'largest':>9}{'seconds':>9}",
        *(_row(law, found[law]) for law in LAWS),
        "",
        f"{'no violations, but possible':<74}{'cases':>9}{'slower':>12}{'largest':>9}",
        *(_row(name, found[name]) for name in ANOMALIES),
        *(f"  {law}: {', '.join(found[law].examples[:5])}" for law in LAWS if found[law].examples),
    ]


def _row(name: str, tally: Tally) -> str:
    largest = f"{tally.largest:.1%}" if tally.violations else ""
    timed = f"{tally.seconds:>9.0f}" if tally.seconds >= 0.5 else ""
    return f"{name:<74}{tally.cases:>9,}{tally.violations:>12,}{largest:>9}{timed}"


if __name__ == "__main__":
    main()
