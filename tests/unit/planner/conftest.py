"""Small problems for the planner: a model of eight layers on a few GPUs, prepared the way the search prepares it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.spec import read_job
from crosszone.timeline.inputs import Inputs, inputs

SHAPE = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "num_kv_heads": 4, "vocab_size": 32000}
Nodes = dict[str, Any]
Make = Callable[..., Problem]
Prepare = Callable[..., Inputs]


def group(gpus_per_node: int, *, count: int = 1, gpu: str = "a100-sxm4-80gb", **more: Any) -> Nodes:
    """One node group as a job file writes it."""
    return {"count": count, "gpu": gpu, "gpus_per_node": gpus_per_node, "network": "200 Gbit/s", **more}


@pytest.fixture(scope="session")
def nodes() -> Callable[..., Nodes]:
    """Makes a node group: `nodes(8, count=2, price="2 USD/h")`."""
    return group


@pytest.fixture(scope="session")
def problem() -> Make:
    """Makes a problem: one entry per zone (GPUs of its node, a node group or several), then keys of the job file."""

    def make(
        *zones: int | Nodes | Sequence[Nodes],
        model: str | dict[str, Any] | None = None,
        sequences: int = 16,
        length: int = 2048,
        work: dict[str, Any] | None = None,
        links: list[dict[str, Any]] | None = None,
        bandwidth: str = "10 Gbit/s",
        **more: Any,
    ) -> Problem:
        names = "abcdefghijklmnopqrstuvwxyz"
        listed = [{"name": names[index], "nodes": _groups(zone)} for index, zone in enumerate(zones)]
        cluster: dict[str, Any] = {"zones": listed}
        if len(zones) > 1:
            cluster |= {"default_link": {"bandwidth": bandwidth, "rtt": "20 ms"}, "links": links or []}
        workload = {"sequence_length": length, "global_batch_size": sequences, "precision": "bf16", **(work or {})}
        shape = model if isinstance(model, str) else {**SHAPE, **(model or {})}
        return read_job({"model": shape, "workload": workload, "cluster": cluster, **more})

    return make


@pytest.fixture(scope="session")
def prepared(problem: Make) -> Prepare:
    """What a search computes once, of the problem with these zones and keys; for megatron unless `names` says else."""

    def prepare(*zones: int | Nodes | Sequence[Nodes], names: tuple[str, ...] = ("megatron",), **more: Any) -> Inputs:
        return inputs(problem(*zones, **more), tuple(framework_facts(name) for name in names))

    return prepare


def _groups(zone: int | Nodes | Sequence[Nodes]) -> list[Nodes]:
    if isinstance(zone, int):
        return [group(zone)]
    return [zone] if isinstance(zone, dict) else list(zone)
