"""First job files: the starter, templates by scenario, and the guide that asks for one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import SpecError, UnknownName

if TYPE_CHECKING:
    from crosszone.planner.guide import Draft, Question

TEMPLATES = Path(__file__).with_name("templates")
NUM_DRAFTS = 256
"""Half-asked jobs that are remembered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate:
    """A job file for a scenario, which plans as it is."""

    name: str
    title: str
    """What it is for, on how many nodes and GPUs: its first comment."""
    text: str


def job_templates() -> tuple[JobTemplate, ...]:
    """All templates, by name."""
    return tuple(job_template(path.stem) for path in sorted(TEMPLATES.glob("*.yaml")))


def job_template(name: str) -> JobTemplate:
    """The template called `name`. UnknownName with the nearest."""
    known = [path.stem for path in TEMPLATES.glob("*.yaml")]
    if name not in known:
        raise UnknownName.among(name, known, kind="template")
    text = (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")
    return JobTemplate(name=name, title=text.partition("\n")[0].removeprefix("# ").removesuffix("."), text=text)


def guide(*, base: Path | None = None) -> Draft:
    """A job with nothing answered yet. A model's path is relative to `base`; where that is None, there are none."""
    from crosszone.planner.guide import Draft

    return Draft(base=base)


def guide_question(draft: Draft) -> Question | None:
    """What to ask next, what is legal and what is recommended; None where all is answered."""
    from crosszone.planner.guide import question

    return question(draft)


def guide_answered(draft: Draft, text: str) -> Draft:
    """The draft with an answer to its question; an empty one is what is recommended.

    SpecError with the numbers where it is illegal, InfeasiblePlan where nothing fits with it: ask again.
    """
    from crosszone.planner.guide import answered

    return answered(draft, text)


def guide_back(draft: Draft) -> Draft:
    """The draft without its last answer."""
    from crosszone.planner.guide import back

    return back(draft)


def guide_keys() -> tuple[str, ...]:
    """Keys of all questions that may come."""
    from crosszone.planner.guide import MOST_ZONES, keys

    return keys(MOST_ZONES)


def guide_job(draft: Draft) -> str:
    """The job file that the answers make. Only where `guide_question` has none left."""
    from crosszone.planner.guide import job_text

    return job_text(draft)


def guide_after(answers: Sequence[str]) -> Draft:
    """The guide after these answers, each "KEY=VALUE", in the order of its questions; it may name no files.

    SpecError where one is illegal or answers another question, InfeasiblePlan where nothing fits with it.
    """
    most = len(guide_keys())
    if len(answers) > most:
        hint = "Send the answers in the order of the questions."
        raise SpecError.of(f"{len(answers)} answers, where {most} questions may come.", where="--answer", hint=hint)
    return _guide_after(tuple(tuple(answer.partition("=")[::2]) for answer in answers))


@lru_cache(maxsize=NUM_DRAFTS)
def _guide_after(answers: tuple[tuple[str, ...], ...]) -> Draft:
    """Remembered, because each answer is about a search, and who answers has given all those before already."""
    if not answers:
        return guide()
    *before, (key, text) = answers
    draft = _guide_after(tuple(before))
    asked = guide_question(draft)
    if asked is None or asked.key != key:
        expected = "nothing more is asked" if asked is None else f'"{asked.key}" is asked'
        hint = "Send the answers in the order of the questions."
        raise SpecError.of(f'"{key}" is answered where {expected}.', where="--answer", hint=hint)
    return guide_answered(draft, text)


def guide_json(draft: Draft) -> dict[str, Any]:
    """Where the guide stands: the answers, the next question or the job file, and the best plan so far."""
    from crosszone.core.codec import to_json
    from crosszone.service.as_json import plan_json

    asked = guide_question(draft)
    best = draft.best
    return {
        "schema_version": 1,
        "answers": dict(draft.answers),
        "question": None if asked is None else to_json(asked),
        "plan": None if best is None else plan_json(best.plan),
        "step_seconds": None if best is None else best.prediction.step_seconds,
        "job": guide_job(draft) if asked is None else None,
    }
