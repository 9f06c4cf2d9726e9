"""What a Megatron bundle says, and what it refuses; tests/conformance holds it to Megatron itself."""

import dataclasses
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.frameworks.megatron import COMMIT, IMAGE, SETUP_PATH, TRANSFORMER_ENGINE
from crosszone.deploy.megatron_arguments import argument_words
from crosszone.errors import InfeasiblePlan, SpecError

H100, A100, V100, B200, T4 = "h100-sxm5-80gb", "a100-sxm4-80gb", "v100-sxm2-16gb", "b200-sxm-180gb", "t4-16gb"
MI300X = "mi300x-192gb"


def job(plan: dict[str, Any] | None = None, *, gpu: str = H100, num_gpus: int = 8, **workload: Any) -> dict[str, Any]:
    """A small model on nodes of four GPUs."""
    count = max(1, num_gpus // 4)
    node = {"count": count, "gpus_per_node": min(num_gpus, 4), "gpu": gpu, "network": "400 Gbit/s"}
    addresses = [f"10.0.0.{index + 1}" for index in range(count)]
    return {
        "model": {
            "num_layers": 8,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 4,
            "vocab_size": 510,
        },
        "workload": {"sequence_length": 64, "global_batch_size": 48, "precision": "bf16", **workload},
        "cluster": {"zones": [{"name": "a", "nodes": [{**node, "addresses": addresses}]}]},
        "plan": {"microbatch_size": 1, **(plan or {"dp": num_gpus})},
        "framework": {"name": "megatron"},
    }


@pytest.fixture
def megatron(deployed) -> Callable[..., Bundle]:
    """The bundle of a job."""
    return lambda value, **options: deployed(value, framework="megatron", **options)


def options(bundle: Bundle) -> dict[str, str]:
    """Each flag of the command line with its words; an empty text where it stands alone."""
    assert bundle.launch.argv[:2] == ("-m", "pretrain_gpt")
    found: dict[str, list[str]] = {}
    for word in bundle.launch.argv[2:]:
        if word.startswith("--"):
            assert word not in found, word
            found[word] = []
        else:
            list(found.values())[-1].append(word)
    return {flag: " ".join(words) for flag, words in found.items()}


def reasons(caught: pytest.ExceptionInfo[Any]) -> dict[str, str]:
    return {finding.where: finding.message for finding in caught.value.findings}


def test_words_are_flags_with_their_values() -> None:
    values = {"--alone": True, "--none": None, "--off": False, "--zero": 0, "--rate": 6e-05, "--several": ("a", "b c")}
    words = ["--alone", "--zero", "0", "--rate", "6e-05", "--several", "a", "b c"]
    assert list(argument_words(values)) == words


def test_a_plain_plan_says_nothing_of_what_it_has_not(megatron) -> None:
    found = options(megatron(job({"dp": 8, "shard": "none"})))
    assert found["--pipeline-model-parallel-size"] == found["--tensor-model-parallel-size"] == "1"
    absent = (
        "pipeline-model-parallel-layout", "use-tp-pp-dp-mapping", "sequence-parallel", "use-distributed-optimizer",
        "recompute-granularity", "num-experts", "expert-tensor-parallel-size", "group-query-attention", "save", "load",
        "fp16", "fp8-format", "optimizer-cpu-offload", "data-path", "window-size", "ddp-bucket-size",
    )  # fmt: skip
    assert not [name for name in absent if f"--{name}" in found]
    assert {"--bf16", "--swiglu", "--mock-data", "--overlap-grad-reduce"} <= found.keys()


def test_the_batch_and_the_rates_are_those_of_our_trainer(deployed, megatron) -> None:
    found = options(megatron(job(), num_steps=200))
    config = json.loads(deployed({**job(), "framework": {"name": "ddp"}}, num_steps=200).text("configs/train.json"))
    ours = config["optimizer"]
    assert (found["--global-batch-size"], found["--micro-batch-size"], found["--train-iters"]) == ("48", "1", "200")
    names = {
        "--lr": "learning_rate",
        "--adam-beta1": "beta1",
        "--adam-beta2": "beta2",
        "--adam-eps": "epsilon",
        "--weight-decay": "weight_decay",
        "--clip-grad": "max_gradient_norm",
        "--lr-warmup-iters": "num_warmup_steps",
    }
    assert {flag: float(found[flag]) for flag in names} == {flag: ours[name] for flag, name in names.items()}
    assert found["--min-lr"] == f"{ours['learning_rate'] / 10:g}"
    # Our decay begins where the warm-up ends; Megatron counts both.
    assert int(found["--lr-decay-iters"]) == ours["num_warmup_steps"] + ours["num_decay_steps"] == 200


def test_stages_are_laid_out_as_the_plan_has_them(megatron) -> None:
    stages = [{"num_layers": count} for count in (1, 3, 3, 1)]
    found = options(megatron(job({"pp": 4, "dp": 2, "stages": stages})))
    assert found["--pipeline-model-parallel-layout"] == "Et|t*3|t*3|tL"
    assert not [flag for flag in found if "first-pipeline" in flag or "virtual" in flag]


def test_virtual_stages_are_dealt_out_in_the_order_of_a_microbatch(megatron) -> None:
    stages = [{"num_layers": count} for count in (1, 3, 3, 1)]
    plan = {"pp": 4, "dp": 2, "schedule": "interleaved_1f1b", "num_virtual_stages": 2, "stages": stages}
    layout = options(megatron(job(plan)))["--pipeline-model-parallel-layout"]
    parts = layout.removeprefix("E").removesuffix("L").split("|")
    counts = [int(part.removeprefix("t*")) if "*" in part else len(part) for part in parts]
    assert [counts[rank] + counts[rank + 4] for rank in range(4)] == [1, 3, 3, 1]
    assert counts[0] == counts[-1] == 0  # the embedding and the head stand alone


def test_the_other_order_of_ranks_has_its_flag() -> None:
    problem = service.read(job({"pp": 2, "dp": 4}))
    plan = service.predict(problem).plan
    swapped = dataclasses.replace(plan, rank_order=("tp", "cp", "pp", "dp"))
    for each, is_swapped in ((plan, False), (swapped, True)):
        more = {"num_steps": 10, "checkpoints": "none"}
        bundle = service.deploy(problem, framework="megatron", backend="bare", plan=each, **more)
        assert ("--use-tp-pp-dp-mapping" in options(bundle)) == is_swapped
    written = service.read(job({"pp": 2, "dp": 4, "rank_order": ["tp", "cp", "pp", "dp"]}))
    bundle = service.deploy(written, framework="megatron", backend="bare", **more)
    assert "--use-tp-pp-dp-mapping" in options(bundle)


def test_shards_are_cut_into_instances(megatron) -> None:
    whole = options(megatron(job({"dp": 8, "shard": "optimizer", "dp_shard": 8})))
    parts = options(megatron(job({"dp": 8, "shard": "optimizer", "dp_shard": 2, "bucket_bytes": "4 MB"})))
    assert {"--use-distributed-optimizer", "--overlap-param-gather"} <= whole.keys()
    assert "--num-distributed-optimizer-instances" not in whole
    assert parts["--num-distributed-optimizer-instances"] == "4"
    assert parts["--ddp-bucket-size"] == "1000000"  # elements of 4 bytes


def test_offloading_takes_the_optimizer_that_can(megatron) -> None:
    found = options(megatron(job({"dp": 1, "offload": "optimizer"}, num_gpus=1)))
    assert {"--optimizer-cpu-offload", "--use-precision-aware-optimizer", "--use-distributed-optimizer"} <= found.keys()
    assert "--overlap-grad-reduce" not in found


def test_experts_are_whole_where_they_are_spread(megatron) -> None:
    value = job({"tp": 2, "dp": 4, "ep": 4, "sequence_parallel": True})
    value["model"] |= {"num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 32}
    bundle = megatron(value)
    found = options(bundle)
    assert (found["--expert-model-parallel-size"], found["--expert-tensor-parallel-size"]) == ("4", "1")
    assert found["--moe-ffn-hidden-size"] == "32"
    assert any("DeepEP" in warning for warning in bundle.warnings)
    value["plan"] |= {"ep": 1}
    bundle = megatron(value)
    assert "--expert-tensor-parallel-size" not in options(bundle)
    assert not any("DeepEP" in warning for warning in bundle.warnings)


def test_dense_layers_among_those_with_experts_are_a_pattern(megatron) -> None:
    value = job()
    value["model"] |= {"num_experts": 8, "experts_per_token": 1, "expert_ffn_size": 32, "num_dense_layers": 1}
    found = options(megatron(value))
    assert found["--moe-layer-freq"] == "([0]*1+[1]*7)"
    assert "--moe-router-pre-softmax" in found  # the softmax of one expert alone has no gradient


def test_windows_leave_out_the_layers_that_see_everything(megatron) -> None:
    value = job()
    value["model"] |= {"window_size": 16, "global_every": 4}
    found = options(megatron(value))
    assert found["--window-size"] == "15,0"  # keys before a query's own
    assert found["--window-attn-skip-freq"] == "([1]*3+[0]*1+[1]*3+[0]*1)"


def test_recomputing_has_its_words(megatron) -> None:
    full = options(megatron(job({"dp": 8, "recompute": "full"})))
    part = options(megatron(job({"dp": 8, "recompute": "selective"})))
    assert (full["--recompute-granularity"], full["--recompute-method"], full["--recompute-num-layers"]) == (
        "full", "uniform", "1"
    )  # fmt: skip
    assert (part["--recompute-granularity"], part["--recompute-modules"]) == ("selective", "core_attn")
    assert "--recompute-method" not in part
    some = options(megatron(job({"dp": 8, "recompute": "full", "recompute_layers": 1})))
    assert (some["--recompute-granularity"], some["--recompute-method"], some["--recompute-num-layers"]) == (
        "full", "block", "1"
    )  # fmt: skip


def test_formats(megatron) -> None:
    fp8, fp16 = options(megatron(job(precision="fp8"))), options(megatron(job(precision="fp16")))
    fp32 = megatron(job(precision="fp32", attention="unfused"))
    narrow = options(megatron(job(dtypes={"gradient_reduction": "bf16"})))
    assert {"--bf16", "--fp8-format", "--accumulate-allreduce-grads-in-fp32"} <= fp8.keys()
    assert "--fp16" in fp16
    assert "--bf16" not in fp16
    assert not {"--bf16", "--fp16", "--accumulate-allreduce-grads-in-fp32"} & options(fp32).keys()
    assert options(fp32)["--attention-backend"] == "unfused"
    assert ("NVIDIA_TF32_OVERRIDE", "0") in fp32.launch.environment
    assert "--grad-reduce-in-bf16" in narrow
    assert narrow["--ddp-param-name-patterns-for-fp32-local-accumulation"] == "all"
    assert "--accumulate-allreduce-grads-in-fp32" not in narrow


@pytest.mark.parametrize(
    ("plan", "gpu", "is_needed"),
    [
        ({"tp": 2, "dp": 4}, H100, True),
        ({"cp": 2, "dp": 4}, A100, True),
        ({"tp": 2, "dp": 4}, B200, False),
        ({"dp": 8}, H100, False),
    ],
)
def test_one_hardware_queue_before_blackwell(megatron, plan: dict[str, Any], gpu: str, is_needed: bool) -> None:
    environment = dict(megatron(job(plan, gpu=gpu)).launch.environment)
    assert environment.get("CUDA_DEVICE_MAX_CONNECTIONS") == ("1" if is_needed else None)


def test_checkpoints_are_where_they_are_asked_for(megatron) -> None:
    found = options(megatron(job(checkpoint={"async": True}), checkpoints="/shared/run 1"))
    assert found["--save"] == found["--load"] == "/shared/run 1"
    assert int(found["--save-interval"]) >= 1
    assert found["--async-strategy"] == "mcore"  # the other one needs a package more
    alone = options(megatron(job({"dp": 1}, num_gpus=1), checkpoints=None))
    assert alone["--save"] == "checkpoints"


def test_megatron_keeps_all_checkpoints_and_says_so(megatron) -> None:
    bundle = megatron(job(checkpoint={"keep": 3}), checkpoints="/shared/run")
    assert [warning for warning in bundle.warnings if "keeps every checkpoint, not 3" in warning]


def test_data_is_named_by_its_prefix(megatron) -> None:
    found = options(megatron(job(), data="/data/corpus_text_document", checkpoints="/shared/run"))
    assert found["--data-path"] == "/data/corpus_text_document"
    assert found["--data-cache-path"] == "/shared/run/dataset-index"
    assert "--mock-data" not in found
    with pytest.raises(InfeasiblePlan) as caught:
        megatron(job(), data="/data/corpus_text_document.bin")
    assert "one of the two files" in reasons(caught)["--data"]


def test_an_index_without_a_shared_folder_is_warned_of(megatron) -> None:
    bundle = megatron(job(), data="/data/corpus")
    assert "--data-cache-path" not in options(bundle)
    assert [warning for warning in bundle.warnings if "index beside the data" in warning]


def test_the_vocabulary_is_widened_as_little_as_ranks_need(megatron) -> None:
    bundle = megatron(job({"tp": 2, "dp": 4}))
    assert options(bundle)["--make-vocab-size-divisible-by"] == "8"
    assert [line for line in bundle.assumed if "from 510 to 512 rows" in line]


def test_time_outs_are_those_of_the_ladder(megatron) -> None:
    bundle = megatron(job())
    found, limits = options(bundle), bundle.launch.timeouts
    assert int(found["--distributed-timeout-minutes"]) * 60 >= limits.first_step_seconds
    assert int(found["--distributed-timeout-seconds-after-init"]) >= limits.watchdog_seconds


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"device": "cpu", "backend": "local"}, "--device", "on GPUs only"),
        ({"gpu": V100, "precision": "fp16"}, "cluster", "CUDA 13, which has no Volta"),
        ({"gpu": MI300X}, "cluster", "Transformer Engine"),
        ({"gpu": T4, "precision": "fp16"}, "workload.attention", "no fused attention for t4-16gb"),
        ({"precision": "fp32"}, "workload.attention", "no fused attention in fp32"),
        ({"precision": "tf32"}, "workload.precision", "cannot compute in tf32"),
        (
            {"plan": {"dp": 8, "shard": "none"}, "dtypes": {"moments": "bf16"}},
            "workload.moments",
            "moments in fp32, not bf16",
        ),
        ({"plan": {"cp": 2, "dp": 4}, "attention": "unfused"}, "workload.attention", "fused attention for cp=2"),
        ({"plan": {"dp": 8, "prefetch": 2}}, "plan.prefetch", "no argument for prefetch"),
        ({"plan": {"tp": 4, "dp": 2}, "model": {"ffn_size": 130}}, "plan.tp", "width 130 of the FFN over tp=4"),
        (
            {
                "plan": {"tp": 4, "dp": 2, "ep": 1},
                "model": {"num_experts": 4, "experts_per_token": 2, "expert_ffn_size": 30},
            },
            "plan.tp",
            "width 30 of an expert over tp=4",
        ),
        (
            {"plan": {"tp": 4, "dp": 2, "sequence_parallel": True}, "sequence_length": 66},
            "workload.sequence_length",
            "cp*tp = 4 parts, which do not divide 66 tokens",
        ),
        ({"optimizer": "lion"}, "workload.optimizer", "no renderer for the optimizer lion"),
        ({"trainable": "lora"}, "workload.trainable", "trainable=lora"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(megatron, changes: dict[str, Any], where: str, words: str) -> None:
    changes = dict(changes)
    backend = {key: changes.pop(key) for key in ("device", "backend") if key in changes}
    shape = changes.pop("model", {})
    value = job(changes.pop("plan", None), **changes)
    value["model"] |= shape
    with pytest.raises(InfeasiblePlan) as caught:
        megatron(value, **backend)
    assert words in reasons(caught)[where]


@pytest.mark.parametrize(
    ("name", "base", "factor"),
    [("llama-2-7b", "10000", None), ("llama-3-8b", "500000", None), ("llama-3.1-8b", "500000", "8.0")],
)
def test_positions_are_rotated_as_the_models_own(megatron, name: str, base: str, factor: str | None) -> None:
    bundle = megatron({**job({"tp": 8, "dp": 1, "sequence_parallel": True}), "model": name})
    found = options(bundle)
    assert found["--rotary-base"] == base
    assert ("--use-rope-scaling" in found, found.get("--rope-scaling-factor")) == (factor is not None, factor)
    assert not [line for line in bundle.assumed if "base is not known" in line]


@pytest.mark.parametrize(("name", "part"), [("gpt-neox-20b", "0.25"), ("llama-2-7b", None)])
def test_no_more_of_a_head_is_rotated_than_the_model_does(megatron, name: str, part: str | None) -> None:
    bundle = megatron({**job({"tp": 8, "dp": 1, "sequence_parallel": True}), "model": name})
    assert options(bundle).get("--rotary-percent") == part


def test_a_base_that_nobody_knows_is_said(megatron) -> None:
    bundle = megatron(job())
    assert options(bundle)["--rotary-base"] == "10000"
    assert [line for line in bundle.assumed if "the model's own base is not known" in line]


def test_experts_that_stay_whole_may_have_any_width(megatron) -> None:
    value = job({"tp": 2, "dp": 4, "ep": 4, "sequence_parallel": True})
    value["model"] |= {"num_experts": 4, "experts_per_token": 2, "expert_ffn_size": 33}
    assert options(megatron(value))["--moe-ffn-hidden-size"] == "33"


def test_unequal_replicas_and_local_steps_are_refused_before_all_else(megatron) -> None:
    unequal = [{"num_replicas": 4, "zones": ["a"], "num_microbatches": count} for count in (7, 5)]
    for plan in ({"dp": 8, "replicas": unequal}, {"dp": 8, "sync": {"method": "diloco", "every": 10}}):
        with pytest.raises(InfeasiblePlan) as caught:
            megatron(job(plan))
        assert "megatron" in str(caught.value)


def test_how_long_to_train_must_be_known(megatron) -> None:
    with pytest.raises(SpecError) as caught:
        megatron(job(), num_steps=None)
    assert "workload.train_tokens" in reasons(caught)


def test_a_program_of_ones_own_runs_in_megatrons_place(megatron, tmp_path: Path) -> None:
    entry = tmp_path / "train.py"
    entry.write_text("import megatron.core\n")
    bundle = megatron(job({"tp": 2, "dp": 4}, optimizer="lion"), entry=str(entry), arguments=["--lr", "1"])
    assert bundle.launch.argv == ("entry.py", "--lr", "1")
    assert ("CUDA_DEVICE_MAX_CONNECTIONS", "1") in bundle.launch.environment
    assert SETUP_PATH in {file.path for file in bundle.files}


def test_the_image_has_megatron_outside_the_bundle(megatron) -> None:
    bundle = megatron(job())
    lines = bundle.text("Containerfile").splitlines()
    assert lines[0] == f"FROM {IMAGE}"
    assert lines[-2:] == [f"RUN ./{SETUP_PATH} /opt/sources", "ENV PYTHONPATH=/opt/sources"]
    assert "transformers" not in bundle.text("requirements.txt")
    assert not [file.path for file in bundle.files if file.path.startswith(("src/", "configs/train"))]
    for path in ("README.md", "README.zh.md"):
        assert f"`./{SETUP_PATH}`" in bundle.text(path)


def test_setting_up_brings_one_commit_and_what_is_missing(megatron, tmp_path: Path) -> None:
    calls = set_up(megatron(job()), tmp_path, has_engine=False)
    assert f"git -C src fetch --quiet --depth 1 https://github.com/NVIDIA/Megatron-LM.git {COMMIT}" in calls
    assert "make -C src/megatron/core/datasets" in calls
    assert f"python3 -m pip install --no-build-isolation {TRANSFORMER_ENGINE}" in calls
    calls = set_up(megatron(job()), tmp_path, "/opt/sources", has_engine=True)
    assert "git -C /opt/sources checkout --quiet --force FETCH_HEAD" in calls
    assert not [call for call in calls if "pip install" in call]


def test_setting_up_stops_at_an_old_python(megatron, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        set_up(megatron(job()), tmp_path, python_code=1)
    assert caught.value.returncode == 4
    assert "needs Python 3.12" in caught.value.stderr


def set_up(bundle: Bundle, folder: Path, *arguments: str, has_engine: bool = True, python_code: int = 0) -> list[str]:
    """What the bundle's program calls, with stand-ins for the programs that it needs."""
    programs, log = folder / "bin", folder / "calls"
    programs.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    engine = 0 if has_engine else 1
    bodies = {
        "git": "exit 0",
        "make": "exit 0",
        "python3": f'case "$*" in *version_info*) exit {python_code};; *transformer_engine*) exit {engine};; esac',
    }
    for name, body in bodies.items():
        path = programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{log}\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    script = folder / SETUP_PATH
    script.write_text(bundle.text(SETUP_PATH))
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    environment.pop("PYTHON", None)
    command = ["bash", str(script), *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=30)
    return log.read_text().splitlines()
