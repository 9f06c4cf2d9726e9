"""Local bundles train ten steps on this machine's CPU, with no edit; launch files meet in the plan's order."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crosszone import service

pytest.importorskip("torch")
pytest.importorskip("transformers")

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
    "cluster": {
        "zones": [
            {"name": "north", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]},
            {"name": "south", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 1}]},
        ],
        "links": [{"between": ["north", "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
    },
    "plan": {"dp": 3, "microbatch_size": 2},
}
SHARDED = {"shard": "parameters", "dp_shard": 3}
ZERO_1 = {"shard": "optimizer", "dp_shard": 3}


def train(folder: Path, program: str = "run_training.sh") -> str:
    around = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [str(folder / program)], env=around, cwd="/", capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def steps(folder: Path, rank: int = 0) -> list[dict]:
    lines = (folder / "logs" / f"rank-{rank}.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == "step"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "plan"),
    [
        pytest.param("ddp", {}, marks=pytest.mark.soak),  # test_run.py runs it
        ("fsdp", SHARDED),
        pytest.param("deepspeed", ZERO_1, marks=pytest.mark.soak),  # the pipeline below shards so
        pytest.param("deepspeed", SHARDED, marks=pytest.mark.soak),
    ],
)
def test_a_local_bundle_trains(tmp_path, framework, plan) -> None:
    pytest.importorskip("torch" if framework != "deepspeed" else "deepspeed")
    problem = service.read({**JOB, "plan": {**JOB["plan"], **plan}})
    folder = tmp_path / "bundle"
    options = {"framework": framework, "backend": "local", "device": "cpu"}
    service.write_bundle(service.deploy(problem, num_steps=10, **options), folder)
    train(folder)
    first = steps(folder)
    assert [record["step"] for record in first] == list(range(1, 11))
    assert first[-1]["loss"] < first[0]["loss"]
    assert {path.name for path in (folder / "logs").iterdir()} == {f"rank-{rank}.jsonl" for rank in range(3)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(SHARDED, id="zero 3", marks=pytest.mark.soak),
        pytest.param({"pp": 3, "dp": 1, "shard": "optimizer"}, id="pipeline", marks=pytest.mark.soak),
    ],
)
def test_a_deepspeed_bundle_goes_on_from_its_checkpoint(tmp_path, plan) -> None:
    """Six steps, a checkpoint, and four more: losses are those of ten steps without a stop, to the last bit."""
    pytest.importorskip("deepspeed")
    problem = service.read({**JOB, "model": {**JOB["model"], "num_layers": 3}, "plan": {**JOB["plan"], **plan}})
    bundle = service.deploy(problem, framework="deepspeed", backend="local", device="cpu", num_steps=10)
    losses = []
    for name, stops in (("whole", [10]), ("halves", [6, 10])):
        service.write_bundle(bundle, tmp_path / name)
        path = tmp_path / name / "configs" / "train.json"
        text = path.read_text()
        for stop in stops:
            path.write_text(json.dumps(json.loads(text) | {"num_steps": stop}))
            train(tmp_path / name)
        losses.append([(record["step"], record["loss"]) for record in steps(tmp_path / name)])
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[1]] == list(range(1, 11))


@pytest.mark.slow
@pytest.mark.parametrize("is_tied", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_deepspeeds_pipeline_trains_what_one_stage_does(tmp_path, is_tied) -> None:
    """Two uneven stages of two replicas against one rank: the same losses and gradient norms, to rounding."""
    pytest.importorskip("deepspeed")
    found = []
    stages = [{"num_layers": 3, "zone": "north"}, {"num_layers": 1, "zone": "south"}]
    uneven = {"pp": 2, "dp": 2, "shard": "optimizer", "stages": stages}
    for name, plan in (("pipeline", uneven), ("one", {"pp": 1, "dp": 1})):
        job = json.loads(json.dumps(JOB))
        job["model"] |= {"num_layers": 4, "tied_embeddings": is_tied}
        job["cluster"]["zones"][1]["nodes"][0]["gpus_per_node"] = 2
        if name == "one":
            job["cluster"] = {
                "zones": [{"name": "a", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 1}]}]
            }
        job["plan"] = {"microbatch_size": 2, **plan}
        bundle = service.deploy(service.read(job), framework="deepspeed", backend="local", device="cpu", num_steps=10)
        service.write_bundle(bundle, tmp_path / name)
        train(tmp_path / name)
        found.append([(record["loss"], record["gradient_norm"]) for record in steps(tmp_path / name)])
    assert len(found[0]) == 10
    assert found[0][-1][0] < found[0][0][0]
    assert [pytest.approx(each, rel=1e-4) for each in found[0]] == found[1]


HELD = """
import json, sys
from pathlib import Path
import deepspeed
from crosszone.runtime import zero
from crosszone.runtime.model import initial_value
from crosszone.runtime.train import read_config
from crosszone.runtime.world import open_world

