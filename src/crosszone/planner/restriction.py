"""What it costs that only some frameworks are allowed."""

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.explanation import Restriction
from crosszone.core.problem import Problem
from crosszone.planner.limits import TIMED, achieved


def restriction(
    problem: Problem, frameworks: tuple[str, ...], best: RankedPlan | None, other: RankedPlan | None
) -> Restriction:
    """`best` of the allowed `frameworks` against the best plan of any `other`."""
    if other is None:
        return _costs_nothing(frameworks, "no other framework has a plan that fits")
    said = _words(other)
    if best is None:
        message = f"No plan of {_listed(frameworks)} is an answer; {said} is."
        return _better(frameworks, other, 1.0, message)
    has, would, is_money = _values(problem, best, other)
    saved = 1.0 - would / has
    if saved <= 0.0:
        return _costs_nothing(frameworks, f"the best of any other, {said}, is no better")
    shown = [units.format_dollars(one) if is_money else units.format_seconds(one) for one in (has, would)]
    what = "less money" if is_money else "less time"
    message = (
        f"Only {_listed(frameworks)} is allowed: its best plan takes {shown[0]}, {said} would take "
        f"{shown[1]}, {units.format_fraction(saved)} {what}."
    )
    return _better(frameworks, other, saved, message)


def _values(problem: Problem, best: RankedPlan, other: RankedPlan) -> tuple[float, float, bool]:
    """What the job minimises, of both, and whether that is money; their steps where money is unknown."""
    values = achieved(problem, best.prediction), achieved(problem, other.prediction)
    if values[0] is None or values[1] is None:
        return best.prediction.step_seconds, other.prediction.step_seconds, False
    return values[0], values[1], problem.objective.minimize not in TIMED


def _better(frameworks: tuple[str, ...], other: RankedPlan, saved: float, message: str) -> Restriction:
    return Restriction(
        frameworks=frameworks,
        plan=other.plan,
        step_seconds=other.prediction.step_seconds,
        saved_fraction=saved,
        message=message,
    )


def _costs_nothing(frameworks: tuple[str, ...], why: str) -> Restriction:
    return Restriction(
        frameworks=frameworks,
        plan=None,
        step_seconds=None,
        saved_fraction=0.0,
        message=f"That only {_listed(frameworks)} is allowed costs nothing: {why}.",
    )


def _listed(frameworks: tuple[str, ...]) -> str:
    return " or ".join(frameworks)


def _words(other: RankedPlan) -> str:
    plan = other.plan
    named = {"tp": plan.tp, "cp": plan.cp, "pp": plan.pp, "dp": plan.dp, "ep": plan.ep}
    degrees = ", ".join(f"{name}={value}" for name, value in named.items() if value > 1)
    return f"{plan.framework} ({degrees or 'one GPU'}, shard {plan.shard})"
