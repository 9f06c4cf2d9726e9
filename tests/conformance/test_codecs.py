"""Every codec: what it says of itself, and that it never sends more than it was given."""

import numpy as np
import pytest

from crosszone.core.plan import STREAMS
from crosszone.cost.codecs import Codec, codec, codec_names
from crosszone.cost.codecs.content import Content

MATRICES = ((4096.0, 4096.0, 2.0), (4096.0, 14336.0, 3.0), (64.0, 2.0, 10.0))
SIZE = sum(rows * columns * count for rows, columns, count in MATRICES) + 4096.0
NAMES = (*codec_names(), "powersgd_rank_1", "powersgd_rank_128", "topk_1", "topk_1000")


@pytest.fixture(params=NAMES)
def one(request: pytest.FixtureRequest) -> Codec:
    found = codec(request.param)
    assert found is not None
    return found


def content(element_bytes: float = 4.0, *, elements: float = SIZE, slices: float = 1.0) -> Content:
    return Content(num_elements=elements, element_bytes=element_bytes, matrices=MATRICES, num_slices=slices)


def test_it_says_what_it_does(one: Codec) -> None:
    assert one.module.__doc__
    assert set(one.streams) <= set(STREAMS)
    assert one.streams
    assert one.effect
    assert one.source
    assert one.num_rounds >= 1


def test_only_none_changes_nothing(one: Codec) -> None:
    assert one.changes_mathematics == (one.name != "none")
    assert one.effect.startswith("none") == (one.name == "none")


@pytest.mark.parametrize("element_bytes", [2.0, 4.0])
@pytest.mark.parametrize("slices", [1.0, 8.0])
@pytest.mark.parametrize("elements", [1.0, 1e3, SIZE])
def test_it_never_sends_more_than_it_was_given(
    one: Codec, element_bytes: float, slices: float, elements: float
) -> None:
    packed = one.encoded(content(element_bytes, elements=elements, slices=slices))
    assert 0.0 < packed.wire_bytes <= elements * element_bytes * (1 + 1e-9)
    assert min(packed.traffic_bytes, packed.product_flop, packed.state_bytes) >= 0.0


def test_packing_takes_memory_traffic(one: Codec) -> None:
    packed = one.encoded(content())
    assert (packed.traffic_bytes > 0.0) == one.changes_mathematics
    assert packed.traffic_bytes == 0.0 or packed.traffic_bytes >= SIZE * 4.0


def test_arrays_give_what_numbers_give(one: Codec) -> None:
    sizes = np.array([1e6, 1e8])
    together = one.encoded(content(elements=sizes))  # type: ignore[arg-type]
    alone = [float(one.encoded(content(elements=float(size))).wire_bytes) for size in sizes]
    assert together.wire_bytes.tolist() == pytest.approx(alone)
