"""Megatron bundles against Megatron-LM itself: its arguments, configurations, rank groups and models, without GPUs.

The wheel of megatron-core that the bundle's commit is (2.4 MB) asks for a newer Python than our tests have, so that it
is downloaded and unpacked, not installed, and runs in a process of its own: megatron_on_cpu.py, which says what stands
in for GPUs there.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle, DeployRequest, Program
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.cost.parameters import num_parameters
from crosszone.deploy.frameworks import framework_renderer
from crosszone.deploy.megatron_model import padded_vocab_size
from crosszone.deploy.ranks import rank_grid, single_replicas
from crosszone.errors import InfeasiblePlan

Ask = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
WHEEL = f"megatron-core=={framework_renderer('megatron').TAG.removeprefix('core_v')}"
ON_CPU = Path(__file__).with_name("megatron_on_cpu.py")
SECONDS = 600
H100, A100 = "h100-sxm5-80gb", "a100-sxm4-80gb"
SMALL = {"num_layers": 6, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "num_kv_heads": 2, "vocab_size": 512}
EXPERTS = {**SMALL, "num_layers": 4, "num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 32}


def group(zone: int, count: int, gpus_per_node: int, gpu: str = H100) -> dict[str, Any]:
    addresses = [f"10.{zone}.0.{node + 1}" for node in range(count)]
    node = {"count": count, "gpus_per_node": gpus_per_node, "gpu": gpu, "network": "400 Gbit/s"}
    return {**node, "addresses": addresses}


def job(zones: list[list[dict[str, Any]]], plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    workload = {"sequence_length": 64, "global_batch_size": 48, "precision": "bf16", **more.pop("workload", {})}
    cluster: dict[str, Any] = {"zones": [{"name": f"zone{index}", "nodes": nodes} for index, nodes in enumerate(zones)]}
    if len(zones) > 1:
        cluster["default_link"] = {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}
    return {
        "model": SMALL,
        "workload": workload,
        "cluster": cluster,
        "plan": plan and {"microbatch_size": 1, **plan},
        **more,
    }


THREE = [[group(zone, 1, 2)] for zone in range(3)]
ONE = [[group(0, 2, 8)]]
PIPELINES_INSIDE = "pipelines inside replicas"
"""In the order of ranks that is not the default."""
JOBS: dict[str, dict[str, Any]] = {
    # The five kinds that every framework is rendered for.
    "one zone": job([[group(0, 2, 2)]], {"dp": 4}),
    "three zones dp": job(THREE, {"dp": 6}),
    "three zones pp": job(THREE, {"pp": 3, "dp": 2}),
    "uneven nodes": job([[group(0, 1, 1)], [group(1, 1, 2)], [group(2, 1, 3)]], {"dp": 6}),
    "mixed GPUs": job([[group(0, 1, 2), group(1, 1, 2, A100)]], {"pp": 2, "dp": 2}),
    # Each thing that arguments say of a plan.
    "distributed optimizer": job(ONE, {"dp": 16, "shard": "optimizer", "dp_shard": 16}),
    "several optimizers": job(ONE, {"dp": 16, "shard": "optimizer", "dp_shard": 4, "bucket_bytes": "4 MB"}),
    "tp and sequences": job(ONE, {"tp": 2, "dp": 8, "sequence_parallel": True}),
    "cp": job(ONE, {"tp": 2, "cp": 2, "dp": 4, "sequence_parallel": True}),
    PIPELINES_INSIDE: job(ONE, {"tp": 2, "pp": 2, "dp": 4}),
    "interleaved": job(ONE, {"pp": 2, "dp": 8, "schedule": "interleaved_1f1b", "num_virtual_stages": 3}),
    "uneven stages": job(ONE, {"pp": 4, "dp": 4, "stages": [{"num_layers": n} for n in (1, 2, 2, 1)]}),
    "ends alone": job(ONE, {"pp": 4, "dp": 4, "schedule": "interleaved_1f1b", "num_virtual_stages": 2,
                            "stages": [{"num_layers": n} for n in (1, 2, 2, 1)]}),
    "all degrees": job(ONE, {"tp": 2, "cp": 2, "pp": 2, "dp": 2, "sequence_parallel": True, "shard": "optimizer",
                             "dp_shard": 2}),
    "recompute": job(ONE, {"dp": 16, "recompute": "full"}),
    "recompute attention": job(ONE, {"dp": 16, "recompute": "selective"}),
    "offload": job(ONE, {"dp": 16, "shard": "optimizer", "dp_shard": 16, "offload": "optimizer"}),
    "experts": job(ONE, {"tp": 2, "dp": 8, "ep": 8, "sequence_parallel": True}, model=EXPERTS),
    "experts in tp": job(ONE, {"tp": 2, "dp": 8, "sequence_parallel": True}, model=EXPERTS),
    "fp16": job(ONE, {"dp": 16}, workload={"precision": "fp16"}),
    "fp8": job(ONE, {"dp": 16}, workload={"precision": "fp8"}),
    "fp32": job(ONE, {"dp": 16}, workload={"precision": "fp32", "attention": "unfused"}),
    "sums in bf16": job(ONE, {"dp": 16}, workload={"dtypes": {"gradient_reduction": "bf16"}}),
    "async checkpoints": job(ONE, {"dp": 16}, workload={"checkpoint": {"async": True}}),
}  # fmt: skip
MODELS = (
    "llama-3.1-70b", "gpt3-175b", "mixtral-8x7b", "opt-1.3b", "opt-125m", "qwen2.5-7b", "qwen3-4b", "qwen3-30b-a3b",
    "gpt-oss-20b", "deepseek-v3", "falcon-40b", "mistral-7b-v0.1", "llama-4-scout-17b-16e", "gpt-neox-20b",
)  # fmt: skip
PLANNED = {
    name: job(
        [[group(0, 8, 8)], [group(1, 8, 8)]],
        {},
        model=name,
        workload={"sequence_length": length, "global_batch_size": 512, "train_tokens": 1e11},
    )
    for name, length in (
        ("llama-3.1-70b", 8192), ("gpt3-175b", 2048), ("mixtral-8x7b", 4096), ("opt-13b", 2048),
        ("qwen3-30b-a3b", 4096),
    )
}  # fmt: skip
CANNOT_BUILD = {
    "opt-350m": "no final norm",
    "bloom-7b1": "positions of the kind alibi",
    "bert-large": "attention both ways",
    "gemma-2-2b": "4 norms",
    "olmo-2-7b": "norms over all heads",
    "deepseek-v2-lite": "not of queries",
    "internlm-7b": "biases of some matrices",
}
WRONG = {
    "a flag that is none": "--no-such-flag",
    "ranks that do not divide": "world size",
    "layers that are too many": "num_layers",
    "a variable that is missing": "CUDA_DEVICE_MAX_CONNECTIONS",
}
"""What Megatron says of each: the proof can fail."""
BUILT_LAYERS, BUILT_EXPERTS = 4, 8
"""Of a model of the catalog whose parameters are counted in Megatron's own: enough for every kind of layer."""


