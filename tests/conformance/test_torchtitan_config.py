"""Torchtitan bundles against torchtitan itself: its configuration reader, its model, its mesh, its learning rate.

Run with torchtitan 0.2.2 as the bundle pins it, on a machine without GPUs.
"""

import importlib.util
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crosszone import service
from crosszone.catalog.models import model as catalog_model
from crosszone.core.bundle import Bundle
from crosszone.core.plan import Plan
from crosszone.core.train import TrainOptimizer, learning_rate
from crosszone.cost.parameters import num_parameters
from crosszone.deploy.ranks import rank_grid
from crosszone.errors import InfeasiblePlan

if importlib.util.find_spec("torchtitan") is None:
    pytest.skip("torchtitan is not installed", allow_module_level=True)

PLANS: dict[str, tuple[int, dict[str, Any]]] = {
    "one GPU": (1, {}),
    "ddp": (8, {"dp": 8, "shard": "none"}),
    "fsdp": (8, {"dp": 8, "shard": "parameters", "dp_shard": 8}),
    "hsdp": (8, {"dp": 8, "shard": "gradients", "dp_shard": 4, "recompute": "selective"}),
    "tp": (8, {"tp": 4, "dp": 2, "shard": "parameters", "dp_shard": 2, "recompute": "full"}),
    "cp": (8, {"cp": 4, "dp": 2, "shard": "parameters", "dp_shard": 2}),
    "pp": (8, {"pp": 4, "dp": 2, "shard": "parameters", "dp_shard": 2}),
    "interleaved": (8, {"pp": 2, "dp": 4, "shard": "parameters", "dp_shard": 4, "schedule": "interleaved_1f1b",
                        "num_virtual_stages": 2}),
    "zbv": (8, {"pp": 4, "dp": 2, "shard": "gradients", "dp_shard": 2, "schedule": "zbv", "num_virtual_stages": 2}),
    "all": (32, {"tp": 2, "cp": 2, "pp": 2, "dp": 4, "shard": "parameters", "dp_shard": 2}),
}  # fmt: skip
LLAMAS = ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "llama-2-7b", "llama-2-13b", "llama-2-70b")


def on_cpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torchtitan_on_cpu", Path(__file__).with_name("torchtitan_on_cpu.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def titan() -> ModuleType:
    """Our part of a bundle, which torchtitan imports."""
    on_cpu().without_triton()
    return importlib.import_module("crosszone.runtime.titan")


def job(num_gpus: int, plan: dict[str, Any], precision: str = "bf16", model: Any = None) -> dict[str, Any]:
    node = {"count": math.ceil(num_gpus / 8), "gpu": "h100-sxm5-80gb", "gpus_per_node": min(num_gpus, 8)}
    addresses = [f"10.0.0.{index + 1}" for index in range(node["count"])]
    sizes = {"num_layers": 8, "hidden_size": 64, "ffn_size": 160, "num_heads": 4, "num_kv_heads": 4, "vocab_size": 512}
    more = {} if "tp" not in plan else {"sequence_parallel": True}
    return {
        "model": model or sizes,
        "workload": {"sequence_length": 64, "global_batch_size": 64, "precision": precision},
        "cluster": {"zones": [{"name": "a", "nodes": [{**node, "network": "100 Gbit/s", "addresses": addresses}]}]},
        "plan": {"microbatch_size": 1, **plan, **more},
    }


def deployed(value: dict[str, Any], **options: Any) -> Bundle:
    options = {"num_steps": 100, "checkpoints": "none", **options}
    return service.deploy(service.read(value), framework="torchtitan", backend="bare", **options)


