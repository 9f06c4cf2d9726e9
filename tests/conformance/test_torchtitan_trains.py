"""Torchtitan bundles train: torchtitan's own trainer on CPUs over Gloo, told by a bundle's files.

`torchtitan_on_cpu.py` stands in for `-m torchtitan.train`; layers are not compiled, or only into graphs of operations.
Nothing else differs from what a GPU node runs.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crosszone import service

if importlib.util.find_spec("torchtitan") is None:
    pytest.skip("torchtitan is not installed", allow_module_level=True)

from torch.distributed.checkpoint import FileSystemReader

NUM_STEPS = 10
FSDP = {"shard": "parameters"}
PLANS: dict[str, dict[str, Any]] = {
    "one GPU": {},
    "ddp": {"dp": 2},
    "fsdp": {"dp": 2, "dp_shard": 2, **FSDP},
    "hsdp": {"dp": 4, "dp_shard": 2, "shard": "gradients", "recompute": "selective"},
    "tp": {"tp": 2, "sequence_parallel": True, "recompute": "full"},
    "pp": {"pp": 2},
    "pp and fsdp": {"pp": 2, "dp": 2, "dp_shard": 2, **FSDP},
    "interleaved": {"pp": 2, "schedule": "interleaved_1f1b", "num_virtual_stages": 3},
    "some layers recomputed": {
        "pp": 2,
        "dp": 2,
        "dp_shard": 2,
        **FSDP,
        "recompute": "full",
        "stages": [{"num_layers": 3, "recompute_layers": 2}, {"num_layers": 3, "recompute": "none"}],
    },
    "zbv": {"pp": 3, "schedule": "zbv", "num_virtual_stages": 2},
    "zbv, layers recomputed": {"pp": 3, "schedule": "zbv", "num_virtual_stages": 2, "recompute": "full"},
}


def job(plan: dict[str, Any], precision: str = "fp32") -> dict[str, Any]:
    num_gpus = plan.get("dp", 1) * plan.get("pp", 1) * plan.get("tp", 1)
    node = {"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": num_gpus, "network": "100 Gbit/s"}
    sizes = {"num_layers": 6, "hidden_size": 64, "ffn_size": 160, "num_heads": 4, "num_kv_heads": 2, "vocab_size": 512}
    return {
        "model": sizes,
        "workload": {"sequence_length": 32, "global_batch_size": 8, "precision": precision},
        "cluster": {"zones": [{"name": "a", "nodes": [node]}]},
        "plan": {"microbatch_size": 1, **plan},
    }


def trained(
    folder: Path, value: dict[str, Any], *more: str, compiles: bool = False, num_steps: int = NUM_STEPS
) -> list[dict[str, Any]]:
    """What rank 0 wrote of a run of the bundle of `value` in `folder`."""
    backend = ["--compile.backend", "aot_eager"] if compiles else ["--compile.no-enable"]
    with started(folder, value, *backend, *more, num_steps=num_steps) as process:
        _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-4000:]
    return written(folder)


def started(folder: Path, value: dict[str, Any], *more: str, num_steps: int) -> subprocess.Popen[str]:
    """The bundle of `value`, written into `folder` and running."""
    bundle = service.deploy(service.read(value), framework="torchtitan", backend="local", num_steps=num_steps)
    service.write_bundle(bundle, folder)
    program = Path(__file__).with_name("torchtitan_on_cpu.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={bundle.launch.world_size}", str(program), *bundle.launch.argv[2:], *more]
    environment = {**os.environ, "PYTHONPATH": "src"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def written(folder: Path) -> list[dict[str, Any]]:
    """What rank 0 wrote, the lines that are whole."""
    path = folder / "logs" / "rank-0.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def steps(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == "step"]


@pytest.mark.slow
def test_a_pipeline_trains_ten_steps_and_goes_on(tmp_path: Path) -> None:
    """Two stages in bf16: FSDP over one rank, our gradients, a checkpoint after half, and the rest after a restart."""
    value = job(PLANS["pp"], "bf16")
    lines = trained(tmp_path / "whole", value, "--checkpoint.interval", "5")
    half = ["step"] * 5
    assert [line["event"] for line in lines] == ["start", *half, "checkpoint", *half, "checkpoint", "end"]
    start = lines[0]
    assert start["saves"]
    assert [line["step"] for line in lines if line["event"] == "checkpoint"] == [5, 10]
    assert (start["framework"], start["num_gpus"], start["num_microbatches"]) == ("torchtitan", 2, 8)
    assert [step["step"] for step in steps(lines)] == list(range(1, NUM_STEPS + 1))
    assert all(5.5 < step["loss"] < 7.5 for step in steps(lines))  # about ln(512), seen from the first stage too
    assert all(0.1 < step["gradient_norm"] < 2.0 for step in steps(lines))
    assert steps(lines)[-1]["consumed_tokens"] == 32 * 8 * NUM_STEPS
    assert {folder.name for folder in (tmp_path / "whole" / "checkpoints").iterdir()} == {"step-5", "step-10"}
    (tmp_path / "whole" / "checkpoints" / "step-10" / ".metadata").unlink()  # as if the last one was never whole
    again = steps(trained(tmp_path / "whole", value, "--checkpoint.interval", "5"))[NUM_STEPS:]
    assert [step["step"] for step in again] == list(range(6, NUM_STEPS + 1))
    for first, second in zip(steps(lines)[5:], again, strict=True):
        assert second["loss"] == first["loss"]
        assert second["learning_rate"] == first["learning_rate"]


@pytest.mark.slow
def test_a_stopped_rank_has_all_save_all_that_a_restart_needs(tmp_path: Path) -> None:
    """SIGTERM reaches one rank of two, which is no launcher's doing: they tell each other."""
    value, folder, many = job(PLANS["fsdp"]), tmp_path / "stopped", 10_000
    with started(folder, value, "--compile.no-enable", num_steps=many) as process:
        until = time.monotonic() + 300.0
        while len(steps(written(folder))) < 3:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, "it does not train"
            time.sleep(0.05)
        (*_, last) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(last), signal.SIGTERM)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-4000:]
    *_, step, checkpoint, end = written(folder)
    assert (checkpoint["event"], checkpoint["step"]) == ("checkpoint", step["step"])
    assert (end["event"], end["step"]) == ("stopped", step["step"])
    saved = FileSystemReader(folder / "checkpoints" / f"step-{step['step']}").read_metadata().state_dict_metadata
    for part in ("output.weight", "optimizer.state.output.weight.exp_avg", "lr_scheduler", "dataloader", "train_state"):
        assert any(name.startswith(part) for name in saved), part


