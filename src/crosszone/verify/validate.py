"""`validate`: a table of measured runs against what the model predicts of each."""

import functools
import re
from collections.abc import Callable, Sequence

from crosszone.catalog.intervals import error_ledger
from crosszone.core.calibration import Calibration
from crosszone.core.closeness import Closeness, ErrorLedger
from crosszone.core.model import Model
from crosszone.core.prediction import Interval
from crosszone.core.validation import SkippedRow, ValidatedRow, Validation
from crosszone.cost.flop import model_flop
from crosszone.errors import SpecError
from crosszone.timeline.intervals import closeness_of, intervals
from crosszone.verify.calibrate import calibrated
from crosszone.verify.calibration_file import unused_text, used_text
from crosszone.verify.case import Case, case_of
from crosszone.verify.conventions import FULL_RECOMPUTE_RATIO
from crosszone.verify.geo.table import is_geo_table, validate_geo
from crosszone.verify.measured import MEMORY, STEP, UNITS, Measured
from crosszone.verify.predicted import Forecast, forecasts
from crosszone.verify.row import Row, header, read_rows
from crosszone.verify.score import middle_of_repeats, quantity_scores

NULL_MODEL_FRACTION = 0.41
"""Of the peak, by a run of any kind: what a model must beat. The usual share of large tuned runs, 0.35 to 0.5, as
published MFU (Megatron-LM, llm-foundry, torchtitan) scatter around."""
COUNTED_QUALITIES = ("", "A", "B")
READING_SHARE = 0.2
"""Of the time, reading the rows; the rest is predicting them. For the progress bar."""


