"""Rows of throughput where peers average over zones: relative to the one-zone row of as many GPUs."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.geo import averaging
from crosszone.verify.row import Row

CELLS = {
    "work": "Paper", "model": "m", "params_b": "0.5", "gpus": "2", "gpu_type": "T4", "global_batch": "1000",
    "method": "Hivemind", "compression": "FP16", "metric": "throughput", "unit": "samples/s", "intra_bw_gbps": "8",
}  # fmt: skip
NEAR = Row(id="near", cells={**CELLS, "n_sites": "1", "sites": "US", "value": "10"})


def far(**cells: str) -> Row:
    return Row(
        id="far",
        cells={
            **CELLS,
            "n_sites": "2",
            "sites": "US+EU",
            "inter_bw_gbps": "0.4",
            "inter_latency_ms": "",
            "value": "8",
            **cells,
        },
    )


def seconds(row: Row, *others: Row) -> float:
    return 1000.0 / averaging.predict(row, [row, *others]).predicted


def test_two_peers_exchange_all_gradients_once_each_way() -> None:
    # 1 GB of fp16 gradients: half of them there and half of the sums back, 8 Gbit at 0.4 Gbit/s, less 8 at 8 Gbit/s
    assert seconds(far(), NEAR) == pytest.approx(100.0 + 20.0 - 1.0, rel=1e-3)


def test_every_pair_of_more_peers_exchanges_less() -> None:
    near = Row(id="near", cells={**NEAR.cells, "gpus": "4"})
    assert seconds(far(gpus="4"), near) == pytest.approx(100.0 + 10.0 - 0.5, rel=1e-3)


def test_the_slowest_pair_counts() -> None:
    cells = {"n_sites": "3", "sites": "US+EU+ASIA", "gpus": "3", "inter_bw_gbps": "US-EU 0.4; US-ASIA 0.2; EU-ASIA 0.1"}
    near = Row(id="near", cells={**NEAR.cells, "gpus": "3"})
    assert seconds(far(**cells), near) == pytest.approx(100.0 + (8.0 / 0.1 - 8.0 / 8.0) * 2 / 3, rel=1e-3)


def test_latency_adds_its_rounds() -> None:
    assert seconds(far(inter_latency_ms="100"), NEAR) > seconds(far(), NEAR) + 0.1


def test_of_a_range_the_lower_end_is_taken_and_listed() -> None:
    row = far(inter_bw_gbps="0.4-0.5")
    assert seconds(row, NEAR) == pytest.approx(119.0, rel=1e-3)
    assert row.assumed == ["rate 0.4 Gbit/s: a range is stated; its lower end."]


def test_the_anchor_may_stand_in_the_row_itself() -> None:
    row = far(baseline="A-2 single zone", baseline_value="10")
    assert seconds(row) == pytest.approx(119.0, rel=1e-3)
    assert "one-zone throughput" in row.assumed[0]


def test_uncompressed_gradients_have_four_bytes() -> None:
    near = Row(id="near", cells={**NEAR.cells, "compression": ""})
    assert seconds(far(compression=""), near) == pytest.approx(100.0 + 40.0 - 2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"n_sites": "1", "sites": "US"}, "anchor"),
        ({"gpus": "3"}, "no one-zone row of m with 3 T4"),
        ({"inter_bw_gbps": ""}, "inter_bw_gbps is blank"),
        ({"inter_bw_gbps": "400 Mbit/s"}, "write its rates in Gbit/s"),
        ({"n_sites": "4", "sites": "A+B+C+D", "inter_bw_gbps": "1; 2", "gpus": "4"}, "6 links"),
        ({"n_sites": "3", "sites": "A+B+C"}, "2 GPUs cannot be in 3 zones"),
        ({"compression": "magic"}, "magic"),
        ({"global_batch": ""}, "global_batch is blank"),
    ],
)
def test_what_a_row_lacks_is_named(cells, reason) -> None:
    with pytest.raises(SpecError, match=reason):
        averaging.predict(far(**cells), [NEAR])
