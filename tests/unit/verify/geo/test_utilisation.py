"""Rows of the share of time that is compute: H T / (H T + s) of the stated times."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.geo import utilisation
from crosszone.verify.geo.utilisation import stated_seconds
from crosszone.verify.row import Row

CELLS = {"work": "Run", "metric": "compute utilisation", "unit": "%", "value": "83.0", "method": "DiLoCo"}


def predicted(**cells: str) -> float:
    row = Row(id="x", cells={**CELLS, **cells})
    assert utilisation.claims(row)
    return utilisation.predict(row, [row]).predicted


@pytest.mark.parametrize(("seconds", "share"), [(103, 95.7), (382, 85.6), (469, 83.0)])
def test_intellect_1(seconds, share) -> None:
    """INTELLECT-1 (arXiv 2412.01152), table 2."""
    for every in ("", "100"):
        notes = f"inner steps 38 min; all-reduce {seconds} s"
        assert predicted(notes=notes, sync_H=every) == pytest.approx(share, abs=0.1)


def test_mfu_is_that_without_communication_times_the_share() -> None:
    notes = "38 min inner phase; 469 s all-reduce"
    assert predicted(metric="MFU", baseline_value="43.3", notes=notes) == pytest.approx(36.0, abs=0.1)
    with pytest.raises(SpecError, match="baseline_value"):
        predicted(metric="MFU", notes=notes)


def test_fractions_stay_fractions() -> None:
    assert predicted(unit="fraction", notes="30 s reduce, 90 s compute") == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("38 min / 103 s", [2280.0, 103.0]),
        ("70 s communication per round", [70.0]),
        ("1.5 h and 200 ms", [5400.0, 0.2]),
        ("42 days, 10B, H=100 steps, 38 minutes, 38 min", [2280.0]),
        ("", []),
    ],
)
def test_durations_are_read_with_their_unit(text, found) -> None:
    assert stated_seconds(text) == pytest.approx(found)


def test_one_time_is_not_enough() -> None:
    with pytest.raises(SpecError, match="70 s, and not how long the steps"):
        predicted(notes="70 s communication per round")
    with pytest.raises(SpecError, match="does not state how long"):
        predicted(value="90-95")