@pytest.mark.soak
def test_a_stopped_rank_that_cannot_save_tells_why(tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    with started(folder, job(PLANS["fsdp"]), "--compile.no-enable", num_steps=10_000) as process:
        until = time.monotonic() + 300.0
        while len(steps(written(folder))) < 3:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, "it does not train"
            time.sleep(0.05)
        (folder / "checkpoints").write_text("a file, where checkpoints should be\n")
        (*_, last) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(last), signal.SIGTERM)
        process.communicate(timeout=300)
    *_, step, unsaved = written(folder)
    assert (unsaved["event"], unsaved["step"]) == ("unsaved", step["step"])
    assert "Error: " in unsaved["reason"]


@pytest.mark.soak
def test_every_way_to_split_trains_alike(tmp_path: Path) -> None:
    """Gradients have one size however they are split, which torchtitan 0.2.2 alone does not give."""
    found = {name: steps(trained(tmp_path / name, job(plan))) for name, plan in PLANS.items()}
    for name, records in found.items():
        assert len(records) == NUM_STEPS, name
        for record, like in zip(records, found["one GPU"], strict=True):
            # Weights begin alike only where the random numbers of torch are drawn in one order.
            assert record["loss"] == pytest.approx(like["loss"], rel=0.05), name
            assert record["gradient_norm"] == pytest.approx(like["gradient_norm"], rel=0.05), name
    for one, other in (("one GPU", "ddp"), ("fsdp", "hsdp")):
        for record, like in zip(found[one], found[other], strict=True):
            assert record["loss"] == pytest.approx(like["loss"], rel=1e-4)
            assert record["gradient_norm"] == pytest.approx(like["gradient_norm"], rel=1e-4)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["ddp", "hsdp", "tp", "pp and fsdp", "some layers recomputed", "interleaved"])
def test_compiled_layers_train_alike(name: str, tmp_path: Path) -> None:
    """torch.compile takes every layer and the loss whole, beside recomputation and what splits them."""
    value = job(PLANS[name], "bf16")
    plain = steps(trained(tmp_path / "plain", value, num_steps=3))
    compiled = steps(trained(tmp_path / "compiled", value, compiles=True, num_steps=3))
    for one, other in zip(plain, compiled, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-2)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=2e-2)
