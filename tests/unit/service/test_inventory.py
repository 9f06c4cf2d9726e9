"""The inventory by service: added, imported again, looked at, and made the cluster of a job."""

from __future__ import annotations

import dataclasses
import time

import pytest

from crosszone import service
from crosszone.core.environment import EnvironmentFilter
from crosszone.core.path_watch import PathLook
from crosszone.core.preflight import Interface, MeasuredLink, NodeFacts, PreflightReport, ProbedGpu
from crosszone.errors import Conflict, NotThere, PreflightFailed, SpecError, Stale
from crosszone.service import inventory
from crosszone.store import paths
from crosszone.store.opened import open_store

EVERYTHING = EnvironmentFilter()
SEEDS = """name,kind,zone,gpu,cpus,memory,image,uptime,status,addresses
pytorch-dev-env,jupyter,北京可用区A,2x A100,16,128 GB,pytorch,5 d,运行中,192.168.1.10
llm-training-env,custom,深圳可用区C,4x A100,32,256 GB,transformers,12 h,运行中,192.168.2.20
nlp-research-lab,custom,上海可用区A,8x A100,64,512 GB,pytorch,1 d,运行中,192.168.3.30
cv-experiment-env,custom,北京可用区A,2x V100,16,128 GB,pytorch,2 h,运行中,192.168.1.11
"""


@pytest.fixture
def store(tmp_path):
    found = open_store(str(tmp_path / "state.sqlite"))
    yield found
    found.close()


@pytest.fixture
def seeded(store):
    inventory.import_environments(store, SEEDS, "csv")
    return store


def ids(store, *names):
    by_name = {each.name: each.id for each in inventory.environments(store, EVERYTHING).environments}
    return [by_name[name] for name in names]


def test_a_list_comes_with_what_all_of_it_has(seeded):
    page = inventory.environments(seeded, EVERYTHING, sort="-gpus", limit=2)
    assert [each.name for each in page.environments] == ["nlp-research-lab", "llm-training-env"]
    assert (page.totals.num_environments, page.totals.num_gpus, page.totals.num_cpus) == (4, 16, 128)
    assert [each.num_gpus for each in page.totals.gpus] == [14, 2]
    rest = inventory.environments(seeded, EVERYTHING, sort="-gpus", limit=2, cursor=page.cursor)
    assert (len(rest.environments), rest.cursor, rest.totals) == (2, None, page.totals)


def test_one_is_added_changed_and_forgotten(store):
    made = inventory.add_environment(store, {"id": "env-001", "name": "a", "zone": "x", "gpu": "8x H100"})
    assert inventory.environment(store, "env-001") == made
    with pytest.raises(Conflict, match="is taken"):
        inventory.add_environment(store, {"name": "a", "zone": "x"})
    with pytest.raises(Stale):
        inventory.change_environment(store, "env-001", {"status": "running"}, expected_version=9)
    changed = inventory.change_environment(store, "env-001", {"status": "running"}, expected_version=1)
    assert (changed.status, changed.version) == ("running", 2)
    inventory.remove_environment(store, "env-001", expected_version=2)
    with pytest.raises(NotThere):
        inventory.environment(store, "env-001")
    assert inventory.add_environment(store, {"name": "a", "zone": "x"}).id.startswith("env-")


def test_importing_again_changes_what_changed(seeded):
    before = {each.id: each for each in inventory.environments(seeded, EVERYTHING).environments}
    text = SEEDS.replace("2x V100", "4x V100") + "new,custom,x,8x H100,,,,,,\n"
    tried = inventory.import_environments(seeded, text, "csv", is_tried=True)
    assert (tried.num_added, tried.num_changed, tried.num_unchanged) == (1, 1, 3)
    assert {each.id: each for each in inventory.environments(seeded, EVERYTHING).environments} == before
    done = inventory.import_environments(seeded, text, "csv")
    assert (done.num_added, done.num_changed, done.num_unchanged) == (1, 1, 3)
    after = {each.id: each for each in inventory.environments(seeded, EVERYTHING).environments}
    assert before.keys() < after.keys()
    assert {each.num_gpus for each in after.values() if each.name == "cv-experiment-env"} == {4}


