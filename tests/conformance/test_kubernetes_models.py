"""Every Kubernetes object of every cell against the models that Kubeflow Trainer generates from its API.

The models take wrong types and missing keys for what they are, but let unknown keys pass: what is lost on the way
through them is unknown.
"""

import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from kubeflow_trainer_api import models
from pydantic import ValidationError

from crosszone import service
from crosszone.core.bundle import Bundle

KINDS = {
    "TrainJob": models.TrainerV1alpha1TrainJob,
    "TrainingRuntime": models.TrainerV1alpha1TrainingRuntime,
    "JobSet": models.JobsetV1alpha2JobSet,
}
LAYOUTS: dict[str, list[list[int]]] = {
    "one node": [[1]],
    "one zone": [[2]],
    "three zones": [[1], [1], [1]],
    "uneven nodes": [[1], [2, 1]],
}
"""Nodes of each node group of each zone, of two GPUs."""


@cache
def rendered(layout: str, device: str = "cuda", checkpoints: str = "none", zone: str | None = None) -> Bundle:
    sizes = LAYOUTS[layout]
    zones = [{"name": f"z{index}", "nodes": groups(index, counts)} for index, counts in enumerate(sizes)]
    job: dict[str, Any] = {
        "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
        "workload": {"sequence_length": 32, "global_batch_size": 24, "precision": "fp32"},
        "cluster": {"zones": zones},
        "plan": {"microbatch_size": 1, "dp": 2 * sum(map(sum, sizes))},
    }
    if len(sizes) > 1:
        job["cluster"]["default_link"] = {"bandwidth": "1 Gbit/s", "rtt": "30 ms"}
    options = {"num_steps": 10, "device": device, "checkpoints": checkpoints, "zone": zone}
    return service.deploy(service.read(job), framework="ddp", backend="kubernetes", **options)


def groups(zone: int, counts: list[int]) -> list[dict[str, Any]]:
    def group(index: int, count: int) -> dict[str, Any]:
        addresses = [f"10.{zone}.{index}.{node + 1}" for node in range(count)]
        gpu = ("a100-sxm4-80gb", "v100-sxm2-32gb")[index]
        sizes = {"count": count, "gpus_per_node": 2, "network": "100 Gbit/s"}
        return {**sizes, "gpu": gpu, "addresses": addresses, "interface": "ens3"}

    return [group(index, count) for index, count in enumerate(counts)]


def objects(bundle: Bundle) -> list[dict[str, Any]]:
    return [yaml.safe_load(file.text) for file in bundle.files if file.path.startswith("kubernetes/")]


