"""Rows of pipelines over sites: relative to the row without delay."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.geo import pipelines
from crosszone.verify.row import Row

CELLS = {
    "work": "Paper", "source_loc": "Table 1", "model": "m", "n_sites": "2", "pp": "4", "dp": "1", "tp": "1",
    "micro_batches": "8", "metric": "runtime per microbatch", "unit": "s", "method": "1F1B",
    "notes": "case 1: act. memory 1.0x, no recompute; T_F=0.1 s",
}  # fmt: skip
FORWARD, BACKWARD = 0.1, 0.25
PLAIN = (8 + 3) * (FORWARD + BACKWARD) / 8


def row(latency: str, transfer: str, value: str, **cells: str) -> Row:
    delay = {"inter_latency_ms": f"T_lat/T_F={latency}", "inter_bw_gbps": f"T_bw/T_F={transfer}", "value": value}
    return Row(id=f"{latency}-{transfer}", cells={**CELLS, **delay, **cells})


ANCHOR = row("0", "0", f"{PLAIN}")


def test_the_anchor_is_skipped_and_says_so() -> None:
    with pytest.raises(SpecError, match="anchor"):
        pipelines.predict(ANCHOR, [ANCHOR])


def test_a_row_without_its_anchor_is_skipped() -> None:
    late = row("1", "0", "0.9")
    with pytest.raises(SpecError, match="without delay"):
        pipelines.predict(late, [late])


def test_one_microbatch_pays_each_crossing_once() -> None:
    plain = (FORWARD + BACKWARD) * 4
    rows = [row("0", "0", f"{plain}", micro_batches="1"), row("1", "0.5", "1.7", micro_batches="1")]
    found = pipelines.predict(rows[1], rows)
    assert found.predicted == pytest.approx(plain + 2 * (1.0 + 0.5) * FORWARD)
    assert (found.quantity, found.unit, found.measured) == ("runtime per microbatch", "s", 1.7)
    assert found.row.assumed == []  # the backward follows from the anchor


def test_static_schedules_post_receives_late() -> None:
    """Rank 1 has 2 microbatches on their way, and sends the third forward with the first gradient back: 8 crossings
    of one delay and as many as the warm-up adds."""
    rows = [ANCHOR, row("1", "0", "1")]
    assert pipelines.predict(rows[1], rows).predicted * 8 == pytest.approx(8 * PLAIN + 8 * FORWARD, rel=0.05)


def test_more_delay_is_never_faster_and_more_sites_cross_more() -> None:
    latencies = ["0.25", "0.5", "1", "2", "4"]
    rows = [ANCHOR, *(row(each, "0", "1") for each in latencies)]
    found = [pipelines.predict(each, rows).predicted for each in rows[1:]]
    assert found == sorted(found)
    far = [row("0", "0", f"{PLAIN}", n_sites="4"), row("2", "0", "1", n_sites="4")]
    assert pipelines.predict(far[1], far).predicted > found[3]


def test_generated_schedules_hide_more_than_written_ones() -> None:
    written = [ANCHOR, row("2", "0", "1")]
    made = [row("0", "0", f"{PLAIN}", method="CrossUD"), row("2", "0", "1", method="CrossUD"), ANCHOR]
    late, early = pipelines.predict(written[1], written), pipelines.predict(made[1], made)
    assert (late.method, early.method) == ("static schedules", "generated schedules")
    assert early.predicted < late.predicted


def test_a_full_link_is_held_for_a_piece_of_work_more() -> None:
    """Input and weight gradient take 0.125 s each, the longest piece: messages follow each other by T_bw + 0.125 s."""
    many = {"method": "CrossUD", "micro_batches": "64"}
    rows = [row("0", "0", "1", **many), row("0", "10", "1", **many), row("0", "20", "1", **many), ANCHOR]
    ten, twenty = (pipelines.predict(each, rows).predicted for each in rows[1:3])
    assert twenty / ten == pytest.approx((2.0 + 0.125) / (1.0 + 0.125), rel=0.02)


def test_without_1f1b_the_backward_is_assumed() -> None:
    rows = [row("0", "0", "0.4", method="ZBH1"), row("1", "0", "0.5", method="ZBH1")]
    assert pipelines.predict(rows[1], rows).row.assumed == ["backward 2 forwards: not stated."]
    notes = "case 2: act. memory 1.0x, layerwise recompute; T_F=0.1 s"
    rows = [row("0", "0", "0.4", method="ZBH1", notes=notes), row("1", "0", "0.5", method="ZBH1", notes=notes)]
    assert pipelines.predict(rows[1], rows).row.assumed == ["backward 3 forwards: not stated."]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"method": "Chimera"}, "Chimera"),
        ({"notes": "case 1"}, "T_F"),
        ({"pp": "5"}, "pp = 5"),
        ({"inter_latency_ms": "76"}, "T_lat"),
        ({"pp": ""}, "pp is blank"),
        ({"value": ">1"}, "no number"),
    ],
)
def test_what_a_row_lacks_is_named(cells, reason) -> None:
    late = row("1", "0", "1")
    late = Row(id="x", cells={**late.cells, **cells})
    anchor = Row(id="y", cells={**ANCHOR.cells, **{name: cells[name] for name in cells if name in ("notes", "pp")}})
    with pytest.raises(SpecError, match=reason):
        pipelines.predict(late, [anchor, late])
