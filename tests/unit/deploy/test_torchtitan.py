"""What a torchtitan bundle says, without torchtitan: keys from the plan, parts of the pipeline, refusals."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.core.plan import RECOMPUTES
from crosszone.deploy.pipeline_parts import part_layers, recomputed_layers
from crosszone.deploy.toml_text import toml_text
from crosszone.errors import InfeasiblePlan, SpecError
from crosszone.frameworks import framework_facts
from crosszone.timeline.inputs import inputs, modes_of
from crosszone.timeline.tabulate import tabulate

SHARDED = {"dp": 4, "shard": "parameters", "dp_shard": 2}


@pytest.fixture
def job(job: dict[str, Any]) -> dict[str, Any]:
    """Four GPUs in one node."""
    node = {"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 4, "network": "100 Gbit/s"}
    job["cluster"] = {"zones": [{"name": "zone0", "nodes": [node]}]}
    job["model"]["num_layers"] = 8
    job["plan"] = {"microbatch_size": 1, **SHARDED}
    job["workload"]["precision"] = "bf16"
    return job


@pytest.fixture
def told(deployed):
    """The configuration of a job with a plan, read back."""

    def tell(job: dict[str, Any], plan: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        if plan is not None:
            job["plan"] = {"microbatch_size": 1, **plan}
        return config(deployed(job, "torchtitan", "local", **options))

    return tell


def config(bundle: Bundle) -> dict[str, Any]:
    return tomllib.loads(bundle.text("configs/torchtitan.toml"))


def refusal(told, job: dict[str, Any], plan: dict[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(InfeasiblePlan) as caught:
        told(job, plan, **options)
    return " ".join(f"{finding.where}: {finding.message} {finding.hint}" for finding in caught.value.findings)


def test_it_runs_torchtitans_own_module_with_our_part_beside(deployed, job) -> None:
    bundle = deployed(job, "torchtitan", "local")
    paths = {file.path for file in bundle.files}
    assert bundle.launch.argv == ("-m", "torchtitan.train", "--job.config_file", "configs/torchtitan.toml")
    assert "-m torchtitan.train --job.config_file configs/torchtitan.toml" in bundle.text("run_training.sh")
    assert {"src/crosszone/runtime/titan.py", "src/crosszone/runtime/data.py"} <= paths
    assert "src/crosszone/runtime/native.py" not in paths
    assert "configs/train.json" not in paths
    assert {"torch==2.13.0", "torchtitan==0.2.2"} <= set(bundle.text("requirements.txt").split())
    assert "gcc" in bundle.text("Containerfile")
    assert "Nodes have a C compiler (gcc)" in bundle.text("README.md")
    assert "export PYTORCH_ALLOC_CONF=expandable_segments:True" in bundle.text("environment.sh")


def test_degrees_multiply_to_the_ranks(told, job) -> None:
    parallelism = told(job)["parallelism"]
    assert parallelism["data_parallel_replicate_degree"] == 2
    assert parallelism["data_parallel_shard_degree"] == 2
    assert parallelism["tensor_parallel_degree"] == parallelism["pipeline_parallel_degree"] == 1
    assert parallelism["enable_async_tensor_parallel"] is False
    assert "pipeline_parallel_schedule" not in parallelism


def test_heads_that_are_rotated_in_part_are_refused(job) -> None:
    problem = service.read(job)
    partly = replace(problem, model=replace(problem.model, rotary_fraction=0.25))
    with pytest.raises(InfeasiblePlan, match="has heads of which 25 % is rotated"):
        service.deploy(partly, framework="torchtitan", backend="local", num_steps=10, checkpoints="none")


def test_positions_are_rotated_as_the_models_own(told, job) -> None:
    assert (told(job)["crosszone"]["rope_base"], told(job)["crosszone"]["rope_scaling_factor"]) == (10_000.0, 1.0)
    job["model"] = "llama-3.1-8b"
    found = told(job, {"tp": 4, "dp": 1, "sequence_parallel": True, "recompute": "full"})["crosszone"]
    assert (found["rope_base"], found["rope_scaling_factor"]) == (500_000.0, 8.0)


def test_replicas_alone_are_ddp(told, job) -> None:
    parallelism = told(job, {"dp": 4, "shard": "none"})["parallelism"]
    assert parallelism["data_parallel_replicate_degree"] == 4
    assert parallelism["data_parallel_shard_degree"] == 1


@pytest.mark.parametrize(("shard", "policy"), [("gradients", "never"), ("parameters", "default")])
def test_shard_says_whether_weights_are_gathered_again(told, job, shard: str, policy: str) -> None:
    assert told(job, {**SHARDED, "shard": shard})["parallelism"]["fsdp_reshard_after_forward"] == policy


def test_a_rank_accumulates_its_microbatches(told, job) -> None:
    training = told(job)["training"]
    assert (training["local_batch_size"], training["global_batch_size"], training["seq_len"]) == (1, 12, 32)
    assert training["global_batch_size"] % (training["local_batch_size"] * 4) == 0
    assert training["steps"] == 10


def test_a_pipeline_takes_all_microbatches_at_once(told, job) -> None:
    found = told(job, {"pp": 2, "dp": 2, "shard": "parameters", "dp_shard": 2, "schedule": "1f1b"})
    assert found["training"]["local_batch_size"] == 6
    parallelism = found["parallelism"]
    assert parallelism["pipeline_parallel_microbatch_size"] == 1
    assert parallelism["pipeline_parallel_schedule"] == "1F1B"
    assert parallelism["module_fqns_per_model_part"] == [
        ["tok_embeddings", "layers.0", "layers.1", "layers.2", "layers.3"],
        ["layers.4", "layers.5", "layers.6", "layers.7", "norm", "output"],
    ]


@pytest.mark.parametrize(
    ("schedule", "name", "num_virtual_stages"),
    [("gpipe", "GPipe", 1), ("interleaved_1f1b", "Interleaved1F1B", 2), ("zbv", "ZBVZeroBubble", 2)],
)
def test_schedules_by_torchs_names(told, job, schedule: str, name: str, num_virtual_stages: int) -> None:
    plan = {"pp": 2, "dp": 2, "shard": "parameters", "dp_shard": 2}
    parallelism = told(job, {**plan, "schedule": schedule, "num_virtual_stages": num_virtual_stages})["parallelism"]
    assert parallelism["pipeline_parallel_schedule"] == name
    assert len(parallelism["module_fqns_per_model_part"]) == 2 * num_virtual_stages


def test_layers_are_compiled_but_where_torch_refuses_it(deployed, job) -> None:
    assert config(deployed(job, "torchtitan", "local"))["compile"] == {"enable": True, "components": ["model", "loss"]}
    zbv = {"schedule": "zbv", "num_virtual_stages": 2}
    job["plan"] = {"microbatch_size": 1, "pp": 2, "dp": 2, "shard": "parameters", "dp_shard": 2, **zbv}
    assert config(deployed(job, "torchtitan", "local"))["compile"] == {"enable": False}


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_recomputed_layers_that_tp_splits_are_not_compiled(deployed, job, recompute: str) -> None:
    job["plan"] = {"microbatch_size": 1, "tp": 2, "dp": 2, "shard": "parameters", "dp_shard": 2, "recompute": "none"}
    assert config(deployed(job, "torchtitan", "local"))["compile"]["components"] == ["model", "loss"]
    job["plan"]["recompute"] = recompute
    assert config(deployed(job, "torchtitan", "local"))["compile"] == {"enable": True, "components": ["loss"]}


@pytest.mark.parametrize("recompute", RECOMPUTES)
@pytest.mark.parametrize("tp", [1, 2])
@pytest.mark.parametrize("schedule", [None, "1f1b", "gpipe", "interleaved_1f1b", "zbv"])
def test_the_prediction_is_of_what_is_compiled(
    told, planned, job, schedule: str | None, tp: int, recompute: str
) -> None:
    plan = {"microbatch_size": 1, "tp": tp, "shard": "parameters", "recompute": recompute, "pp": 2 if schedule else 1}
    plan |= {"schedule": schedule} if schedule else {}
    plan |= {"num_virtual_stages": 2} if schedule in ("interleaved_1f1b", "zbv") else {}
    job |= {"framework": {"name": "torchtitan"}, "plan": plan}
    if (schedule, recompute) == ("zbv", "selective"):
        with pytest.raises(InfeasiblePlan):
            planned(job)
        return
    problem, whole = planned(job)
    prepared = inputs(problem, (framework_facts("torchtitan"),))
    (mode,) = modes_of(prepared, tabulate(prepared, whole).plans)
    facts = prepared.facts[mode][0]
    compiled = told(job)["compile"].get("components", [])
    assert ("model" in compiled) == (facts.kept_ffn_elements == 0)
    assert ("loss" in compiled) == (facts.logit_bytes == 10)


def test_parts_follow_the_way_of_a_microbatch(planned, job) -> None:
    job["plan"] = {"pp": 4, "microbatch_size": 1, "num_virtual_stages": 1, "schedule": "1f1b"}
    _, plan = planned(job)
    assert part_layers(plan) == (2, 2, 2, 2)
    uneven = tuple(replace(stage, num_layers=count) for stage, count in zip(plan.stages, (1, 3, 3, 1), strict=True))
    assert part_layers(replace(plan, stages=uneven)) == (1, 3, 3, 1)
    looped = replace(plan, stages=uneven, num_virtual_stages=2, schedule="interleaved_1f1b")
    assert part_layers(looped) == (0, 2, 2, 1, 1, 1, 1, 0)
    folded = replace(plan, stages=uneven, num_virtual_stages=2, schedule="zbv")
    assert part_layers(folded) == (0, 2, 2, 1, 0, 1, 1, 1)


@pytest.mark.parametrize(
    ("recompute", "section"),
    [
        ("none", {"mode": "none"}),
        ("full", {"mode": "full"}),
        ("selective", {"mode": "selective", "selective_ac_option": "op"}),
    ],
)
def test_recompute_by_operation(told, job, recompute: str, section: dict[str, str]) -> None:
    found = told(job, {**SHARDED, "recompute": recompute})
    assert found["activation_checkpoint"] == section
    assert "recomputed_layers" not in found["crosszone"]


def test_our_module_recomputes_what_torchtitan_cannot_name(told, job) -> None:
    found = told(job, {**SHARDED, "recompute": "full", "recompute_layers": 1})
    assert found["activation_checkpoint"] == {"mode": "none"}
    assert found["crosszone"]["recomputed_layers"] == [0]


def test_the_first_layers_of_each_virtual_stage_are_recomputed(planned, job) -> None:
    job["plan"] = {"pp": 2, "schedule": "interleaved_1f1b", "num_virtual_stages": 2, "microbatch_size": 1}
    _, plan = planned(job)
    assert recomputed_layers(plan) is None
    first, last = plan.stages
    first = replace(first, num_layers=5, recompute="full", recompute_layers=2)
    last = replace(last, first_layer=5, num_layers=3)
    some = replace(plan, recompute="full", stages=(first, last))
    assert part_layers(some) == (2, 2, 3, 1)
    assert recomputed_layers(some) == (0, 1, 4, 5)
    assert recomputed_layers(replace(some, stages=(first, replace(last, recompute="full")))) == (0, 1, 2, 3, 4, 5, 7)


@pytest.mark.parametrize(("precision", "param"), [("bf16", "bfloat16"), ("fp32", "float32"), ("fp8", "bfloat16")])
def test_precision(deployed, job, precision: str, param: str) -> None:
    job["workload"]["precision"] = precision
    bundle = deployed(job, "torchtitan", "local")
    found = config(bundle)
    assert found["training"]["mixed_precision_param"] == param
    assert found["training"]["dtype"] == found["training"]["mixed_precision_reduce"] == "float32"
    is_float8 = precision == "fp8"
    assert found["model"].get("converters") == (["quantize.linear.float8"] if is_float8 else None)
    assert ("torchao==0.18.0" in bundle.text("requirements.txt")) == is_float8
    if is_float8:
        assert found["quantize"]["linear"]["float8"]["filter_fqns"] == ["output"]


def test_optimizer_data_and_timeouts_are_our_trainers(told, deployed, job) -> None:
    found = told(job)
    job["plan"] = {"microbatch_size": 1, "dp": 4}
    ours = service.read(job)
    train = deployed(job, "ddp", "local").text("configs/train.json")
    assert ours.workload.global_batch_size == found["training"]["global_batch_size"]
    for key, value in (("learning_rate", found["optimizer"]["lr"]), ("beta2", found["optimizer"]["beta2"])):
        assert f'"{key}": {value}' in train
    assert f'"num_warmup_steps": {found["lr_scheduler"]["warmup_steps"]}' in train
    assert found["lr_scheduler"]["decay_type"] == "cosine"
    assert found["crosszone"]["token_path"] == ""
    assert found["crosszone"]["num_samples"] == 2**32  # whatever the number of steps
    assert found["comm"]["train_timeout_seconds"] >= 60
    assert found["comm"]["init_timeout_seconds"] >= 1800


def test_checkpoints(told, job) -> None:
    assert told(job)["checkpoint"] == {"enable": False}
    local = told(job, checkpoints=None)["checkpoint"]
    assert (local["enable"], local["folder"]) == (True, "../checkpoints")  # beside the logs, where torchtitan starts
    assert local["interval"] >= 1
    assert local["last_save_model_only"] is False
    job["workload"]["checkpoint"] = {"keep": 1, "async": True}
    shared = told(job, checkpoints="/shared/run")["checkpoint"]
    assert (shared["folder"], shared["keep_latest_k"], shared["async_mode"]) == ("/shared/run", 2, "async")


def test_a_path_is_only_ever_text(told, job) -> None:
    path = '/data/"]\nsteps = 1\n[job]\ndescription = "$(reboot) \x7f'
    found = told(job, data=path)
    assert found["crosszone"]["token_path"] == path
    assert found["training"]["steps"] == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tied_embeddings": True}, "tied embeddings"),
        ({"gated_ffn": False}, "an FFN without a gate"),
        ({"qk_norm": "head"}, "norms of queries and keys"),
        ({"head_size": 32}, "4 heads of 32 beside a hidden size of 64"),
    ],
)
def test_other_models_are_refused_with_what_differs(told, job, change: dict[str, Any], words: str) -> None:
    job["model"] |= change
    assert words in refusal(told, job)


@pytest.mark.parametrize("model", ["gpt3-175b", "mixtral-8x7b", "deepseek-v3", "opt-350m"])
def test_other_families_are_refused(told, job, model: str) -> None:
    job["model"] = model
    with pytest.raises(InfeasiblePlan):
        told(job)


def test_what_has_no_key_is_refused(told, job) -> None:
    assert "prefetch" in refusal(told, job, {**SHARDED, "prefetch": 2})
    assert "bucket_bytes" in refusal(told, job, {**SHARDED, "bucket_bytes": "25 MB"})
    job["workload"]["precision"] = "fp16"
    assert "cannot compute in fp16" in refusal(told, job, SHARDED)


def test_sequences_are_split_evenly(told, job) -> None:
    job["workload"]["sequence_length"] = 36
    assert "2*tp*cp = 8 parts" in refusal(told, job, {"tp": 2, "cp": 2, "sequence_parallel": True})


def test_on_cpus_it_says_so(told, job) -> None:
    assert "torchtitan trains on GPUs only" in refusal(told, job, device="cpu")


def test_how_long_must_be_known(told, job) -> None:
    with pytest.raises(SpecError) as caught:
        told(job, num_steps=None)
    assert caught.value.findings[0].where == "workload.train_tokens"


def test_a_program_of_ones_own_needs_none_of_it(deployed, job, tmp_path) -> None:
    job["model"]["tied_embeddings"] = True
    (tmp_path / "mine.py").write_text("print()\n", encoding="utf-8")
    bundle = deployed(job, "torchtitan", "local", entry=str(tmp_path / "mine.py"))
    assert bundle.launch.argv == ("entry.py",)
    assert not [file for file in bundle.files if "torchtitan.toml" in file.path or file.path.startswith("src/")]


VALUES = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.one_of(VALUES, TEXTS, st.lists(TEXTS))))
def test_toml_reads_back_what_was_written(values: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text({"a.b": values})) == {"a": {"b": values}}


def test_toml_leaves_out_what_is_not_known() -> None:
    assert toml_text({"a": {"b": None, "c": [["x"], []]}}) == '[a]\nc = [["x"], []]\n'
