"""What single codecs send, compute and keep, by hand."""

import pytest

from crosszone.cost.codecs import codec, codec_names
from crosszone.cost.codecs.content import Content, Encoded

SQUARE = Content(num_elements=1e6, element_bytes=4.0, matrices=((1000.0, 1000.0, 1.0),))


def packed(name: str, content: Content = SQUARE) -> Encoded:
    found = codec(name)
    assert found is not None
    return found.encoded(content)


def test_names() -> None:
    assert codec_names() == ("bf16", "fp16", "int4", "int8_block", "none", "powersgd_rank_4", "topk_64")


@pytest.mark.parametrize("name", ["gzip", "int8_block_4", "powersgd_rank_0", "powersgd_rank_x", "topk_", ""])
def test_what_is_no_codec(name: str) -> None:
    assert codec(name) is None


def test_a_number_may_be_left_out() -> None:
    assert packed("powersgd_rank").wire_bytes == packed("powersgd_rank_4").wire_bytes


@pytest.mark.parametrize(
    ("name", "wire_bytes"),
    [
        ("none", 4e6),
        ("bf16", 2e6),
        ("fp16", 2e6),
        ("int8_block", 1e6 * (1 + 4 / 256)),
        ("int4", 1e6 * (0.5 + 4 / 256)),
        ("powersgd_rank_2", 2 * 2000 * 4),
        ("topk_100", 1e4 * 8),
    ],
)
def test_what_is_sent(name: str, wire_bytes: float) -> None:
    assert packed(name).wire_bytes == pytest.approx(wire_bytes)


def test_narrow_streams_are_left_alone() -> None:
    narrow = Content(num_elements=1e6, element_bytes=2.0)
    assert packed("bf16", narrow).wire_bytes == 2e6
    assert packed("bf16", narrow).traffic_bytes == 0.0
    assert packed("int8_block", narrow).wire_bytes < 2e6


def test_each_tensor_parallel_rank_packs_its_own_slice() -> None:
    sliced = Content(num_elements=1e6, element_bytes=4.0, matrices=((1000.0, 1000.0, 1.0),), num_slices=4.0)
    assert packed("powersgd_rank_2", sliced).wire_bytes == 2 * (1000 + 250) * 4 * 4


def test_vectors_stay_whole() -> None:
    with_vectors = Content(num_elements=1e6 + 500, element_bytes=4.0, matrices=((1000.0, 1000.0, 1.0),))
    assert packed("powersgd_rank_2", with_vectors).wire_bytes == 2 * 2000 * 4 + 500 * 4


def test_a_matrix_that_would_grow_stays_whole() -> None:
    assert packed("powersgd_rank_500").wire_bytes == 4e6
    assert packed("powersgd_rank_500").product_flop == 0.0


def test_powersgd_multiplies_three_times_and_sums_twice() -> None:
    assert packed("powersgd_rank_2").product_flop == 6 * 2 * 1e6
    found = codec("powersgd_rank_2")
    assert found is not None
    assert found.num_rounds == 2


def test_error_feedback_is_kept() -> None:
    assert packed("topk_64").state_bytes == 4e6
    assert packed("powersgd_rank_2").state_bytes == 4e6 + 2 * 1000 * 4
    assert packed("int8_block").state_bytes == 0.0


def test_top_k_is_gathered_not_added() -> None:
    found = codec("topk_64")
    assert found is not None
    assert not found.is_summable
    assert "activations" not in found.streams
