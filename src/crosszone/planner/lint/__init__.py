"""Good practice as rules with numbers: one file for each subject, found by its folder.

A file holds `RULES`. A rule reads what is known of a plan already and computes nothing that takes long: checks are
shown beside every plan.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import replace

from crosszone.core.answer import Answer, RankedPlan
from crosszone.core.check import VERDICTS, Check
from crosszone.core.problem import Problem
from crosszone.planner.lint.rule import Case, Rule

SHARED = "rule"
"""The one file of the folder that has no rules."""


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Every rule, by name."""
    names = (module.name for module in pkgutil.iter_modules(__path__) if module.name != SHARED)
    found = (rule for name in names for rule in importlib.import_module(f"{__name__}.{name}").RULES)
    return tuple(sorted(found, key=lambda rule: rule.name))


def checks(problem: Problem, ranked: RankedPlan, baseline: RankedPlan | None = None) -> tuple[Check, ...]:
    """What every rule that applies says of one plan, the gravest first.

    `baseline` is the best plan of one zone, where it is known.
    """
    case = Case(problem=problem, plan=ranked.plan, prediction=ranked.prediction, baseline=baseline)
    found = (rule.check(case) for rule in rules())
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -VERDICTS.index(one.verdict)))


def checked(problem: Problem, ranked: RankedPlan, baseline: RankedPlan | None = None) -> RankedPlan:
    """`ranked` with its checks."""
    return replace(ranked, checks=checks(problem, ranked, baseline))


def checked_answer(answer: Answer) -> Answer:
    """`answer`, each plan of it and the baseline with its checks."""
    problem, baseline = answer.problem, answer.baseline
    plans = tuple(checked(problem, ranked, baseline) for ranked in answer.plans)
    return replace(answer, plans=plans, baseline=None if baseline is None else checked(problem, baseline))
