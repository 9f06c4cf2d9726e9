"""`ds_config.json`: what the plan and the workload decide in it, and what is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import DeployRequest
from crosszone.core.train import train_config
from crosszone.deploy.frameworks.deepspeed import deepspeed_config
from crosszone.errors import InfeasiblePlan

SHARDS = {"none": 0, "optimizer": 1, "gradients": 2, "parameters": 3}


@pytest.fixture
def keys(job, deployed):
    """The content of ds_config.json with a changed plan and workload."""

    def make(plan: dict[str, Any] | None = None, workload: dict[str, Any] | None = None, **options: Any) -> dict:
        job["plan"] |= plan or {}
        job["workload"] |= workload or {}
        return json.loads(deployed(job, "deepspeed", **options).text("ds_config.json"))

    return make


@pytest.mark.parametrize(("shard", "stage"), SHARDS.items())
def test_what_is_sharded_is_the_stage_of_zero(keys, shard, stage) -> None:
    zero = keys({"shard": shard, "dp_shard": 3 if stage else 1})["zero_optimization"]
    assert zero["stage"] == stage
    assert zero["overlap_comm"] == (stage > 0)
    assert ("stage3_prefetch_bucket_size" in zero) == (stage == 3)


def test_the_batch_is_the_plans(keys) -> None:
    found = keys()
    assert found["train_batch_size"] == 12
    assert found["train_micro_batch_size_per_gpu"] == 2
    assert found["gradient_accumulation_steps"] == 2


def test_the_trainer_reads_it_and_the_other_name_holds_the_same(job, deployed) -> None:
    bundle = deployed(job, "deepspeed")
    assert train_config(json.loads(bundle.text("configs/train.json"))).deepspeed_config == "../ds_config.json"
    assert bundle.text("configs/deepspeed_config.json") == bundle.text("ds_config.json")
    assert "deepspeed==" in bundle.text("requirements.txt")
    assert ("DS_ACCELERATOR", "cuda") in bundle.launch.environment


def test_the_optimizer_is_the_trainers(job, deployed) -> None:
    bundle = deployed(job, "deepspeed")
    optimizer = json.loads(bundle.text("configs/train.json"))["optimizer"]
    params = json.loads(bundle.text("ds_config.json"))["optimizer"]["params"]
    assert params["lr"] == optimizer["learning_rate"]
    assert params["betas"] == [optimizer["beta1"], optimizer["beta2"]]
    assert params["eps"] == optimizer["epsilon"]
    assert params["weight_decay"] == optimizer["weight_decay"]
    assert json.loads(bundle.text("ds_config.json"))["gradient_clipping"] == optimizer["max_gradient_norm"]


def test_buckets_are_counted_in_elements_as_they_travel(keys) -> None:
    plan = {"shard": "optimizer", "dp_shard": 3, "bucket_bytes": "40 kB"}
    wide = keys(plan, {"precision": "bf16"})
    narrow = keys(plan, {"precision": "bf16", "dtypes": {"gradient_reduction": "bf16"}})
    assert wide["zero_optimization"]["reduce_bucket_size"] == 10_000
    assert narrow["zero_optimization"]["reduce_bucket_size"] == 20_000
    assert narrow["zero_optimization"]["allgather_bucket_size"] == 20_000
    assert (wide["communication_data_type"], narrow["communication_data_type"]) == ("fp32", "bf16")


def test_a_bucket_is_even_and_no_larger_than_the_model(keys, job, deployed) -> None:
    num_parameters = json.loads(deployed(job, "deepspeed").text("metadata.json"))["prediction"]["num_parameters"]
    bucket = keys({"shard": "optimizer", "dp_shard": 3})["zero_optimization"]["reduce_bucket_size"]
    assert bucket in (num_parameters, num_parameters + 1)
    odd = keys({"bucket_bytes": "4004 B"})["zero_optimization"]["reduce_bucket_size"]
    assert odd == 1002


def test_layers_that_are_fetched_ahead_are_counted_in_elements(keys) -> None:
    sharded = {"shard": "parameters", "dp_shard": 3}
    one = keys({**sharded, "prefetch": 1})["zero_optimization"]["stage3_prefetch_bucket_size"]
    two = keys({**sharded, "prefetch": 2})["zero_optimization"]["stage3_prefetch_bucket_size"]
    # attention 64*64*2 + 64*32*2, gated FFN 3*64*128, two norms; and half of the final norm
    assert one == 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64 + 32
    assert two == 2 * one


@pytest.mark.parametrize(
    ("shard", "offload", "stage", "offloaded"),
    [
        ("optimizer", "optimizer", 1, {"offload_optimizer"}),
        ("parameters", "parameters", 3, {"offload_optimizer", "offload_param"}),
        ("parameters", "none", 3, set()),
        ("none", "optimizer", 1, {"offload_optimizer"}),  # of a single rank, that shares nothing
    ],
)
def test_what_waits_in_host_memory_is_the_plans(job, shard, offload, stage, offloaded) -> None:
    problem = service.read(job)
    prediction = service.predict(problem)
    plan = replace(prediction.plan, framework="deepspeed", shard=shard, offload=offload)
    found = deepspeed_config(problem, plan, prediction.prediction, DeployRequest(backend="bare"))["zero_optimization"]
    assert found["stage"] == stage
    assert {key for key in found if key.startswith("offload")} == offloaded
    assert all(found[key] == {"device": "cpu", "pin_memory": True} for key in offloaded)


@pytest.mark.parametrize(("precision", "enabled"), [("fp32", None), ("bf16", "bf16"), ("fp16", "fp16")])
def test_the_precision_is_the_workloads(keys, precision, enabled) -> None:
    found = keys({"shard": "gradients", "dp_shard": 3}, {"precision": precision})
    assert [name for name in ("bf16", "fp16") if found[name]["enabled"]] == ([enabled] if enabled else [])
    assert found["data_types"] == {"grad_accum_dtype": "fp32"}


def test_without_zero_narrow_gradients_are_not_summed_in_fp32(keys) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        keys({"shard": "none"}, {"precision": "bf16"})
    (finding,) = caught.value.findings
    assert finding.where == "workload.dtypes.gradients"
    assert "without ZeRO computes in bf16 with gradients in bf16, not fp32" in finding.message
    assert keys({"shard": "none"}, {"dtypes": {"gradients": "bf16"}})["data_types"] == {"grad_accum_dtype": "bf16"}


@pytest.mark.parametrize(
    ("dtypes", "where"),
    [
        ({"master_weights": "none"}, ["workload.dtypes.master_weights"]),
        ({"moments": "bf16"}, ["workload.dtypes.moments"]),
        ({"weights": "fp32", "moments": "bf16"}, ["workload.dtypes.weights", "workload.dtypes.moments"]),
    ],
)
def test_formats_that_deepspeed_lacks_are_named_all_at_once(keys, dtypes, where) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        keys({"shard": "optimizer", "dp_shard": 3}, {"precision": "bf16", "dtypes": dtypes})
    assert [finding.where for finding in caught.value.findings] == where


def test_bf16_on_a_gpu_without_it_is_refused(job, deployed) -> None:
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["gpu"] = "v100-sxm2-16gb"
    job["workload"]["precision"] = "bf16"
    with pytest.raises(Exception, match="bf16") as caught:
        deployed(job, "deepspeed")
    assert getattr(caught.value, "exit_code", None) in (2, 3)


def test_a_program_of_ones_own_gets_the_configuration_without_ours(job, deployed, tmp_path) -> None:
    entry = tmp_path / "mine.py"
    entry.write_text("print('mine')\n")
    bundle = deployed(job, "deepspeed", entry=str(entry), num_steps=None, arguments=("--deepspeed_config", "x"))
    paths = {file.path for file in bundle.files}
    assert "ds_config.json" in paths
    assert "configs/train.json" not in paths


PIPELINE = {"pp": 3, "dp": 1}


def piped(job: dict[str, Any], **plan: Any) -> dict[str, Any]:
    """The job over three stages of two layers."""
    job["model"]["num_layers"] = 6
    job["plan"] |= {**PIPELINE, **plan}
    return job


def test_a_pipeline_has_its_layers_and_overlaps_nothing(job, keys, deployed) -> None:
    piped(job)
    bundle = deployed(job, "deepspeed")
    config = train_config(json.loads(bundle.text("configs/train.json")))
    stages = json.loads(bundle.text("metadata.json"))["plan"]["stages"]
    assert config.stage_layers == tuple(stage["num_layers"] for stage in stages)
    assert (len(config.stage_layers), sum(config.stage_layers)) == (3, 6)
    assert config.rank_microbatches == (6,)
    found = keys({"shard": "optimizer"})
    assert found["gradient_accumulation_steps"] == 6
    assert found["zero_optimization"]["overlap_comm"] is False


def test_stages_have_as_many_layers_as_the_plan_gives_each(job, deployed) -> None:
    places = zip((1, 3, 2), ("zone0", "zone0", "zone1"), strict=True)
    piped(job, stages=[{"num_layers": number, "zone": zone} for number, zone in places])
    config = train_config(json.loads(deployed(job, "deepspeed").text("configs/train.json")))
    assert config.stage_layers == (1, 3, 2)


def test_a_pipeline_of_one_replica_in_16_bits_takes_zero_1_whatever_is_shared(job, keys) -> None:
    piped(job)
    found = keys({}, {"precision": "bf16"})
    assert found["zero_optimization"]["stage"] == 1
    assert found == keys({"shard": "optimizer"})


def test_a_pipeline_in_16_bits_needs_zero(job, keys) -> None:
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["gpus_per_node"] *= 2
    piped(job, dp=2)
    with pytest.raises(InfeasiblePlan, match="a pipeline in bf16 needs ZeRO-1"):
        keys({"shard": "none"}, {"precision": "bf16"})
    assert keys({"shard": "optimizer", "dp_shard": 2})["data_types"] == {"grad_accum_dtype": "fp32"}


@pytest.mark.parametrize("shard", ["gradients", "parameters"])
def test_a_pipeline_takes_zero_1_at_most(job, keys, shard) -> None:
    piped(job, shard=shard)
    with pytest.raises(InfeasiblePlan, match="the pipeline engine takes ZeRO 0 or 1"):
        keys()
