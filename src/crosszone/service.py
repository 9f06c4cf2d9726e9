"""The verbs as functions: everything below the command line and the server is reached only through here.

A verb takes and gives the nouns of `core`; the `*_json` functions give what is printed and sent. Heavy packages are
imported where they are used, so that a program which needs one verb pays for that one.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import SpecError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.calibration import Calibration, CalibrationReport
    from crosszone.core.measured_gpu import GpuReport, MeasuredGpu
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem
    from crosszone.core.replan import Replan
    from crosszone.core.sweep import Sweep
    from crosszone.core.validation import QuantityScores, Validation
    from crosszone.core.whatif import Advice, WhatIf
    from crosszone.planner.whatif import Base
    from crosszone.spec import JobFile
    from crosszone.timeline.spans import StepTimeline

CATALOGS = ("gpus", "models", "regions", "frameworks")
DEFAULT_TOP = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One thing that a job file can name."""

    name: str
    """As a job file writes it."""
    noun: Any
    """`Gpu`, `Model`, `Region` or `Framework`."""
    more: tuple[tuple[str, Any], ...] = ()
    """What the catalog says beside the noun's fields: aliases, a note, counted parameters."""
    facts: tuple[Any, ...] = ()
    """Each figure with its source; empty where one source in the noun stands for all."""


def read(source: str | Path | dict[str, Any]) -> Problem:
    """The problem that a job file states: its path, or a mapping with its keys.

    SpecError, with everything that is wrong in it.
    """
    from crosszone.planner.names import check_framework_names
    from crosszone.spec import read_job

    problem = read_job(source)
    check_framework_names(problem)
    return problem


def read_text(text: str, *, base: Path | None = None) -> Problem:
    """The problem that the text of a job file states. SpecError.

    A model's path in it is relative to `base`; where that is None, as for text from elsewhere, it may name no files.
    """
    from crosszone.planner.names import check_framework_names
    from crosszone.spec import read_job_text

    problem = read_job_text(text, base)
    check_framework_names(problem)
    return problem


def predict(problem: Problem) -> RankedPlan:
    """The plan of the job file, completed, with its prediction.

    The prediction is whole where the plan does not fit: look at `prediction.memory.fits`. SpecError where the plan
    is incomplete or breaks arithmetic, InfeasiblePlan where no framework can express it.
    """
    from crosszone.core.answer import RankedPlan
    from crosszone.frameworks import framework_facts
    from crosszone.planner.complete import complete
    from crosszone.timeline.predict import predict_plan

    plan = complete(problem)
    return RankedPlan(plan=plan, prediction=predict_plan(problem, plan, framework_facts(plan.framework)))


def plan(problem: Problem, *, top: int = DEFAULT_TOP) -> Answer:
    """The best `top` plans, what they are measured against, and what was turned down.

    `plans` is empty where nothing fits; `verdict` and `rejected` then say why. SpecError, InfeasiblePlan.
    """
    from crosszone.planner.search import search

    if top < 1:
        raise SpecError.of(f"top is {top}.", where="top", hint="Ask for 1 plan or more.")
    started = time.perf_counter()
    answer = search(problem, top=top)
    elapsed_seconds = time.perf_counter() - started
    return dataclasses.replace(answer, search=dataclasses.replace(answer.search, elapsed_seconds=elapsed_seconds))


