"""Climbs in larger clusters: what is fixed never beats what is left open, and layers go where time is."""

from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.problem import Problem
from crosszone.planner.recut import recut
from crosszone.planner.search import search
from crosszone.timeline.simulate import Boundary, Pipeline

DEGREES = ("tp", "pp", "cp", "dp", "microbatch_size", "num_virtual_stages", "shard", "recompute")
LENIENCY_RATIO = 1.01
"""What the work allowed in a large cluster leaves unfound: three zones are to be planned in a second."""


@pytest.fixture
def mixed(problem: Any, nodes: Any) -> dict[str, Problem]:
    """Over 32 GPUs of two kinds in two or three zones."""

    def job(*zones: Any, model: str = "llama-2-7b", sequences: int = 128, **more: Any) -> Problem:
        return problem(*zones, model=model, sequences=sequences, work={"precision": "fp16"}, **more)

    def old(gpus_per_node: int, count: int) -> Any:
        return nodes(gpus_per_node, count=count, gpu="v100-sxm2-32gb")

    return {
        "even": job([nodes(8, count=2)], [old(8, 3)], bandwidth="10 Gbit/s"),
        "three zones": job([nodes(8, count=2)], [nodes(8)], [old(8, 3)], bandwidth="5 Gbit/s"),
        "uneven": job([nodes(8, count=3), nodes(4)], [old(4, 2)], bandwidth="1 Gbit/s"),
        "long chains": job(
            [nodes(8, count=3), nodes(4)], [old(8, 5), old(2, 2)],
            links=[{"between": ["a", "b"], "bandwidth": "20 Gbit/s", "rtt": "32 ms"}],
            model="llama-2-13b", sequences=512, length=4096,
        ),
        # One replica whose optimizer states fit where its ranks of cp share them.
        "one replica": problem(
            nodes(2, count=20, gpu="a100-sxm4-40gb", network="100 Gbit/s"),
            model="qwen2.5-32b", sequences=192, length=8192,
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "degrees"),
    [
        ("uneven", ("tp", "pp", "dp")),
        ("long chains", ("pp", "microbatch_size")),
        ("one replica", ("shard",)),
        pytest.param("even", DEGREES, marks=pytest.mark.soak),
        pytest.param("three zones", DEGREES, marks=pytest.mark.soak),
        pytest.param("uneven", DEGREES, marks=pytest.mark.soak),
        pytest.param("long chains", DEGREES, marks=pytest.mark.soak),
    ],
)
def test_a_job_that_fixes_a_degree_of_the_best_plan_has_none_better(
    mixed: dict[str, Problem], name: str, degrees: tuple[str, ...]
) -> None:
    job = mixed[name]
    best = search(job, top=1).plans[0]
    for degree in degrees:
        fixed = replace(job, plan=replace(job.plan, **{degree: getattr(best.plan, degree)}))
        same = search(fixed, top=1).plans[0]
        assert same.prediction.step_seconds * LENIENCY_RATIO >= best.prediction.step_seconds, degree


def pipeline(*seconds: float, boundaries: tuple[Boundary, ...], receives_early: bool = True) -> Pipeline:
    return Pipeline(
        schedule="1f1b", num_microbatches=8, num_virtual_stages=1, forward_seconds=seconds, backward_seconds=seconds,
        boundaries=boundaries, receives_early=receives_early,
    )  # fmt: skip


def test_layers_go_to_faster_stages_until_all_take_as_long() -> None:
    near = Boundary(delay_seconds=0.0)
    (whole, *parts) = recut((6, 6, 6), [pipeline(6.0, 6.0, 24.0, boundaries=(near, near))], 0.0)
    assert whole == (8, 8, 2)  # a layer takes 1, 1 and 4
    assert all(sum(part) == 18 for part in parts)
    assert parts[-1] in {(6, 7, 5), (7, 6, 5)}  # a quarter of the way


def test_stages_that_stand_for_messages_get_fewer_layers() -> None:
    """The two at the link receive late, for 8 seconds a microbatch: four layers take as long both ways."""
    near = Boundary(delay_seconds=0.0)
    far = Boundary(delay_seconds=0.5, transfer_seconds=7.5, forward_link="there", backward_link="back")
    late = pipeline(8.0, 8.0, 8.0, 8.0, boundaries=(near, far, near), receives_early=False)
    assert next(recut((8, 8, 8, 8), [late], 0.0)) == (10, 6, 6, 10)
    early = replace(late, receives_early=True)
    assert next(recut((8, 8, 8, 8), [early], 0.0)) == (8, 8, 8, 8)
