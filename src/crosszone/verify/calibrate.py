"""`calibrate`: from own measured runs to one constant per GPU."""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from crosszone.core.calibration import CalibratedRun, Calibration, CalibrationPrior, CalibrationReport, UnusedRun
from crosszone.errors import Finding, SpecError
from crosszone.verify.case import Case, case_of
from crosszone.verify.measured import STEP
from crosszone.verify.predicted import forecasts
from crosszone.verify.row import Row, read_rows

LEAST_RATIO, MOST_RATIO = 0.2, 5.0
"""Beyond these the run or the table is wrong, not the constant: no studied run is off by more than a factor of 3."""
LEAST_PER_CLUSTER = 3
"""Runs of a cluster from which it counts in a prior."""
PROBE_RATIO = 1.1
"""How much slower GPUs are taken to be, to see how much of a step they decide."""
PRIOR = CalibrationPrior(between_spread=0.082, within_spread=0.119)
"""Learnt from published runs of ten sources, each predicted by constants that its source had no part in
(`clusters_prior`; benchmarks/accuracy/report.py prints it anew). One run is believed by a third."""
MAX_SOLVER_STEPS = 60
TOLERANCE = 1e-12
"""Of the logarithm of predicted over measured."""


def calibrate_table(
    text: str,
    *,
    source: str,
    date: str,
    prior: CalibrationPrior | None = PRIOR,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> CalibrationReport:
    """Learn from the CSV table `text`, in the format of `validate`.

    Of each run: the ratio by which all that its GPUs do must slow down for the predicted step to be the measured one.
    Of each GPU: the median of its runs' ratios, on a log scale, believed as far as `prior` tells (None: all of it).
    `source` says where the runs come from.

    Errors: SpecError where a column is missing, where no row measures a step, and where a run's ratio lies outside
    `LEAST_RATIO` to `MOST_RATIO`, with its measured and predicted seconds. All such runs are told at once.
    """
    cases, unused = _timed_cases(read_rows(text))
    if not cases:
        raise SpecError(*_nothing(unused))
    report = calibrate_cases(cases, source=source, date=date, prior=prior, on_progress=on_progress)
    return dataclasses.replace(report, unused=tuple(unused))


def calibrate_cases(
    cases: Sequence[Case],
    *,
    source: str,
    date: str,
    prior: CalibrationPrior | None = PRIOR,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> CalibrationReport:
    """`calibrate_table` for rows that were read and measured a step. SpecError."""
    solutions = []
    for index, case in enumerate(cases):
        solutions.append(_solve(case))
        on_progress((index + 1) / len(cases))
    refused = [finding for found in solutions if (finding := found.fault()) is not None]
    if refused:
        raise SpecError(*refused)
    calibrations = _per_gpu(solutions, source=source, date=date, prior=prior)
    return CalibrationReport(calibrations=calibrations, runs=_runs(solutions, calibrations), unused=())


def clusters_prior(clusters: Iterable[Sequence[float]]) -> CalibrationPrior:
    """Spreads between and within `clusters`, each the log(measured / predicted) of its runs.

    Moments, every cluster alike: within is the mean of the variances; between the mean square of the clusters' means
    around 0 (the catalog's constants are the best guess), less what the scatter of so many runs adds to it.
    Clusters of fewer than `LEAST_PER_CLUSTER` runs say nothing. Errors: ValueError where none says anything.
    """
    found = [logs for logs in clusters if len(logs) >= LEAST_PER_CLUSTER]
    if not found:
        raise ValueError("no cluster with runs enough to learn a prior from")
    within = [statistics.variance(logs) for logs in found]
    between = [statistics.fmean(logs) ** 2 - variance / len(logs) for logs, variance in zip(found, within, strict=True)]
    return CalibrationPrior(
        between_spread=math.sqrt(max(statistics.fmean(between), 0.0)),
        within_spread=math.sqrt(statistics.fmean(within)),
    )


def calibrated(case: Case, calibrations: Sequence[Calibration]) -> Case:
    """`case`, predicted with those of `calibrations` that are of its GPU."""
    own = tuple(each for each in calibrations if each.gpu == _gpu(case))
    return dataclasses.replace(case, problem=dataclasses.replace(case.problem, calibrations=own))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solution:
    """What one run says."""

    case: Case
    measured_seconds: float
    predicted_seconds: float
    compute_share_fraction: float
    bounds_seconds: tuple[float, float]
    """Predicted at the least and at the most ratio."""
    ratio: float | None
    """None where no ratio within the bounds explains the run."""

    def fault(self) -> Finding | None:
        """Why nothing can be learnt from the run."""
        if self.ratio is not None:
            return None
        is_fast = self.bounds_seconds[0] > self.measured_seconds
        bound = LEAST_RATIO if is_fast else MOST_RATIO
        return Finding(
            code="not_plausible",
            message=(
                f"measured {self.measured_seconds:.4g} s a step, predicted {self.predicted_seconds:.4g} s, and "
                f"{self.bounds_seconds[not is_fast]:.4g} s even if the GPUs took {bound:g} times as long."
            ),
            where=self.case.row.id,
            hint="Check the row's model, batch, GPUs and unit of time, or take it out.",
        )


def _timed_cases(rows: Sequence[Row]) -> tuple[list[Case], list[UnusedRun]]:
    cases, unused = [], []
    for row in rows:
        try:
            case = case_of(row)
        except SpecError as error:
            unused.append(UnusedRun(id=row.id, reason=str(error)))
            continue
        if not any(measured.quantity == STEP for measured in case.measured):
            unused.append(UnusedRun(id=row.id, reason="no step time is measured."))
        elif not forecasts([case])[0].is_finite:
            unused.append(UnusedRun(id=row.id, reason="the cost model has no finite answer for this row."))
        else:
            cases.append(case)
    return cases, unused


def _nothing(unused: Sequence[UnusedRun]) -> list[Finding]:
    if not unused:
        return [Finding(code="no_runs", message="the table has no rows.", hint="Give it one measured run or more.")]
    return [Finding(code="no_runs", message=f"no run to learn from: {run.reason}", where=run.id) for run in unused]


def _solve(case: Case) -> _Solution:
    """Regula falsi (Illinois) on logarithms, between the bounds: the predicted step grows with the ratio."""
    measured = next(float(found.value) for found in case.measured if found.quantity == STEP)

    def error(log_ratio: float) -> float:
        return math.log(_seconds(case, math.exp(log_ratio)) / measured)

    low, high = math.log(LEAST_RATIO), math.log(MOST_RATIO)
    at_low, at_high = error(low), error(high)
    ratio = None
    if at_low <= 0.0 <= at_high:
        ratio = math.exp(_root(error, low, high, at_low, at_high))
    predicted = _seconds(case, 1.0)
    return _Solution(
        case=case,
        measured_seconds=measured,
        predicted_seconds=predicted,
        compute_share_fraction=(_seconds(case, PROBE_RATIO) / predicted - 1.0) / (PROBE_RATIO - 1.0),
        bounds_seconds=(measured * math.exp(at_low), measured * math.exp(at_high)),
        ratio=ratio,
    )


def _root(error: Callable[[float], float], low: float, high: float, at_low: float, at_high: float) -> float:
    """Where `error`, which grows from `at_low` <= 0 to `at_high` >= 0, is zero."""
    side = 0
    for _ in range(MAX_SOLVER_STEPS):
        if at_low == 0.0 or at_high == 0.0 or high - low < TOLERANCE:
            break
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        at_middle = error(middle)
        if abs(at_middle) < TOLERANCE:
            return middle
        if at_middle > 0.0:
            high, at_high = middle, at_middle
            at_low *= 0.5 if side == 1 else 1.0  # the end that stays twice loses half its weight
            side = 1
        else:
            low, at_low = middle, at_middle
            at_high *= 0.5 if side == -1 else 1.0
            side = -1
    return low if abs(at_low) <= abs(at_high) else high


def _seconds(case: Case, ratio: float) -> float:
    gpu = _gpu(case)
    scale = Calibration(gpu=gpu, compute_seconds_ratio=ratio, num_runs=0, source="")
    return forecasts([calibrated(case, [scale])])[0].step_seconds


def _per_gpu(
    solutions: Sequence[_Solution], *, source: str, date: str, prior: CalibrationPrior | None
) -> tuple[Calibration, ...]:
    by_gpu: dict[str, list[_Solution]] = defaultdict(list)
    for found in solutions:
        by_gpu[_gpu(found.case)].append(found)
    calibrations = []
    for gpu, runs in sorted(by_gpu.items()):
        logs = [math.log(run.ratio) for run in runs if run.ratio is not None]
        believed = 1.0 if prior is None else prior.believed_fraction(len(logs))
        calibrations.append(
            Calibration(
                gpu=gpu,
                compute_seconds_ratio=math.exp(believed * statistics.median(logs)),
                num_runs=len(runs),
                source=source,
                date=date,
                frameworks=tuple(sorted({run.case.framework.name.partition(" ")[0] for run in runs})),
                spread_fraction=statistics.stdev(logs) if len(logs) > 1 else None,
                believed_fraction=believed,
            )
        )
    return tuple(calibrations)


def _runs(solutions: Sequence[_Solution], calibrations: Sequence[Calibration]) -> tuple[CalibratedRun, ...]:
    after = forecasts([calibrated(found.case, calibrations) for found in solutions])
    return tuple(
        CalibratedRun(
            id=found.case.row.id,
            gpu=_gpu(found.case),
            framework=found.case.framework.name,
            measured_seconds=found.measured_seconds,
            predicted_seconds=found.predicted_seconds,
            compute_seconds_ratio=found.ratio,
            compute_share_fraction=found.compute_share_fraction,
            calibrated_seconds=forecast.step_seconds,
            assumed=tuple(found.case.row.assumed),
        )
        for found, forecast in zip(solutions, after, strict=True)
        if found.ratio is not None
    )


def _gpu(case: Case) -> str:
    return case.problem.cluster.zones[0].node_groups[0].gpu.name