def test_an_import_is_all_or_nothing_and_tells_all_that_is_wrong(store):
    text = "name,zone,gpu,gpus,memory\na,x,A100,8,64 GB\na,x,A100,,\nb,,A100,8,64\n"
    with pytest.raises(SpecError) as caught:
        inventory.import_environments(store, text, "csv")
    assert [(each.where, each.code) for each in caught.value.findings] == [
        ("line 3", "duplicate_name"),
        ("line 3.gpu", "missing_key"),
        ("line 4.memory", "no_unit"),
        ("line 4.zone", "missing_key"),
    ]
    assert inventory.environments(store, EVERYTHING).environments == ()


def test_a_machine_without_slurm_is_told(store, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PreflightFailed, match="Slurm does not answer"):
        inventory.import_asked(store, "slurm")


def test_slurm_is_asked(store, tmp_path, monkeypatch):
    program = tmp_path / "sinfo"
    program.write_text('#!/bin/sh\necho "n1|idle|64|1000|gpu:a100:8|0|x"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    (found,) = inventory.import_asked(store, "slurm", defaults={"zone": "slurm"}).environments
    assert (found.name, found.gpu, found.num_gpus, found.source) == ("n1", "a100-sxm4-80gb", 8, "slurm")


def test_whom_others_do_not_reach_is_not_the_main_node(seeded):
    chosen = ids(seeded, "pytorch-dev-env", "llm-training-env", "nlp-research-lab")
    first = inventory.chosen_cluster(seeded, chosen).main_node
    ends = {"from_address": "a", "to_address": "b", "from_zone": "x", "to_zone": "y"}
    sample = paths.PathSample(
        from_environment=next(key for key in chosen if key != first),
        to_environment=first,
        attempt_id=None,
        seconds=time.time(),
        look=PathLook(is_open=False, **ends),
    )
    with seeded.telemetry.writing() as connection:
        paths.add(connection, [sample])
    assert inventory.chosen_cluster(seeded, chosen).main_node != first


KUBERNETES = """{"items": [{
  "metadata": {"name": "gpu-1", "labels": {
    "topology.kubernetes.io/zone": "cn-beijing-a", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
    "nvidia.com/cuda.driver-version.full": "550.54.15", "eks.amazonaws.com/capacityType": "SPOT"}},
  "spec": {"unschedulable": true},
  "status": {"capacity": {"cpu": "96", "memory": "1056270940Ki", "nvidia.com/gpu": "8"},
    "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
    "addresses": [{"type": "Hostname", "address": "gpu-1"}, {"type": "InternalIP", "address": "10.0.0.5"}]}
}, {
  "metadata": {"name": "cpu-1"}, "status": {"capacity": {"cpu": "500m"},
    "conditions": [{"type": "Ready", "status": "Unknown"}]}
}]}"""


def test_nodes_of_kubernetes_are_imported(store):
    found = inventory.import_environments(store, KUBERNETES, "kubernetes", defaults={"zone": "lab"})
    gpu, cpu = found.environments
    assert (gpu.zone, gpu.gpu, gpu.num_gpus, gpu.num_cpus) == ("cn-beijing-a", "a100-sxm4-80gb", 8, 96)
    assert gpu.memory_bytes == 1056270940 * 1024
    assert gpu.addresses == ("10.0.0.5", "gpu-1")
    assert (gpu.status, gpu.is_draining, gpu.is_preemptible, gpu.driver_version) == ("running", True, True, "550.54.15")
    assert (cpu.zone, cpu.gpu, cpu.num_gpus, cpu.status) == ("lab", None, 0, "unreachable")
    again = inventory.import_environments(store, KUBERNETES, "kubernetes", defaults={"zone": "lab"})
    assert (again.num_added, again.num_unchanged) == (0, 2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"items": 1}', '{"items": [1]}', '{"items": [{"metadata": {}}]}'])
def test_what_is_no_list_of_nodes_is_told(store, text):
    with pytest.raises(SpecError):
        inventory.import_environments(store, text, "kubernetes", defaults={"zone": "lab"})


@pytest.mark.parametrize(
    "status",
    [
        '{"capacity": {"cpu": "x", "memory": [1]}}',
        '{"capacity": {"cpu": "9e999"}}',
        '{"addresses": [1]}',
        '{"addresses": 3}',
        "3",
    ],
)
def test_odd_nodes_are_problems_or_have_less(store, status):
    text = f'{{"items": [{{"metadata": {{"name": "n", "labels": 3}}, "status": {status}}}]}}'
    found = inventory.import_environments(store, text, "kubernetes", defaults={"zone": "lab"})
    assert found.environments[0].memory_bytes is None


def test_the_chosen_ones_become_a_cluster_that_is_planned_for(seeded):
    chosen = ids(seeded, "pytorch-dev-env", "llm-training-env", "nlp-research-lab")
    found = inventory.chosen_cluster(seeded, chosen)
    assert found.main_node == chosen[0]
    assert found.environment_ids == tuple(chosen)
    assert (found.totals.num_gpus, found.totals.num_cpus, found.totals.memory_bytes) == (14, 112, 896e9)
    assert len(found.missing_links) == 6
    zones = ["北京可用区A", "深圳可用区C", "上海可用区A"]
    for start, end in (zones[:2], zones[1:], zones[::2]):
        inventory.set_zone_link(seeded, start, end, {"bandwidth": "10 Gbit/s", "rtt": "30 ms"})
    whole = inventory.chosen_cluster(seeded, chosen, main_node=chosen[2])
    assert whole.missing_links == ()
    assert whole.environment_ids == (chosen[2], chosen[0], chosen[1])
    job = {
        "model": "llama-3-8b",
        "workload": {"sequence_length": 2048, "global_batch_size": 28},
        "cluster": whole.cluster,
    }
    problem = service.read(job)
    assert problem.cluster.num_gpus == 14
    assert [zone.name for zone in problem.cluster.zones] == [zones[2], zones[0], zones[1]]
    assert problem.cluster.zones[0].node_groups[0].host_memory_bytes == 512e9


def test_what_cannot_be_chosen_is_all_told(seeded):
    inventory.add_environment(seeded, {"id": "env-head", "name": "head", "zone": "x"})
    first = ids(seeded, "pytorch-dev-env")[0]
    with pytest.raises(SpecError) as caught:
        inventory.chosen_cluster(seeded, [first, "env-head", first], main_node="env-other")
    assert [each.code for each in caught.value.findings] == ["chosen_twice", "no_gpu", "invalid_main_node"]
    with pytest.raises(SpecError, match="no environment is chosen"):
        inventory.chosen_cluster(seeded, [])
    with pytest.raises(NotThere):
        inventory.chosen_cluster(seeded, ["env-none"])


def facts(**fields):
    values = {field.name: None for field in dataclasses.fields(NodeFacts)}
    values |= {"hostname": "n", "python_version": "3.11", "python_path": "python3", "package_versions": ()}
    gpus = tuple(ProbedGpu(name="NVIDIA A100-SXM4-80GB", memory_bytes=8.5e10, free_bytes=free) for free in (8e10, 7e10))
    device = Interface(name="eth0", mtu_bytes=1500, bytes_per_second=1.25e9, is_up=True)
    values |= {"gpus": gpus, "interfaces": (device,), "missing_programs": (), **fields}
    return NodeFacts(**values)


def test_what_is_seen_of_nodes_and_paths_is_kept(seeded, monkeypatch):
    chosen = ids(seeded, "pytorch-dev-env", "llm-training-env")
    inventory.change_environment(seeded, chosen[0], {"interface": "eth0"})
    link = MeasuredLink(
        from_zone="北京可用区A",
        to_zone="深圳可用区C",
        bytes_per_second=1.25e9,
        node_bytes_per_second=None,
        flow_bytes_per_second=None,
        num_streams=None,
        rtt_seconds=0.03,
        is_lower_bound=False,
    )

    def look(request):
        assert [node.address for node in request.nodes] == ["192.168.1.10", "192.168.2.20"]
        return PreflightReport(
            is_ready=False,
            verdict="",
            measured="",
            elapsed_seconds=1.0,
            nodes=request.nodes,
            facts=(facts(driver_version="550", cuda_version="12.4", num_cpus=32), None),
            paths=(),
            measured_links=(link,),
            findings=(),
            not_measured=(),
        )

    monkeypatch.setattr("crosszone.service.preflights.preflight", look)
    found = inventory.probe_environments(seeded, chosen)
    first, second = (inventory.environment(seeded, key) for key in chosen)
    assert found.environments == (first, second)
    assert (first.gpu, first.num_gpus, first.driver_version, first.num_cpus) == ("a100-sxm4-80gb", 2, "550", 32)
    assert (first.gpu_memory_bytes, first.free_gpu_memory_bytes) == (8.5e10, 7e10)
    assert (first.network_bytes_per_second, first.memory_bytes) == (1.25e9, 128e9)
    assert (second.status, second.num_gpus) == ("unreachable", 4)
    (kept,) = inventory.zone_links(seeded)
    assert (kept.path, kept.source) == ({"bandwidth": "10 Gbit/s", "rtt": "30 ms"}, "ssh")


def test_who_has_no_address_is_not_looked_at(seeded):
    made = inventory.add_environment(seeded, {"name": "silent", "zone": "x"})
    with pytest.raises(SpecError, match='"silent" has no address'):
        inventory.probe_environments(seeded, [made.id])
    with pytest.raises(SpecError, match="0 environments"):
        inventory.probe_environments(seeded, [])


def test_paths_are_told_as_they_were_looked_at_else_as_their_zones_are(seeded):
    first, second, third = ids(seeded, "pytorch-dev-env", "llm-training-env", "cv-experiment-env")
    inventory.set_zone_link(seeded, "北京可用区A", "深圳可用区C", {"bandwidth": "10 Gbit/s", "rtt": "30 ms"})
    look = PathLook(from_address="a", to_address="b", from_zone="x", to_zone="y", is_open=False, rtt_seconds=0.05)
    sample = paths.PathSample(
        from_environment=first, to_environment=second, attempt_id=None, seconds=time.time(), look=look
    )
    with seeded.telemetry.writing() as connection:
        paths.add(connection, [sample])
    found = {
        (each.from_environment, each.to_environment): (
            each.is_open,
            each.rtt_seconds,
            each.bytes_per_second,
            each.is_measured,
        )
        for each in inventory.environment_paths(seeded, [first, second, third])
    }
    assert len(found) == 6
    assert found[first, second] == (False, 0.05, 1.25e9, True)
    assert found[second, first] == (None, 0.03, 1.25e9, False)
    assert found[first, third] == (None, None, None, False)
    with pytest.raises(NotThere):
        inventory.environment_paths(seeded, [first, "env-nowhere"])


def test_a_path_leads_from_one_zone_to_another(store):
    with pytest.raises(SpecError, match='not from "a" to itself'):
        inventory.set_zone_link(store, "a", "a", {"bandwidth": "1 Gbit/s"})
    inventory.set_zone_link(store, "a", "b", {"bandwidth": "1 Gbit/s"}, is_both=False)
    assert [(link.from_zone, link.to_zone) for link in inventory.zone_links(store)] == [("a", "b")]


def test_a_demonstration_starts_with_three_zones_that_can_be_planned_for(store):
    inventory.add_demo(store)
    page = inventory.environments(store, EVERYTHING)
    assert (page.totals.num_gpus, len(page.totals.zones)) == (16, 3)
    found = inventory.chosen_cluster(store, ["env-001", "env-003", "env-005"])
    assert (found.totals.num_gpus, found.missing_links) == (14, ())
    job = {"model": "opt-1.3b", "workload": {"sequence_length": 2048, "global_batch_size": 28}, "plan": {"dp": 14}}
    assert service.predict(service.read({**job, "cluster": found.cluster})).prediction.step_seconds > 0