@cache
def rendered(name: str) -> tuple[Problem, Plan, Bundle]:
    problem = service.read({**JOBS[name], "framework": {"name": "megatron"}})
    plan = service.predict(problem).plan
    if name == PIPELINES_INSIDE:
        plan = dataclasses.replace(plan, rank_order=("tp", "cp", "pp", "dp"))
    return problem, plan, deployed(problem, plan)


def deployed(problem: Problem, plan: Plan) -> Bundle:
    options: dict[str, Any] = {"num_steps": 10, "checkpoints": "/shared/run", "plan": plan}
    return service.deploy(problem, framework="megatron", backend="bare", **options)


@cache
def built(name: str) -> tuple[Problem, Program]:
    """The catalog's model with fewer layers and experts, on one GPU."""
    problem = one_gpu(name)
    model = problem.model
    fewer: dict[str, Any] = {"num_layers": BUILT_LAYERS, "num_dense_layers": min(model.num_dense_layers, 1)}
    if model.num_experts:
        fewer |= {"num_experts": BUILT_EXPERTS, "experts_per_token": min(model.experts_per_token, 4)}
    problem = dataclasses.replace(problem, model=dataclasses.replace(model, **fewer))
    return problem, program(problem)


def one_gpu(name: str) -> Problem:
    value = job([[group(0, 1, 1)]], {"dp": 1}, model=name, framework={"name": "megatron"})
    return service.read({**value, "workload": {**value["workload"], "sequence_length": 1024, "global_batch_size": 8}})


