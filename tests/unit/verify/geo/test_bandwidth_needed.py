"""Rows of bandwidth that a share of compute asks for: a point of the tables' grid."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.geo import bandwidth_needed
from crosszone.verify.geo.bandwidth_needed import GRID, last_short, notches
from crosszone.verify.row import Row

CELLS = {
    "work": "Paper", "model": "Chinchilla 10B", "params_b": "10", "arch": "48 layers; step compute time 0.8s",
    "method": "Data-Parallel", "metric": "inter-DC bandwidth needed for CU=50%", "value": "104.8", "unit": "Gbit/s",
}  # fmt: skip
ASKED = {"model_bits": 16e10, "step_seconds": 0.8, "num_layers": 48, "every": 1}


def row(**cells: str) -> Row:
    return Row(id="x", cells={**CELLS, **cells})


def predicted(*others: Row, **cells: str) -> float:
    return bandwidth_needed.predict(row(**cells), [row(**cells), *others]).predicted


def test_the_last_point_below_the_share() -> None:
    """At half compute 1.6 s may pass: 0.8 of waiting beside what the backward hides, 0.8 * 2/3 * 47/48 s."""
    threshold = 16e10 / (0.8 + 0.8 * 2 / 3 * 47 / 48)
    found = last_short(0.5, **ASKED)
    assert found in GRID
    assert found < threshold <= found * 10 ** (4 / 49) * (1 + 1e-12)


def test_a_higher_share_needs_more_and_more_steps_between_less() -> None:
    shares = [last_short(share, **ASKED) for share in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert shares == sorted(shares)
    rare = [last_short(0.9, **{**ASKED, "every": every}) for every in (300, 100, 10, 1)]
    assert rare == sorted(rare)
    assert rare[0] < rare[-1] / 30


def test_the_answer_stays_on_the_grid() -> None:
    assert last_short(0.5, **{**ASKED, "model_bits": 1.0}) == GRID[0]
    assert last_short(0.5, **{**ASKED, "model_bits": 1e20}) == GRID[-1]


def test_printed_values_are_points_of_the_grid() -> None:
    for printed in (0.4, 1.4, 86.8, 222.3, 1000.0):
        assert min(abs(bits / 1e9 - printed) for bits in GRID) < 0.06
    assert notches(222.3, 184.2) == 1
    assert notches(0.4, 104.8) == -30


def test_a_row_is_read_whole() -> None:
    plain = predicted()
    assert plain == pytest.approx(104.8, abs=0.1)
    assert predicted(method="Vanilla DiLoCo", sync_H="100") < plain / 30
    streaming = {
        "sync_H": "100",
        "notes": "fragment size 3 layers -> 16 fragments",
        "metric": "bandwidth needed for CU=99%",
    }
    blocking = predicted(method="Streaming DiLoCo", **streaming)
    overlapped = predicted(method="Streaming DiLoCo w/ overlapped com.", overlap="tau=1", **streaming)
    packed = predicted(method="Streaming DiLoCo w/ overlapped FP4 com.", overlap="tau=1", **streaming)
    assert packed < overlapped < blocking
    assert overlapped / packed == pytest.approx(4.0, rel=0.21)


def test_layers_come_from_the_row_the_table_or_the_papers() -> None:
    unknown = {"arch": "step compute time 0.8s", "model": "Chinchilla 10B"}
    assert predicted(**unknown) == predicted()
    other = Row(id="y", cells={**CELLS, "model": "Own 10B"})
    assert predicted(other, arch="step compute time 0.8s", model="Own 10B") == predicted()
    with pytest.raises(SpecError, match="how many layers Own 10B has"):
        predicted(arch="step compute time 0.8s", model="Own 10B")


def test_what_is_assumed_is_listed() -> None:
    read = row(method="Streaming DiLoCo w/ overlapped com.", notes="-> 16 fragments", sync_H="100")
    bandwidth_needed.predict(read, [read])
    assert [text.partition(" ")[0] for text in read.assumed] == ["delay", "grid"]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"value": "1000.0+"}, "no number"),
        ({"arch": "48 layers"}, "step compute time"),
        ({"method": "Streaming DiLoCo"}, "num_fragments"),
        ({"params_b": ""}, "params_b is blank"),
        ({"unit": "GB/s"}, "GB/s"),
    ],
)
def test_what_a_row_lacks_is_named(cells, reason) -> None:
    with pytest.raises(SpecError, match=reason):
        predicted(**cells)
