"""Zones that step by themselves: what is planned is what our trainer is told, and what it cannot do is refused."""

import json
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.errors import InfeasiblePlan


@pytest.fixture
def uneven(job: dict[str, Any]) -> dict[str, Any]:
    """Zones of two and one node of two ranks each."""
    job["cluster"]["zones"][0]["nodes"][0] |= {"gpus_per_node": 4}
    job["cluster"]["zones"][1]["nodes"][0] |= {"gpus_per_node": 2}
    job["model"] |= {"num_layers": 7}
    job["workload"]["global_batch_size"] = 12
    job["plan"] = {"dp": 6, "pp": 1, "microbatch_size": 1, "sync": {"method": "diloco", "every": 10}}
    return job | {"constraints": {"allow": ["local_sgd"]}}


def trained(bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle.text("configs/train.json"))
    return found


def synced(job: dict[str, Any], **sync: Any) -> dict[str, Any]:
    return {**job, "plan": {**job["plan"], "sync": sync}}


def test_the_trainer_is_told_the_way_and_its_constants(uneven, deployed) -> None:
    told = trained(deployed(uneven))
    assert sorted(told["rank_zones"]) == [0, 0, 0, 0, 1, 1]
    assert told["zone_codec"] is None
    assert told["local"] == {
        "every": 10,
        "num_fragments": 1,
        "num_delay_steps": 0,
        "outer_learning_rate": 0.7,
        "outer_momentum": 0.9,
        "own_fraction": 0.0,
    }
    mean = trained(deployed(synced(uneven, method="local_sgd", every=8)))["local"]
    assert (mean["every"], mean["outer_learning_rate"], mean["outer_momentum"]) == (8, 1.0, 0.0)
    streamed = trained(deployed(synced(uneven, method="streaming_diloco", every=30)))["local"]
    assert (streamed["num_fragments"], streamed["num_delay_steps"], streamed["own_fraction"]) == (3, 1, 0.5)


def test_changes_of_the_weights_are_packed_as_planned(uneven, deployed) -> None:
    job = synced(uneven, method="diloco", every=10, codecs={"pseudogradients": "int4"})
    told = trained(deployed(job | {"constraints": {"allow": ["local_sgd", "compression"]}}))
    assert told["zone_codec"] == "int4"


def test_shards_stay_in_a_zone(uneven, deployed) -> None:
    shared = {**uneven, "plan": {**uneven["plan"], "shard": "parameters", "dp_shard": 2}}
    told = trained(deployed(shared, "fsdp"))
    assert told["dp_shard"] == 2
    assert told["local"]["every"] == 10
    shared["plan"]["dp_shard"] = 3
    with pytest.raises(InfeasiblePlan, match="dp_shard=3"):
        deployed(shared, "fsdp")


def test_a_checkpoint_is_saved_where_zones_have_just_met(uneven, deployed) -> None:
    told = trained(deployed(uneven, checkpoints="/shared/checkpoints"))
    often = trained(deployed(synced(uneven, method="hierarchical"), checkpoints="/shared/checkpoints"))
    assert told["checkpoint"]["every_steps"] % 10 == 0
    limits = (each["timeouts"]["collective_seconds"] for each in (told, often))
    assert next(limits) >= next(limits)


def test_torchtitan_says_who_can(uneven) -> None:
    problem = service.read({**uneven, "plan": {**uneven["plan"], "shard": "parameters", "dp_shard": 2}})
    with pytest.raises(InfeasiblePlan, match=r"torchtitan cannot do sync\.method=diloco\..* or take ddp or fsdp"):
        service.deploy(problem, framework="torchtitan", backend="bare", num_steps=10, checkpoints="none")


def test_each_zone_is_told_what_it_does_otherwise(uneven, deployed) -> None:
    first = {"microbatch_size": 2, "dp_shard": 4, "shard": "gradients"}
    second = {"recompute": "full", "recompute_layers": 3}
    zones = [zone["name"] for zone in uneven["cluster"]["zones"]]
    uneven["plan"] = {
        "microbatch_size": 1, "shard": "parameters", "dp_shard": 2, "sync": {"method": "diloco", "every": 10},
        "replicas": [
            {"zones": [zones[0]], "num_replicas": 4, "num_microbatches": 1, "own": first},
            {"zones": [zones[1]], "num_replicas": 2, "num_microbatches": 2, "own": second},
        ],
    }  # fmt: skip
    bundle = deployed(uneven, "fsdp")
    told = trained(bundle)
    assert told["rank_zones"] == [0, 0, 0, 0, 1, 1]
    assert told["rank_microbatches"] == [1, 1, 1, 1, 2, 2]
    common = {"shard": "parameters", "recompute": "none", "recomputed_layers": None}
    assert told["own"] == [
        common | first,
        common | {"microbatch_size": 1, "dp_shard": 2, "recompute": "full", "recomputed_layers": [0, 1, 2]},
    ]
    assert "configs/fsdp_config.py" not in [file.path for file in bundle.files]
