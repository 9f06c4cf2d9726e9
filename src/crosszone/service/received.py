"""What came over a network instead of from a file: it names no files, and plans and calibrations are in it whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crosszone.errors import SpecError

if TYPE_CHECKING:
    from crosszone.core.calibration import Calibration
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem
    from crosszone.core.why import Why
    from crosszone.spec import JobFile


def received_job(job: str | dict[str, Any]) -> JobFile:
    """A job file as text or as a mapping with its keys, for `whatif_base`. SpecError."""
    from crosszone.spec import open_job, open_job_text

    return open_job_text(job) if isinstance(job, str) else open_job(job)


def received_problem(job: str | dict[str, Any]) -> Problem:
    """The problem that a job file states, as text or as a mapping with its keys. SpecError."""
    from crosszone.planner.names import read_named

    return read_named(received_job(job))


def job_document(job: str | dict[str, Any], *, like: str = "", settings: Sequence[str] = ()) -> dict[str, Any]:
    """A job file as its keys and as its text, whichever came, with all that is wrong with it.

    A job that came as keys is written into the text `like`, whose comments stay. `settings`, each `KEY=VALUE` as of
    `whatif`, are values that it shall have; null takes a key away. SpecError where a text is no YAML, or a setting no
    setting.
    """
    from dataclasses import asdict

    from crosszone.spec.job_text import write_job

    opened, places = received_job(job).with_settings(settings)
    value = opened.source.value
    for where in places:
        _drop_null(value, where)
    errors = []
    try:
        opened.problem()
    except SpecError as error:
        errors = [asdict(finding) for finding in error.findings]
    if isinstance(job, str):
        like = job
    text = write_job(value, like=like)
    return {"schema_version": 1, "job": value, "text": text, "errors": errors}


def _drop_null(value: Any, where: Sequence[str | int]) -> None:
    """Take away the key at `where` if it has no value: the text then looks as if it had never been written."""
    *way, last = where
    for part in way:
        value = value[part]
    if isinstance(value, dict) and value.get(last, ...) is None:
        del value[last]


def received_plan(value: dict[str, Any], *, where: str, problem: Problem | None = None) -> Plan:
    """The plan in `value`, in what `predict` prints, or the first in what `plan` prints; SpecError as `read_plan`."""
    from crosszone.spec.plan_file import read_plan

    return read_plan(json.dumps(value), where=where, model=None if problem is None else problem.model)


def received_calibrations(value: dict[str, Any], *, where: str) -> tuple[Calibration, ...]:
    """The calibrations in the content of a calibration file. SpecError, with everything that is wrong in it."""
    from crosszone.verify.calibration_file import read_calibrations

    return read_calibrations(json.dumps(value), where=where)


def received_why(problem: Problem, asked: str | dict[str, Any], *, where: str) -> Why:
    """`service.why` of degrees, as "tp=8,pp=4", or of a plan. SpecError, InfeasiblePlan."""
    from crosszone.planner.why import why, why_plan

    if not isinstance(asked, str):
        return why_plan(problem, received_plan(asked, where=where, problem=problem), "plan")
    if asked.partition("#")[0].endswith(".json"):
        hint = 'Send the plan itself, or degrees, as "tp=8,pp=4".'
        raise SpecError.of(f'"{asked}" is a file, which a request may not name.', where=where, hint=hint)
    return why(problem, asked)
