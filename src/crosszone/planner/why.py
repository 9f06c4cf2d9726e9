"""Why not this plan: the best plan that is as asked against the chosen one, or every reason why there is none."""

import math
from dataclasses import replace

import numpy as np

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.plan import Plan, Sync
from crosszone.core.problem import Constraints, Objective, Problem
from crosszone.core.why import Why
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.errors import CrossZoneError
from crosszone.frameworks import framework_facts
from crosszone.planner.asked import COUNTS, Asked, asked, illegal
from crosszone.planner.changes import changes
from crosszone.planner.difference import difference
from crosszone.planner.explain import misses, not_expressible, refused
from crosszone.planner.general import to_plan
from crosszone.planner.limits import TIMED, achieved, objectives, unmet
from crosszone.planner.pinned import check_plan
from crosszone.planner.search import (
    allowed_frameworks,
    any_plan,
    best_plan,
    best_refined_plan,
    first_that_fits,
    search,
)
from crosszone.planner.structure import IsWanted, Structure, agrees_across_zones, zones_of
from crosszone.planner.table import Scan
from crosszone.planner.ways import EVERY_AXIS
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.sync_choice import changes as changes_of_mathematics

SAME_RATIO = 1.0 + 1e-9
MOST_NEIGHBOURS = 4


def why(problem: Problem, text: str) -> Why:
    """The best plan that is as `text` asks ("tp=8,pp=4,zones=a+b") against the one that the search chooses.

    Where there is none: every reason, and plans nearby that work. What the job file fixes otherwise stays fixed.
    Errors: SpecError where `text` cannot be read or the job needs a consent of its own; InfeasiblePlan as the search.
    """
    wanted = asked(problem, text)
    answer = search(problem, top=1)
    chosen = answer.plans[0] if answer.plans else None
    forbidden = _forbidden(problem, wanted)
    plan, lacking = _as_asked(_permitted(wanted.on(problem), wanted), wanted)
    if chosen is not None and wanted.is_kept_by(chosen.plan):  # the search moved its stages, which a scan does not
        is_beaten = plan is not None and not lacking and _is_better(problem, plan, chosen)
        plan, lacking = (plan, lacking) if is_beaten else (chosen, [])
    if plan is not None:
        forbidden += _needs_consent(problem, plan.plan)
    else:
        forbidden += _way_needs_consent(problem, wanted)
    reasons = [*forbidden, *lacking]
    near = _neighbours(problem, wanted) if reasons else ()
    return _answered(problem, text, chosen, plan, reasons, near)


def why_plan(problem: Problem, plan: Plan, name: str) -> Why:
    """The same of one whole plan, saved as `name`."""
    answer = search(problem, top=1)
    chosen = answer.plans[0] if answer.plans else None
    try:
        check_plan(problem, plan)
    except CrossZoneError as error:
        return _answered(problem, name, chosen, None, [finding.message for finding in error.findings], ())
    prediction = predict_plan(problem, plan, framework_facts(plan.framework))
    reasons = _needs_consent(problem, plan)
    if plan.framework not in allowed_frameworks(problem):
        reasons.append(f"The job file allows only {' or '.join(allowed_frameworks(problem))}, not {plan.framework}.")
    reasons += [
        f"constraints.exclude_zones leaves {zone} out."
        for zone in plan.zones
        if zone in problem.constraints.exclude_zones
    ]
    if not prediction.memory.fits:
        prepared = inputs(problem, (framework_facts(plan.framework),))
        reasons += refused(prepared, plan)[0].reasons
    return _answered(problem, name, chosen, RankedPlan(plan=plan, prediction=prediction), reasons, ())


def _forbidden(problem: Problem, wanted: Asked) -> list[str]:
    """What the job file does not let anybody ask for."""
    found, allowed = [], allowed_frameworks(problem)
    if wanted.framework is not None and wanted.framework not in allowed:
        found.append(f"The job file allows only {' or '.join(allowed)}, not {wanted.framework}.")
    out = [zone for zone in wanted.zones or () if zone in problem.constraints.exclude_zones]
    return found + [f"constraints.exclude_zones leaves {zone} out." for zone in out]


def _permitted(problem: Problem, wanted: Asked) -> Problem:
    """The same where the framework that is wanted is at hand, so that it has numbers all the same."""
    limits = problem.constraints
    return replace(problem, constraints=replace(limits, frameworks=())) if wanted.framework else problem


def _needs_consent(problem: Problem, plan: Plan) -> list[str]:
    return _without_consent(problem, plan.sync, plan.zone_axis, len(plan.zones))


def _way_needs_consent(problem: Problem, wanted: Asked) -> list[str]:
    """The same of the way that is wanted, whatever plan would use it."""
    sync = dict(wanted.values).get("sync")
    num_zones = len(problem.cluster.zones) if wanted.zones is None else len(wanted.zones)
    return [] if sync is None else _without_consent(problem, sync, EVERY_AXIS, num_zones)


