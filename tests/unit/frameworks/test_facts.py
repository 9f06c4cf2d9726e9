"""Named numbers of frameworks, each against the code or paper that it is read from."""

import pytest

from crosszone.errors import UnknownName
from crosszone.frameworks import framework_facts


@pytest.mark.parametrize(
    ("name", "gradient_bucket_bytes"),
    [
        ("ddp", 25 * 2**20),  # bucket_cap_mb
        ("horovod", 128 * 2**20),  # HOROVOD_FUSION_THRESHOLD since 0.21
        ("deepspeed", 5e8 * 2),  # reduce_bucket_size, 2-byte elements
        ("megatron", 40e6 * 4),  # 40e6 fp32 elements up to dp=40
    ],
)
def test_default_buckets(name: str, gradient_bucket_bytes: float) -> None:
    assert framework_facts(name).gradient_bucket_bytes == gradient_bucket_bytes


def test_who_keeps_fp32_weights_in_place_of_a_second_copy() -> None:
    keeps = {name: framework_facts(name).weights_are_master for name in ("ddp", "fsdp", "torchtitan", "horovod")}
    assert all(value is True for value in keeps.values())
    assert framework_facts("megatron").weights_are_master is False
    assert framework_facts("deepspeed").weights_are_master is False


def test_fused_kernels_move_fewer_bytes_than_compiled_ones_and_these_fewer_than_eager_ones() -> None:
    factors = [framework_facts(name).elementwise_factor for name in ("megatron", "torchtitan", "fsdp")]
    assert factors == [0.85, 0.9, 1.04]


def test_megatrons_vocabulary_parallel_loss_works_in_place() -> None:
    """4 (fp32 copy, softmax and gradient in one) + 2 (bf16 logits, then bf16 gradient), against torch's 14."""
    assert framework_facts("megatron").logit_bytes == 6
    assert framework_facts("fsdp").logit_bytes == 14


@pytest.mark.parametrize(
    ("name", "one", "several"), [("megatron", False, True), ("torchtitan", False, True), ("deepspeed", False, False)]
)
def test_who_posts_receives_before_they_are_needed(name: str, one: bool, several: bool) -> None:
    """Nobody with one stage a rank; with several who does so right after another piece of work."""
    facts = framework_facts(name)
    assert (facts.receives_early, facts.virtual_receives_early) == (one, several)


def test_the_source_of_a_number_is_at_hand() -> None:
    facts = framework_facts("megatron")
    assert "cross_entropy.py" in facts.source("logit_bytes")
    assert "distributed_data_parallel.py" in facts.source("gradient_bucket_bytes")
    assert "0004-memory-model" in facts.source("context_bytes")
    assert facts.source("title") == ""


def test_an_unknown_framework_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="torchtitan"):
        framework_facts("torchtitian")
