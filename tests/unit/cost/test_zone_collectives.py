"""Agreement between zones: bytes on each link, rounds, slow start, and the best bucket."""

import numpy as np
import pytest

from crosszone.cost.network import slow_start_seconds
from crosszone.cost.zone_collectives import (
    ExchangeLinks,
    best_bucket_bytes,
    direct_exchange,
    ring_exchange,
    tree_exchange,
)

GRADIENT = 6e9
ONCE = np.array(False)


def links(rates: list[float], *, latency: float = 0.0, jitter: float = 0.0, num_flows: int = 8) -> ExchangeLinks:
    count = len(rates)
    return ExchangeLinks(
        bytes_per_second=np.array(rates),
        latency_seconds=np.full(count, latency),
        jitter_seconds=np.full(count, jitter),
        num_flows=num_flows,
    )


def test_a_ring_is_as_fast_as_its_slowest_link() -> None:
    found = ring_exchange(links([1e9, 2e9, 0.5e9]), num_zones=3, num_ranks=24, is_flat=ONCE, all_reduce_bytes=GRADIENT)
    assert float(found.link_bytes) == pytest.approx(2 * 2 / 3 * GRADIENT)
    assert float(found.seconds) == pytest.approx(8e9 / 0.5e9)


def test_a_flat_ring_waits_where_it_crosses_and_not_at_every_rank() -> None:
    far = links([1e9, 1e9], latency=0.01)
    flat, once = (
        ring_exchange(
            far, num_zones=2, num_ranks=16, is_flat=np.array(is_flat), all_reduce_bytes=GRADIENT, is_warm=True
        )
        for is_flat in (True, False)
    )
    assert float(flat.latency_seconds) == pytest.approx(4 * 0.01)
    assert float(once.latency_seconds) == pytest.approx(2 * 0.01)
    assert float(flat.link_bytes) == pytest.approx(2 * 15 / 16 * GRADIENT)


def test_a_tree_moves_all_of_it_up_and_down_at_once() -> None:
    found = tree_exchange(
        links([1e9, 1e9, 2e9, 2e9], latency=0.02), num_levels=2, all_reduce_bytes=GRADIENT, is_warm=True
    )
    assert float(found.link_bytes) == GRADIENT
    assert float(found.transfer_seconds) == pytest.approx(GRADIENT / 1e9)
    assert float(found.latency_seconds) == pytest.approx(4 * 0.02)


def test_direct_exchange_has_two_rounds() -> None:
    found = direct_exchange(links([1e9] * 12, latency=0.02), num_zones=4, all_reduce_bytes=GRADIENT, is_warm=True)
    assert float(found.link_bytes) == pytest.approx(2 * GRADIENT / 4)
    assert float(found.seconds) == pytest.approx(GRADIENT / 2 / 1e9 + 2 * 0.02)


def test_all_zones_send_as_much_in_all_on_a_ring_and_directly() -> None:
    # Both send 2(Z-1)/Z of the gradient from every zone; a tree sends as much over its Z-1 edges.
    for zones in (2, 3, 5):
        ring = ring_exchange(
            links([1e9] * zones), num_zones=zones, num_ranks=8, is_flat=ONCE, all_reduce_bytes=GRADIENT
        )
        direct = direct_exchange(links([1e9] * zones * (zones - 1)), num_zones=zones, all_reduce_bytes=GRADIENT)
        tree = tree_exchange(links([1e9] * 2 * (zones - 1)), num_levels=1, all_reduce_bytes=GRADIENT)
        total = float(ring.link_bytes) * zones
        assert float(direct.link_bytes) * zones * (zones - 1) == pytest.approx(total)
        assert float(tree.link_bytes) * 2 * (zones - 1) == pytest.approx(total)


def test_two_zones_are_alike_whatever_the_algorithm() -> None:
    pair = links([1e9, 3e8], latency=0.03, jitter=0.001)
    ring = ring_exchange(pair, num_zones=2, num_ranks=8, is_flat=ONCE, all_reduce_bytes=GRADIENT, half_bytes=1e9)
    direct = direct_exchange(pair, num_zones=2, all_reduce_bytes=GRADIENT, half_bytes=1e9)
    tree = tree_exchange(pair, num_levels=1, all_reduce_bytes=GRADIENT)
    plain = ring_exchange(pair, num_zones=2, num_ranks=2, is_flat=np.array(True), all_reduce_bytes=GRADIENT)
    assert float(ring.seconds) == pytest.approx(float(direct.seconds))
    assert float(tree.seconds) == pytest.approx(float(plain.seconds))


def test_a_scatter_is_half() -> None:
    whole = direct_exchange(links([1e9] * 6), num_zones=3, all_reduce_bytes=GRADIENT)
    half = direct_exchange(links([1e9] * 6), num_zones=3, all_reduce_bytes=0.0, half_bytes=GRADIENT)
    assert float(half.link_bytes) == pytest.approx(float(whole.link_bytes) / 2)


def test_idle_connections_start_slowly_once() -> None:
    far = links([1e9, 1e9], latency=0.05)
    start = float(slow_start_seconds(GRADIENT, bytes_per_second=1e9, rtt_seconds=0.1, num_flows=8))
    assert start > 0.3
    cold, warm = (
        ring_exchange(far, num_zones=2, num_ranks=2, is_flat=ONCE, all_reduce_bytes=GRADIENT, is_warm=is_warm)
        for is_warm in (False, True)
    )
    assert float(cold.transfer_seconds - warm.transfer_seconds) == pytest.approx(start)


def test_rounds_wait_for_the_most_delayed_hop() -> None:
    # Two hops: half the deviation above the mean; the round trip's 2 ms are 1.41 ms one way.
    found = ring_exchange(
        links([1e9, 1e9], latency=0.01, jitter=0.002), num_zones=2, num_ranks=2, is_flat=ONCE, all_reduce_bytes=0.0
    )
    assert float(found.latency_seconds) == pytest.approx(2 * (0.01 + 0.5 * 0.002 / 2**0.5))


def test_columns() -> None:
    found = ring_exchange(
        ExchangeLinks(
            bytes_per_second=np.array([[1e9, 1e9], [1e9, 5e8]]),
            latency_seconds=np.array([0.01, 0.02]),
            jitter_seconds=np.zeros(2),
            num_flows=np.array([8, 16]),
        ),
        num_zones=np.array([2, 2]),
        num_ranks=np.array([8, 8]),
        is_flat=np.array([False, True]),
        all_reduce_bytes=np.array([1e9, 1e9]),
        is_warm=np.array([True, True]),
    )
    assert found.link_bytes.tolist() == pytest.approx([1e9, 1.75e9])
    assert found.transfer_seconds.tolist() == pytest.approx([1.0, 3.5])
    assert found.latency_seconds.tolist() == pytest.approx([0.04, 0.08])


def test_best_bucket_leaves_least_exposed() -> None:
    size, rate, start = 1e9, 1.25e9, 0.03
    best = float(best_bucket_bytes(size, bytes_per_second=rate, bucket_seconds=start))
    assert best == pytest.approx((size * rate * start) ** 0.5)

    def exposed(bucket: float) -> float:
        return bucket / rate + size / bucket * start

    assert all(exposed(best) <= exposed(best * factor) for factor in (0.5, 0.9, 1.1, 2.0))
    assert float(best_bucket_bytes(size, bytes_per_second=1e12, bucket_seconds=10.0)) == size