def _without_consent(problem: Problem, sync: Sync, zone_axis: str, num_zones: int) -> list[str]:
    found = changes_of_mathematics(sync, zone_axis=zone_axis, num_zones=num_zones)
    return [
        f"It changes the mathematics of training, and constraints.allow does not name {word}: {effect}."
        for word, effect in found
        if word not in problem.constraints.allow
    ]


def _as_asked(problem: Problem, wanted: Asked) -> tuple[RankedPlan | None, list[str]]:
    """(the best plan of `problem`, in all the zones that are wanted, why it is no answer); the nearest if none fits."""
    wrong = illegal(problem)
    if wrong:
        return None, wrong
    prepared, found = first_that_fits(problem, zones=wanted.zones, every=_has_way(wanted))
    fitting, found = found, _agreeing(found, wanted)
    if fitting.scored and not found.scored:
        return None, [_no_agreement(wanted)]
    if found.scored:
        is_wanted = _is_wanted(prepared, wanted)
        plan = best_refined_plan(prepared, found, is_wanted)
        if plan is not None:
            return _predicted(prepared.problem, plan), []
        free = replace(prepared, problem=_without_limits(prepared.problem))
        plan = best_refined_plan(free, found, is_wanted)
        return None if plan is None else _predicted(prepared.problem, plan), [unmet(prepared, found)]
    if found.misses:
        nearest = misses(prepared, found)[0]
        return _predicted(prepared.problem, nearest.plan), list(nearest.reasons)
    plan = any_plan(problem, zones=wanted.zones)
    return None, [finding.message for finding in not_expressible(problem, allowed_frameworks(problem), plan)]


def _is_wanted(inputs: Inputs, wanted: Asked) -> IsWanted:
    """What is asked and no key of a job file says: zones that all work, and replicas that agree across them."""
    asked_zones, has_way = set(wanted.zones or ()), _has_way(wanted)

    def is_wanted(structure: Structure) -> bool:
        used = {inputs.problem.cluster.zones[zone].name for zone in zones_of(inputs, structure)}
        return used >= asked_zones and (not has_way or agrees_across_zones(inputs, structure))

    return is_wanted


def _has_way(wanted: Asked) -> bool:
    """Whether zones are to agree in a way that has no effect on a plan whose replicas lie in one zone."""
    sync = dict(wanted.values).get("sync")
    return sync is not None and bool(changes_of_mathematics(sync, zone_axis=EVERY_AXIS, num_zones=2))


def _agreeing(found: Scan, wanted: Asked) -> Scan:
    """Of a scan, where a way to agree is wanted: what uses it, replicas in several zones."""
    if not _has_way(wanted):
        return found
    return replace(found, scored=tuple(part for part in found.scored if len(part.rows.layout.ring) > 1))


def _no_agreement(wanted: Asked) -> str:
    method = dict(wanted.values)["sync"].method
    return f"sync={method} is for replicas in several zones, and no plan that fits has them with what else is fixed."


def _without_limits(problem: Problem) -> Problem:
    kept = Constraints(exclude_zones=problem.constraints.exclude_zones, frameworks=problem.constraints.frameworks)
    return replace(problem, objective=Objective(), constraints=kept)


def _neighbours(problem: Problem, wanted: Asked) -> tuple[RankedPlan, ...]:
    """For each thing that was asked: the plan that keeps the others and comes nearest to it."""
    found: dict[Plan, tuple[float, RankedPlan]] = {}
    for key in wanted.keys:
        freed = wanted.without(key)
        if _forbidden(problem, freed):
            continue
        asking = freed.on(problem)
        if illegal(asking):
            continue
        prepared, scanned = first_that_fits(asking, zones=freed.zones, every=True)
        scanned = _agreeing(scanned, freed)
        value = dict(wanted.values).get(key)
        plan, distance = _nearest(prepared, scanned, key, value if key in COUNTS else None)
        if plan is not None and not _needs_consent(problem, plan):
            told = replace(_predicted(prepared.problem, plan), reasons=(_instead(key, plan, wanted),))
            found.setdefault(plan, (distance, told))
    ranked = sorted(found.values(), key=lambda pair: (pair[0], pair[1].prediction.step_seconds))
    return tuple(one for _, one in ranked[:MOST_NEIGHBOURS])


