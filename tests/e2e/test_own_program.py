"""A person's own program in a bundle, with the helpers that the bundle brings: replicas stay one model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crosszone import service

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

JOB = {
    "model": {
        "num_layers": 2,
        "hidden_size": 64,
        "ffn_size": 128,
        "num_heads": 4,
        "num_kv_heads": 2,
        "vocab_size": 512,
    },
    "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
    "cluster": {"zones": [{"name": "a", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]}]},
    "plan": {"dp": 2, "microbatch_size": 2},
}
REPLICATED = """
import sys
import torch
from utils.communication import broadcast_model, check_replicas, mean_over_ranks, sum_gradients
from utils.distributed_utils import joined, seed_all

with joined(device="cpu") as ranks:
    seed_all(7, rank=ranks.rank)  # different weights and different data on each
    model = torch.nn.Linear(4, 1)
    model.odd = torch.nn.Linear(4, 1, bias=False)  # only ranks with an odd number use it
    broadcast_model(model)
    check_replicas(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    count, total = ranks.rank + 1, sum(range(1, ranks.num_ranks + 1))  # a rank with twice the data
    inputs = torch.randn(count, 4)
    loss = model(inputs).square().sum()
    if ranks.rank % 2:
        loss = loss + model.odd(inputs).sum()
    (loss / total).backward()
    sum_gradients(model)
    optimizer.step()
    mean = mean_over_ranks(loss, count)
    if "spoil" in sys.argv and ranks.rank == 1:
        with torch.no_grad():
            model.weight[0, 0] += 1e-6
    check_replicas(model)
    if ranks.is_first:
        print(f"equal {mean:.6f} {ranks.num_ranks}")
"""
SHARDED = """
import torch
from configs.fsdp_config import DP_SHARD, shard
from utils.distributed_utils import joined, seed_all

with joined(device="cpu") as ranks:
    seed_all(7)
    model = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(3)))
    whole = sum(parameter.numel() for parameter in model.parameters())
    shard(model, blocks=list(model))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    own = sum(parameter.to_local().numel() for parameter in model.parameters())
    assert own * DP_SHARD == whole, (own, whole)
    if ranks.is_first:
        print("sharded", DP_SHARD)
"""


def written(folder: Path, program: str, framework: str) -> Path:
    entry = folder / "mine.py"
    entry.write_text(program)
    plan = {"shard": "parameters", "dp_shard": 2} if framework == "fsdp" else {}
    problem = service.read({**JOB, "plan": {**JOB["plan"], **plan}})
    options = {"framework": framework, "backend": "local", "device": "cpu", "entry": str(entry)}
    service.write_bundle(service.deploy(problem, **options), folder / "bundle")
    return folder / "bundle"


def run(folder: Path, program: str, framework: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "PYTHON": sys.executable}
    command = [str(written(folder, program, framework) / "run_training.sh")]
    return subprocess.run(command, env=around, capture_output=True, text=True, check=False, timeout=300)


def test_replicas_with_unequal_data_stay_equal(tmp_path) -> None:
    done = run(tmp_path, REPLICATED, "ddp")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[::2] == ["equal", "2"]


def test_a_replica_that_drifts_is_named(tmp_path) -> None:
    folder = written(tmp_path, REPLICATED, "ddp")
    around = {**os.environ, "PYTHONPATH": "src"}
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=0", "entry.py"]
    done = subprocess.run(
        [sys.executable, *command, "spoil"],
        cwd=folder,
        env=around,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode != 0
    assert "hold other weights than the rest of 2" in done.stderr


def test_shards_are_as_large_as_the_plan_says(tmp_path) -> None:
    done = run(tmp_path, SHARDED, "fsdp")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "sharded 2" in done.stdout
