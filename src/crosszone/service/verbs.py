"""The verbs as functions."""

from __future__ import annotations

import dataclasses
import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone import units
from crosszone.errors import SpecError, UnknownName
from crosszone.service.files import decoded, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.calibration import Calibration, CalibrationReport
    from crosszone.core.framework_choice import FrameworkChoice
    from crosszone.core.measured_gpu import GpuReport, MeasuredGpu
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem
    from crosszone.core.replan import Replan
    from crosszone.core.sweep import Sweep
    from crosszone.core.validation import Validation
    from crosszone.core.whatif import Advice, WhatIf
    from crosszone.core.why import Why
    from crosszone.planner.whatif import Base
    from crosszone.spec import JobFile
    from crosszone.timeline.spans import StepTimeline

DEFAULT_TOP = 5


def read(source: str | Path | dict[str, Any]) -> Problem:
    """The problem that a job file states: its path, or a mapping with its keys.

    SpecError, with everything that is wrong in it.
    """
    from crosszone.planner.names import read_named
    from crosszone.spec import open_job

    return read_named(open_job(source))


def read_text(text: str, *, base: Path | None = None) -> Problem:
    """The problem that the text of a job file states. SpecError.

    A model's path in it is relative to `base`; where that is None, as for text from elsewhere, it may name no files.
    """
    from crosszone.planner.names import read_named
    from crosszone.spec import open_job_text

    return read_named(open_job_text(text, base))


def predict(problem: Problem, plan: Plan | None = None, *, is_hypothetical: bool = False) -> RankedPlan:
    """`plan` with its prediction. None: the plan of the job file, completed.

    The prediction is whole where the plan does not fit: look at `prediction.memory.fits`. `is_hypothetical`: what the
    framework of the job cannot express, as an order of work, is predicted all the same and told under `assumed`.
    SpecError where the plan is incomplete, breaks arithmetic or is of another problem; InfeasiblePlan where no
    framework, or not its own, can express it.
    """
    from crosszone.core.answer import RankedPlan
    from crosszone.frameworks import framework_facts, supports
    from crosszone.planner.lint import checked
    from crosszone.timeline.predict import predict_plan

    plan = _asked_plan(problem, plan, is_hypothetical=is_hypothetical)
    prediction = predict_plan(problem, plan, framework_facts(plan.framework))
    if is_hypothetical:
        could = tuple(f"framework: as if it could; {reason}" for reason in supports(plan.framework, plan))
        prediction = dataclasses.replace(prediction, assumed=could + prediction.assumed)
    return checked(problem, RankedPlan(plan=plan, prediction=prediction))


def plan(problem: Problem, *, top: int = DEFAULT_TOP, with_front: bool = True) -> Answer:
    """The best `top` plans, what they are measured against, the front of time, cost and risk, what was turned down.

    `plans` is empty where nothing fits; `verdict` and `rejected` then say why. The front needs every candidate: without
    it, those that cannot rank are left out early. SpecError, InfeasiblePlan.
    """
    from crosszone.planner.lint import checked_answer
    from crosszone.planner.search import search

    if top < 1:
        raise SpecError.of(f"top is {top}.", where="top", hint="Ask for 1 plan or more.")
    started = time.perf_counter()
    answer = checked_answer(search(problem, top=top, in_full=True, with_front=with_front))
    elapsed_seconds = time.perf_counter() - started
    return dataclasses.replace(answer, search=dataclasses.replace(answer.search, elapsed_seconds=elapsed_seconds))


def sensitivity(
    answer: Answer, *, gpus: Sequence[str] = (), on_progress: Callable[[float], None] | None = None
) -> Answer:
    """`answer` with what other links, nodes, GPUs (`gpus`, or the next faster kind) and batches are worth.

    Each is a search of its own: about a dozen times as long as `plan`. `on_progress` is told the fraction that is done.
    UnknownName of a GPU.
    """
    from crosszone.planner.sensitivity import sensitivity as weigh

    found = weigh(answer, gpus=gpus, on_progress=on_progress or (lambda fraction: None))
    return dataclasses.replace(answer, sensitivity=found)


def frameworks(problem: Problem, *, on_progress: Callable[[float], None] | None = None) -> FrameworkChoice:
    """Every framework for `problem`: its best plan, what it can do of the chosen one, which to take and why.

    A search for each framework, about six times as long as `plan`. `on_progress` is told the fraction that is done.
    """
    from crosszone.deploy.frameworks import rendered_frameworks
    from crosszone.planner.framework_choice import framework_choice

    found = framework_choice(problem, on_progress=on_progress or (lambda fraction: None))
    can = rendered_frameworks()
    options = tuple(dataclasses.replace(option, can_deploy=option.framework in can) for option in found.options)
    return dataclasses.replace(found, options=options)