def _nearest(inputs: Inputs, found: Scan, key: str, value: int | None) -> tuple[Plan | None, float]:
    """(the best of the plans that come nearest to `value`, how far off it is as a logarithm)."""
    if value is None:
        return best_plan(inputs, found), math.inf
    best: tuple[float, float, Plan | None] = (math.inf, math.inf, None)
    for part in found.scored:
        values = objectives(inputs.problem, part)
        off = np.abs(np.log(getattr(part.rows.plans(), key) / value))
        off = np.where(np.isfinite(values), off, np.inf)
        row = int(np.lexsort((values, off.round(9)))[0])
        if (float(off[row]), float(values[row])) < best[:2]:
            plan = to_plan(inputs, part.rows.take(np.array([row])).tables(), 0)
            best = (float(off[row]), float(values[row]), plan)
    return best[2], best[0]


def _instead(key: str, plan: Plan, wanted: Asked) -> str:
    """What differs, as "pp=5 instead of 6"."""
    if key == "zones":
        return f"In {' and '.join(plan.zones)} instead of {' and '.join(wanted.zones or ())}."
    if key == "framework":
        return f"By {plan.framework} instead of {wanted.framework}."
    value = dict(wanted.values)[key]
    if key == "sync":
        return f"sync={plan.sync.method} instead of {value.method}."
    return f"{key}={_word(getattr(plan, key))} instead of {_word(value)}."


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _answered(
    problem: Problem,
    text: str,
    chosen: RankedPlan | None,
    plan: RankedPlan | None,
    reasons: list[str],
    near: tuple[RankedPlan, ...],
) -> Why:
    is_possible = plan is not None and not reasons
    is_better = is_possible and plan is not None and _is_better(problem, plan, chosen)
    if is_better and not _is_set_aside(plan, chosen):
        chosen = plan
    gap = difference(chosen.prediction, plan.prediction) if chosen and plan else None
    told = list(dict.fromkeys(reasons))
    if is_possible and gap is not None and plan and chosen and plan.plan != chosen.plan:
        told = [gap.message]
    return Why(
        asked=text,
        verdict=_verdict(problem, chosen, plan, is_possible=is_possible, is_better=is_better),
        is_possible=is_possible,
        reasons=tuple(told),
        chosen=chosen,
        plan=plan,
        difference=gap,
        changes=changes(chosen.prediction, plan.prediction) if chosen and plan else (),
        neighbours=near,
    )


def _is_better(problem: Problem, plan: RankedPlan, chosen: RankedPlan | None) -> bool:
    """The search simulates only what it estimates best, and climbs from the best of that: another may do better."""
    if chosen is None:
        return True
    values = _value(problem, plan), _value(problem, chosen)
    return plan.plan != chosen.plan and values[0] * SAME_RATIO < values[1]


def _value(problem: Problem, ranked: RankedPlan) -> float:
    value = achieved(problem, ranked.prediction)
    return ranked.prediction.step_seconds if value is None else value


def _verdict(
    problem: Problem, chosen: RankedPlan | None, plan: RankedPlan | None, *, is_possible: bool, is_better: bool
) -> str:
    if not is_possible:
        return "It is not possible." if chosen is not None else "It is not possible, and nothing else fits either."
    assert plan is not None, "what is possible has a plan"
    if is_better and chosen is not None and _is_set_aside(plan, chosen):
        return _set_aside(problem, plan, chosen)
    if is_better:
        return "It is the best plan that is known: the search had not come by it. Fix it in the job."
    if chosen is None or plan.plan == chosen.plan:
        return "It is the plan that is chosen."
    values = _value(problem, plan), _value(problem, chosen)
    worse = units.format_fraction(values[0] / values[1] - 1.0)
    what = "time" if problem.objective.minimize in TIMED else "money"
    steps = [units.format_seconds(one.prediction.step_seconds) for one in (plan, chosen)]
    return f"It works and takes {worse} more {what}: {steps[0]} a step, the chosen plan {steps[1]}."


def _is_set_aside(plan: RankedPlan | None, chosen: RankedPlan | None) -> bool:
    """Whether the search passes `plan` over for its memory: a plan with room to spare is preferred."""
    verdicts = [one.prediction.memory.verdict for one in (plan, chosen) if one is not None]
    return len(verdicts) == 2 and verdicts[0] == "tight" != verdicts[1]


def _set_aside(problem: Problem, plan: RankedPlan, chosen: RankedPlan) -> str:
    less = units.format_fraction(1.0 - _value(problem, plan) / _value(problem, chosen))
    what = "time" if problem.objective.minimize in TIMED else "money"
    full = plan.prediction.memory.fullest.filled_fraction
    return (
        f"It works and takes {less} less {what}, but it is tight: {units.format_fraction(full)} of the memory. Plans "
        f"above {units.format_fraction(TIGHT_FRACTION)} are taken only where nothing else fits. Fix it in the job to "
        "take it."
    )


def _predicted(problem: Problem, plan: Plan) -> RankedPlan:
    return RankedPlan(plan=plan, prediction=predict_plan(problem, plan, framework_facts(plan.framework)))
