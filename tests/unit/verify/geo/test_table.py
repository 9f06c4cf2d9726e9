"""Tables of figures across zones: known by their columns, no row lost."""

import csv
import io

import pytest

from crosszone.errors import SpecError
from crosszone.verify.geo import other
from crosszone.verify.geo.table import KINDS, QUANTITY, is_geo_table
from crosszone.verify.row import Row
from crosszone.verify.validate import validate_table

RUN = {
    "work": "INTELLECT-1", "metric": "compute utilisation", "value": "83.0", "unit": "%", "method": "DiLoCo",
    "model": "10B", "notes": "inner steps 38 min; all-reduce 469 s",
}  # fmt: skip
RATIO = {**RUN, "metric": "throughput ratio", "value": "1.9", "unit": "x", "gpus": "16"}
TCP = {
    "tcp_streams": "1",
    "gbps_mean": "0.21",
    "ping_ms_mean": "103",
    "src_host": "gc-1",
    "dst_host": "gc-2",
    "id": "t",
}


def table(*rows: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_known_by_columns() -> None:
    assert is_geo_table(["unit", "value", "metric", "work", "row_id"])
    assert is_geo_table(list(TCP))
    assert not is_geo_table(["id", "gpu", "n_gpus", "seq_len", "global_batch", "model", "iter_time_s"])


def test_cells_may_hold_their_unit() -> None:
    own = {**TCP, "rate": "0.21 Gbit/s", "rtt": "103 ms"}
    del own["gbps_mean"], own["ping_ms_mean"]
    (plain,), (same,) = validate_table(table(TCP)).rows, validate_table(table(own)).rows
    assert (same.predicted, same.measured) == (plain.predicted, plain.measured)
    (skipped,) = validate_table(table({**own, "rtt": "0.103 s"})).skipped
    assert '"0.103 s", which is no number' in skipped.reason


def test_every_row_is_predicted_or_skipped() -> None:
    found = validate_table(table({**RUN, "row_id": "7"}, {**RATIO, "row_id": "8"}, {**RUN, "row_id": ""}))
    assert [row.id for row in found.rows] == ["7", "row-4"]
    assert [row.id for row in found.skipped] == ["8"]
    assert found.num_table_rows == 3
    scores = found.quantities[QUANTITY]
    assert found.headline is scores
    assert scores.total.num_rows == 2
    assert set(scores.by_source) == {"INTELLECT-1"}


def test_a_row_keeps_its_quantity_and_unit() -> None:
    (row,) = validate_table(table({**RUN, "id": "a"})).rows
    assert (row.id, row.quantity, row.unit, row.measured) == ("a", "compute utilisation", "%", 83.0)
    assert row.relative_error == pytest.approx(row.predicted / 83.0 - 1.0)
    assert row.assumed
    assert row.is_counted


def test_rows_that_do_not_count_leave_the_summary() -> None:
    fitted = {**TCP, "logfile": "experiment-set-1/1-4/x.csv"}
    assert validate_table(table(fitted)).quantities == {}
    assert validate_table(table(fitted, TCP)).quantities[QUANTITY].total.num_rows == 1


def test_progress_is_told() -> None:
    told: list[float] = []
    validate_table(table(RUN, RATIO), on_progress=told.append)
    assert told == [0.0, 0.5]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"metric": "throughput ratio", "value": "1.9"}, "states nothing, and it does not state gpus, gpu_type"),
        ({"metric": "performance vs single DC", "value": "97-99"}, '"97-99", which is no number'),
        ({"metric": "performance", "value": ""}, "value is blank"),
        ({"metric": "hours at 1 Gbit/s (25B tokens)", "value": "109"}, "contradicts itself"),
        ({"metric": "iteration time", "value": "1"}, "no sequence length"),
    ],
)
def test_what_follows_from_no_model_says_why(cells, reason) -> None:
    with pytest.raises(SpecError, match=reason):
        other.predict(Row(id="x", cells=cells), [])


def test_the_last_kind_takes_what_no_other_does() -> None:
    row = Row(id="x", cells={})
    assert [kind for kind in KINDS if kind.claims(row)] == [other]
