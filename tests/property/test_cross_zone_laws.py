"""The laws of predictions across zones, on random plans; and long pipelines against those that are played in full.

The laws and the plans are those of `benchmarks/laws`, whose results are committed. `make soak` runs them all.
"""

import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import refusal, traits
from crosszone.timeline import simulate as simulation
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds, play, with_orders

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "laws"
FEW_CASES, ALL_CASES = 300, 100_000
NUM_PLANS = 50
"""Of one problem."""


@pytest.fixture(scope="module")
def laws() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        import laws as found
    finally:
        sys.path.remove(str(FOLDER))
    return found


def broken(laws: ModuleType, num_cases: int) -> dict[str, list[str]]:
    """Where each law is broken, if anywhere; none goes without a case."""
    found = laws.tallies()
    for seed in range(num_cases // NUM_PLANS):
        laws.check(seed, NUM_PLANS, found)
    assert all(found[law].cases > 0 for law in laws.LAWS)
    return {law: found[law].examples for law in laws.LAWS if found[law].violations}


def test_laws_hold_on_drawn_plans(laws: ModuleType) -> None:
    assert broken(laws, FEW_CASES) == {}


@pytest.mark.soak
def test_laws_hold_on_a_hundred_thousand_drawn_plans(laws: ModuleType) -> None:
    assert broken(laws, ALL_CASES) == {}


def test_a_broken_law_is_told_with_its_size(laws: ModuleType) -> None:
    tally = laws.Tally()
    for excess in (0.0, 1e-12, 0.25, float("nan")):
        tally.add(excess, f"{excess}")
    assert (tally.cases, tally.violations, tally.examples) == (4, 2, ["0.25", "nan"])
    assert tally.largest == 0.25


def long_pipeline(draw: random.Random) -> Pipeline:
    """Of any order, with even or uneven stages, and boundaries that share links or do not."""
    while True:
        name, p = draw.choice(SCHEDULES), draw.randint(2, 8)
        m = draw.randint(20, 48 if traits(name).is_generated else 200)
        v = traits(name).least_virtual_stages
        if name == "interleaved_1f1b":
            m, v = max(m // p, 1) * p, draw.choice((2, 3))
        if not refusal(name, p, m):
            break
    is_even, links = draw.random() < 0.5, draw.choice(("own", "one"))

    def seconds(low: float, high: float) -> float:
        return low if is_even else draw.uniform(low, high)

    boundaries = []
    for index in range(p if v > 1 and traits(name).placement == "loop" else p - 1):
        link = str(index) if links == "own" else "one"
        far = Boundary(
            delay_seconds=seconds(0.1, 5.0), transfer_seconds=seconds(0.1, 1.5), forward_link=f"{link}>",
            backward_link=f"{link}<", backward_delay_seconds=seconds(0.2, 5.0),
        )  # fmt: skip
        boundaries.append(draw.choice((Boundary(delay_seconds=0.02), far)))
    pipeline = Pipeline(
        schedule=name,
        num_microbatches=m,
        num_virtual_stages=v,
        forward_seconds=tuple(seconds(0.5, 1.5) for _ in range(p)),
        backward_seconds=tuple(seconds(1.1, 3.0) for _ in range(p)),
        boundaries=tuple(boundaries),
        receives_early=draw.random() < 0.8,
    )
    return with_orders(pipeline) if traits(name).is_generated else pipeline


def extends_exactly(seeds: range) -> list[int]:
    """Seeds of pipelines whose makespan is not that of all their events."""
    found = []
    for seed in seeds:
        pipeline = long_pipeline(random.Random(seed))
        if makespan_seconds(pipeline) != play(pipeline).makespan_seconds:
            found.append(seed)
    return found


def test_what_is_left_out_of_a_long_pipeline_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert extends_exactly(range(60)) == []


@pytest.mark.soak
def test_what_is_left_out_of_many_long_pipelines_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert extends_exactly(range(1000, 11_000)) == []
