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
    from collections.abc import Iterable

    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem

CATALOGS = ("gpus", "models", "regions", "frameworks")
DEFAULT_TOP = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One thing that a job file can name."""

    name: str
    """As a job file writes it."""
    noun: Any
    """`Gpu`, `Model`, `Region` or `Framework`."""
    facts: tuple[Any, ...] = ()
    """Each figure with its source, where the noun does not carry it."""


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


def catalog(kind: str, name: str | None = None) -> tuple[CatalogEntry, ...]:
    """Every entry of one of `CATALOGS`, or the one called `name` (regions: also all of a provider). UnknownName."""
    entries = {"gpus": _gpus, "models": _models, "regions": _regions, "frameworks": _frameworks}
    if kind not in entries:
        raise UnknownName.among(kind, CATALOGS, kind="catalog")
    return entries[kind](name)


def catalog_json(entries: Iterable[CatalogEntry]) -> list[dict[str, Any]]:
    """Catalog JSON: the fields of each noun, its name as a job file writes it, and the sources of its figures."""
    from crosszone.core.codec import to_json

    return [
        {**to_json(entry.noun), "name": entry.name, **({"facts": to_json(entry.facts)} if entry.facts else {})}
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


def _gpus(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.gpus import gpu, gpu_facts, gpu_names

    nouns = [gpu(each) for each in (gpu_names() if name is None else (name,))]
    return tuple(CatalogEntry(name=noun.name, noun=noun, facts=gpu_facts(noun.name)) for noun in nouns)


def _models(name: str | None) -> tuple[CatalogEntry, ...]:
    from crosszone.catalog.models import model, model_names

    nouns = [model(each) for each in (model_names() if name is None else (name,))]
    return tuple(CatalogEntry(name=noun.name, noun=noun) for noun in nouns)


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
    from crosszone.frameworks import framework_facts, framework_names

    known = framework_names()
    if name is not None and name not in known:
        raise UnknownName.among(name, known, kind="framework")
    return tuple(CatalogEntry(name=each, noun=framework_facts(each)) for each in (known if name is None else (name,)))


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
