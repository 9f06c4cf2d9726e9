"""What flows achieve on a zone link: each cap, and the least of them."""

import math

import numpy as np
import pytest

from crosszone.core.cluster import ZoneLink
from crosszone.cost.network import SEGMENT_BYTES, flow_bytes_per_second, link_bytes_per_second


def link(**changes: float | str) -> ZoneLink:
    """One direction with a latency of 50 ms: a round trip of 100 ms."""
    return ZoneLink(**{"from_zone": "a", "to_zone": "b", "latency_seconds": 0.05, **changes})


def rate(of: ZoneLink, num_nodes: int = 1, num_flows: int = 1) -> float:
    return float(link_bytes_per_second(of, num_nodes=num_nodes, num_flows=num_flows))


def test_a_flow_has_one_window_on_the_way() -> None:
    # RFC 7323: 64 KiB over a round trip of 100 ms is 655 360 B/s, as slow a line as any.
    assert flow_bytes_per_second(link(window_bytes=65536.0)) == pytest.approx(655_360.0)
    assert flow_bytes_per_second(link(window_bytes=65536.0, latency_seconds=0.0)) == math.inf


def test_loss_limits_a_flow_as_mathis_1997_says() -> None:
    # MSS/RTT * 1.22/sqrt(p): 1448 B, 0.1 s, one packet in ten thousand lost.
    lossy = link(loss_fraction=1e-4, congestion_control="reno")
    assert flow_bytes_per_second(lossy) == pytest.approx(SEGMENT_BYTES / 0.1 * 1.22 / 0.01)
    worse = link(loss_fraction=4e-4, congestion_control="reno")
    assert flow_bytes_per_second(worse) == pytest.approx(flow_bytes_per_second(lossy) / 2)


def test_bbr_does_not_mind_loss() -> None:
    assert flow_bytes_per_second(link(loss_fraction=1e-2, congestion_control="bbr")) == math.inf
    assert flow_bytes_per_second(link(loss_fraction=1e-2, congestion_control="cubic")) < math.inf


def test_the_least_cap_of_a_flow_counts() -> None:
    caps = {"window_bytes": 1e6, "flow_bytes_per_second": 5e6, "loss_fraction": 1e-6, "congestion_control": "reno"}
    assert flow_bytes_per_second(link(**caps)) == pytest.approx(5e6)
    assert flow_bytes_per_second(link(**{**caps, "flow_bytes_per_second": 50e6})) == pytest.approx(1e7)
    assert flow_bytes_per_second(link(**{**caps, "window_bytes": 1e9, "flow_bytes_per_second": 1e9})) == pytest.approx(
        SEGMENT_BYTES / 0.1 * 1.22 / 1e-3
    )


def test_bandwidth_is_what_all_flows_get_together() -> None:
    for flows in (1, 8, 1000):
        assert rate(link(bytes_per_second=1e9), num_flows=flows) == 1e9


def test_nodes_and_flows_add_up_until_the_path_is_full() -> None:
    capped = link(bytes_per_second=1e9, node_bytes_per_second=3e8, flow_bytes_per_second=1e8)
    assert rate(capped, num_nodes=1, num_flows=1) == 1e8
    assert rate(capped, num_nodes=1, num_flows=8) == 3e8
    assert rate(capped, num_nodes=2, num_flows=8) == 6e8
    assert rate(capped, num_nodes=8, num_flows=64) == 1e9


def test_streams_multiply_flows() -> None:
    slow = link(bytes_per_second=1e9, window_bytes=1e6)
    assert rate(slow) == pytest.approx(1e7)
    assert rate(link(bytes_per_second=1e9, window_bytes=1e6, num_streams=8)) == pytest.approx(8e7)


def test_a_link_of_which_nothing_is_known_has_no_rate() -> None:
    assert math.isnan(rate(link()))
    # A node's cap alone is enough to know.
    assert rate(link(node_bytes_per_second=1e8), num_nodes=4) == 4e8


def test_columns_broadcast() -> None:
    capped = link(bytes_per_second=1e9, flow_bytes_per_second=1e8)
    rows = link_bytes_per_second(capped, num_nodes=np.array([1, 1, 2]), num_flows=np.array([1, 4, 64]))
    assert rows.tolist() == [1e8, 4e8, 1e9]