def sweep(
    jobs: Sequence[str | Path],
    *,
    variations: Sequence[str] = (),
    output: Path | None = None,
    num_workers: int | None = None,
    dask_address: str | None = None,
    calibrations: Sequence[Calibration] = (),
    starts_afresh: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Sweep:
    """The best plan of every job file with every combination of `variations`, each `KEY=V1,V2`.

    Planned by `num_workers` processes (None: one a core) or by the dask cluster at `dask_address`. With `output`, a
    .csv or .parquet file, a sweep that was stopped goes on where it was, unless it `starts_afresh`. A case that cannot
    be planned is a row that says why. SpecError, PreflightFailed; CrossZoneError where a worker is lost.
    """
    from importlib.metadata import version

    from crosszone.spec import open_job
    from crosszone.sweep.cases import cases, variation
    from crosszone.sweep.run import run

    return run(
        cases([(str(job), open_job(job)) for job in jobs], [variation(text) for text in variations], calibrations),
        version=version("crosszone"),
        output=output,
        num_workers=num_workers,
        dask_address=dask_address,
        starts_afresh=starts_afresh,
        on_progress=on_progress or (lambda fraction: None),
    )


def simulate(problem: Problem, plan: Plan | None = None) -> StepTimeline:
    """One step of `plan`, played: who works, waits and sends when. None: the job file's plan, as `predict` has it.

    Look at `simulation` for a summary, at `trace` for all of it. SpecError where `plan` is of another problem,
    InfeasiblePlan where its framework cannot express it.
    """
    from crosszone.frameworks import framework_facts
    from crosszone.planner.complete import complete
    from crosszone.planner.pinned import check_plan
    from crosszone.timeline.spans import step_timeline

    if plan is None:
        plan = complete(problem)
    else:
        check_plan(problem, plan)
    return step_timeline(problem, plan, framework_facts(plan.framework))


def whatif_base(
    job: str | Path | dict[str, Any] | JobFile, *, plan: Plan | None = None, calibrations: Sequence[Calibration] = ()
) -> Base:
    """A job with its plan and prediction, for many `whatif`: those then take some milliseconds each.

    The plan is `plan` if there is one, else that of the job file, completed or searched. SpecError, InfeasiblePlan.
    """
    from crosszone.planner.whatif import base
    from crosszone.spec import JobFile, open_job

    opened = job if isinstance(job, JobFile) else open_job(job)
    return base(opened, lambda changed: _read_opened(changed, calibrations), plan)


def whatif(
    job: str | Path | dict[str, Any] | JobFile | Base, settings: Sequence[str] = (), *, plan: Plan | None = None
) -> WhatIf:
    """What `settings`, each `KEY=VALUE`, do to every number of the prediction of a job, or of a `whatif_base`.

    The plan is held fast, but for what is set of it. Without settings: the base, and advice. SpecError with everything
    that is wrong, InfeasiblePlan.
    """
    from crosszone.planner.advice import advice as advise
    from crosszone.planner.whatif import Base, what_if

    base = job if isinstance(job, Base) else whatif_base(job, plan=plan)
    result = what_if(base, settings)
    return result if settings else dataclasses.replace(result, advice=advise(base))


def advice(base: Base) -> tuple[Advice, ...]:
    """Single changes of a job that save time, most seconds first, each evaluated by the cost model."""
    from crosszone.planner.advice import advice as advise

    return advise(base)


def replan(
    problem: Problem, running: Plan, *, remaining_tokens: float | None = None, is_torn_off: bool = False, top: int = 5
) -> Replan:
    """Ways to go on with a training that runs by the plan `running`, on the changed cluster of `problem`.

    `remaining_tokens` are still to be trained, all of the job's where None. `is_torn_off`: a failure took the work
    since the last checkpoint. `choices` is empty where nothing fits. SpecError, InfeasiblePlan.
    """
    from crosszone.planner.replan import replan as search_again

    tokens = problem.workload.train_tokens if remaining_tokens is None else remaining_tokens
    if tokens is None:
        hint = "Write it, or say how many tokens remain."
        raise SpecError.of("how much is still to be trained is unknown.", where="workload.train_tokens", hint=hint)
    return search_again(problem, running, remaining_tokens=tokens, is_torn_off=is_torn_off, top=top)


def open_job(text: str, *, base: Path | None = None) -> JobFile:
    """The text of a job file, for `whatif_base`; `base` as for `read_text`. SpecError where it is no YAML."""
    from crosszone.spec import open_job_text

    return open_job_text(text, base)


def changed_problem(
    job: str | Path | dict[str, Any] | JobFile, settings: Sequence[str], calibrations: Sequence[Calibration] = ()
) -> Problem:
    """The problem of a job in which `settings`, each `KEY=VALUE`, are set. SpecError."""
    from crosszone.spec import JobFile, open_job

    opened = job if isinstance(job, JobFile) else open_job(job)
    changed, _ = opened.with_settings(settings)
    return _read_opened(changed, calibrations)


def validate(
    table: str | Path,
    *,
    all_qualities: bool = False,
    calibrations: Sequence[Calibration] = (),
    on_progress: Callable[[float], None] | None = None,
) -> Validation:
    """Predict every run of the CSV file `table` and compare with what was measured.

    Rows graded C count only with `all_qualities`. Rows of a GPU that one of `calibrations` is of are predicted with
    it. `on_progress` is told the fraction that is done. SpecError where the file cannot be read or lacks a column; a
    row that cannot be expressed is listed as skipped, with the reason.
    """
    return validate_bytes(
        _table_bytes(table),
        where=str(table),
        all_qualities=all_qualities,
        calibrations=calibrations,
        on_progress=on_progress,
    )


def validate_bytes(
    data: bytes,
    *,
    where: str = "",
    all_qualities: bool = False,
    calibrations: Sequence[Calibration] = (),
    on_progress: Callable[[float], None] | None = None,
) -> Validation:
    """`validate` for the content of a file; `where` is what to call it. SpecError."""
    from crosszone.verify.validate import validate_table

    return validate_table(
        _table_text(data, where),
        all_qualities=all_qualities,
        calibrations=calibrations,
        on_progress=on_progress or (lambda fraction: None),
    )


def calibrate(table: str | Path, *, on_progress: Callable[[float], None] | None = None) -> CalibrationReport:
    """Learn one constant per GPU from the measured runs of the CSV file `table`, in the format of `validate`.

    `on_progress` is told the fraction that is done. SpecError where the file cannot be read, no run can be used, or
    one is further from its prediction than a constant can explain.
    """
    return calibrate_bytes(_table_bytes(table), where=Path(table).name, on_progress=on_progress)


def calibrate_bytes(
    data: bytes, *, where: str, on_progress: Callable[[float], None] | None = None
) -> CalibrationReport:
    """`calibrate` for the content of a file; `where` is what the calibrations give as their source. SpecError."""
    from crosszone.verify.calibrate import calibrate_table

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = _table_text(data, where)
    return calibrate_table(text, source=where, date=today, on_progress=on_progress or (lambda fraction: None))


def calibrate_gpu(*, on_progress: Callable[[float], None] | None = None) -> GpuReport:
    """Time kernels on this machine's first GPU, for about a minute, and learn its shares of the catalog's peaks.

    `on_progress` is told the fraction that is done. PreflightFailed where torch or a GPU is missing, UnknownName where
    the catalog does not know the GPU, CrossZoneError where what comes out cannot be.
    """
    from crosszone.catalog.gpus import gpu
    from crosszone.runtime.measure import gpu_name, measure

    name = gpu_name()
    try:
        gpu(name)  # before a minute is spent on it
    except UnknownName as error:
        raise UnknownName(*(dataclasses.replace(each, where="this machine") for each in error.findings)) from None
    return fit_gpu(measure(on_progress=on_progress or (lambda fraction: None)))


def fit_gpu(measured: MeasuredGpu) -> GpuReport:
    """What raw figures say of their GPU. UnknownName, CrossZoneError."""
    from crosszone.catalog.efficiency import efficiency
    from crosszone.catalog.gpus import gpu
    from crosszone.verify.curves import fit_gpu as fit

    sheet = gpu(measured.name)
    return fit(measured, sheet, efficiency(sheet))


def read_calibrations(path: str | Path) -> tuple[Calibration, ...]:
    """The calibrations in the file at `path`. SpecError, with everything that is wrong in it."""
    from crosszone.verify.calibration_file import read_calibrations as read_text

    where = str(path)
    return read_text(_table_text(_table_bytes(path, "calibration file"), where, kind="JSON"), where=where)


def calibrated(problem: Problem, calibrations: Sequence[Calibration]) -> Problem:
    """`problem`, to be predicted and planned with those of `calibrations` that are of its GPUs.

    Its predictions list them as assumed, and warn of those that are of other GPUs.
    """
    from crosszone.verify.calibration_file import apply

    return apply(problem, calibrations)


def calibrations_json(calibrations: Sequence[Calibration], measured: Sequence[MeasuredGpu] = ()) -> dict[str, Any]:
    """What a calibration file holds: with the raw figures of the GPUs that were timed."""
    from crosszone.verify.calibration_file import calibrations_json as as_json

    return as_json(calibrations, measured)


def calibration_report_json(report: CalibrationReport) -> dict[str, Any]:
    """Calibrate JSON: what the file holds, the runs behind it, and the rows that were not used."""
    from crosszone.core.codec import to_json

    more: dict[str, Any] = to_json({"runs": report.runs, "unused": report.unused})
    return {**calibrations_json(report.calibrations), **more}


def gpu_report_json(report: GpuReport) -> dict[str, Any]:
    """Calibrate JSON of a timed GPU: what the file holds, each share beside the catalog's, and what was not fitted."""
    from crosszone.core.codec import to_json

    more: dict[str, Any] = to_json({"shares": report.shares, "notes": report.notes})
    return {**calibrations_json([report.calibration], [report.measured]), **more}


def catalog(kind: str, name: str | None = None) -> tuple[CatalogEntry, ...]:
    """Every entry of one of `CATALOGS`, or the one called `name` (regions: also all of a provider). UnknownName."""
    entries = {"gpus": _gpus, "models": _models, "regions": _regions, "frameworks": _frameworks}
    if kind not in entries:
        raise UnknownName.among(kind, CATALOGS, kind="catalog", where="catalog")
    try:
        return entries[kind](name)
    except UnknownName as error:
        # Below, nobody knows where the name was asked for.
        where = f"catalog {kind}"
        raise UnknownName(*(dataclasses.replace(finding, where=where) for finding in error.findings)) from None


def catalog_json(entries: Iterable[CatalogEntry]) -> list[dict[str, Any]]:
    """Catalog JSON: the fields of each noun, its name as a job file writes it, and the sources of its figures."""
    from crosszone.core.codec import to_json

    return [
        {
            **to_json(entry.noun),
            "name": entry.name,
            **to_json(dict(entry.more)),
            **({"facts": to_json(entry.facts)} if entry.facts else {}),
        }
        for entry in entries
    ]


def starter_job() -> str:
    """A first job file, with comments; it plans as it is."""
    return Path(__file__).with_name("starter_job.yaml").read_text(encoding="utf-8")


def job_schema() -> dict[str, Any]:
    """JSON Schema of the job file."""
    from crosszone.spec import job_schema as schema

    return schema()


def prediction_json(ranked: RankedPlan) -> dict[str, Any]:
    """Prediction JSON: its fields at the top, and the completed plan as `plan`."""
    from crosszone.core.codec import to_json

    return {**to_json(ranked.prediction), "plan": plan_json(ranked.plan)}


def answer_json(answer: Answer) -> dict[str, Any]:
    """Plan JSON."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(answer)
    value["plans"] = [_ranked_json(ranked) for ranked in answer.plans]
    value["baseline"] = None if answer.baseline is None else _ranked_json(answer.baseline)
    value |= {"speedup_ratio": answer.speedup_ratio, "scaling_ratio": answer.scaling_ratio}
    value["rejected"] = [
        {"plan": plan_json(rejected.plan), "reasons": list(rejected.reasons)} for rejected in answer.rejected
    ]
    return value


def read_plan(reference: str | Path) -> Plan:
    """A saved plan: `PLANS.json#2` is the second of what `plan` wrote, without a number the first. SpecError."""
    from crosszone.spec.plan_file import read_plan as read_saved

    path, separator, number = str(reference).rpartition("#")
    if not separator or not number.isdigit():
        path, number = str(reference), ""
    text = _table_text(_table_bytes(path, "plan file"), path, kind="JSON")
    return read_saved(text, where=path, number=int(number) if number else None)


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan with what follows from it: `world_size`, `zone_axis`."""
    from crosszone.core.codec import to_json

    return {**to_json(plan), "world_size": plan.world_size, "zone_axis": plan.zone_axis}


def replan_json(found: Replan) -> dict[str, Any]:
    """Replan JSON: the choices as plans that `--plan` takes, each with its move."""
    from crosszone.core.codec import to_json

    plans = []
    for choice in found.choices:
        value = to_json(choice) | {"plan": plan_json(choice.plan)}
        value["move"]["total_seconds"] = choice.move.total_seconds
        plans.append(value)
    return {
        "schema_version": 1,
        "running": plan_json(found.running),
        "remaining_tokens": found.remaining_tokens,
        "impossible": list(found.impossible),
        "verdict": found.verdict,
        "plans": plans,
    }


def sweep_json(sweep: Sweep) -> dict[str, Any]:
    """Sweep JSON: the rows as they are in the table, and how the cases ended."""
    statuses = [row["status"] for row in sweep.rows]
    return {
        "schema_version": 1,
        "rows": list(sweep.rows),
        "summary": {
            "num_cases": len(statuses),
            "num_resumed": sweep.num_resumed,
            **{f"num_{status}": statuses.count(status) for status in ("planned", "infeasible", "refused", "failed")},
        },
    }


def simulation_json(timeline: StepTimeline, *, max_slices: int | None = None) -> dict[str, Any]:
    """Simulate JSON: how busy stages and links are, and the plan; with `max_slices` also the timeline, as `detail`."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(timeline.simulation)
    value |= {"fits": timeline.prediction.memory.fits, "plan": plan_json(timeline.plan)}
    if max_slices is not None:
        bounds = (0.0, timeline.simulation.step_seconds)
        value["detail"] = detail_json(timeline, bounds=bounds, max_slices=max_slices)
    return value


def detail_json(timeline: StepTimeline, *, bounds: tuple[float, float], max_slices: int) -> dict[str, Any]:
    """What happens between two times, in at most `max_slices` slices: neighbours on a track are merged."""
    from crosszone.trace.detail import detail_json as as_json
    from crosszone.trace.detail import window

    start, end = bounds
    return as_json(window(timeline.trace, start_seconds=start, end_seconds=end, max_slices=max_slices))


def trace_text(timeline: StepTimeline) -> Iterator[str]:
    """The timeline as a file that ui.perfetto.dev and chrome://tracing open, in pieces."""
    from crosszone.trace.perfetto import perfetto_text

    return perfetto_text(timeline.trace)


def activity(timeline: StepTimeline, *, num_cells: int) -> dict[tuple[int, int], tuple[str, ...]]:
    """What each (replica, stage) does in each of equal parts of the step: a category of spans, "" for waiting."""
    from crosszone.timeline.use import stage_activity

    return stage_activity(timeline.trace, timeline.simulation, num_cells=num_cells)


def whatif_json(result: WhatIf) -> dict[str, Any]:
    """Whatif JSON: `base` and `changed` as Prediction JSON, every number's change, regimes and advice."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(result)
    return {**value, "base": prediction_json(result.base), "changed": prediction_json(result.changed)}


def validation_json(validation: Validation) -> dict[str, Any]:
    """Validate JSON: rows, skipped rows, and the summary with the scores of the first quantity at its top."""
    from crosszone.core.codec import to_json

    quantities = {name: _scores_json(scores) for name, scores in validation.quantities.items()}
    first = next(iter(quantities), None)
    headline = {"quantity": first, **quantities[first]} if first else {"quantity": None, "num_rows": 0, "by_source": {}}
    return {
        "schema_version": 1,
        "rows": to_json(validation.rows),
        "skipped": to_json(validation.skipped),
        "warnings": to_json(validation.warnings),
        "summary": {
            **headline,
            "num_table_rows": validation.num_table_rows,
            "num_skipped": len(validation.skipped),
            "quantities": quantities,
        },
    }


def _read_opened(job: JobFile, calibrations: Sequence[Calibration]) -> Problem:
    from crosszone.planner.names import check_framework_names

    problem = job.problem()
    check_framework_names(problem)
    return calibrated(problem, calibrations) if calibrations else problem


def _table_bytes(table: str | Path, kind: str = "table") -> bytes:
    try:
        return Path(table).read_bytes()
    except OSError as error:
        raise SpecError.unreadable(kind, str(table), error) from None


def _table_text(data: bytes, where: str, kind: str = "CSV") -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is 0x{data[error.start]:02x}, which is not UTF-8."
        raise SpecError.of(message, where=where, hint=f"Save it as {kind}, UTF-8.") from None


def _scores_json(scores: QuantityScores) -> dict[str, Any]:
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(scores)
    return {**value.pop("total"), **value}


def _ranked_json(ranked: RankedPlan) -> dict[str, Any]:
    from crosszone.core.codec import to_json

    return {
        "plan": plan_json(ranked.plan),
        "prediction": to_json(ranked.prediction),
        "reasons": list(ranked.reasons),
    }


def _gpus(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.gpus import gpu, gpu_names, gpu_sheet

    sheets = [gpu_sheet(each) for each in (gpu_names() if name is None else (name,))]
    return tuple(
        CatalogEntry(
            name=sheet.name,
            noun=gpu(sheet.name),
            more=(("aliases", sheet.aliases), ("note", sheet.text("note"))),
            facts=sheet.figures,
        )
        for sheet in sheets
    )


def _models(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.models import model_names, model_sheet
    from crosszone.cost.parameters import num_active_parameters, num_parameters

    sheets = [model_sheet(each) for each in (model_names() if name is None else (name,))]
    return tuple(
        CatalogEntry(
            name=sheet.model.name,
            noun=sheet.model,
            more=(
                ("num_parameters", num_parameters(sheet.model)),
                ("num_active_parameters", num_active_parameters(sheet.model)),
                ("aliases", sheet.aliases),
                ("retrieved", sheet.retrieved),
                ("note", sheet.note),
            ),
        )
        for sheet in sheets
    )


def _regions(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.regions import nearest_names, providers, region, regions

    if name is None or name in providers():
        found = regions(name)
    else:
        one = region(name)
        if one is None:
            raise UnknownName.among(name, nearest_names(name) or providers(), kind="region")
        found = (one,)
    return tuple(CatalogEntry(name=each.reference, noun=each) for each in found)


def _frameworks(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.frameworks import framework_sheet
    from crosszone.frameworks import framework_facts, framework_names

    names = framework_names() if name is None else (name,)
    return tuple(
        CatalogEntry(name=each, noun=framework_facts(each), facts=framework_sheet(each).figures) for each in names
    )