def validate_table(
    text: str,
    *,
    all_qualities: bool = False,
    calibrations: Sequence[Calibration] = (),
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Validation:
    """Predict every run of the CSV table `text` and score the predictions.

    Rows graded C are predicted and listed; they count only with `all_qualities`. Of repeats (`dup_group`) the middle
    one counts. Rows of a GPU that one of `calibrations` is of are predicted with it. `on_progress` is told the
    fraction that is done. A table of figures across zones, recognised by its columns, goes its own way (`verify.geo`).

    Errors: SpecError where the table lacks a column that every row needs. A single row never stops it: what cannot be
    expressed is listed as skipped, with the reason.
    """
    if is_geo_table(header(text)):
        return validate_geo(text, on_progress)
    rows = read_rows(text)
    cases, skipped = _cases(rows, on_progress)
    cases = [calibrated(case, calibrations) for case in cases] if calibrations else cases
    done = [0]

    def advance(count: int) -> None:
        done[0] += count
        on_progress(READING_SHARE + (1.0 - READING_SHARE) * done[0] / len(cases))

    found = list(zip(cases, forecasts(cases, advance), strict=True))
    nowhere = [case.row for case, forecast in found if not forecast.is_finite]
    skipped += [SkippedRow(id=row.id, reason="the cost model has no finite answer for this row.") for row in nowhere]
    pairs = [(case, forecast, measured) for case, forecast in found if forecast.is_finite for measured in case.measured]
    counted = _counted(pairs, all_qualities=all_qualities)
    validated = tuple(
        _validated(case, forecast, measured, is_counted=index in counted)
        for index, (case, forecast, measured) in enumerate(pairs)
    )
    return Validation(
        rows=validated,
        skipped=tuple(skipped),
        quantities=quantity_scores(validated),
        num_table_rows=len(rows),
        warnings=tuple(unused_text(each) for each in calibrations if each.gpu not in {row.gpu for row in validated}),
    )


def closeness(case: Case, ledger: ErrorLedger) -> Closeness:
    """How near the run is to those of `ledger`; a framework whose facts are another's counts as unseen."""
    is_stand_in = any(text.startswith("framework ") for text in case.row.assumed)
    return closeness_of(case.problem, case.plan, ledger, is_stand_in=is_stand_in)


def _cases(rows: tuple[Row, ...], on_progress: Callable[[float], None]) -> tuple[list[Case], list[SkippedRow]]:
    cases, skipped = [], []
    for index, row in enumerate(rows):
        if index % 100 == 0:
            on_progress(READING_SHARE * index / len(rows))
        try:
            cases.append(case_of(row))
        except SpecError as error:
            skipped.append(SkippedRow(id=row.id, reason=str(error)))
    return cases, skipped


def _counted(pairs: list[tuple[Case, Forecast, Measured]], *, all_qualities: bool) -> set[int]:
    """Indices of what the summary is over."""
    graded = [
        index
        for index, (case, _, _) in enumerate(pairs)
        if all_qualities or case.row.text("quality").upper() in COUNTED_QUALITIES
    ]
    repeats = [
        (pairs[index][0].row.text("dup_group"), pairs[index][2].quantity, float(pairs[index][2].value))
        for index in graded
    ]
    return {graded[position] for position in middle_of_repeats(repeats)}


def _validated(case: Case, forecast: Forecast, measured: Measured, *, is_counted: bool) -> ValidatedRow:
    row, problem = case.row, case.problem
    predicted = _predicted(row, forecast, measured.quantity)
    is_number = not isinstance(measured.value, bool)
    gpu = problem.cluster.zones[0].node_groups[0].gpu.name
    widest = _widest_interval(case, forecast) if measured.quantity == STEP else None
    return ValidatedRow(
        id=row.id,
        source=row.source,
        quantity=measured.quantity,
        unit=UNITS[measured.quantity],
        measured=measured.value,
        predicted=predicted,
        relative_error=predicted / measured.value - 1.0 if is_number else None,
        assumed=(*row.assumed, *(used_text(each) for each in problem.calibrations)),
        column=measured.column,
        quality=row.text("quality"),
        is_counted=is_counted,
        gpu=gpu,
        framework=case.framework.name.partition(" ")[0],  # without its generation and kernel
        family=_family(problem.model),
        group=_group(case, gpu),
        null_model_seconds=_null_model_seconds(case) if measured.quantity == STEP else None,
        low_seconds=None if widest is None else widest.low_seconds,
        high_seconds=None if widest is None else widest.high_seconds,
        layout=_layout(case),
    )


def _widest_interval(case: Case, forecast: Forecast) -> Interval:
    ledger = error_ledger()
    return intervals(forecast.step_seconds, closeness(case, ledger), ledger)[-1]


def _predicted(row: Row, forecast: Forecast, quantity: str) -> float | bool:
    if quantity == STEP:
        return forecast.step_seconds
    if quantity == MEMORY:
        return forecast.peak_bytes(kind=row.text("mem_kind"), scope=row.text("mem_scope"))
    return forecast.fits


def _family(model: Model) -> str:
    """Family of the model: the catalog's, else the letters that its name starts with."""
    letters = re.match(r"[A-Za-z]+", model.name)
    return model.family or (letters[0].lower() if letters else "unnamed")


def _group(case: Case, gpu: str) -> str:
    workload = case.problem.workload
    parts = (case.row.source, case.problem.model.name, gpu, case.plan.world_size, workload.sequence_length)
    return " ".join(map(str, (*parts, workload.global_batch_size)))


def _layout(case: Case) -> str:
    """All that a plan of a group is, as the row tells it; sweeps of the model's own shape have a name in common."""
    plan, workload, model = case.plan, case.problem.workload, case.problem.model
    degrees = (plan.tp, plan.pp, plan.cp, plan.ep, plan.dp, plan.dp_shard, plan.num_virtual_stages)
    modes = (plan.microbatch_size, plan.sequence_parallel, plan.shard, plan.recompute, workload.attention)
    shape = (model.num_layers, model.hidden_size, model.num_heads)
    return " ".join(map(str, (*degrees, *modes, *shape, workload.dtypes.compute, case.framework.name)))


def _null_model_seconds(case: Case) -> float:
    """Step at a constant fraction of the precision's peak, the forward counted twice where all is recomputed."""
    workload, plan = case.problem.workload, case.plan
    flop = _sequence_flop(case.problem.model, workload.sequence_length) * workload.global_batch_size
    if plan.recompute == "full":
        flop *= FULL_RECOMPUTE_RATIO
    peak = case.problem.cluster.zones[0].node_groups[0].gpu.peak(workload.dtypes.compute)
    assert peak is not None, "a row whose GPU lacks its precision was turned down before"
    return flop / (NULL_MODEL_FRACTION * peak * plan.world_size)


@functools.lru_cache(maxsize=4096)
def _sequence_flop(model: Model, sequence_length: int) -> float:
    return model_flop(model, sequence_length)
