"""`deploy` renders the plan that `plan` ranks first, whatever part of it the job file fixes."""

import json
from typing import Any

import pytest

from crosszone import service
from crosszone.core.codec import from_json
from crosszone.core.plan import Plan
from crosszone.errors import InfeasiblePlan


def cluster(*gpus: str) -> dict[str, Any]:
    """A zone of two nodes for each of `gpus`, joined by slow links."""
    node = {"count": 2, "gpus_per_node": 8, "network": "100 Gbit/s"}
    names = [f"z{index}" for index in range(len(gpus))]
    zones = [
        {"name": name, "nodes": [{**node, "gpu": gpu, "addresses": [f"10.{index}.0.1", f"10.{index}.0.2"]}]}
        for index, (name, gpu) in enumerate(zip(names, gpus, strict=True))
    ]
    pairs = [(one, other) for index, one in enumerate(names) for other in names[index + 1 :]]
    links = [{"between": list(pair), "bandwidth": "10 Gbit/s", "rtt": "20 ms"} for pair in pairs]
    return {"zones": zones, "links": links}


def job(plan: dict[str, Any], *gpus: str) -> dict[str, Any]:
    return {
        "model": "gpt3-1.3b",
        "workload": {"sequence_length": 2048, "global_batch_size": 96, "precision": "bf16"},
        "cluster": cluster(*gpus),
        "plan": plan,
    }


A100, H100 = "a100-sxm4-80gb", "h100-sxm5-80gb"
JOBS = {
    "three zones": ("ddp", job({"dp": 48, "tp": 1, "cp": 1, "pp": 1}, A100, A100, A100)),
    "mixed GPUs": ("megatron", job({"dp": 16}, H100, A100)),
    "one number": ("fsdp", job({"microbatch_size": 1}, A100, A100)),
    "nothing": ("fsdp", job({}, A100, A100)),
}


@pytest.mark.parametrize("name", JOBS)
def test_what_the_job_file_leaves_out_is_searched_as_by_plan(name: str, deployed) -> None:
    framework, asked = JOBS[name]
    best = service.plan(service.read({**asked, "framework": {"name": framework}}), top=1, with_front=False).plans[0]
    found = json.loads(deployed(asked, framework).text("metadata.json"))
    assert from_json(Plan, found["plan"]) == best.plan
    predicted = service.predict(service.read({**asked, "framework": {"name": framework}}))
    assert predicted.plan == best.plan
    shown = service.prediction_json(predicted)
    assert {key: shown[key] for key in ("step_seconds", "memory", "links", "fingerprint")} == {
        key: found["prediction"][key] for key in ("step_seconds", "memory", "links", "fingerprint")
    }


def test_where_nothing_fits_the_plan_that_lacks_least_is_told(deployed) -> None:
    asked = {**job({"dp": 32}, A100, A100), "model": "llama-2-70b"}
    with pytest.raises(InfeasiblePlan, match="its GPU") as caught:
        deployed(asked, "ddp")
    assert [finding.code for finding in caught.value.findings] == ["no_memory"]
