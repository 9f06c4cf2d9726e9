"""What is refused before a plan is searched: by name, all at once."""

from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import DeployRequest
from crosszone.deploy.request import check_request
from crosszone.errors import CrossZoneError, Finding, InfeasiblePlan, SpecError


@pytest.fixture
def refused(job, monkeypatch):
    """Findings of a deployment that is refused, and no search for it."""

    def no_search(*arguments: Any) -> None:
        raise AssertionError("a plan was looked for")

    monkeypatch.setattr("crosszone.planner.complete.complete", no_search)

    def deploy(kind: type[CrossZoneError], framework: str = "ddp", **options: Any) -> tuple[Finding, ...]:
        options = {"backend": "bare", "num_steps": 10, "checkpoints": "none", **options}
        with pytest.raises(kind) as caught:
            service.deploy(service.read(job), framework=framework, **options)
        return caught.value.findings

    return deploy


@pytest.mark.parametrize(
    ("options", "code", "where"),
    [
        ({"num_steps": None}, "missing", "workload.train_tokens"),
        ({"arguments": ("x",)}, "missing", "--entry"),
        ({"port": 70000}, "invalid", "--port"),
        ({"port": -1}, "invalid", "--port"),
        ({"device": "tpu"}, "invalid", "--device"),
        ({"data": "tokens.bin"}, "invalid", "--data"),
        ({"checkpoints": "ckpt"}, "invalid", "--checkpoints"),
        ({"zone": "zone7"}, "unknown_name", "--zone"),
        ({"entry": "nowhere.py"}, "unreadable", "nowhere.py"),
        ({"backend": "slurn"}, "unknown_name", "--backend"),
    ],
)
def test_a_wrong_option_is_named(refused, options, code, where) -> None:
    assert [(finding.code, finding.where) for finding in refused(SpecError, **options)] == [(code, where)]


def test_all_wrong_options_are_named_at_once(refused) -> None:
    found = refused(SpecError, port=0, device="tpu", zone="zone7", data="here", num_steps=None)
    assert [each.where for each in found] == ["--device", "--port", "--zone", "--data", "workload.train_tokens"]


def test_what_no_plan_can_mend_is_told_at_once(refused) -> None:
    (finding,) = refused(InfeasiblePlan, backend="local")
    assert (finding.code, finding.where) == ("several_nodes", "--backend")
    assert "the degrees of plan are 3 ranks, and no node has more than 2" in finding.message
    (finding,) = refused(InfeasiblePlan, framework="horovod", backend="slurm")
    assert finding.message.startswith("slurm starts each node by itself, but horovod needs horovodrun")


@pytest.mark.parametrize(
    "change",
    [
        {"plan": {"idle_gpus": [{"zone": "zone1", "node_group": 0, "num_gpus": 1}]}},
        {"plan": {"replicas": [{"zones": ["zone0"], "num_replicas": 2}]}},
        {"constraints": {"exclude_zones": ["zone1"]}, "plan": {"dp": 2}},
        {"plan": {}},
    ],
)
def test_what_may_be_one_machines_work_is_left_to_the_plan(job, change) -> None:
    request = DeployRequest(backend="local", num_steps=10)
    check_request(service.read({**job, **change}), "ddp", request)
    with pytest.raises(InfeasiblePlan):
        check_request(service.read(job), "ddp", request)
    check_request(service.read(job), "ddp", request, is_planned=True)


@pytest.mark.parametrize("backend", ["bare", "ssh", "mpi"])
def test_addresses_that_every_plan_needs_are_asked_for_before_a_search(refused, job, backend) -> None:
    for zone in job["cluster"]["zones"]:
        del zone["nodes"][0]["addresses"]
    found = refused(SpecError, backend=backend, num_steps=None)
    places = [f"cluster.zones[{index}].nodes[0].addresses" for index in (0, 1)]
    assert [each.where for each in found] == ["workload.train_tokens", *places]


def test_a_folder_for_checkpoints_is_asked_for_with_the_addresses(refused, job) -> None:
    del job["cluster"]["zones"][1]["nodes"][0]["addresses"]
    found = refused(SpecError, checkpoints=None)
    assert [each.where for each in found] == ["cluster.zones[1].nodes[0].addresses", "--checkpoints"]


def test_only_those_without_addresses_are_named(refused, job) -> None:
    del job["cluster"]["zones"][0]["nodes"][0]["addresses"]
    (finding,) = refused(SpecError, backend="ssh")
    assert finding.where == "cluster.zones[0].nodes[0].addresses"


def test_addresses_of_nodes_that_may_not_work_are_left_to_the_plan(job) -> None:
    request = DeployRequest(backend="ssh", num_steps=10)
    del job["cluster"]["zones"][1]["nodes"][0]["addresses"]
    check_request(service.read({**job, "plan": {"dp": 2}}), "ddp", request)
    check_request(service.read({**job, "plan": {}}), "ddp", request)
    del job["cluster"]["zones"][0]["nodes"][0]["addresses"]
    check_request(service.read({**job, "plan": {"dp": 2}}), "ddp", DeployRequest(backend="mpi", num_steps=10))
    with pytest.raises(SpecError, match="ssh needs the address of every node"):
        check_request(service.read({**job, "plan": {"dp": 2}}), "ddp", request)


def test_regions_and_addresses_of_clusters_are_asked_for_before_a_search(refused, job) -> None:
    found = refused(SpecError, backend="skypilot")
    assert [each.where for each in found] == ["cluster.zones[0].region", "cluster.zones[1].region"]
    for zone in job["cluster"]["zones"]:
        del zone["nodes"][0]["addresses"]
    found = refused(SpecError, backend="kubernetes", zone="zone1")
    lacking = ((0, "addresses"), (1, "addresses"), (1, "interface"))
    assert [each.where for each in found] == [f"cluster.zones[{zone}].nodes[0].{name}" for zone, name in lacking]
