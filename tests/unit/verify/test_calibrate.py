"""One constant per GPU from own runs: synthetic clusters whose constant is known."""

import csv
import dataclasses
import io
import math

import pytest

from crosszone.core.calibration import Calibration, CalibrationPrior
from crosszone.errors import SpecError
from crosszone.verify.calibrate import (
    LEAST_RATIO,
    MOST_RATIO,
    PRIOR,
    calibrate_table,
    calibrated,
    clusters_prior,
)
from crosszone.verify.case import case_of
from crosszone.verify.predicted import forecasts
from crosszone.verify.row import read_rows

BLANK = {"tflops_per_gpu": "", "tflops_formula": "", "tflops_kind": ""}
# A layout that communicates much and one that does not: their steps do not scale alike.
LAYOUTS = ({"tp": "8", "dp": "32"}, {"tp": "4", "pp": "2", "dp": "32"}, {"tp": "2", "pp": "8", "dp": "16"})


@pytest.fixture
def measured_on(make_table):
    """CSV of runs on a cluster whose GPUs take `ratio` times as long as predicted."""

    def make(ratio: float, layouts=LAYOUTS, **cells: str) -> str:
        text = make_table(*({**BLANK, **cells, **layout, "id": f"own_{i}"} for i, layout in enumerate(layouts)))
        rows = list(csv.DictReader(io.StringIO(text)))
        for row in rows:
            row["iter_time_s"] = repr(seconds({**row, "iter_time_s": "1"}, ratio))
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    return make


