"""How gradients are summed between zones: the bundle's plan and numbers are of the sum that runs."""

import dataclasses
import json
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.sums import as_summed, sums_flat


@pytest.fixture
def wide(job: dict[str, Any]) -> dict[str, Any]:
    """Two zones of two ranks each, so that flat and hierarchical sums differ."""
    job["cluster"]["zones"][1]["nodes"][0]["gpus_per_node"] = 2
    job["model"] |= {"num_layers": 4, "hidden_size": 512, "ffn_size": 2048}
    job["plan"] = {"dp": 4, "pp": 1, "microbatch_size": 1}
    return job


def step(bundle: Bundle) -> tuple[str, float]:
    """How its plan agrees, and what a step takes."""
    value = json.loads(bundle.text("metadata.json"))
    return value["plan"]["sync"]["method"], value["prediction"]["step_seconds"]


def told(bundle: Bundle) -> list[str]:
    return [warning for warning in bundle.warnings if "hierarchical" in warning]


def test_where_nobody_says_how_zones_agree_the_bundle_is_of_a_flat_sum(wide, deployed) -> None:
    bundle = deployed(wide)
    flat = deployed({**wide, "plan": {**wide["plan"], "sync": {"method": "flat"}}})
    assert step(bundle) == step(flat)
    (sentence,) = told(bundle)
    assert "ddp sums gradients over all ranks of all zones at once (sync.method: flat)" in sentence
    assert sentence in bundle.text("README.md")
    assert told(flat) == []


def test_a_sum_that_the_job_asks_for_and_does_not_get_has_both_numbers(wide, deployed) -> None:
    asked = deployed({**wide, "plan": {**wide["plan"], "sync": {"method": "hierarchical"}}})
    flat = deployed(wide)
    assert step(asked)[0] == "hierarchical"
    assert step(asked)[1] < step(flat)[1]
    (sentence,), (other,) = told(asked), told(flat)
    numbers = [part.split(" a step")[0].split()[-2:] for part in (sentence, other)]
    assert " ".join(numbers[1]) in sentence
    assert " ".join(numbers[0]) in other


def test_a_saved_plan_is_summed_as_it_runs_too(wide) -> None:
    problem = service.read({**wide, "framework": {"name": "ddp"}})
    plan = service.predict(problem).plan
    assert plan.sync.method == "hierarchical"
    bundle = service.deploy(problem, framework="ddp", backend="bare", plan=plan, num_steps=10, checkpoints="none")
    assert step(bundle)[0] == "flat"


def test_stages_in_zones_of_their_own_sum_nothing_between_them(wide, deployed) -> None:
    stages = [{"num_layers": 2, "zone": zone} for zone in ("zone0", "zone1")]
    bundle = deployed({**wide, "plan": {"stages": stages, "dp": 2}}, "deepspeed")
    assert step(bundle)[0] == "hierarchical"
    assert not told(bundle)


def test_replicas_sharded_in_part_sum_inside_and_across(wide) -> None:
    problem = service.read({**wide, "framework": {"name": "fsdp"}})
    plan = service.predict(problem).plan
    part = dataclasses.replace(plan, shard="parameters", dp_shard=2)
    assert not sums_flat(part)
    assert as_summed(problem, part) == part
