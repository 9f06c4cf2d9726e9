"""A job over uneven zones that a laptop can train, its plan, and its bundle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem


def zone(index: int, gpus_per_node: int) -> dict[str, Any]:
    node = {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": gpus_per_node, "network": "100 Gbit/s"}
    return {"name": f"zone{index}", "nodes": [{**node, "addresses": [f"10.{index}.0.1"]}]}


@pytest.fixture
def job() -> dict[str, Any]:
    """Three ranks in two zones: two and one."""
    return {
        "model": {
            "num_layers": 2,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": {
            "zones": [zone(0, 2), zone(1, 1)],
            "links": [{"between": ["zone0", "zone1"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
        },
        "plan": {"dp": 3, "microbatch_size": 2},
    }


@pytest.fixture
def planned() -> Callable[[dict[str, Any]], tuple[Problem, Plan]]:
    def plan(value: dict[str, Any]) -> tuple[Problem, Plan]:
        problem = service.read(value)
        return problem, service.predict(problem).plan

    return plan


@pytest.fixture
def deployed() -> Callable[..., Bundle]:
    """The bundle of a job, with ten steps and no checkpoints unless told otherwise."""

    def deploy(value: dict[str, Any], framework: str = "ddp", backend: str = "bare", **options: Any) -> Bundle:
        options = {"num_steps": 10, "checkpoints": "none", **options}
        return service.deploy(service.read(value), framework=framework, backend=backend, **options)

    return deploy


@pytest.fixture
def written(deployed, tmp_path) -> Callable[..., Path]:
    """The folder of such a bundle."""

    def write(value: dict[str, Any], *arguments: Any, **options: Any) -> Path:
        folder = tmp_path / "bundle"
        service.write_bundle(deployed(value, *arguments, **options), folder)
        return folder

    return write
