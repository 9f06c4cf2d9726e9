"""TCP as its standards print it: windows under loss, and the round trips of slow start."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from crosszone.cost.network import SEGMENT_BYTES, loss_bytes_per_second, slow_start_seconds

DATA: dict[str, Any] = tomllib.loads(Path(__file__).with_name("tcp.toml").read_text(encoding="utf-8"))
ROWS = [(table["name"], table["rtt_seconds"], row) for table in DATA["tables"] for row in table["rows"]]


@pytest.mark.parametrize("control", ["reno", "cubic"])
@pytest.mark.parametrize(("name", "rtt_seconds", "row"), ROWS, ids=[f"{name} {row}" for name, _, row in ROWS])
def test_average_window_under_loss(name: str, rtt_seconds: float, row: dict[str, float], control: str) -> None:
    rate = float(loss_bytes_per_second(row["loss_fraction"], rtt_seconds, control))
    assert rate * rtt_seconds / SEGMENT_BYTES == pytest.approx(row[control], rel=DATA["tolerance"])


@pytest.mark.parametrize("row", DATA["slow_start"]["rows"], ids=str)
def test_round_trips_of_slow_start(row: dict[str, int]) -> None:
    # Over a link without end, all that a message costs is the round trips that it waits.
    waited = slow_start_seconds(
        row["num_segments"] * SEGMENT_BYTES, bytes_per_second=1e18, rtt_seconds=0.1, num_flows=1
    )
    assert float(waited) == pytest.approx(0.1 * row["num_round_trips"], abs=1e-9)
