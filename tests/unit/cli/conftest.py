"""One problem with its plan, prediction and answer, made by hand: what verbs print is tested without a planner."""

import dataclasses
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from crosszone import service
from crosszone.cli import main
from crosszone.core.answer import Answer, RankedPlan, RejectedPlan, Search
from crosszone.core.cluster import Cluster, Fabric, Gpu, NodeGroup, Zone, ZoneLink
from crosszone.core.model import Model
from crosszone.core.plan import IdleGpus, Plan, Replica, Stage
from crosszone.core.prediction import (
    Finish,
    Interval,
    Link,
    LinkGroup,
    Memory,
    Prediction,
    StageMemory,
    Term,
)
from crosszone.core.problem import Problem
from crosszone.core.workload import Workload, standard_dtypes

GPU = Gpu(
    name="a100-sxm4-80gb",
    vendor="nvidia",
    generation="ampere",
    form_factor="sxm4",
    peak_flop_per_second=(("bf16", 312e12),),
    vector_flop_per_second=19.5e12,
    memory_bytes=85e9,
    memory_bytes_per_second=2.039e12,
    l2_bytes=40e6,
    num_sms=108,
    boost_hertz=1.41e9,
    tdp_watts=400.0,
    fabric_kind="nvlink",
    fabric_num_gpus=8,
    fabric_bytes_per_second=300e9,
    pcie_bytes_per_second=31.5e9,
    system_gpus_per_node=8,
    system_network_bytes_per_second=200e9,
    system_num_rails=8,
    source="https://example.com/a100.pdf",
)
GROUP = NodeGroup(
    num_nodes=1,
    gpu=GPU,
    gpus_per_node=8,
    fabric=Fabric(kind="nvlink", num_gpus=8, bytes_per_second=300e9),
    network_bytes_per_second=100e9,
    num_rails=4,
)
PROBLEM = Problem(
    model=Model(
        name="llama-2-7b",
        num_layers=32,
        hidden_size=4096,
        ffn_size=11008,
        num_heads=32,
        num_kv_heads=32,
        head_size=128,
        vocab_size=32000,
    ),
    workload=Workload(sequence_length=4096, global_batch_size=64, dtypes=standard_dtypes("bf16"), train_tokens=1e12),
    cluster=Cluster(
        zones=(Zone(name="north", node_groups=(GROUP,)), Zone(name="south", node_groups=(GROUP,))),
        links=tuple(
            ZoneLink(from_zone=start, to_zone=end, latency_seconds=0.0143, bytes_per_second=1.25e9)
            for start, end in (("north", "south"), ("south", "north"))
        ),
    ),
)
PLAN = Plan(
    framework="megatron",
    tp=4,
    pp=2,
    cp=1,
    ep=1,
    dp=1,
    dp_shard=1,
    num_virtual_stages=1,
    microbatch_size=1,
    schedule="1f1b",
    sequence_parallel=True,
    shard="none",
    recompute="selective",
    stages=tuple(
        Stage(first_layer=first, num_layers=16, zone=zone, node_group=0, tp=4, dp=1, recompute="selective")
        for first, zone in ((0, "north"), (16, "south"))
    ),
    replicas=(Replica(num_replicas=1, zones=("north", "south"), node_groups=(0, 0), num_microbatches=64, weight=1.0),),
    idle_gpus=(IdleGpus(zone="north", node_group=0, num_gpus=4), IdleGpus(zone="south", node_group=0, num_gpus=4)),
)


def stage_memory(stage: int, zone: str, total_bytes: float) -> StageMemory:
    return StageMemory(
        stage=stage,
        zone=zone,
        gpu="a100-sxm4-80gb",
        num_layers=16,
        weight_bytes=2e9,
        gradient_bytes=4e9,
        optimizer_bytes=12e9,
        activation_bytes=total_bytes - 20e9,
        buffer_bytes=0.0,
        overhead_bytes=2e9,
        total_bytes=total_bytes,
        allocated_bytes=total_bytes - 2e9,
        reserved_bytes=total_bytes - 1e9,
        device_bytes=total_bytes + 0.5e9,
        capacity_bytes=85e9,
    )


