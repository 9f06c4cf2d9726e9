"""The search against brute force on drawn problems: a line where it was beaten, and how often that was.

$ python benchmarks/planner/optimality.py 0 500 > benchmarks/planner/optimality.txt
$ python benchmarks/planner/optimality.py --heavy 0 112
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.planner.search import search

BRUTE_FORCE = Path(__file__).parents[2] / "tests" / "property" / "test_planner.py"


def main() -> None:
    """Judge the problems with these seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, help="the first seed that is left out")
    parser.add_argument("--heavy", action="store_true", help="problems in which memory is short")
    asked = parser.parse_args()
    first, last = asked.first, asked.last
    force, weighed, beaten = _brute_force(), 0, 0
    for seed in range(first, last):
        num_plans, gain = _judged(force, force.heavy(seed) if asked.heavy else force.drawn(seed))
        weighed += num_plans
        beaten += gain > 0.0
        if gain > 0.0:
            print(f"seed {seed}: {gain:.2%} faster by brute force", flush=True)
    print(f"problems {last - first} (seeds {first} to {last - 1}), plans weighed {weighed}, search beaten {beaten}")


def _judged(force: ModuleType, problem: Problem) -> tuple[int, float]:
    """(plans weighed, how much faster the best of them is)."""
    try:
        plans = search(problem, top=1).plans
    except InfeasiblePlan:
        plans = ()
    known = plans[0].prediction.step_seconds if plans else float("inf")
    needs_room = bool(plans) and plans[0].prediction.memory.verdict == "fits"
    seconds, plan, num_plans = force.best_by_force(problem, known, needs_room=needs_room)
    return num_plans, known / seconds - 1.0 if plan is not None else 0.0


def _brute_force() -> ModuleType:
    """The test's own brute force."""
    spec = importlib.util.spec_from_file_location("brute_force", BRUTE_FORCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["brute_force"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
