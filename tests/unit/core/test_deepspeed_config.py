"""What DeepSpeed would pass over in its configuration, or find out too late."""

import pytest

from crosszone.core.deepspeed_config import config_problems

GOOD = {
    "train_batch_size": 12,
    "train_micro_batch_size_per_gpu": 2,
    "gradient_accumulation_steps": 2,
    "zero_optimization": {"stage": 1},
}


def told(keys: dict, num_replicas: int = 3) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in config_problems(keys, num_replicas=num_replicas)]


def test_a_good_configuration_has_no_problem() -> None:
    assert told(GOOD) == []


def test_a_misspelt_key_is_found_with_the_one_that_was_meant() -> None:
    (problem,) = config_problems({**GOOD, "zero_optimisation": {"stage": 3}}, num_replicas=3)
    assert problem.code == "unknown_key"
    assert problem.where == "ds_config.json: zero_optimisation"
    assert 'Did you mean "zero_optimization"' in problem.hint


def test_a_key_whose_feature_is_gone_is_unknown() -> None:
    assert told({**GOOD, "elasticity": {}}) == [("unknown_key", "ds_config.json: elasticity")]


def test_auto_is_found_wherever_it_stands() -> None:
    keys = {**GOOD, "zero_optimization": {"stage": 3, "reduce_bucket_size": "auto"}, "gradient_clipping": "auto"}
    assert told(keys) == [
        ("auto", "ds_config.json: zero_optimization.reduce_bucket_size"),
        ("auto", "ds_config.json: gradient_clipping"),
    ]


@pytest.mark.parametrize("key", ["train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"])
@pytest.mark.parametrize("value", ["auto", 0, 1.5, True, None])
def test_every_number_of_the_batch_is_needed(key: str, value: object) -> None:
    assert told({**GOOD, key: value}) == [("wrong_batch", f"ds_config.json: {key}")]


def test_the_batch_is_microbatch_times_accumulation_times_ranks() -> None:
    (problem,) = config_problems(GOOD, num_replicas=4)
    assert problem.code == "batch_identity"
    assert "12 is not" in problem.message
    assert "2 x 2 x 4" in problem.message
