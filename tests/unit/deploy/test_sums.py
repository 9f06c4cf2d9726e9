"""How gradients are summed between zones: what is planned and predicted is what the bundle runs."""

import dataclasses
import json
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.errors import InfeasiblePlan


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


def asked(wide: dict[str, Any], **sync: Any) -> dict[str, Any]:
    return {**wide, "plan": {**wide["plan"], "sync": sync}}


def trained(bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle.text("configs/train.json"))
    return found


def told(bundle: Bundle) -> list[str]:
    return [warning for warning in bundle.warnings if "hierarchical" in warning]


def test_our_trainer_under_ddp_sums_once_per_zone_and_is_predicted_so(wide, deployed) -> None:
    bundle, flat = deployed(wide), deployed(asked(wide, method="flat"))
    assert trained(bundle)["rank_zones"] == [0, 0, 1, 1]
    assert trained(flat)["rank_zones"] == []
    assert step(bundle)[0] == "hierarchical"
    assert step(bundle)[1] < step(flat)[1]
    assert not told(bundle)
    assert not told(flat)


@pytest.mark.parametrize("framework", ["horovod", "deepspeed"])
def test_frameworks_with_sums_of_their_own_are_planned_with_those(wide, deployed, framework) -> None:
    bundle = deployed(wide, framework, "ssh")
    assert step(bundle)[0] == "flat"
    assert trained(bundle)["rank_zones"] == []
    with pytest.raises(InfeasiblePlan, match="which is not once per zone"):
        deployed(asked(wide, method="hierarchical"), framework, "ssh")


@pytest.mark.parametrize(("dp_shard", "method"), [(2, "hierarchical"), (4, "flat")])
def test_shard_groups_that_fill_zones_sum_once_per_zone_by_themselves(wide, deployed, dp_shard, method) -> None:
    plan = {**wide["plan"], "shard": "parameters", "dp_shard": dp_shard}
    bundle = deployed({**wide, "plan": plan}, "fsdp")
    assert step(bundle)[0] == method
    assert trained(bundle)["rank_zones"] == []


def test_stages_in_zones_of_their_own_sum_nothing_between_them(wide, deployed) -> None:
    stages = [{"num_layers": 2, "zone": zone} for zone in ("zone0", "zone1")]
    assert step(deployed({**wide, "plan": {"stages": stages, "dp": 2}}, "deepspeed"))[0] == "hierarchical"


def test_a_saved_plan_keeps_its_sum(wide) -> None:
    problem = service.read({**wide, "framework": {"name": "ddp"}})
    plan = service.predict(problem).plan
    assert plan.sync.method == "hierarchical"
    for method in ("hierarchical", "flat"):
        saved = dataclasses.replace(plan, sync=dataclasses.replace(plan.sync, method=method))
        bundle = service.deploy(problem, framework="ddp", backend="bare", plan=saved, num_steps=10, checkpoints="none")
        assert step(bundle)[0] == method


def test_a_program_of_ones_own_sums_flat_unless_the_job_says_otherwise(wide, deployed) -> None:
    own, ours = deployed(wide, entry_text="pass\n"), deployed(wide)
    assert step(own)[0] == "flat"
    (sentence,) = told(own)
    assert "entry.py is taken to sum gradients over all ranks of all zones at once" in sentence
    assert step(own)[1] > step(ours)[1]
    (other,) = told(deployed(asked(wide, method="hierarchical"), entry_text="pass\n"))
    assert "entry.py must do so itself" in other
    numbers = [part.split(" a step")[0].split()[-2:] for part in (sentence, other)]
    assert " ".join(numbers[0]) in other
    assert " ".join(numbers[1]) in sentence


def test_gradients_cross_zones_in_the_format_of_the_plan(wide, deployed) -> None:
    job = {**asked(wide, codecs={"gradients": "bf16"}), "constraints": {"allow": ["compression"]}}
    bundle = deployed(job)
    assert trained(bundle)["zone_codec"] == "bf16"
    assert step(bundle)[1] < step(deployed(wide))[1]
    shared = {**job, "plan": {**job["plan"], "shard": "parameters", "dp_shard": 2}}
    assert trained(deployed(shared, "fsdp"))["dtypes"]["gradient_reduction"] == "bf16"
    job = {**asked(wide, codecs={"gradients": "topk_64"}), "constraints": {"allow": ["compression"]}}
    with pytest.raises(InfeasiblePlan, match=r"no renderer for codecs \(gradients=topk_64\) yet"):
        deployed(job)