def program(problem: Problem) -> Program:
    ranked = service.predict(problem)
    request = DeployRequest(backend="bare", num_steps=10, checkpoint_folder="none")
    found: Program = framework_renderer("megatron").program(problem, ranked.plan, ranked.prediction, request)
    return found


@pytest.fixture(scope="session")
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """What Megatron makes of cases; where several processes test, the first to ask tells the others."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    shared = None if run is None else tmp_path_factory.getbasetemp().parent
    cache_folder = Path(request.config.cache.mkdir("megatron"))

    def answers(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        text = json.dumps(cases)
        if shared is None:
            return asked(text, cache_folder)
        path = shared / f"megatron-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                path.write_text(json.dumps(asked(text, cache_folder)))
        found: list[dict[str, Any]] = json.loads(path.read_text())
        return found

    return answers


def asked(cases: str, cache_folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, str(ON_CPU), str(wheel(cache_folder))]
    done = subprocess.run(command, input=cases, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="session")
def answers(ask: Ask) -> dict[str, dict[str, Any]]:
    """What Megatron makes of all jobs and models, by name, in one process: importing it takes longer than they do."""
    bundles = {name: rendered(name)[2].launch for name in JOBS}
    cases = [case(launch.argv, dict(launch.environment), launch.world_size) for launch in bundles.values()]
    cases += wrong_cases()
    programs = {name: built(name)[1] for name in MODELS}
    cases += [case(each.argv, dict(each.environment), 1, is_built=True) for each in programs.values()]
    return dict(zip((*bundles, *WRONG, *programs), ask(cases), strict=True))


def wrong_cases() -> list[dict[str, Any]]:
    """In the order of `WRONG`."""
    launch, split = rendered("three zones pp")[2].launch, rendered("tp and sequences")[2].launch
    right = case(launch.argv, dict(launch.environment), launch.world_size)
    layout = [word if "|" not in word else word.replace("t", "tt", 1) for word in right["argv"]]
    return [
        {**right, "argv": [*right["argv"], "--no-such-flag"]},
        {**right, "world_size": launch.world_size + 1},
        {**right, "argv": layout},
        case(split.argv, {}, split.world_size),
    ]


def case(
    argv: tuple[str, ...], environment: dict[str, str], world_size: int, *, is_built: bool = False
) -> dict[str, Any]:
    assert argv[:2] == ("-m", "pretrain_gpt")
    return {"argv": list(argv[2:]), "environment": environment, "world_size": world_size, "is_built": is_built}


def wheel(cache_folder: Path) -> Path:
    """The unpacked wheel; downloaded once, and kept among pytest's own files."""
    pytest.importorskip("torch")
    folder = cache_folder / WHEEL
    if not folder.is_dir():
        options = ["--no-deps", "--python-version", "3.12", "--only-binary=:all:", "--dest", str(cache_folder)]
        command = [sys.executable, "-m", "pip", "--quiet", "download", WHEEL, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        if done.returncode:
            pytest.skip(f"{WHEEL} could not be downloaded: {done.stderr.strip().splitlines()[-1:]}")
        [path] = cache_folder.glob("megatron_core-*.whl")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        path.unlink()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_megatron_takes_the_arguments_and_computes_the_plan(name: str, answers: dict[str, dict[str, Any]]) -> None:
    problem, plan, _ = rendered(name)
    answer = answers[name]
    assert "error" not in answer, answer["error"]
    holds(problem, plan, answer)
    assert answer["sums_in_fp32"] == (name not in ("sums in bf16", "fp32"))
    assert answer["saves_at"] == "SIGTERM"


def holds(problem: Problem, plan: Plan, answer: dict[str, Any]) -> None:
    """What Megatron computed is the plan."""
    assert answer["dp"] == plan.dp
    assert {answer["num_microbatches"]} == {replica.num_microbatches for replica in plan.replicas}
    assert answer["padded_vocab_size"] == padded_vocab_size(problem.model, plan.tp)
    if plan.pp > 1:
        assert [sum(parts) for parts in answer["layers"]] == [stage.num_layers for stage in plan.stages]
        assert answer["num_virtual_stages"] == plan.num_virtual_stages
        assert answer["receives_early"] == (plan.num_virtual_stages > 1)
    places = rank_grid(plan, problem.cluster)
    layers, experts = answer["groups"]
    for axis in ("tp", "cp", "dp", "pp"):
        assert sorted(layers[axis]) == sorted(alike_but(places, axis)), axis
    assert {len(ranks) for ranks in experts["ep"]} == {plan.ep}
    assert {len(ranks) for ranks in experts["tp"]} == {1 if plan.ep > 1 else plan.tp}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "axis"), [("three zones pp", "pp"), ("three zones dp", "dp")])
