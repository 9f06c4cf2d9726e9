"""Bytes and rounds of an exchange between zones."""

import numpy as np
import pytest

from crosszone.cost.traffic import boundary_bytes, ring_link_bytes

GRADIENT = 14e9


def ring_bytes(
    num_zones: int, *, num_ranks: int = 32, is_flat: bool = False, reduced: float = GRADIENT, half: float = 0.0
):
    return float(
        ring_link_bytes(
            num_zones=num_zones,
            num_ranks=num_ranks,
            is_flat=np.array(is_flat),
            all_reduce_bytes=reduced,
            half_bytes=half,
        )
    )


def test_a_boundary_carries_the_hidden_states_of_a_microbatch() -> None:
    # Two sequences of 4096 tokens, 8192 elements of 2 bytes each: 134 MB.
    assert float(boundary_bytes(2, 4096, 8192, 2.0)) == 2 * 4096 * 8192 * 2
    assert boundary_bytes(np.array([1, 4]), 10, 10, 2.0).tolist() == [200.0, 800.0]


@pytest.mark.parametrize("zones", [2, 3, 5])
def test_once_per_zone_moves_two_shares_of_the_gradient(zones: int) -> None:
    # Thakur et al. 2005, sec. 4.4: 2(Z-1)/Z over each link of the ring, however many GPUs the zones have.
    assert ring_bytes(zones) == pytest.approx(2 * (zones - 1) / zones * GRADIENT)
    assert ring_bytes(zones, num_ranks=4096) == ring_bytes(zones)


def test_a_flat_ring_moves_nearly_twice_the_gradient() -> None:
    assert ring_bytes(2, num_ranks=8, is_flat=True) == pytest.approx(2 * 7 / 8 * GRADIENT)
    assert ring_bytes(2, num_ranks=1000, is_flat=True) > ring_bytes(2)


def test_a_flat_ring_of_one_rank_per_zone_is_the_hierarchical_one() -> None:
    assert ring_bytes(3, num_ranks=3, is_flat=True) == ring_bytes(3)


def test_a_gather_or_a_scatter_is_half_an_all_reduce() -> None:
    assert ring_bytes(2, reduced=0.0, half=GRADIENT) == pytest.approx(ring_bytes(2) / 2)
    assert ring_bytes(4, reduced=GRADIENT, half=2 * GRADIENT) == pytest.approx(2 * ring_bytes(4))


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize("zones", [0, 1])
def test_one_zone_sends_nothing(zones: int, is_flat: bool) -> None:
    assert ring_bytes(zones, is_flat=is_flat, half=GRADIENT) == 0.0


def test_columns_broadcast() -> None:
    rows = ring_link_bytes(
        num_zones=np.array([1, 2, 4]),
        num_ranks=np.array([8, 8, 8]),
        is_flat=np.array([False, True, False]),
        all_reduce_bytes=8.0,
        half_bytes=0.0,
    )
    assert rows.tolist() == [0.0, 14.0, 12.0]