Real, held = deepspeed.zero.Init, []

def init(module, **options):
    held.append(sum(parameter.numel() for parameter in module.parameters()))
    return Real(module=module, **options)

deepspeed.zero.Init = init
path = Path("configs/train.json")
with open_world(read_config(path)) as world:
    engine = zero.ZeroEngine(read_config(path), world, folder=path.parent)
    kinds = {str(parameter.dtype) for parameter in engine._engine.module.parameters()}
    with deepspeed.zero.GatheredParameters(list(engine._engine.module.parameters())):
        for name, parameter in engine._engine.module.named_parameters():
            expected = initial_value(name, parameter.shape, seed=0, device=parameter.device)
            assert parameter.equal(expected.to(parameter.dtype)), name
    if world.rank == 0:
        print(json.dumps({"held": held, "total": engine.num_parameters, "kinds": sorted(kinds)}), flush=True)
"""


@pytest.mark.slow
def test_zero_3_never_holds_the_model_whole(tmp_path) -> None:
    """Each layer is split over the ranks before the next is made, with the first values of every other framework."""
    pytest.importorskip("deepspeed")
    value = {**JOB, "plan": {**JOB["plan"], **SHARDED}, "workload": {**JOB["workload"], "precision": "bf16"}}
    bundle = service.deploy(service.read(value), framework="deepspeed", backend="local", device="cpu", num_steps=1)
    service.write_bundle(bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "held.py").write_text(HELD)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", "held.py"]
    around = {**os.environ, "PYTHONPATH": "src", "DS_ACCELERATOR": "cpu"}
    done = subprocess.run(
        launcher, env=around, cwd=tmp_path / "bundle", capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"held"')))
    layer_size, again, rest = found["held"]
    assert layer_size == again
    assert layer_size + again + rest == found["total"]
    assert found["kinds"] == ["torch.bfloat16"]


ENTRY = """
import os, sys
from torch import distributed, ones
distributed.init_process_group("gloo")
total = ones(1) * distributed.get_rank()
distributed.all_reduce(total)
if distributed.get_rank() == 0:
    print("sum", int(total), "of", distributed.get_world_size(), sys.argv[1:], flush=True)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_a_program_of_ones_own_meets_with_the_ranks_of_the_plan(tmp_path) -> None:
    entry = tmp_path / "mine.py"
    entry.write_text(ENTRY)
    problem = service.read(JOB)
    bundle = service.deploy(
        problem,
        framework="ddp",
        backend="local",
        device="cpu",
        num_steps=1,
        entry=str(entry),
        arguments=("$HOME", "b c"),
    )
    service.write_bundle(bundle, tmp_path / "bundle")
    assert "sum 3 of 3 ['$HOME', 'b c']" in train(tmp_path / "bundle")


@pytest.mark.slow
def test_launch_files_of_uneven_nodes_meet_in_the_plans_order(tmp_path) -> None:
    """Two agents, of two ranks and of one, over loopback: ranks follow the node rank, whoever starts first."""
    entry = tmp_path / "mine.py"
    entry.write_text(
        ENTRY.replace('if distributed.get_rank() == 0:\n    print("sum",', 'print("sum",').replace(
            "sys.argv[1:]", 'os.environ["GROUP_RANK"], os.environ["LOCAL_RANK"], os.environ["RANK"]'
        )
    )
    value = json.loads(json.dumps(JOB))
    for zone, address in zip(value["cluster"]["zones"], ("127.0.0.1", "127.0.0.2"), strict=True):
        zone["nodes"][0] |= {"addresses": [address], "interface": "lo"}
    bundle = service.deploy(
        service.read(value), framework="ddp", backend="bare", device="cpu", entry=str(entry), port=29517
    )
    service.write_bundle(bundle, tmp_path / "bundle")
    programs = [tmp_path / "bundle" / f"launch/zone-{index}/agent-{index}.sh" for index in (1, 0)]
    around = {**os.environ, "PYTHON": sys.executable}
    started = [
        subprocess.Popen([str(path)], env=around, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for path in programs
    ]
    told = [process.communicate(timeout=600) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    lines = sorted(line for out, _ in told for line in out.splitlines() if line.startswith("sum"))
    assert lines == ["sum 3 of 3 0 0 0", "sum 3 of 3 0 1 1", "sum 3 of 3 1 0 2"]
