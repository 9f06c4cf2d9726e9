"""Predictions for other numbers of GPUs, as bundles carry them."""

import json

import pytest

from crosszone import service
from crosszone.service.scaling import SCALING_PATH, predicted_scaling, scaling_files

GPU = {"gpu": "a100-sxm4-80gb"}


def problem(*nodes: dict, plan: dict, batch: int = 16):
    zones = [{"name": f"zone-{index}", "nodes": [{**GPU, **each}]} for index, each in enumerate(nodes)]
    links = {"default_link": {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}} if len(nodes) > 1 else {}
    return service.read(
        {
            "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
            "workload": {"sequence_length": 32, "global_batch_size": batch, "precision": "fp32"},
            "cluster": {"zones": zones, **links},
            "framework": {"name": "fsdp" if "shard" in plan else "ddp"},
            "plan": {"microbatch_size": 1, **plan},
        }
    )


def test_the_whole_is_the_bundles_own_prediction() -> None:
    asked = problem({"count": 1, "gpus_per_node": 4}, plan={"dp": 4})
    ranked = service.predict(asked)
    strong = predicted_scaling(asked, ranked.plan, "strong")
    assert list(strong) == ["1", "2", "4"]
    assert strong["4"] == ranked.prediction.step_seconds
    assert strong["1"] > strong["2"] > strong["4"]
    weak = predicted_scaling(asked, ranked.plan, "weak")
    assert weak["4"] == ranked.prediction.step_seconds
    assert weak["1"] < strong["1"] / 3


def test_a_second_zone_costs_what_its_link_costs() -> None:
    asked = problem({"count": 1, "gpus_per_node": 2}, {"count": 1, "gpus_per_node": 2}, plan={"dp": 4})
    weak = predicted_scaling(asked, service.predict(asked).plan, "weak")
    assert weak["2"] < 2 * weak["1"]
    assert weak["4"] > 0.02, "there and back takes a round trip"


def test_nodes_are_not_cut_unevenly_and_batches_not_dealt_so() -> None:
    asked = problem({"count": 2, "gpus_per_node": 3}, plan={"dp": 6}, batch=12)
    plan = service.predict(asked).plan
    assert list(predicted_scaling(asked, plan, "strong")) == ["1", "2", "6"]  # 4 is a node and a third
    asked = problem({"count": 1, "gpus_per_node": 3}, plan={"dp": 3}, batch=3)
    plan = service.predict(asked).plan
    assert list(predicted_scaling(asked, plan, "strong")) == ["1", "3"]  # 3 microbatches for 2
    assert list(predicted_scaling(asked, plan, "weak")) == ["1", "2", "3"]


def test_a_plan_that_splits_the_model_has_no_smaller_twin() -> None:
    asked = service.read(
        {
            "model": "llama-2-7b",
            "workload": {"sequence_length": 2048, "global_batch_size": 8, "precision": "bf16"},
            "cluster": {"zones": [{"name": "a", "nodes": [{**GPU, "count": 1, "gpus_per_node": 8}]}]},
            "plan": {"tp": 8, "dp": 1, "microbatch_size": 1},
            "framework": {"name": "megatron"},
        }
    )
    assert scaling_files(asked, service.predict(asked).plan) == {}


@pytest.mark.parametrize(("backend", "has_file"), [("local", True), ("bare", False)])
def test_local_bundles_carry_them(backend, has_file) -> None:
    asked = problem({"count": 1, "gpus_per_node": 2}, plan={"dp": 2})
    bundle = service.deploy(asked, framework="ddp", backend=backend, num_steps=3, checkpoints="none")
    paths = {file.path for file in bundle.files}
    assert (SCALING_PATH in paths) is has_file
    if has_file:
        assert set(json.loads(bundle.text(SCALING_PATH))) == {"strong", "weak"}
        assert SCALING_PATH in json.loads(bundle.text("metadata.json"))["files"]