def test_the_axis_that_crosses_zones_crosses_them_in_megatron(
    name: str, axis: str, answers: dict[str, dict[str, Any]]
) -> None:
    problem, plan, _ = rendered(name)
    zones = {place.rank: place.zone for place in rank_grid(plan, problem.cluster)}
    for each, groups in answers[name]["groups"][0].items():
        crosses = {len({zones[rank] for rank in ranks}) for ranks in groups}
        assert crosses == ({3} if each == axis else {1}), each
    if axis == "pp":  # and every pipeline passes the zones as its replica does
        replicas = single_replicas(plan)
        passed = {tuple(zones[rank] for rank in ranks) for ranks in answers[name]["groups"][0]["pp"]}
        assert passed == {replica.zones for replica in replicas}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_megatron_builds_the_model_of_the_catalog(name: str, answers: dict[str, dict[str, Any]]) -> None:
    model = built(name)[0].model
    answer = answers[name]
    assert "error" not in answer, answer["error"]
    num_tables = 1 if model.tied_embeddings else 2
    added = num_tables * model.hidden_size * (answer["padded_vocab_size"] - model.vocab_size)
    assert answer["num_parameters"] == num_parameters(model) + added


@pytest.mark.parametrize("name", CANNOT_BUILD)
def test_a_model_that_megatron_cannot_build_is_refused_by_name(name: str) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        program(one_gpu(name))
    [finding] = [finding for finding in caught.value.findings if finding.where == "model"]
    assert CANNOT_BUILD[name] in finding.message
    assert f'"{name}"' in finding.message


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), WRONG.items())
def test_what_megatron_refuses_is_seen(name: str, text: str, answers: dict[str, dict[str, Any]]) -> None:
    assert text in answers[name]["error"]


@pytest.mark.soak
@pytest.mark.parametrize("name", PLANNED)
def test_megatron_takes_what_the_planner_finds(name: str, ask: Ask) -> None:
    """Plans over two zones of 64 GPUs, the best ones and the best of one zone."""
    problem = service.read({**PLANNED[name], "framework": {"name": "megatron"}})
    answer = service.plan(problem, top=8, with_front=False)
    ranked = [*answer.plans, *([answer.baseline] if answer.baseline is not None else [])]
    plans = list(dict.fromkeys(each.plan for each in ranked))
    assert len(plans) > 3
    launches = [deployed(problem, plan).launch for plan in plans]
    cases = [case(launch.argv, dict(launch.environment), launch.world_size) for launch in launches]
    for plan, found in zip(plans, ask(cases), strict=True):
        assert "error" not in found, f"{found['error']}: {plan}"
        holds(problem, plan, found)


def alike_but(places: tuple[Any, ...], axis: str) -> Iterator[list[int]]:
    """Ranks that differ in `axis` alone, in its order."""
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for place in places:
        others = tuple(getattr(place, each) for each in ("tp", "cp", "dp", "pp") if each != axis)
        groups.setdefault(others, []).append((getattr(place, axis), place.rank))
    return ([rank for _, rank in sorted(members)] for members in groups.values())