def seconds(cells: dict[str, str], ratio: float) -> float:
    """The step of the run in `cells`, on GPUs that take `ratio` times as long."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(cells))
    writer.writeheader()
    writer.writerow(cells)
    (row,) = read_rows(out.getvalue())
    case = case_of(row)
    gpu = case.problem.cluster.zones[0].node_groups[0].gpu.name
    scale = Calibration(gpu=gpu, compute_seconds_ratio=ratio, num_runs=1, source="")
    return forecasts([calibrated(case, [scale])])[0].step_seconds


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.3, 3.0])
def test_a_slower_cluster_is_recovered_from_one_run(measured_on, ratio) -> None:
    report = calibrate_table(measured_on(ratio, LAYOUTS[:1]), source="own.csv", date="2026-11-21", prior=None)
    (found,) = report.calibrations
    assert found.compute_seconds_ratio == pytest.approx(ratio, rel=1e-6)
    assert (found.gpu, found.num_runs, found.source, found.date) == ("a100-sxm4-80gb", 1, "own.csv", "2026-11-21")
    assert found.frameworks == ("megatron",)
    assert found.spread_fraction is None


@pytest.mark.parametrize("ratio", [0.7, 1.3])
def test_one_run_is_believed_in_part_and_many_more(measured_on, ratio) -> None:
    found = [
        calibrate_table(measured_on(ratio, LAYOUTS[:1] * count), source="", date="").calibrations[0]
        for count in (1, 3, 12)
    ]
    for each, count in zip(found, (1, 3, 12), strict=True):
        assert each.believed_fraction == pytest.approx(PRIOR.believed_fraction(count))
        assert each.compute_seconds_ratio == pytest.approx(ratio**each.believed_fraction, rel=1e-6)
    assert 0.2 < found[0].believed_fraction < 0.5 < found[1].believed_fraction < 0.8 < found[2].believed_fraction < 1.0


def test_the_believed_part_by_hand() -> None:
    prior = CalibrationPrior(between_spread=0.1, within_spread=0.2)
    assert prior.believed_fraction(1) == pytest.approx(0.01 / 0.05)
    assert prior.believed_fraction(4) == pytest.approx(0.5)
    # Runs that never scatter are believed at once; clusters that never differ need no run at all.
    assert CalibrationPrior(between_spread=0.1, within_spread=0.0).believed_fraction(1) == 1.0
    assert CalibrationPrior(between_spread=0.0, within_spread=0.1).believed_fraction(9) == 0.0


def test_a_prior_tells_clusters_from_runs() -> None:
    # Means 0.1 and -0.1; within each the variance of three runs is 0.01, which adds 0.01 / 3 to a mean's square.
    clusters = [[0.0, 0.1, 0.2], [-0.2, -0.1, 0.0]]
    prior = clusters_prior([*clusters, [9.0, 9.0]])  # two runs say nothing
    assert prior.within_spread == pytest.approx(0.1)
    assert prior.between_spread == pytest.approx(math.sqrt(0.01 - 0.01 / 3))
    # Clusters whose means scatter no more than their runs explain do not differ.
    assert clusters_prior([[-0.3, 0.0, 0.3], [-0.2, 0.0, 0.2]]).between_spread == 0.0
    with pytest.raises(ValueError, match="no cluster"):
        clusters_prior([[0.1, 0.2]])


def test_runs_that_agree_have_no_spread(measured_on) -> None:
    (found,) = calibrate_table(measured_on(1.3), source="", date="", prior=None).calibrations
    assert found.num_runs == 3
    assert found.compute_seconds_ratio == pytest.approx(1.3, rel=1e-6)
    assert found.spread_fraction == pytest.approx(0.0, abs=1e-6)


def test_one_run_improves_the_prediction_of_other_plans(measured_on) -> None:
    own = calibrate_table(measured_on(1.3, LAYOUTS[:1]), source="", date="", prior=None).calibrations
    for row in read_rows(measured_on(1.3, LAYOUTS[1:])):
        case = case_of(row)
        measured = case.measured[0].value
        before, after = (forecasts([each])[0].step_seconds for each in (case, calibrated(case, own)))
        assert abs(math.log(before / measured)) > 0.1
        assert after == pytest.approx(measured, rel=1e-6)


def test_the_middle_run_counts_and_the_spread_is_told(measured_on) -> None:
    one, two, three = (measured_on(ratio, LAYOUTS[:1]).splitlines() for ratio in (1.1, 1.2, 2.0))
    (found,) = calibrate_table("\n".join([*one, two[1], three[1]]), source="", date="", prior=None).calibrations
    assert found.compute_seconds_ratio == pytest.approx(1.2, rel=1e-6)
    logs = [math.log(ratio) for ratio in (1.1, 1.2, 2.0)]
    mean = sum(logs) / 3
    assert found.spread_fraction == pytest.approx(math.sqrt(sum((log - mean) ** 2 for log in logs) / 2), rel=1e-5)


def test_each_gpu_gets_its_own_constant(measured_on) -> None:
    ampere = measured_on(1.3, LAYOUTS[:2]).splitlines()
    hopper = measured_on(0.8, LAYOUTS[:1], gpu="H100-SXM5-80GB").splitlines()
    report = calibrate_table("\n".join([*ampere, hopper[1].replace("own_0", "own_9")]), source="", date="", prior=None)
    found = {each.gpu: (each.compute_seconds_ratio, each.num_runs) for each in report.calibrations}
    assert found["a100-sxm4-80gb"] == (pytest.approx(1.3, rel=1e-6), 2)
    assert found["h100-sxm5-80gb"] == (pytest.approx(0.8, rel=1e-6), 1)
    assert {run.id: run.gpu for run in report.runs}["own_9"] == "h100-sxm5-80gb"


def test_the_report_says_what_each_run_was_before_and_after(measured_on) -> None:
    (run,) = calibrate_table(measured_on(1.3, LAYOUTS[:1]), source="", date="", prior=None).runs
    assert run.calibrated_seconds == pytest.approx(run.measured_seconds, rel=1e-6)
    assert run.predicted_seconds < run.measured_seconds
    assert run.compute_seconds_ratio == pytest.approx(1.3, rel=1e-6)


def test_a_run_that_communicates_much_says_less_about_its_gpus(measured_on) -> None:
    alone, wide = ({"tp": "1", "pp": "1", "dp": "1", "n_gpus": "1", "global_batch": "8", "layers": "4"}, LAYOUTS[0])
    (own,) = calibrate_table(measured_on(1.0, [alone]), source="", date="").runs
    (shared,) = calibrate_table(measured_on(1.0, [wide]), source="", date="").runs
    assert own.compute_share_fraction == pytest.approx(1.0, abs=0.02)
    assert 0.0 < shared.compute_share_fraction < own.compute_share_fraction


def test_rows_without_a_step_time_are_listed_not_used(make_table) -> None:
    text = make_table({"id": "own_1"}, {**BLANK, "id": "own_2", "status": "ran"}, {**BLANK, "id": "own_3"})
    report = calibrate_table(text, source="", date="")
    assert [run.id for run in report.runs] == ["own_1"]
    assert [run.id for run in report.unused] == ["own_2", "own_3"]
    assert report.unused[0].reason == "no step time is measured."


@pytest.mark.parametrize(("factor", "bound"), [(0.01, LEAST_RATIO), (100.0, MOST_RATIO)])
def test_nonsense_is_refused_with_both_numbers(measured_on, factor, bound) -> None:
    rows = list(csv.DictReader(io.StringIO(measured_on(1.0, LAYOUTS[:2]))))
    right = float(rows[0]["iter_time_s"])
    wrong = right * factor
    text = measured_on(1.0, LAYOUTS[:2]).replace(rows[0]["iter_time_s"], repr(wrong))
    with pytest.raises(SpecError) as caught:
        calibrate_table(text, source="", date="")
    (finding,) = caught.value.findings
    assert finding.where == "own_0"
    assert f"measured {wrong:.4g} s" in finding.message
    assert f"predicted {right:.4g} s" in finding.message
    assert f"{bound:g} times" in finding.message


def test_every_implausible_run_is_named_at_once(measured_on) -> None:
    lines = measured_on(1.0, LAYOUTS[:2])
    for row in csv.DictReader(io.StringIO(lines)):
        lines = lines.replace(row["iter_time_s"], repr(float(row["iter_time_s"]) * 1000.0))
    with pytest.raises(SpecError) as caught:
        calibrate_table(lines, source="", date="")
    assert [finding.where for finding in caught.value.findings] == ["own_0", "own_1"]


def test_a_table_without_a_usable_run_says_why(make_table) -> None:
    with pytest.raises(SpecError, match="own_1: no run to learn from: nothing is measured"):
        calibrate_table(make_table({**BLANK, "id": "own_1"}), source="", date="")
    with pytest.raises(SpecError, match="the table has no rows"):
        calibrate_table(make_table({}).splitlines()[0] + "\n", source="", date="")


def test_only_the_calibration_of_its_own_gpu_changes_a_case(make_row) -> None:
    case = case_of(make_row())
    other = Calibration(gpu="h100-sxm5-80gb", compute_seconds_ratio=2.0, num_runs=1, source="")
    assert calibrated(case, [other]).problem.calibrations == ()
    own = dataclasses.replace(other, gpu="a100-sxm4-80gb")
    assert calibrated(case, [other, own]).problem.calibrations == (own,)
    slow, fast = forecasts([calibrated(case, [own]), case])
    assert 1.0 < slow.step_seconds / fast.step_seconds <= 2.0
