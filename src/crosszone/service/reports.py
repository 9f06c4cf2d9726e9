"""A report: one file that shows a plan without a server, a page with all that it would ask of one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone import words
from crosszone.errors import CrossZoneError, PreflightFailed, SpecError

if TYPE_CHECKING:
    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.calibration import Calibration
    from crosszone.core.problem import Problem
    from crosszone.spec import JobFile

__all__ = ["Report", "report"]

FOLDER, PAGE = "web", "report.html"
"""Where `make web` builds the page."""
OPENED, CLOSED = '<script id="report" type="application/json">', "</script>"
"""The element of the page that holds the content."""
MOST_SLICES = 20_000
"""Of the timeline: what a screen can show of a step, in some megabytes."""
ONE_KIND_ALONE = ("tp=1,pp=1,cp=1,ep=1", "dp=1")
"""What the chosen plan is drawn against: data parallel alone, model parallel alone."""
CHINESE = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A file to keep or send."""

    html: str
    has_plan: bool
    """Whether anything fits: else it says why not."""


def report(
    job: str | Path | dict[str, Any] | JobFile,
    *,
    chosen: int = 1,
    calibrations: Sequence[Calibration] = (),
    on_progress: Callable[[float], None] | None = None,
) -> Report:
    """The ranked plans of `job` as one file in HTML, with all about that one which is `chosen`, counted from 1.

    A browser opens it without a server, and it asks nothing of any. `on_progress` is told the fraction that is done.
    PreflightFailed where the page was not built; SpecError, InfeasiblePlan.
    """
    from crosszone.service.as_json import answer_json
    from crosszone.service.verbs import DEFAULT_TOP, plan, problem_of, sensitivity
    from crosszone.spec import JobFile, open_job

    page = _page(files("crosszone.service").joinpath(FOLDER, PAGE))
    opened = job if isinstance(job, JobFile) else open_job(job)
    problem = problem_of(opened, calibrations)
    answer = plan(problem, top=DEFAULT_TOP)
    ranked = _chosen(answer, chosen)
    answer = sensitivity(answer, on_progress=on_progress)
    answers = [_asked("plan", {"job": opened.keys(), "top": DEFAULT_TOP}, answer_json(answer))]
    if ranked is not None:
        answers += _of_plan(opened, problem, ranked, calibrations)
        answers += _of_one_kind(opened, calibrations)
    content = {
        "schema_version": 1,
        "version": version("crosszone"),
        "created_seconds": time.time(),
        "job": opened.keys(),
        "text": opened.text(),
        "chosen": chosen,
        "most_slices": MOST_SLICES,
        "answers": answers,
    }
    return Report(html=filled(page, content), has_plan=ranked is not None)


def filled(page: str, content: Mapping[str, Any]) -> str:
    """`page` with `content` in it, none of whose text ends the element that it is in."""
    before, hole, after = page.partition(OPENED + CLOSED)
    assert hole, "the page has a place for its content"
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return "".join((before, OPENED, text, CLOSED, after))


def _page(file: Traversable) -> str:
    if not file.is_file():
        message = "the page of a report was not built into this installation."
        hint = "`make web` builds it, in a copy of the source; or install a wheel, which has it."
        raise PreflightFailed.of(message, hint=hint, code="not_built")
    return file.read_text(encoding="utf-8")


def _chosen(answer: Answer, number: int) -> RankedPlan | None:
    """None where nothing fits."""
    if 1 <= number <= len(answer.plans):
        return answer.plans[number - 1]
    if not answer.plans:
        return None
    message = f"plan {number} is not there: the last of the ranked is {len(answer.plans)}."
    raise SpecError.of(message, where="--chosen", hint=f"Take one from 1 to {len(answer.plans)}.")


def _of_plan(
    job: JobFile, problem: Problem, ranked: RankedPlan, calibrations: Sequence[Calibration]
) -> Iterator[dict[str, Any]]:
    """What pages ask of a plan."""
    from crosszone.service.as_json import plan_json, simulation_json, whatif_json
    from crosszone.service.deployments import rank_map, rank_map_json
    from crosszone.service.verbs import simulate, whatif, whatif_base

    asked = {"job": job.keys(), "plan": plan_json(ranked.plan)}
    base = whatif_base(job, plan=ranked.plan, calibrations=calibrations)
    yield _asked("whatif", asked, whatif_json(whatif(base)))
    zone = problem.cluster.zones[0].name
    yield _asked("ranks", {**asked, "zone": zone}, rank_map_json(rank_map(problem, ranked.plan, zone=zone)))
    step = simulation_json(simulate(problem, ranked.plan), max_slices=MOST_SLICES)
    yield _asked("simulate", {**asked, "detail": MOST_SLICES}, step)


def _of_one_kind(job: JobFile, calibrations: Sequence[Calibration]) -> Iterator[dict[str, Any]]:
    """What becomes of the job with one kind of parallelism alone, whatever it fixes of its plan."""
    from crosszone.service.as_json import why_json
    from crosszone.service.received import received_why
    from crosszone.service.verbs import problem_of

    problem = problem_of(job.with_plan_keys(()), calibrations)
    free = {key: value for key, value in job.keys().items() if key != "plan"}
    for question in ONE_KIND_ALONE:
        asked = {"job": free, "why": question}
        try:
            yield _asked("plan", asked, why_json(received_why(problem, question, where="why")))
        except CrossZoneError as error:
            yield _asked("plan", asked, error.to_dict(), is_refused=True)


def _asked(verb: str, body: Mapping[str, Any], answer: Any, *, is_refused: bool = False) -> dict[str, Any]:
    """A request as the page sends it, its answer, and the sentences of that in Chinese, each with its place."""
    chinese = list(_differences(answer, words.translated(answer, CHINESE), ()))
    return {"path": f"/api/v1/{verb}", "body": body, "is_refused": is_refused, "answer": answer, "chinese": chinese}


def _differences(one: Any, other: Any, place: tuple[str | int, ...]) -> Iterator[dict[str, Any]]:
    """What stands elsewhere in `other`, which has the shape of `one`."""
    if isinstance(one, dict):
        for key, value in one.items():
            yield from _differences(value, other[key], (*place, key))
    elif isinstance(one, list):
        for index, value in enumerate(one):
            yield from _differences(value, other[index], (*place, index))
    elif one != other:
        yield {"place": place, "text": other}
