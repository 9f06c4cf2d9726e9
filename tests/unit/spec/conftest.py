"""Job files that the tests of `spec` start from."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from crosszone.errors import Finding, SpecError
from crosszone.spec import read_job

EXAMPLE = """\
model: llama-3.1-70b
workload: {sequence_length: 8192, global_batch_size: 768, precision: bf16, optimizer: adamw, train_tokens: 1T}
cluster:
  zones:
    - name: beijing-a
      region: alibaba:cn-beijing
      nodes: [{count: 4, gpu: a100-sxm4-80gb, gpus_per_node: 8, network: 4x200 Gbit/s}]
    - name: shanghai-a
      region: alibaba:cn-shanghai
      nodes: [{count: 8, gpu: a100-sxm4-80gb, gpus_per_node: 8, network: 4x200 Gbit/s}]
  links:
    - {between: [beijing-a, shanghai-a], bandwidth: 10 Gbit/s, rtt: 28.6 ms}
framework: {name: megatron}
plan: {tp: 8, pp: 2, microbatch_size: 1, recompute: selective}
objective: {minimize: time, budget: 50000 USD, deadline: 30 d}
constraints: {exclude_zones: [], frameworks: [], allow: [], max_egress: 2000 USD}
"""

SMALL: dict[str, Any] = {
    "model": "llama-2-7b",
    "workload": {"sequence_length": 4096, "global_batch_size": 256, "precision": "bf16", "optimizer": "adamw"},
    "cluster": {"zones": [{"name": "a", "nodes": [{"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]}]},
}


@pytest.fixture
def example() -> str:
    """The job file of the documents, as text."""
    return EXAMPLE


@pytest.fixture
def small():
    """Makes a job on one zone of 16 GPUs, with some places changed: `small({"plan.tp": 3})`."""

    def make(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        job = copy.deepcopy(SMALL)
        for place, value in (changes or {}).items():
            *parents, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
            target: Any = job
            for part in parents:
                target = target[part] if isinstance(part, int) else target.setdefault(part, {})
            target[last] = value
        return job

    return make


@pytest.fixture
def two_zones(small):
    """Makes a job on two zones in Beijing and Shanghai with one link, whose keys are the arguments."""

    def make(link: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
        nodes = [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]
        zones = [
            {"name": "bj", "region": "alibaba:cn-beijing", "nodes": copy.deepcopy(nodes)},
            {"name": "sh", "region": "alibaba:cn-shanghai", "nodes": copy.deepcopy(nodes)},
        ]
        links = [] if link is None else [{"between": ["bj", "sh"], **link}]
        return small({"cluster": {"zones": zones, "links": links, **cluster}})

    return make


@pytest.fixture
def findings():
    """All that is wrong with a job; empty where it can be read."""

    def read(job: dict[str, Any]) -> tuple[Finding, ...]:
        try:
            read_job(job)
        except SpecError as error:
            return error.findings
        return ()

    return read


@pytest.fixture
def only(findings):
    """The one thing that is wrong with a job."""

    def read(job: dict[str, Any]) -> Finding:
        (finding,) = findings(job)
        return finding

    return read
