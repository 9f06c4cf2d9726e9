"""Clients of the LLM Training Calculator: their names, our figures."""

from __future__ import annotations

import pytest

from crosszone import service

PATH = "/api/v1/calculator"
SHAPE = {
    "token_length": 2048,
    "num_attention_heads": 32,
    "hidden_layer_size": 4096,
    "num_layers": 32,
    "vocab_size": 32000,
}
PLAN = {"tensor_parallel_degree": 2, "pipeline_parallel_degree": 2, "data_parallel_degree": 2, "minibatch_size": 8}
NODES = [{"count": 1, "gpu": "a100", "gpus_per_node": 8, "network": "200 Gbit/s"}]
KNOWN = {"gpu": "a100", "model": "llama-2-7b", **PLAN}


def test_parameters_add_up_to_what_the_framework_counts(post):
    found = post(f"{PATH}/parameter_metrics", {"model": "llama-2-7b"}).json()
    parts = found["parameter"]
    assert parts["total_parameters"] == 6_738_415_616  # as published for LLaMA2-7B
    assert parts["self_attention"] == 32 * 4 * 4096**2
    assert parts["feed_forward"] == 32 * 3 * 4096 * 11008
    assert sum(parts.values()) == 2 * parts["total_parameters"]
    assert found["assumed"] == []


def test_a_calculation_is_the_prediction_of_the_same_job(post):
    body = {**KNOWN, "optimization_strategy": "Full recomputation", "token_length": 4096}
    found = post(f"{PATH}/calculate", {**body, "number_of_input_tokens": "10B"}).json()
    job = {
        "model": "llama-2-7b",
        "workload": {"sequence_length": 4096, "global_batch_size": 16, "dataset": {"tokens": "10B"}, "epochs": 1},
        "cluster": {"zones": [{"name": "zone-1", "nodes": NODES}]},
        "framework": {"name": "megatron"},
        "plan": {"tp": 2, "pp": 2, "dp": 2, "microbatch_size": 1, "recompute": "full"},
    }
    expected = service.predict(service.read(job)).prediction
    assert found["total_time"] == {
        "total_number_of_gpus": 8,
        "global_minibatch_size": 16,
        "per_iter_training_seconds": expected.step_seconds,
        "total_number_of_iters": -(-10_000_000_000 // (16 * 4096)),
        "total_training_seconds": expected.train_seconds,
    }
    assert found["memory_usage"]["total_bytes"] == max(stage.total_bytes for stage in expected.memory.stages)
    assert found["memory_usage"]["fits"] is True


def test_a_recommendation_keeps_what_is_decided_and_fits(post):
    body = {"gpu": "a100-sxm4-80gb", "model": SHAPE, "total_number_of_gpus": 16, "minibatch_size": 4}
    found = post(f"{PATH}/recommended_pipeline", {**body, "tensor_parallel_degree": 4}).json()
    degrees = [found[f"{name}_parallel_degree"] for name in ("tensor", "pipeline", "data")]
    assert degrees[0] == 4
    assert degrees[0] * degrees[1] * degrees[2] == 16
    assert any(text.startswith("ffn_size: ") for text in found["assumed"])


def test_that_nothing_fits_is_told(post):
    body = {"gpu": "rtx-3090-24gb", "model": "llama-3.1-405b", "total_number_of_gpus": 1}
    response = post(f"{PATH}/recommended_tensor", body)
    assert (response.status_code, response.json()["type"]) == (422, "urn:crosszone:problem:infeasible")


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({}, {"missing_key"}),
        ({**KNOWN, "totoal_number_of_gpus": 8}, {"unknown_key"}),
        ({**KNOWN, "optimization_strategy": "Half"}, {"unknown_name"}),
        ({**KNOWN, "minibatch_size": 0}, {"out_of_range"}),
        ({**KNOWN, "data_parallel_degree": 16384}, {"out_of_range"}),
        ({**KNOWN, "model": None}, {"wrong_type"}),
    ],
)
def test_what_is_wrong_is_a_problem_and_never_a_mistake_of_ours(post, body, codes):
    response = post(f"{PATH}/calculate", body)
    assert response.status_code == 422
    assert {each["code"] for each in response.json()["errors"]} == codes


@pytest.mark.parametrize(
    "model",
    [
        {"token_length": 2048},
        {**SHAPE, "hidden_layer_size": "x"},
        {**SHAPE, "hidden_layer_size": True},
        {**SHAPE, "vocab_size": None},
        {**SHAPE, "token_length": -1},
        {"parameters": "7B", "token_length": 1},
        {},
    ],
)
def test_odd_shapes_are_problems(post, model):
    assert post(f"{PATH}/parameter_metrics", {"model": model}).status_code in (200, 422)
    assert post(f"{PATH}/calculate", {**KNOWN, "model": model}).status_code in (200, 422)