def lost(written: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Keys of `written` that `kept` has not."""
    if isinstance(written, dict):
        for key, value in written.items():
            if not isinstance(kept, dict) or key not in kept:
                yield f"{path}.{key}"
            else:
                yield from lost(value, kept[key], f"{path}.{key}")
    elif isinstance(written, list):
        assert len(written) == len(kept), path
        for index, (item, other) in enumerate(zip(written, kept, strict=True)):
            yield from lost(item, other, f"{path}[{index}]")
    elif written != kept:
        yield f"{path}: {written!r} became {kept!r}"


def unknown(value: dict[str, Any]) -> list[str]:
    return list(lost(value, KINDS[value["kind"]].from_dict(value).to_dict()))


CELLS = [
    *((layout, device, "none", None) for layout in LAYOUTS for device in ("cuda", "cpu")),
    *((layout, "cuda", "/claims/runs/one", None) for layout in LAYOUTS),
    ("three zones", "cuda", "/claims/runs/one", "z1"),
    ("uneven nodes", "cuda", "none", "z1"),
]


@pytest.mark.parametrize(("layout", "device", "checkpoints", "zone"), CELLS)
def test_the_api_knows_every_key(layout: str, device: str, checkpoints: str, zone: str | None) -> None:
    found = objects(rendered(layout, device, checkpoints, zone))
    expected = ["TrainingRuntime", "TrainJob"] if layout.startswith("one") else ["JobSet"]
    assert [value["kind"] for value in found] == expected
    assert [key for value in found for key in unknown(value)] == []


def test_a_wrong_key_and_a_wrong_type_are_found() -> None:
    job = objects(rendered("one zone"))[1]
    assert unknown({**job, "spec": {**job["spec"], "numNode": 3}}) == [".spec.numNode"]
    with pytest.raises(ValidationError):
        unknown({**job, "spec": {**job["spec"], "trainer": {"numProcPerNode": "8"}}})
    with pytest.raises(ValidationError):
        unknown({**job, "spec": {"trainer": {}}})


def test_the_runtime_is_what_the_trainer_patches() -> None:
    """kubeflow/trainer v2.3.0, pkg/webhooks/trainingruntime_webhook.go: one replica, a container called node."""
    runtime, job = objects(rendered("one zone"))
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert replicated["name"] == "node"
    assert replicated["replicas"] == 1
    assert replicated["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    (container,) = replicated["template"]["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "node"
    assert job["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]
    assert job["spec"]["trainer"] == {
        "numNodes": 2,
        "numProcPerNode": 2,
        "resourcesPerNode": {"limits": {"nvidia.com/gpu": 2}},
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_are_dns_labels_with_room_for_a_suffix(layout: str) -> None:
    """kubernetes-sigs/jobset v0.12.0, pkg/webhooks/jobset_webhook.go: JOBSET-JOB-REPLICA-INDEX-abcde is a label."""
    for agent in rendered(layout).launch.agents:
        pod, _, service_name = str(agent.address).partition(".")
        assert pod.startswith(f"{service_name}-")
        assert len(f"{pod}-abcde") <= 63
        assert all(letter.isalnum() or letter == "-" for letter in pod)
        assert pod[0].isalpha()


def test_every_pod_starts_an_agent_of_its_own() -> None:
    bundle = rendered("uneven nodes")
    (job_set,) = objects(bundle)
    started = []
    for replicated in job_set["spec"]["replicatedJobs"]:
        spec = replicated["template"]["spec"]
        assert spec["completionMode"] == "Indexed"
        assert spec["parallelism"] == spec["completions"]
        pod = spec["template"]["spec"]
        first = int(pod["containers"][0]["command"][-1])
        agents = [bundle.launch.agents[first + index] for index in range(spec["completions"])]
        assert [agent.zone for agent in agents] == [pod["nodeSelector"]["topology.kubernetes.io/zone"]] * len(agents)
        limit = pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
        assert {agent.num_ranks for agent in agents} == {limit}
        (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        (wanted,) = term["matchExpressions"][0]["values"]
        (gpu,) = {bundle.launch.group_of(agent).gpu.name for agent in agents}
        assert (gpu, wanted) in {
            ("a100-sxm4-80gb", "NVIDIA-A100-SXM4-80GB"),
            ("v100-sxm2-32gb", "Tesla-V100-SXM2-32GB"),
        }
        started += [agent.index for agent in agents]
    assert sorted(started) == [agent.index for agent in bundle.launch.agents]
    master = bundle.launch.agents[0].address
    name = job_set["metadata"]["name"]
    assert master == f"{name}-part-0-0-0.{name}"
    assert f"--master-addr={master}" in bundle.text("launch/zone-1/agent-2.sh")


def test_what_the_trainer_injects_does_not_change_our_ranks(monkeypatch) -> None:
    """kubeflow/trainer v2.3.0, pkg/runtime/framework/plugins/torch/torch.go sets these in every pod; torchrun reads
    them where an option is not given."""
    run = pytest.importorskip("torch.distributed.run")
    names = {"NNODES": "7", "NPROC_PER_NODE": "auto", "NODE_RANK": "6", "MASTER_ADDR": "elsewhere", "MASTER_PORT": "1"}
    for name, value in names.items():
        monkeypatch.setenv(f"PET_{name}", value)
    bundle = rendered("one zone")
    for agent in bundle.launch.agents:
        text = bundle.text(f"launch/zone-0/agent-{agent.index}.sh")
        (words,) = (shlex.split(line)[4:] for line in text.splitlines() if line.startswith("exec "))
        options = run.get_args_parser().parse_args(words)
        assert (options.nnodes, options.nproc_per_node, options.node_rank) == ("2", "2", agent.index)
        assert (options.master_addr, options.master_port) == (bundle.launch.agents[0].address, 29500)