def why(problem: Problem, asked: str) -> Why:
    """Why the plan that is `asked` is not the one that `plan` chooses: the best of its kind, or what forbids it.

    `asked` fixes what matters, as "tp=8,pp=4,zones=a+b", or names a saved plan, as "PLANS.json#2". SpecError,
    InfeasiblePlan.
    """
    from crosszone.planner.why import why as of_degrees
    from crosszone.planner.why import why_plan

    is_saved = asked.partition("#")[0].endswith(".json")
    return why_plan(problem, read_plan(asked, problem=problem), asked) if is_saved else of_degrees(problem, asked)


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
    from crosszone.sweeps.cases import cases, variation
    from crosszone.sweeps.run import run

    return run(
        cases([(str(job), open_job(job)) for job in jobs], [variation(text) for text in variations], calibrations),
        version=version("crosszone"),
        output=output,
        num_workers=num_workers,
        dask_address=dask_address,
        starts_afresh=starts_afresh,
        on_progress=on_progress or (lambda fraction: None),
    )


def simulate(problem: Problem, plan: Plan | None = None, *, is_hypothetical: bool = False) -> StepTimeline:
    """One step of `plan`, played: who works, waits and sends when. None: the job file's plan, as `predict` has it.

    Look at `simulation` for a summary, at `trace` for all of it. `is_hypothetical` as for `predict`. SpecError where
    `plan` is of another problem, InfeasiblePlan where its framework cannot express it.
    """
    from crosszone.frameworks import framework_facts
    from crosszone.timeline.spans import step_timeline

    plan = _asked_plan(problem, plan, is_hypothetical=is_hypothetical)
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
    return base(opened, lambda changed: problem_of(changed, calibrations), plan)


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

    total = problem.workload.train_tokens
    tokens = total if remaining_tokens is None else remaining_tokens
    if tokens is None:
        hint = "Write it, or say how many tokens remain."
        raise SpecError.of("how much is still to be trained is unknown.", where="workload.train_tokens", hint=hint)
    if tokens <= 0.0:
        raise SpecError.of(f"{tokens:g} tokens remain: nothing is left to plan.", where="remaining")
    if total is not None and tokens > total:
        numbers = [units.format_count(count, digits=6) for count in (tokens, total)]
        message = f"{numbers[0]} tokens remain, but the job trains {numbers[1]} in all."
        raise SpecError.of(message, where="remaining", hint="Write what is left, or raise workload.train_tokens.")
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
    return problem_of(changed, calibrations)


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
        read_bytes(table),
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
        decoded(data, where),
        all_qualities=all_qualities,
        calibrations=calibrations,
        on_progress=on_progress or (lambda fraction: None),
    )


def calibrate(table: str | Path, *, on_progress: Callable[[float], None] | None = None) -> CalibrationReport:
    """Learn one constant per GPU from the measured runs of the CSV file `table`, in the format of `validate`.

    `on_progress` is told the fraction that is done. SpecError where the file cannot be read, no run can be used, or
    one is further from its prediction than a constant can explain.
    """
    return calibrate_bytes(read_bytes(table), where=Path(table).name, on_progress=on_progress)


def calibrate_bytes(
    data: bytes, *, where: str, on_progress: Callable[[float], None] | None = None
) -> CalibrationReport:
    """`calibrate` for the content of a file; `where` is what the calibrations give as their source. SpecError."""
    from crosszone.verify.calibrate import calibrate_table

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = decoded(data, where)
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
    return read_text(decoded(read_bytes(path, "calibration file"), where, kind="JSON"), where=where)


def calibrated(problem: Problem, calibrations: Sequence[Calibration]) -> Problem:
    """`problem`, to be predicted and planned with those of `calibrations` that are of its GPUs.

    Its predictions list them as assumed, and warn of those that are of other GPUs.
    """
    from crosszone.verify.calibration_file import apply

    return apply(problem, calibrations)


def starter_job() -> str:
    """A first job file, with comments; it plans as it is."""
    return Path(__file__).with_name("starter_job.yaml").read_text(encoding="utf-8")


def job_schema() -> dict[str, Any]:
    """JSON Schema of the job file."""
    from crosszone.spec import job_schema as schema

    return schema()


def read_plan(reference: str | Path, *, problem: Problem | None = None) -> Plan:
    """A saved plan: `PLANS.json#2` is the second of what `plan` wrote, without a number the first.

    SpecError, also where the file says that the plan is of another model than that of `problem`.
    """
    from crosszone.spec.plan_file import read_plan as read_saved

    path, separator, number = str(reference).rpartition("#")
    if not separator or not number.isdigit():
        path, number = str(reference), ""
    text = decoded(read_bytes(path, "plan file"), path, kind="JSON")
    model = None if problem is None else problem.model
    return read_saved(text, where=path, number=int(number) if number else None, model=model)


def problem_of(job: JobFile, calibrations: Sequence[Calibration] = ()) -> Problem:
    """The problem that an opened job file states, to be predicted with `calibrations`. SpecError."""
    from crosszone.planner.names import read_named

    problem = read_named(job)
    return calibrated(problem, calibrations) if calibrations else problem


def _asked_plan(problem: Problem, plan: Plan | None, *, is_hypothetical: bool) -> Plan:
    """`plan`, which is of `problem`; None: the job file's, completed. SpecError, InfeasiblePlan."""
    from crosszone.planner.complete import complete
    from crosszone.planner.pinned import check_plan

    if plan is None:
        return complete(problem, is_hypothetical=is_hypothetical)
    check_plan(problem, plan)
    return plan