PREDICTION = Prediction(
    fingerprint="0123456789abcdef",
    framework="megatron",
    num_gpus=8,
    num_parameters=6_738_415_616,
    num_active_parameters=6_738_415_616,
    num_microbatches=64,
    global_batch_tokens=262144,
    step_seconds=10.0,
    tokens_per_second=26214.4,
    tokens_per_second_per_gpu=3276.8,
    model_flop_per_second_per_gpu=150e12,
    mfu=0.48,
    hfu=0.5,
    compute_fraction=0.8,
    exposed_communication_fraction=0.1,
    bubble_fraction=0.05,
    other_fraction=0.05,
    cross_zone_penalty_ratio=1.12,
    goodput_fraction=None,
    terms=(
        Term(name="forward_compute", exposed_seconds=8.0, overlapped_seconds=0.0, formula="F/R", source="own"),
        Term(name="zone_send", exposed_seconds=2.0, overlapped_seconds=3.0, formula="b/β", source="own"),
        Term(name="never", exposed_seconds=0.0, overlapped_seconds=0.0, formula="0", source="own"),
    ),
    memory=Memory(
        peak_bytes=60e9,
        capacity_bytes=85e9,
        fits=True,
        verdict="fits",
        stages=(stage_memory(0, "north", 60e9), stage_memory(1, "south", 50e9)),
    ),
    host_memory_bytes=None,
    links=(
        Link(
            from_zone="north",
            to_zone="south",
            step_bytes=2.1e9,
            bytes_per_second=1.25e9,
            raw_seconds=1.7,
            exposed_seconds=0.2,
            utilization_fraction=0.17,
            dollars_per_hour=None,
            groups=(LinkGroup(group="pp", step_bytes=2.1e9, seconds=1.7),),
        ),
    ),
    intervals=(Interval(level=0.9, low_seconds=9.0, high_seconds=11.5),),
    train_seconds=3.81e7,
    finish=Finish(p50_seconds=None, p90_seconds=None),
    gpu_dollars=None,
    egress_dollars=12.3,
    energy_joules=None,
    assumed=("cluster.zones[0].nodes[0].network: 4 × 200 Gbit/s",),
    warnings=tuple(f"warning {number}" for number in range(12)),
)
RANKED = RankedPlan(plan=PLAN, prediction=PREDICTION, reasons=("PP across zones moves 2.1 GB a step.",))
ANSWER = Answer(
    problem=PROBLEM,
    plans=(RANKED,),
    baseline=dataclasses.replace(RANKED, plan=dataclasses.replace(PLAN, tp=8, pp=1, framework="fsdp")),
    verdict="Two zones are 1.7 times as fast as one.",
    search=Search(num_candidates=1234, num_pruned=99, num_feasible=12, elapsed_seconds=0.25),
    rejected=(RejectedPlan(plan=PLAN, reasons=("Stage 0 needs 95 GB, the GPU has 85 GB.",)),),
)


@dataclass(frozen=True)
class Result:
    """What one call of the program did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calls `main` in this process, on a screen 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(arguments)
        captured = capsys.readouterr()
        return Result(code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> RankedPlan:
    """The plan that `predict` finds in any job file, whatever its text."""
    _fake_reading(monkeypatch)
    monkeypatch.setattr(service, "predict", lambda problem, **_: RANKED)
    return RANKED


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """The answer that `plan` finds for any job file."""
    _fake_reading(monkeypatch)
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: ANSWER)
    return ANSWER


def _fake_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "read", lambda path: PROBLEM)
    monkeypatch.setattr(service, "read_text", lambda text, base: PROBLEM)
