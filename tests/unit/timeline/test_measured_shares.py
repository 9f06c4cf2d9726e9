"""Shares timed on a GPU stand before the catalog's, for that GPU alone."""

import dataclasses

import pytest

from crosszone import service
from crosszone.catalog.efficiency import efficiency
from crosszone.core.calibration import Calibration, MeasuredShares
from crosszone.frameworks import framework_facts
from crosszone.timeline.inputs import inputs

JOB = {
    "model": "llama-2-7b",
    "workload": {"sequence_length": 4096, "global_batch_size": 64},
    "cluster": {"zones": [{"name": "home", "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}]}]},
    "framework": {"name": "megatron"},
    "plan": {"tp": 2, "pp": 1, "microbatch_size": 1, "recompute": "none"},
}


def problem(gpu: str = "h100-sxm5-80gb", ratio: float = 1.0, **shares: float):
    timed = Calibration(
        gpu=gpu, compute_seconds_ratio=ratio, num_runs=0, source="", efficiency=MeasuredShares(**shares)
    )
    return dataclasses.replace(service.read(JOB), calibrations=(timed,))


def step_seconds(**arguments) -> float:
    return service.predict(problem(**arguments)).prediction.step_seconds


@pytest.mark.parametrize(
    ("name", "slow", "fast"),
    [
        ("gemm_fraction", 0.5, 0.8),
        ("gemm_overhead_depth", 900.0, 100.0),
        ("attention_fraction", 0.3, 0.6),
        ("attention_backward_fraction", 0.25, 0.5),
        ("memory_fraction", 0.7, 0.95),
    ],
)
def test_each_share_changes_the_step_in_its_direction(name, slow, fast) -> None:
    assert step_seconds(**{name: slow}) > step_seconds() > step_seconds(**{name: fast})


def test_what_was_not_timed_is_the_catalogs() -> None:
    asked = problem(gemm_fraction=0.71)
    gpu = asked.cluster.zones[0].node_groups[0].gpu
    (found,) = inputs(asked, (framework_facts("megatron"),)).efficiencies
    assert found == dataclasses.replace(efficiency(gpu), gemm_fraction=0.71)


def test_another_gpu_is_predicted_without() -> None:
    assert step_seconds(gpu="a100-sxm4-80gb", gemm_fraction=0.3) == step_seconds()


def test_a_ratio_and_shares_of_one_gpu_both_count() -> None:
    assert step_seconds(ratio=1.3, gemm_fraction=0.5) > step_seconds(gemm_fraction=0.5) > step_seconds()
