"""What if single values of a job were others: the plan held fast, every number predicted anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crosszone.core.answer import RankedPlan
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.whatif import Regime, WhatIf
from crosszone.errors import SpecError
from crosszone.frameworks import framework_facts
from crosszone.planner.changes import changes
from crosszone.planner.complete import complete
from crosszone.planner.mathematics import Effect, effects
from crosszone.planner.pinned import Place, pinned, plan_keys
from crosszone.planner.regime import regime
from crosszone.spec import JobFile
from crosszone.timeline.predict import predict_plan

Read = Callable[[JobFile], Problem]
"""Turns a job file into a problem, with calibrations and whatever else comes from outside of the file. SpecError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A job with its plan and prediction, against which changes are measured. It is prepared once for many."""

    job: JobFile
    read: Read
    problem: Problem
    ranked: RankedPlan
    regime: Regime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A job in which single values are others, and the base's plan in it."""

    problem: Problem
    plan: Plan
    places: tuple[Place, ...]
    """Where values were set."""


def base(job: JobFile, read: Read, plan: Plan | None = None) -> Base:
    """The base for `job`: with `plan` if there is one, else the plan of the job file, completed or searched.

    Errors as `complete`, and SpecError or InfeasiblePlan where the job leaves no room for `plan`.
    """
    problem = read(job)
    plan = complete(problem) if plan is None else pinned(problem, plan, ())
    prediction = predict_plan(problem, plan, framework_facts(plan.framework))
    ranked = RankedPlan(plan=plan, prediction=prediction)
    return Base(job=job, read=read, problem=problem, ranked=ranked, regime=regime(problem, plan, prediction))


def change(base: Base, settings: Sequence[str]) -> Changed:
    """The job with `settings`, and the base's plan with what they set of it. SpecError, InfeasiblePlan."""
    job, places = base.job.with_settings(settings)
    problem = _read(base, job, places)
    return Changed(problem=problem, plan=pinned(problem, base.ranked.plan, places), places=places)


def _read(base: Base, job: JobFile, places: Sequence[Place]) -> Problem:
    """The changed job. What it fixes of the plan and nobody set may contradict the change: the base's plan holds it."""
    try:
        return base.read(job)
    except SpecError:
        if ("plan",) in places:
            raise
    return base.read(job.with_plan_keys(plan_keys(places)))


def what_if(base: Base, settings: Sequence[str]) -> WhatIf:
    """Every number of the prediction with `settings` against the base's. SpecError, InfeasiblePlan."""
    changed, bound, found = base.ranked, base.regime, tuple[Effect, ...]()
    if settings:
        new = change(base, settings)
        prediction = predict_plan(new.problem, new.plan, framework_facts(new.plan.framework))
        changed = RankedPlan(plan=new.plan, prediction=prediction)
        bound = regime(new.problem, new.plan, prediction, in_full=False)
        found = effects(base.problem, base.ranked.plan, new.problem, new.plan)
    return WhatIf(
        settings=tuple(settings),
        base=base.ranked,
        changed=changed,
        changes=changes(base.ranked.prediction, changed.prediction),
        regime=bound,
        base_regime=base.regime,
        warnings=tuple(f"{effect.message} Source: {effect.source}." for effect in found),
    )