def parsed(bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Any:
    """What torchtitan's own reader makes of the arguments of a rank, in the folder of the bundle."""
    from torchtitan.config import ConfigManager

    service.write_bundle(bundle, folder / "bundle")
    monkeypatch.chdir(folder / "bundle")
    return ConfigManager().parse_args([*bundle.launch.argv[2:], *more])


def built(titan: ModuleType, config: Any) -> Any:
    """The model, without memory."""
    import torch

    arguments = titan.JobArgs()
    arguments.update_from_config(config)
    with torch.device("meta"):
        return titan.Llama(arguments)


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("precision", ["bf16", "fp8"])
def test_torchtitan_reads_every_key(titan, kind: str, precision: str, tmp_path: Path, monkeypatch) -> None:
    bundle = deployed(job(*PLANS[kind], precision=precision))
    config = parsed(bundle, tmp_path, monkeypatch)
    written = tomllib.loads(bundle.text("configs/torchtitan.toml"))
    read = config.to_dict()
    assert kept(written, read) == written
    assert read["job"]["config_file"] == "configs/torchtitan.toml"


def kept(written: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    """Of what was read, the keys that were written."""
    return {key: kept(value, read[key]) if isinstance(value, dict) else read[key] for key, value in written.items()}


def test_it_would_not_read_another_key(titan, tmp_path: Path, monkeypatch) -> None:
    """What the test above rests on: a key that torchtitan does not know is an error, in our own section too."""
    from torchtitan.config import ConfigManager

    text = deployed(job(*PLANS["fsdp"])).text("configs/torchtitan.toml")
    for line in ("[training]\n", "[parallelism]\n", "[crosszone]\n"):
        (tmp_path / "wrong.toml").write_text(text.replace(line, line + "no_such_key = 1\n"), encoding="utf-8")
        with pytest.raises(ValueError, match="no_such_key"):
            ConfigManager().parse_args(["--job.config_file", str(tmp_path / "wrong.toml")])


@pytest.mark.parametrize("name", LLAMAS)
def test_catalog_models_are_built_to_the_parameter(titan, name: str, tmp_path: Path, monkeypatch) -> None:
    value = job(1024, {"tp": 8, "dp": 128, "shard": "parameters", "dp_shard": 128}, model=name)
    value["workload"] |= {"sequence_length": 4096, "global_batch_size": 128}
    config = parsed(deployed(value), tmp_path, monkeypatch)
    model = built(titan, config)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters(catalog_model(name))


def test_a_model_of_another_size_is_not_trained(titan, tmp_path: Path, monkeypatch) -> None:
    config = parsed(deployed(job(1, {})), tmp_path, monkeypatch, "--crosszone.num_parameters", "7")
    with pytest.raises(InfeasiblePlan, match="the plan is for 7 parameters"):
        built(titan, config)


@pytest.mark.parametrize("kind", ["pp", "interleaved", "zbv", "all"])
def test_parts_of_the_pipeline_are_the_whole_model(titan, kind: str, tmp_path: Path, monkeypatch) -> None:
    from torch.distributed.pipelining.schedules import PipelineScheduleMulti, get_schedule_class

    config = parsed(deployed(job(*PLANS[kind])), tmp_path, monkeypatch)
    model = built(titan, config)
    parts = config.parallelism.module_fqns_per_model_part
    layers = [f"layers.{name}" for name, _ in model.layers.named_children()]
    assert [name for part in parts for name in part] == ["tok_embeddings", *layers, "norm", "output"]
    assert len(parts) % config.parallelism.pipeline_parallel_degree == 0
    schedule = get_schedule_class(config.parallelism.pipeline_parallel_schedule)
    assert issubclass(schedule, PipelineScheduleMulti) == (len(parts) > config.parallelism.pipeline_parallel_degree)


@pytest.fixture
def world() -> Iterator[Any]:
    """Starts a process group of so many ranks, of which only the first is there."""
    from torch import distributed
    from torch.testing._internal.distributed.fake_pg import FakeStore

    def start(num_ranks: int) -> None:
        distributed.init_process_group("fake", rank=0, world_size=num_ranks, store=FakeStore())

    yield start
    distributed.destroy_process_group()


@pytest.mark.parametrize("kind", PLANS)
def test_ranks_are_where_torchtitans_mesh_has_them(titan, kind: str, world, tmp_path: Path, monkeypatch) -> None:
    from torchtitan.distributed import ParallelDims, parallel_dims

    value = service.read(job(*PLANS[kind]))
    plan = service.predict(value).plan
    config = parsed(deployed(job(*PLANS[kind])), tmp_path, monkeypatch)
    monkeypatch.setattr(parallel_dims, "device_type", "cpu")
    world(plan.world_size)
    of = config.parallelism
    dims = ParallelDims(
        dp_shard=of.data_parallel_shard_degree,
        dp_replicate=of.data_parallel_replicate_degree,
        cp=of.context_parallel_degree,
        tp=of.tensor_parallel_degree,
        pp=of.pipeline_parallel_degree,
        ep=of.expert_parallel_degree,
        etp=of.expert_tensor_parallel_degree,
        world_size=plan.world_size,
    )
    dims.build_mesh()
    batches = dims._global_meshes["dataloading"].mesh  # pp, batch, cp, tp
    weights = dims._global_meshes["dense"].mesh  # pp, dp_replicate, fsdp, tp
    for place in rank_grid(plan, value.cluster):
        assert batches[place.pp, place.dp, place.cp, place.tp] == place.rank
        replicate, shard = divmod(place.dp, num_shards(plan))
        assert weights[place.pp, replicate, shard * plan.cp + place.cp, place.tp] == place.rank


def num_shards(plan: Plan) -> int:
    return 1 if plan.shard == "none" else plan.dp_shard


def test_the_learning_rate_is_our_trainers(titan, tmp_path: Path, monkeypatch) -> None:
    import torch
    from torchtitan.components.lr_scheduler import build_lr_schedulers

    config = parsed(deployed(job(1, {})), tmp_path, monkeypatch)
    rate, warmup = config.optimizer.lr, config.lr_scheduler.warmup_steps
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    schedulers = build_lr_schedulers([optimizer], config.lr_scheduler, config.training.steps)
    ours = TrainOptimizer(learning_rate=rate, num_warmup_steps=warmup, num_decay_steps=100 - warmup)
    assert warmup > 1
    for step in range(100):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(learning_rate(ours, step), rel=1e-12)
        optimizer.step()
        schedulers.step()


@pytest.mark.parametrize("num_ranks", [1, 4])
def test_tokens_are_our_trainers(titan, num_ranks: int, tmp_path: Path, monkeypatch) -> None:
    import torch

    from crosszone.core.train import TrainData
    from crosszone.runtime.data import microbatch, open_samples, rank_positions

    config = parsed(deployed(job(1, {})), tmp_path, monkeypatch)
    num_samples = config.crosszone.num_samples
    samples = open_samples(
        TrainData(path=None, num_samples=num_samples), folder=tmp_path, sequence_length=64, vocab_size=512, seed=0
    )
    shares = (64 // num_ranks,) * num_ranks
    for rank in range(num_ranks):
        batches = iter(titan.Batches(config, rank=rank, num_ranks=num_ranks))
        for step in (0, 1):
            for part in rank_positions(step, rank_sequences=shares, rank=rank, microbatch_size=1):
                found, labels = next(batches)
                inputs, wanted = microbatch(samples, part, seed=0)
                assert torch.equal(found["input"], inputs)
                assert torch.equal(labels, wanted)


def test_data_goes_on_where_a_checkpoint_was(titan, tmp_path: Path, monkeypatch) -> None:
    import torch

    config = parsed(deployed(job(1, {})), tmp_path, monkeypatch)
    whole = titan.Batches(config, rank=1, num_ranks=4)
    batches = iter(whole)
    for _ in range(16 * 3):
        next(batches)
    state = whole.state_dict()
    assert state == {"num_samples": 64 * 3}
    again = titan.Batches(config, rank=1, num_ranks=4)
    again.load_state_dict(state)
    assert torch.equal(next(iter(again))[1], next(batches)[1])


def test_gradients_are_those_of_the_mean(titan) -> None:
    """torchtitan itself divides by the tokens without a pipeline, and by the ranks where DDP averages."""
    factor = titan.gradient_factor
    assert factor(num_tokens=4096, has_pipeline=False, num_replicas=1, is_sharded=False) == 1.0
    assert factor(num_tokens=4096, has_pipeline=False, num_replicas=2, is_sharded=True) == 1.0
    assert factor(num_tokens=4096, has_pipeline=False, num_replicas=8, is_sharded=False) == 8.0
    assert factor(num_tokens=4096, has_pipeline=True, num_replicas=1, is_sharded=True) == 1.0 / 4096


def test_the_loss_keeps_its_value(titan, world, tmp_path: Path, monkeypatch) -> None:
    import torch
    from torchtitan.distributed import ParallelDims

    world(2)
    config = parsed(deployed(job(*PLANS["pp"])), tmp_path, monkeypatch, "--compile.no-enable")
    dims = ParallelDims(dp_shard=1, dp_replicate=1, cp=1, tp=1, pp=2, ep=1, etp=1, world_size=2)
    logits = torch.randn(2, 3, 5, requires_grad=True)
    labels = torch.tensor([[0, 1, 2], [3, 4, 0]])
    loss = titan.build_loss(config, parallel_dims=dims)(logits, labels)
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    assert loss.item() == pytest.approx(plain.item())
    (found,) = torch.autograd.grad(loss, logits)
    (wanted,) = torch.autograd.grad(plain, logits)
    assert torch.allclose(found, wanted / (64 * 64))
