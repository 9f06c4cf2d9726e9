"""Horovod bundles: who starts what, what is told by variables, and what is refused with the reason."""

import json
from typing import Any

import pytest

from crosszone.core.bundle import HOROVODRUN
from crosszone.core.train import train_config
from crosszone.deploy.backends import backend, backend_names
from crosszone.errors import InfeasiblePlan


@pytest.fixture
def horovod(job, deployed):
    def make(backend: str = "ssh", **options: Any) -> Any:
        return deployed(job, "horovod", backend, **options)

    return make


def test_one_command_starts_all_ranks_in_the_plans_order(horovod) -> None:
    bundle = horovod()
    programs = [file.path for file in bundle.files if file.path.startswith("launch/zone-")]
    assert programs == ["launch/zone-0/agent-0.sh"]
    assert " -np 3 -H 10.0.0.1:2,10.1.0.1:1 " in bundle.text(programs[0])
    nodes = bundle.text("launch/nodes.sh")
    assert "addresses=(10.0.0.1)\n" in nodes
    assert "copied=(10.0.0.1 10.1.0.1)\n" in nodes


def test_ranks_are_told_where_torch_meets(horovod) -> None:
    lines = horovod(port=29501).text("environment.sh").splitlines()
    assert "export MASTER_ADDR=10.0.0.1" in lines
    assert "export MASTER_PORT=29501" in lines


def test_variables_are_the_plans(job, horovod) -> None:
    job["plan"]["bucket_bytes"] = "32 MiB"
    bundle = horovod()
    limits = bundle.launch.timeouts
    variables = dict(bundle.launch.environment)
    assert variables["HOROVOD_FUSION_THRESHOLD"] == str(32 * 2**20)
    assert float(variables["HOROVOD_GLOO_TIMEOUT_SECONDS"]) >= limits.collective_seconds
    assert float(variables["HOROVOD_STALL_SHUTDOWN_TIME_SECONDS"]) >= limits.step_deadline_seconds
    assert train_config(json.loads(bundle.text("configs/train.json"))).framework == "horovod"


def test_it_is_called_legacy_in_both_languages_and_warned_of(horovod) -> None:
    bundle = horovod()
    assert bundle.text("README.md").startswith("# Training with horovod (legacy) over ssh\n")
    assert "horovod(遗留)" in bundle.text("README.zh.md").splitlines()[0]
    assert any("last release" in warning for warning in bundle.warnings)


@pytest.mark.parametrize(
    ("backend", "device", "has", "has_not"),
    [
        ("local", "cpu", "HOROVOD_WITHOUT_MPI=1", "HOROVOD_GPU_OPERATIONS"),
        ("ssh", "cuda", "HOROVOD_GPU_OPERATIONS=NCCL", "HOROVOD_WITH_MPI"),
        ("mpi", "cuda", "HOROVOD_WITH_MPI=1", "HOROVOD_WITHOUT_MPI"),
    ],
)
def test_horovod_is_built_for_what_starts_it(horovod, backend, device, has, has_not) -> None:
    text = horovod(backend, device=device).text("scripts/setup_horovod.sh")
    assert f"export {has}\n" in text
    assert has_not not in text
    assert "CMAKE_CXX_STANDARD 17" in text


def test_nodes_have_what_the_build_needs(horovod) -> None:
    bundle = horovod()
    assert "cmake g++ make" in bundle.text("Containerfile")
    assert "scripts/setup_horovod.sh" in bundle.text("Containerfile")
    assert "horovod" not in bundle.text("requirements.txt")  # pip alone cannot build it


def change(job: dict[str, Any], zone: int, **keys: Any) -> None:
    job["cluster"]["zones"][zone]["nodes"][0] |= keys


def test_a_node_that_horovodrun_cannot_name_is_refused(job, horovod) -> None:
    change(job, 1, addresses=["fd00::1"])
    with pytest.raises(InfeasiblePlan, match="horovodrun takes no IPv6 address, as fd00::1"):
        horovod()


def test_nodes_with_different_devices_are_refused(job, horovod) -> None:
    change(job, 0, interface="eth0")
    with pytest.raises(InfeasiblePlan, match="horovodrun gives all nodes one network device"):
        horovod()
    change(job, 1, interface="eth0")
    assert "--network-interfaces eth0" in horovod().text("launch/zone-0/agent-0.sh")


def test_zones_are_not_started_apart(horovod) -> None:
    with pytest.raises(InfeasiblePlan, match="one horovodrun starts the ranks of all zones"):
        horovod(zone="zone0")


@pytest.mark.parametrize("name", [name for name in backend_names() if HOROVODRUN not in backend(name).LAUNCHERS])
def test_a_backend_that_starts_each_node_cannot(horovod, name) -> None:
    with pytest.raises(InfeasiblePlan, match=f"^--backend: {name} starts each node by itself, but horovod") as caught:
        horovod(name)
    assert [finding.code for finding in caught.value.findings] == ["no_launcher"]


def test_gradients_travel_in_fp32_or_fp16(job, horovod) -> None:
    job["workload"] |= {"precision": "bf16", "dtypes": {"gradient_reduction": "bf16"}}
    with pytest.raises(InfeasiblePlan, match="gradients travel in fp32 or fp16, not in bf16"):
        horovod()
    job["workload"]["dtypes"] = {"gradient_reduction": "fp16"}
    assert json.loads(horovod().text("configs/train.json"))["dtypes"]["gradient_reduction"] == "fp16"


def test_replicas_of_different_size_are_refused(job, horovod) -> None:
    job["plan"]["replicas"] = [
        {"zones": ["zone0"], "num_replicas": 2, "num_microbatches": 1},
        {"zones": ["zone1"], "num_replicas": 1, "num_microbatches": 4},
    ]
    with pytest.raises(InfeasiblePlan, match="equal weight"):
        horovod()
