"""Small problems: a model of a few layers on a few GPUs, in one to three zones."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from crosszone.core.problem import Problem
from crosszone.spec import read_job


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    """Makes a problem: GPUs per zone (a zone of several nodes as a tuple), a plan or none, one link for all pairs."""

    def make(
        zones: Sequence[int | tuple[int, int]],
        plan: dict[str, Any] | None = None,
        *,
        bandwidth: str = "10 Gbit/s",
        rtt: str = "20 ms",
        model: dict[str, Any] | None = None,
        sequences: int = 48,
        framework: str | None = "megatron",
        gpus: Sequence[str] = (),
        **more: Any,
    ) -> Problem:
        shape = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "num_kv_heads": 4}
        work = {"sequence_length": 2048, "global_batch_size": sequences, "precision": "bf16"}
        names = "abcdef"[: len(zones)]
        job = {
            "model": {**shape, "vocab_size": 32000, **(model or {})},
            "workload": work,
            "cluster": {
                "zones": [
                    {"name": name, "nodes": [_nodes(size, gpu)]}
                    for name, size, gpu in zip(names, zones, gpus or ["a100-sxm4-80gb"] * len(zones), strict=True)
                ],
                **({"default_link": {"bandwidth": bandwidth, "rtt": rtt}} if len(zones) > 1 else {}),
            },
            **({"framework": {"name": framework}} if framework else {}),
            **({"plan": plan} if plan else {}),
            **more,
        }
        return read_job(job)

    return make


def _nodes(size: int | tuple[int, int], gpu: str) -> dict[str, Any]:
    count, gpus_per_node = size if isinstance(size, tuple) else (1, size)
    return {"count": count, "gpu": gpu, "gpus_per_node": gpus_per_node, "network": "100 Gbit/s"}
