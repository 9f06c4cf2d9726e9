"""The verbs as functions: everything below the command line and the server is reached only through here.

A verb takes and gives the nouns of `core`; the `*_json` functions give what is printed and sent. Heavy packages are
imported where they are used, so that a program which needs one verb pays for that one.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import Finding, SpecError, UnknownName, nearest_hint

if TYPE_CHECKING:
    import os

    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem

CATALOGS = ("gpus", "models", "regions", "frameworks")
DEFAULT_TOP = 5


def read(path: str | os.PathLike[str]) -> Problem:
    """The problem that the job file at `path` states. SpecError, with everything that is wrong in it."""
    from crosszone.spec import read_job

    problem = read_job(Path(path))
    _check_framework_names(problem)
    return problem


def read_text(text: str, *, base: str | os.PathLike[str] = ".") -> Problem:
    """The problem that the text of a job file states; a model's path in it is relative to `base`. SpecError."""
    from crosszone.spec import read_job_text

    problem = read_job_text(text, Path(base))
    _check_framework_names(problem)
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
    value["rejected"] = [
        {"plan": plan_json(rejected.plan), "reasons": list(rejected.reasons)} for rejected in answer.rejected
    ]
    return value


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan with what follows from it: `world_size`, `zone_axis`."""
    from crosszone.core.codec import to_json

    return {**to_json(plan), "world_size": plan.world_size, "zone_axis": plan.zone_axis}


def _ranked_json(ranked: RankedPlan) -> dict[str, Any]:
    from crosszone.core.codec import to_json

    return {
        "plan": plan_json(ranked.plan),
        "prediction": to_json(ranked.prediction),
        "reasons": list(ranked.reasons),
    }


def _check_framework_names(problem: Problem) -> None:
    """The job file's frameworks exist. `spec` cannot know: it stands beside `frameworks`, not above it."""
    from crosszone.frameworks import framework_names

    written = [("framework.name", problem.framework)] if problem.framework is not None else []
    written += [(f"constraints.frameworks[{i}]", name) for i, name in enumerate(problem.constraints.frameworks)]
    known = framework_names()
    findings = [
        Finding(
            code=UnknownName.default_code,
            message=f'unknown framework "{name}".',
            where=where,
            hint=nearest_hint(name, known),
        )
        for where, name in written
        if name not in known
    ]
    if findings:
        raise UnknownName(*findings)
