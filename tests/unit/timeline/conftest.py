"""A small job in two zones, and plans of it."""

from collections.abc import Callable
from typing import Any

import pytest

from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.spec import read_job
from crosszone.timeline.predict import predict_plan


@pytest.fixture
def job() -> Callable[..., Problem]:
    """Makes a problem of two zones with 2 nodes of 4 GPUs; `link` and the keys of `work` as in a job file."""

    def make(
        plan: dict[str, Any], *, link: dict[str, Any] | None = None, num_zones: int = 2, framework: str = "megatron",
        **work: Any,
    ) -> Problem:  # fmt: skip
        nodes = {"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 4, "network": "100 Gbit/s"}
        links = [{"between": ["a", "b"], "bandwidth": "1 Gbit/s", "rtt": "20 ms", **(link or {})}]
        shape = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "num_kv_heads": 4}
        return read_job(
            {
                "model": {**shape, "vocab_size": 32000},
                "workload": {"sequence_length": 2048, "global_batch_size": 16, "precision": "bf16", **work},
                "cluster": {
                    "zones": [{"name": name, "nodes": [nodes]} for name in "ab"[:num_zones]],
                    **({"links": links} if num_zones == 2 else {}),
                },
                "framework": {"name": framework},
                "plan": plan,
            }
        )

    return make


@pytest.fixture
def predicted(job: Callable[..., Problem]) -> Callable[..., tuple[Plan, Prediction]]:
    """The plan of a job, completed, and its prediction; arguments as of `job`."""

    def make(plan: dict[str, Any], **more: Any) -> tuple[Plan, Prediction]:
        problem = job(plan, **more)
        found = placed(problem)
        return found, predict_plan(problem, found, framework_facts(found.framework))

    return make
