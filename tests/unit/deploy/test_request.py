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
