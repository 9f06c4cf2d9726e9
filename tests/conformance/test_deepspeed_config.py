"""Rendered `ds_config.json` under DeepSpeed's own `DeepSpeedConfig`, with as many ranks as the plan has.

DeepSpeed counts ranks by the process group that there is: a fake one of torch's, of the right size, stands in.
"""

import copy
import importlib.util
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from crosszone import service
from crosszone.core.deepspeed_config import TOP_LEVEL_KEYS
from crosszone.deploy.ranks import rank_grid

pytest.importorskip("torch")
if importlib.util.find_spec("deepspeed") is None:
    pytest.skip("deepspeed is not installed", allow_module_level=True)

os.environ.setdefault("DS_ACCELERATOR", "cpu")

NUM_RANKS = 6
REMOVED = frozenset(
    "amp compression_training curriculum_learning eigenvalue elasticity graph_harvesting nebula progressive_layer_drop "
    "quantize_training sparse_attention sparse_gradients".split()
)
"""Looked for by 0.19.8 to refuse them."""
PLANS = {
    "none": {"shard": "none"},
    "optimizer": {"shard": "optimizer", "dp_shard": NUM_RANKS},
    "gradients": {"shard": "gradients", "dp_shard": NUM_RANKS, "bucket_bytes": "25 MB"},
    "parameters": {"shard": "parameters", "dp_shard": NUM_RANKS, "prefetch": 2},
    "offload": {"shard": "optimizer", "dp_shard": NUM_RANKS, "offload": "optimizer"},
}
WORKLOADS = {
    "fp32": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "narrow": {"precision": "bf16", "dtypes": {"gradients": "bf16", "gradient_reduction": "bf16"}},
    "fp16": {"precision": "fp16"},
}


@pytest.fixture(scope="module")
def config_class() -> Iterator[type]:
    """DeepSpeedConfig, in a world of `NUM_RANKS` ranks."""
    from deepspeed import comm
    from deepspeed.runtime.config import DeepSpeedConfig
    from torch import distributed
    from torch.testing._internal.distributed.fake_pg import FakeStore

    assert not distributed.is_initialized()
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=NUM_RANKS)
    before = comm.comm.cdb
    comm.comm.cdb = distributed  # what DeepSpeed asks for rank and world size
    yield DeepSpeedConfig
    comm.comm.cdb = before
    distributed.destroy_process_group()


def rendered(plan: str, workload: str) -> dict[str, Any]:
    job = {
        "model": "opt-350m",
        "workload": {"sequence_length": 2048, "global_batch_size": 48, **WORKLOADS[workload]},
        "cluster": {"zones": [{"name": "a", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 6}]}]},
        "plan": {"dp": NUM_RANKS, "microbatch_size": 2, **PLANS[plan]},
    }
    bundle = service.deploy(service.read(job), framework="deepspeed", backend="local", num_steps=10)
    found: dict[str, Any] = json.loads(bundle.text("ds_config.json"))
    return found


CELLS = [(plan, workload) for plan in PLANS for workload in WORKLOADS if (plan, workload) not in
         {("none", "bf16"), ("none", "fp16")}]  # fmt: skip  # refused: tests/unit/deploy/test_deepspeed.py


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "workload"), CELLS)
def test_deepspeed_takes_what_is_rendered(config_class, plan: str, workload: str) -> None:
    keys = rendered(plan, workload)
    config = config_class(copy.deepcopy(keys))
    assert config.world_size == NUM_RANKS
    assert config.train_batch_size == 48
    assert config.train_micro_batch_size_per_gpu == 2
    assert config.gradient_accumulation_steps == 4
    assert config.zero_optimization_stage == keys["zero_optimization"]["stage"]
    assert config.zero_config.reduce_bucket_size == keys["zero_optimization"]["reduce_bucket_size"]
    assert config.bfloat16_config.enabled == (WORKLOADS[workload]["precision"] == "bf16")
    assert config.float16_config.enabled == (WORKLOADS[workload]["precision"] == "fp16")
    assert (config.zero_config.offload_optimizer is not None) == (plan == "offload")
    assert config.optimizer_name == "adamw"


@pytest.mark.slow
def test_deepspeed_refuses_what_is_wrong_inside(config_class) -> None:
    keys = rendered("parameters", "bf16")
    with pytest.raises(AssertionError, match="train_batch_size is not equal"):
        config_class({**copy.deepcopy(keys), "train_batch_size": 47})
    with pytest.raises(ValueError, match="reduce_buckets"):
        config_class({**keys, "zero_optimization": {**keys["zero_optimization"], "reduce_buckets": 1}})
    with pytest.raises(ValueError, match="stage"):
        config_class({**keys, "zero_optimization": {"stage": 4}})


@pytest.mark.slow
def test_deepspeed_passes_over_what_our_own_check_finds(config_class) -> None:
    """The reason for `key_problems`; should DeepSpeed learn it, ours may go."""
    keys = rendered("none", "fp32")
    config = config_class({**keys, "zero_optimisation": {"stage": 3}})
    assert config.zero_optimization_stage == 0


class Watched(dict):
    """A dictionary that notes the keys that are asked for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def keys(self) -> Any:
        return self

    def __copy__(self) -> "Watched":
        return self


@pytest.mark.slow
def test_our_list_of_keys_is_deepspeeds(config_class) -> None:
    keys = Watched({key: value for key, value in rendered("none", "fp32").items() if key != "bf16"})
    config_class(keys)  # without it, DeepSpeed looks for "bfloat16" too
    assert keys.asked - REMOVED == TOP_LEVEL_KEYS


@pytest.mark.slow
@pytest.mark.parametrize(("pp", "dp"), [(2, 3), (3, 2), (6, 1)])
def test_deepspeed_numbers_ranks_as_the_plan_does(pp: int, dp: int) -> None:
    """Stages outermost: runtime/pipe/topology.py, PipeDataParallelTopology, which PipelineModule takes by itself."""
    from deepspeed.runtime.pipe.topology import PipeDataParallelTopology

    zones = [
        {"name": f"zone{stage}", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": dp}]}
        for stage in range(pp)
    ]
    job = {
        "model": "opt-350m",
        "workload": {"sequence_length": 2048, "global_batch_size": 48, "precision": "bf16"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "10 Gbit/s", "rtt": "5 ms"}},
        "plan": {"pp": pp, "dp": dp, "microbatch_size": 1, "shard": "optimizer"},
        "framework": {"name": "deepspeed"},
    }
    problem = service.read(job)
    answer = service.predict(problem)
    topology = PipeDataParallelTopology(num_pp=pp, num_dp=dp)
    for place in rank_grid(answer.plan, problem.cluster):
        coordinates = topology.get_coord(place.rank)
        assert (coordinates.pipe, coordinates.data) == (place.pp, place.dp)
        assert place.zone == answer.plan.replicas[0].zones[place.pp]
