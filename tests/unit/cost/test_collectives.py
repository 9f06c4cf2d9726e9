"""Collectives against the textbook's formulas."""

import itertools

import numpy as np
import pytest

from crosszone.cost.collectives import (
    Path,
    all_gather_seconds,
    all_reduce_seconds,
    all_to_all_seconds,
)

COLLECTIVES = [all_gather_seconds, all_reduce_seconds, all_to_all_seconds]
ONE_GIGA = 1e9


def path(**changes: float) -> Path:
    numbers = {
        "fabric_bytes_per_second": 100e9,
        "network_bytes_per_second": 10e9,
        "fabric_latency_seconds": 0.0,
        "network_latency_seconds": 0.0,
    }
    return Path(**{**numbers, **changes})


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_one_rank_exchanges_nothing(collective) -> None:
    slow = path(fabric_latency_seconds=1.0, network_latency_seconds=1.0)
    assert float(collective(1, 1, ONE_GIGA, slow)) == 0.0
    assert float(collective(1, 8, ONE_GIGA, slow)) == 0.0


@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_ring_inside_a_fabric(n: int) -> None:
    # Thakur et al. 2005, sec. 4.1 and 4.4: (n-1)/n of the message, for an all-reduce twice.
    once = (n - 1) / n * ONE_GIGA / 100e9
    assert float(all_gather_seconds(n, n, ONE_GIGA, path())) == pytest.approx(once)
    assert float(all_reduce_seconds(n, n, ONE_GIGA, path())) == pytest.approx(2 * once)


@pytest.mark.parametrize("q", [2, 4, 16])
def test_a_ring_of_single_gpus_over_the_network(q: int) -> None:
    once = (q - 1) / q * ONE_GIGA / 10e9
    assert float(all_gather_seconds(q, 1, ONE_GIGA, path())) == pytest.approx(once)
    assert float(all_reduce_seconds(q, 1, ONE_GIGA, path())) == pytest.approx(2 * once)


def test_the_ranks_of_a_node_carry_its_traffic_together() -> None:
    # 4 nodes of 8: 31/32 GB must reach each node, over 8 shares of 10 GB/s; the fabric at 100 GB/s is no slower.
    assert float(all_gather_seconds(32, 8, ONE_GIGA, path())) == pytest.approx(31 / 32 * ONE_GIGA / 80e9)
    # With a fast network the fabric binds.
    fast = path(network_bytes_per_second=100e9)
    assert float(all_gather_seconds(32, 8, ONE_GIGA, fast)) == pytest.approx(31 / 32 * ONE_GIGA / 100e9)


def test_latency_counts_rounds() -> None:
    slow = path(fabric_latency_seconds=1.0, network_latency_seconds=100.0)
    # Inside a fabric one round for every doubling.
    assert float(all_gather_seconds(8, 8, 0.0, slow)) == 3.0
    assert float(all_gather_seconds(5, 8, 0.0, slow)) == 3.0
    # A gather goes around the ring of 16 nodes, an all-reduce up and down a tree of them.
    assert float(all_gather_seconds(128, 8, 0.0, slow)) == 3.0 + 15 * 100.0
    assert float(all_reduce_seconds(128, 8, 0.0, slow)) == 2 * (3.0 + 4 * 100.0)


def test_all_to_all_sends_each_other_rank_its_part() -> None:
    # In a fabric of n: (n-1)/n of the message.
    assert float(all_to_all_seconds(8, 8, ONE_GIGA, path())) == pytest.approx(7 / 8 * ONE_GIGA / 100e9)
    # 4 domains of 8: 24/32 leave the domain, each rank over its own share of the network.
    assert float(all_to_all_seconds(32, 8, ONE_GIGA, path())) == pytest.approx(24 / 32 * ONE_GIGA / 10e9)
    slow = path(fabric_latency_seconds=1.0, network_latency_seconds=100.0)
    assert float(all_to_all_seconds(8, 8, 0.0, slow)) == 1.0
    assert float(all_to_all_seconds(32, 8, 0.0, slow)) == 100.0


def test_all_to_all_moves_less_than_all_gather_of_the_same_message() -> None:
    assert all_to_all_seconds(16, 8, ONE_GIGA, path()) <= 8 * all_gather_seconds(16, 8, ONE_GIGA, path())


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_more_of_anything_good_is_never_slower(collective) -> None:
    for name in ("fabric_bytes_per_second", "network_bytes_per_second"):
        spans = [float(collective(32, 8, ONE_GIGA, path(**{name: rate}))) for rate in np.geomspace(1e9, 1e12, 13)]
        assert all(after <= before for before, after in itertools.pairwise(spans))
    for name in ("fabric_latency_seconds", "network_latency_seconds"):
        spans = [float(collective(32, 8, ONE_GIGA, path(**{name: delay}))) for delay in (0.0, 1e-6, 1e-3)]
        assert spans == sorted(spans)


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_more_bytes_are_never_faster(collective) -> None:
    spans = [float(collective(16, 8, size, path(fabric_latency_seconds=1e-6))) for size in (0.0, 1.0, 1e3, 1e6, 1e9)]
    assert spans == sorted(spans)


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_a_larger_domain_is_never_slower(collective) -> None:
    spans = [float(collective(64, r, ONE_GIGA, path())) for r in (1, 2, 4, 8, 16, 32, 64)]
    assert spans == sorted(spans, reverse=True)


def test_columns_broadcast() -> None:
    rows = all_reduce_seconds(np.array([1, 8, 32]), np.array([8, 8, 8]), ONE_GIGA, path())
    assert rows.tolist() == [float(all_reduce_seconds(n, 8, ONE_GIGA, path())) for n in (1, 8, 32)]
