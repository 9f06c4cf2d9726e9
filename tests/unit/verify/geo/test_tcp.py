"""Rows of TCP throughput: window over round trip on one provider's network, nothing elsewhere."""

import pytest

from crosszone.cost.network import DEFAULT_WINDOW_BYTES
from crosszone.errors import SpecError
from crosszone.verify.geo import tcp
from crosszone.verify.row import Row

CELLS = {
    "src_host": "gc-t4-1", "dst_host": "gc-t4-20", "tcp_streams": "1", "gbps_mean": "0.1174", "ping_ms_mean": "175.9",
    "logfile": "experiment-set-1/1-5/iperf-profile-gc-t4-1-us-p2.csv",
}  # fmt: skip


def predict(**cells: str) -> tcp.Outcome:
    row = Row(id="x", cells={**CELLS, **cells})
    return tcp.predict(row, [row])


def test_between_regions_the_window_binds() -> None:
    found = predict()
    assert found.predicted == pytest.approx(DEFAULT_WINDOW_BYTES * 8 / 0.1759 / 1e9)
    assert (found.unit, found.measured, found.method, found.is_counted) == (
        "Gbit/s",
        0.1174,
        "GCP between regions",
        True,
    )
    assert predict(tcp_streams="8").predicted == pytest.approx(8 * found.predicted)


def test_many_streams_and_short_ways_end_at_what_a_machine_may_send() -> None:
    assert predict(tcp_streams="160").predicted == pytest.approx(7.0)
    assert predict(ping_ms_mean="0.7").predicted == pytest.approx(7.0)
    assert predict(src_host="aws-t4-2", dst_host="aws-t4-1", ping_ms_mean="0.2").predicted == pytest.approx(5.0)


def test_routes_that_the_window_was_fitted_to_do_not_count() -> None:
    assert not predict(logfile="experiment-set-1/1-4/iperf-profile-gc-t4-1-us.csv").is_counted
    assert predict(logfile="experiment-set-1/1-4/iperf-profile-gc-t4-1-us.csv", ping_ms_mean="0.7").is_counted


def test_an_unnamed_sender_is_read_from_the_log() -> None:
    assert predict(src_host="").method.startswith("GCP")
    assert predict(src_host="t4-gc-2").method.startswith("GCP")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"src_host": "rtx8000"}, "rtx8000 is behind the public internet, whose loss is unknown"),
        ({"dst_host": "vm-gpu-2"}, "vm-gpu-2 is behind the public internet"),
        ({"dst_host": "aws-t4-1"}, "two providers"),
        ({"src_host": "lambda-a10-1", "dst_host": "lambda-a10-2"}, "Lambda may send is not published"),
        ({"ping_ms_mean": ""}, "ping_ms_mean is blank"),
        ({"tcp_streams": "x"}, "tcp_streams"),
    ],
)
def test_why_a_row_is_skipped(cells, reason) -> None:
    with pytest.raises(SpecError, match=reason):
        predict(**cells)
