"""Questions that lead to a job file, each with what is legal and what is recommended given the answers before.

A pure state machine: whoever renders it holds a `Draft`, shows `question(draft)` and hands what a person wrote to
`answered`. The job file is `job_text(draft)` once there is no question left.

    draft = Draft()
    while (asked := question(draft)) is not None:
        draft = answered(draft, text)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crosszone.planner.guide.decisions import DECISIONS
from crosszone.planner.guide.inventory import INVENTORY, MOST_ZONES, zone_step
from crosszone.planner.guide.job_text import job_text
from crosszone.planner.guide.question import Draft, Question, Step

__all__ = ["MOST_ZONES", "Draft", "Question", "answered", "back", "job_text", "keys", "question"]


def question(draft: Draft) -> Question | None:
    """What to ask next; None where all is answered."""
    step = _next_step(draft)
    return None if step is None else step.ask(draft)


def answered(draft: Draft, text: str) -> Draft:
    """The draft with an answer to `question(draft)`; an empty one is the default.

    SpecError where it is illegal, with the numbers that it breaks; InfeasiblePlan where nothing fits with it.
    """
    step = _next_step(draft)
    assert step is not None, "there is no question left"
    return step.take(draft, text.strip() or step.ask(draft).default)


def back(draft: Draft) -> Draft:
    """The draft without its last answer, and with the plan that it had then."""
    again = Draft(base=draft.base)
    for _, text in draft.answers[:-1]:
        step = _next_step(again)
        assert step is not None
        again = step.take(again, text)
    return again


def keys(num_zones: int = 1) -> tuple[str, ...]:
    """Every key that may be asked where there are so many zones."""
    return tuple(step.key for step in _steps(replace(Draft(), answers=(("zones", str(num_zones)),))))


def _next_step(draft: Draft) -> Step | None:
    given = {key for key, _ in draft.answers}
    return next((step for step in _steps(draft) if step.key not in given and step.applies(draft)), None)


def _steps(draft: Draft) -> Iterator[Step]:
    """All steps in order; there is one for the nodes of each zone."""
    for step in INVENTORY:
        yield step
        if step.key == "zones":
            yield from (zone_step(number) for number in range(1, draft.number("zones", 0) + 1))
    yield from DECISIONS
