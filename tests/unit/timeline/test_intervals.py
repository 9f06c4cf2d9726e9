"""Ranges of a prediction: nested, around the step, wider where less is known."""

import dataclasses
import math

import pytest

from crosszone import service
from crosszone.catalog.intervals import error_ledger
from crosszone.core.calibration import Calibration
from crosszone.core.closeness import KNOWLEDGE, LAYOUTS, Closeness
from crosszone.timeline.intervals import closeness_of, intervals

LINK = {"default_link": {"bandwidth": "10 Gbit/s", "rtt": "20 ms"}}


def job(*, gpus=("a100-sxm4-80gb",), framework: str = "megatron", nodes: int = 2, **plan: int | str):
    zones = [
        {"name": f"zone-{index}", "nodes": [{"count": nodes, "gpu": gpu, "gpus_per_node": 8, "network": "100 Gbit/s"}]}
        for index, gpu in enumerate(gpus)
    ]
    return service.read(
        {
            "model": "llama-2-7b",
            "workload": {"sequence_length": 2048, "global_batch_size": 64},
            "cluster": {"zones": zones, **(LINK if len(gpus) > 1 else {})},
            "framework": {"name": framework},
            "plan": {"microbatch_size": 1, **plan},
        }
    )


def closeness(problem) -> Closeness:
    return closeness_of(problem, service.predict(problem).plan, error_ledger())


def test_the_ledger_has_every_class_and_two_nested_levels() -> None:
    ledger = error_ledger()
    assert ledger.levels == (0.5, 0.9)
    assert {(each.closeness.knowledge, each.closeness.layout) for each in ledger.classes} == {
        (knowledge, layout) for knowledge in KNOWLEDGE for layout in LAYOUTS
    }
    assert all(0.0 < each.log_ratios[0] <= each.log_ratios[1] for each in ledger.classes)
    assert {"Ampere", "Hopper"} <= set(ledger.gpu_generations)
    assert {"megatron", "fsdp"} <= set(ledger.frameworks)


@pytest.mark.parametrize("each", error_ledger().classes, ids=lambda each: str(each.closeness))
def test_intervals_contain_the_step_and_each_other(each) -> None:
    half, most = intervals(10.0, each.closeness, error_ledger())
    assert most.low_seconds <= half.low_seconds < 10.0 < half.high_seconds <= most.high_seconds
    assert most.low_seconds == pytest.approx(10.0 * math.exp(-each.log_ratios[1]))
    assert most.high_seconds * most.low_seconds == pytest.approx(100.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_to_know_less_is_never_narrower(layout) -> None:
    ledger = error_ledger()

    def width(knowledge: str) -> float:
        return ledger.error_class(Closeness(knowledge=knowledge, layout=layout)).log_ratios[-1]

    assert width("studied") <= min(width("new_gpu"), width("new_framework"))
    assert max(width("new_gpu"), width("new_framework")) <= width("new_gpu_and_framework")


@pytest.mark.parametrize("knowledge", KNOWLEDGE)
def test_across_zones_is_never_narrower_than_inside_one(knowledge) -> None:
    ratios = {
        layout: error_ledger().error_class(Closeness(knowledge=knowledge, layout=layout)).log_ratios
        for layout in LAYOUTS
    }
    assert all(a <= b for known in ratios.values() for a, b in zip(known, ratios["zones"], strict=True))


@pytest.mark.parametrize(
    ("problem", "knowledge"),
    [
        ({}, "studied"),
        ({"framework": "horovod"}, "new_framework"),
        ({"gpus": ("v100-sxm2-32gb",)}, "new_gpu"),
        ({"gpus": ("v100-sxm2-32gb",), "framework": "horovod"}, "new_gpu_and_framework"),
    ],
)
def test_what_is_known_of_a_plan(problem, knowledge) -> None:
    assert closeness(job(**problem)).knowledge == knowledge


def test_a_calibrated_gpu_has_the_ranges_of_calibrated_runs() -> None:
    own = Calibration(gpu="a100-sxm4-80gb", compute_seconds_ratio=1.2, num_runs=1, source="runs.csv")
    problem = dataclasses.replace(job(), calibrations=(own,))
    assert closeness(problem).knowledge == "calibrated"
    timed = dataclasses.replace(own, num_runs=0)  # kernels were timed, no step was
    assert closeness(dataclasses.replace(job(), calibrations=(timed,))).knowledge == "studied"
    other = dataclasses.replace(own, gpu="h100-sxm5-80gb")
    assert closeness(dataclasses.replace(job(), calibrations=(other,))).knowledge == "studied"


@pytest.mark.parametrize(
    ("plan", "layout"),
    [
        ({"tp": 8, "pp": 1, "nodes": 2}, "one_fabric"),
        ({"tp": 2, "pp": 4, "nodes": 2}, "one_fabric"),
        ({"tp": 8, "pp": 2, "nodes": 2}, "pipeline_across"),
        ({"tp": 16, "nodes": 2}, "tensor_across"),
        ({"tp": 8, "gpus": ("a100-sxm4-80gb", "a100-sxm4-80gb")}, "zones"),
    ],
)
def test_layouts(plan, layout) -> None:
    assert closeness(job(**plan)).layout == layout


def test_a_prediction_carries_them_and_says_when_nothing_like_it_ran() -> None:
    known = service.predict(job()).prediction
    assert [interval.level for interval in known.intervals] == [0.5, 0.9]
    assert all(each.low_seconds < known.step_seconds < each.high_seconds for each in known.intervals)
    assert not [text for text in known.assumed if text.startswith("intervals")]
    across = service.predict(job(gpus=("a100-sxm4-80gb",) * 2)).prediction
    (note,) = [text for text in across.assumed if text.startswith("intervals")]
    assert "across zones" in note
    unseen = service.predict(job(gpus=("v100-sxm2-32gb",), framework="horovod")).prediction
    (note,) = [text for text in unseen.assumed if text.startswith("intervals")]
    assert "Volta" in note
    assert "horovod" in note
