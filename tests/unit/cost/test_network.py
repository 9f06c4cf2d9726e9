"""What flows achieve on a zone link: each cap, and the least of them."""

import math

import numpy as np
import pytest

from crosszone.core.cluster import ZoneLink
from crosszone.cost.network import (
    DEFAULT_WINDOW_BYTES,
    INITIAL_WINDOW_BYTES,
    SEGMENT_BYTES,
    best_num_streams,
    flow_bytes_per_second,
    link_bytes_per_second,
    max_min_rates,
    slow_start_seconds,
    slowest_of_seconds,
)


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


def test_cubic_is_the_default_and_beats_reno_on_long_paths() -> None:
    lossy = {"loss_fraction": 1e-5}
    assert flow_bytes_per_second(link(**lossy)) == flow_bytes_per_second(link(**lossy, congestion_control="cubic"))
    assert flow_bytes_per_second(link(**lossy)) > 2 * flow_bytes_per_second(link(**lossy, congestion_control="reno"))


@pytest.mark.parametrize(("rtt_seconds", "measured"), [(0.103, 26.5e6), (0.15, 16.6e6)])
def test_default_window_gives_what_one_stream_reaches(rtt_seconds: float, measured: float) -> None:
    # Erben et al. 2023, text and table 4: 210 Mbit/s from the US to Europe, 133 Mbit/s to Asia.
    assert pytest.approx(measured, rel=0.1) == DEFAULT_WINDOW_BYTES / rtt_seconds


def test_streams_that_fill_a_link() -> None:
    # 10 Gbit/s over 28.6 ms with 2.669 MB windows: 93.3 MB/s a stream, 13.4 streams; two flows share the work.
    one = DEFAULT_WINDOW_BYTES / 0.0286
    assert best_num_streams(cap_bytes_per_second=1.25e9, stream_bytes_per_second=one, num_flows=1) == 14
    assert best_num_streams(cap_bytes_per_second=1.25e9, stream_bytes_per_second=one, num_flows=2) == 7
    assert best_num_streams(cap_bytes_per_second=1.25e9, stream_bytes_per_second=math.inf, num_flows=1) == 1
    exact = best_num_streams(cap_bytes_per_second=np.array([3e6, 3.1e6]), stream_bytes_per_second=1e6, num_flows=1)
    assert exact.tolist() == [3, 4]


class TestMessages:
    def test_cold_message_waits_for_its_window(self) -> None:
        # Rounds of 14480, 28960, 57920 bytes; the pipe holds 100 kB, so that the fourth round is full.
        # Waits: 0.1 - 0.01448, 0.1 - 0.02896, 0.1 - 0.05792, and nothing after them.
        waits = slow_start_seconds(1e6, bytes_per_second=1e6, rtt_seconds=0.1, num_flows=1)
        assert float(waits) == pytest.approx(0.3 - 0.10136)

    def test_message_within_the_initial_window_waits_for_nothing(self) -> None:
        assert slow_start_seconds(INITIAL_WINDOW_BYTES, bytes_per_second=1e9, rtt_seconds=0.1, num_flows=1) == 0.0
        assert slow_start_seconds(0.0, bytes_per_second=1e9, rtt_seconds=0.1, num_flows=1) == 0.0

    def test_each_flow_starts_by_itself(self) -> None:
        one = slow_start_seconds(1e6, bytes_per_second=1e6, rtt_seconds=0.1, num_flows=1)
        eight = slow_start_seconds(8e6, bytes_per_second=8e6, rtt_seconds=0.1, num_flows=8)
        assert float(one) == pytest.approx(float(eight))

    def test_no_round_trip_no_wait(self) -> None:
        assert slow_start_seconds(1e9, bytes_per_second=1e9, rtt_seconds=0.0, num_flows=1) == 0.0

    def test_columns_broadcast(self) -> None:
        rows = slow_start_seconds(
            np.array([[1e6], [1e4]]), bytes_per_second=np.array([1e6, 1e9]), rtt_seconds=0.1, num_flows=1
        )
        assert rows.shape == (2, 2)
        assert rows[1].tolist() == [0.0, 0.0]


def test_slowest_of_several_messages() -> None:
    assert slowest_of_seconds(0.006, 1) == 0.0
    assert float(slowest_of_seconds(0.006, 2)) == pytest.approx(0.003)
    assert slowest_of_seconds(0.006, np.array([1, 3])).tolist() == pytest.approx([0.0, 0.005])
    # Drawn: the largest of four exponential delays.
    draws = np.random.default_rng(1).exponential(1.0, size=(200_000, 4)).max(axis=1).mean()
    assert float(slowest_of_seconds(1.0, 4)) == pytest.approx(draws - 1.0, rel=0.01)


class TestFairSharing:
    ONE = np.array([[True], [True], [True]])

    def test_those_who_want_less_leave_the_rest(self) -> None:
        rates = max_min_rates(np.array([1.0, 10.0, 10.0]), self.ONE, np.array([9.0]))
        assert rates.tolist() == [1.0, 4.0, 4.0]

    def test_two_bottlenecks(self) -> None:
        # Bertsekas and Gallager, sec. 6.5.2: a flow over both is held by the fuller; its neighbour takes the rest.
        uses = np.array([[True, False], [True, True], [False, True]])
        rates = max_min_rates(np.full(3, np.inf), uses, np.array([2.0, 10.0]))
        assert rates.tolist() == [1.0, 1.0, 9.0]

    def test_groups_weigh_as_their_flows(self) -> None:
        rates = max_min_rates(np.array([10.0, 10.0]), self.ONE[:2], np.array([8.0]), np.array([3.0, 1.0]))
        assert rates.tolist() == [6.0, 2.0]

    def test_nothing_shared_nothing_lost(self) -> None:
        rates = max_min_rates(np.array([3.0, 5.0]), np.zeros((2, 1), dtype=bool), np.array([1.0]))
        assert rates.tolist() == [3.0, 5.0]

    def test_unknown_stays_unknown(self) -> None:
        rates = max_min_rates(np.array([np.nan, 5.0]), self.ONE[:2], np.array([4.0]))
        assert math.isnan(rates[0])
        assert rates[1] == 4.0

    def test_rows_are_shared_apart(self) -> None:
        rates = max_min_rates(np.array([[1.0, 9.0], [9.0, 9.0]]), self.ONE[:2], np.array([[6.0], [4.0]]))
        assert rates.tolist() == [[1.0, 5.0], [2.0, 2.0]]
