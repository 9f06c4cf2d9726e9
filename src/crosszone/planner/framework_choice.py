"""Which framework to take: each one's best plan by a search of its own, and the chosen plan under each."""

from collections.abc import Callable
from dataclasses import replace

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.framework_choice import FrameworkChoice, FrameworkOption
from crosszone.core.problem import Problem
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks import as_summed, framework_facts, framework_names, supports
from crosszone.planner.difference import difference
from crosszone.planner.explain import TIE_RATIO
from crosszone.planner.limits import TIMED, achieved
from crosszone.planner.search import allowed_frameworks, search
from crosszone.timeline.predict import predict_plan

Found = RankedPlan | tuple[str, ...]
"""The best plan, or why there is none."""
SAME_RATIO = 1.0 + 1e-9


def framework_choice(
    problem: Problem, *, on_progress: Callable[[float], None] = lambda fraction: None
) -> FrameworkChoice:
    """Every framework for `problem`; as many searches as there are frameworks. `on_progress`: the fraction done.

    The chosen plan is that of the search over all frameworks that the job allows, or, where the search of one of them
    alone finds a better one, that.
    """
    allowed, names = allowed_frameworks(problem), framework_names()
    answer = _best(problem)
    found: dict[str, Found] = {}
    for done, name in enumerate(names):
        on_progress(done / len(names))
        is_known = isinstance(answer, RankedPlan) and answer.plan.framework == name
        found[name] = answer if is_known else _best(replace(problem, framework=name))
    chosen = _chosen(problem, answer, [found[name] for name in allowed])
    options = tuple(sorted((_option(problem, name, found[name], chosen, allowed) for name in names), key=_order))
    on_progress(1.0)
    return FrameworkChoice(
        recommended=None if chosen is None else chosen.plan.framework,
        chosen=chosen,
        verdict=_verdict(problem, chosen, options),
        reasons=() if chosen is None else tuple(_reasons(problem, chosen, options)),
        options=options,
    )


def _best(problem: Problem) -> Found:
    try:
        answer = search(problem, top=1)
    except InfeasiblePlan as error:
        return tuple(finding.message for finding in error.findings)
    if not answer.plans:
        return (answer.verdict,)
    return answer.plans[0]


def _chosen(problem: Problem, answer: Found, others: list[Found]) -> RankedPlan | None:
    """The answer, or a better one: a search simulates only what it estimates best. One tight in memory never is."""
    best = answer if isinstance(answer, RankedPlan) else None
    for other in others:
        if not isinstance(other, RankedPlan):
            continue
        if best is None or (_is_tight(other) <= _is_tight(best) and _is_better(problem, other, best)):
            best = other
    return best


def _is_tight(one: RankedPlan) -> bool:
    return one.prediction.memory.verdict == "tight"


def _is_better(problem: Problem, one: RankedPlan, other: RankedPlan) -> bool:
    return _value(problem, one) * SAME_RATIO < _value(problem, other)


def _value(problem: Problem, one: RankedPlan) -> float:
    value = achieved(problem, one.prediction)
    return one.prediction.step_seconds if value is None else value


def _option(
    problem: Problem, name: str, found: Found, chosen: RankedPlan | None, allowed: tuple[str, ...]
) -> FrameworkOption:
    best = found if isinstance(found, RankedPlan) else None
    if chosen is not None and chosen.plan.framework == name:
        best = chosen
    plan = None if chosen is None else as_summed(replace(chosen.plan, framework=name), problem.plan)
    reasons = () if plan is None else supports(name, plan)
    as_chosen = None
    if plan is not None and not reasons:
        as_chosen = RankedPlan(plan=plan, prediction=predict_plan(problem, plan, framework_facts(name)))
    is_other = best is not None and chosen is not None and best != chosen
    return FrameworkOption(
        framework=name,
        is_allowed=name in allowed,
        reasons=reasons,
        as_chosen=as_chosen,
        best=best,
        obstacles=() if isinstance(found, RankedPlan) else found,
        more_fraction=None if best is None or chosen is None else _more(problem, best, chosen),
        difference=difference(chosen.prediction, best.prediction) if is_other and best and chosen else None,
    )


def _more(problem: Problem, best: RankedPlan, chosen: RankedPlan) -> float | None:
    values = achieved(problem, best.prediction), achieved(problem, chosen.prediction)
    return None if values[0] is None or not values[1] else values[0] / values[1] - 1.0


def _order(option: FrameworkOption) -> tuple[bool, bool, float, str]:
    more = option.more_fraction
    return option.best is None, more is None, 0.0 if more is None else more, option.framework


def _verdict(problem: Problem, chosen: RankedPlan | None, options: tuple[FrameworkOption, ...]) -> str:
    if chosen is None:
        others = [option.framework for option in options if option.best is not None]
        allowed = " or ".join(option.framework for option in options if option.is_allowed)
        if others:
            return f"No plan of {allowed} fits; {' and '.join(others)} would have one, but the job does not allow them."
        return "No framework has a plan that fits."
    step = units.format_seconds(chosen.prediction.step_seconds)
    memory = chosen.prediction.memory
    used = f"{units.format_bytes(memory.peak_bytes)} of {units.format_bytes(memory.capacity_bytes)}"
    return f"Take {chosen.plan.framework}: its best plan takes {step} a step and {used} on its fullest GPU."


def _reasons(problem: Problem, chosen: RankedPlan, options: tuple[FrameworkOption, ...]) -> list[str]:
    what = "time" if problem.objective.minimize in TIMED else "money"
    others = [option for option in options if option.best is not None and option.framework != chosen.plan.framework]
    found = [_against(option, what) for option in others if option.is_allowed]
    found += [
        f"{_against(option, what)} The job does not allow it."
        for option in others
        if not option.is_allowed and (option.more_fraction or 0.0) < 0.0
    ]
    unable = [option.framework for option in options if option.reasons]
    if unable:
        found.append(f"The chosen plan itself cannot be expressed by {', '.join(unable)}.")
    none = [option.framework for option in options if option.best is None and option.is_allowed]
    if none:
        found.append(f"No plan of {' or '.join(none)} fits.")
    return found


def _against(option: FrameworkOption, what: str) -> str:
    more, gap = option.more_fraction, option.difference
    message = "" if gap is None else f" {gap.message}"
    if more is None:
        return f"{option.framework}: what its best plan costs is not known.{message}"
    word = "more" if more >= 0.0 else "less"
    tie = " Predictions miss by more than that on average." if abs(more) < TIE_RATIO - 1.0 else ""
    return f"{option.framework}: its best plan takes {units.format_fraction(abs(more))} {word} {what}.{tie}{message}"
