"""The search: every candidate scored, the best few simulated, the answer explained."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crosszone.core.answer import Answer, RankedPlan, Search
from crosszone.core.explanation import Restriction, RunnerUp
from crosszone.core.layout import Layout
from crosszone.core.plan import Plan
from crosszone.core.problem import PlanRequest, Problem
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks import computes, framework_facts, framework_names
from crosszone.planner.binding import bindings, has_limits
from crosszone.planner.candidates import PER_CLASS, best_of_classes
from crosszone.planner.comparison import comparison
from crosszone.planner.difference import difference
from crosszone.planner.explain import as_written, misses, not_expressible, reasons, refused, rejected, verdict
from crosszone.planner.gap import gap_fraction
from crosszone.planner.general import to_plan
from crosszone.planner.layouts import layouts
from crosszone.planner.limits import TIMED, keeps, objective, unlimited, unmet
from crosszone.planner.options import options
from crosszone.planner.own_degrees import with_own_degrees
from crosszone.planner.pareto import missing, pareto
from crosszone.planner.refine import TIE_RATIO, refined
from crosszone.planner.restriction import restriction
from crosszone.planner.structure import IsWanted
from crosszone.planner.table import Contest, Scan, scan
from crosszone.planner.ways import gentleness, refuse_without_consent
from crosszone.planner.written import best_written, is_written
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.predict import plan_step_seconds, predict_plan

SAME_RATIO = 1.005
"""Plans that look alike and differ by less are shown once."""
GENTLE_RATIO = 1.01
"""A way to agree that changes the mathematics more must be faster by more."""
SAME_LACK_RATIO = 1.05
"""Plans that lack memory, and no more than that beyond the nearest, are as near. Chosen: the model errs more."""
MOST_NEAREST = 4
"""Plans that are predicted for each limit where no candidate keeps all."""


def search(problem: Problem, *, top: int, in_full: bool = False, with_front: bool = False) -> Answer:
    """Ranked plans for `problem`, with the best plan of one zone beside them. `plans` is empty where nothing fits.

    Where nothing fits otherwise, plans that keep the optimizer's states in host memory are tried. How many are shown
    does not change their order. `in_full`: with the runner-up and what a restriction to some frameworks costs;
    `with_front`: with the front of time, cost and risk. Both take some more predictions.
    Errors: InfeasiblePlan where no framework at hand can express any plan that the job file leaves open.
    """
    refuse_without_consent(problem)
    if is_written(problem.plan):
        return _written_answer(problem)
    prepared, found = _first_that_can(problem, every=with_front)
    plans, near = _kept(prepared, found)
    ranked = [_full(prepared, plan) for plan in plans[: max(top, 2 if in_full else 1)]]
    alone = next((plan for plan in plans if len(plan.zones) == 1), None)
    together = next((plan for plan in plans if len(plan.zones) > 1), None)
    baseline, spanning = (
        None if plan is None else next((one for one in ranked if one.plan == plan), None) or _full(prepared, plan)
        for plan in (alone, together)
    )
    answer = _answer(prepared, found, ranked[:top], baseline, spanning, num_ranked=len(plans))
    if near and not plans:
        answer = replace(answer, verdict=unmet(prepared, found, [one.prediction for one in near]))
    if in_full:
        second = _runner_up(ranked[0], ranked[1]) if len(ranked) > 1 else None
        answer = replace(answer, runner_up=second, restriction=_restriction(problem, ranked))
    if with_front:
        known = list(dict.fromkeys([*ranked[:top], *(one for one in (baseline, spanning) if one is not None)]))
        front = pareto(prepared, found, known, lambda plan: _full(prepared, plan), num_shown=len(ranked[:top]))
        answer = replace(answer, pareto=front, notes=tuple(note for note in (missing(prepared),) if note))
    return answer


def first_or_nearest(problem: Problem, otherwise: Problem) -> Plan:
    """The plan that `search` ranks first; where it has none, that of `otherwise`; else the one that lacks least memory.

    Of plans that lack about as little it is the fastest. Errors: InfeasiblePlan as `search`.
    """
    prepared, found = _first_that_can(problem)
    plans, _ = _kept(prepared, found)
    if not plans and otherwise != problem:
        plans, _ = _kept(*_first_that_can(otherwise))
    return plans[0] if plans else _least_lacking(prepared, found)


def _first_that_can(problem: Problem, *, every: bool = False) -> tuple[Inputs, Scan]:
    """`first_that_fits`. Errors: InfeasiblePlan where nothing can be expressed."""
    prepared, found = first_that_fits(problem, every=every)
    if not found.scored and not found.misses:
        raise InfeasiblePlan(*not_expressible(problem, allowed_frameworks(problem), any_plan(problem)))
    return prepared, found


def _least_lacking(inputs: Inputs, found: Scan) -> Plan:
    most = SAME_LACK_RATIO * found.misses[0].lacking_bytes
    alike = [to_plan(inputs, miss.tables, 0) for miss in found.misses if miss.lacking_bytes <= most]
    return min(alike, key=lambda plan: plan_step_seconds(inputs, plan))


def _kept(inputs: Inputs, found: Scan) -> tuple[list[Plan], list[RankedPlan]]:
    """(plans that keep the limits, best first; where the ranking has none, what is nearest to each limit)."""
    plans = _ranked(inputs, found, is_refined=True)
    near = [] if plans else _nearest(inputs, found)
    return plans or [one.plan for one in near if keeps(inputs.problem, one.prediction)], near


def _answer(
    inputs: Inputs,
    found: Scan,
    ranked: list[RankedPlan],
    baseline: RankedPlan | None,
    spanning: RankedPlan | None,
    *,
    num_ranked: int = 0,
) -> Answer:
    best, both = ranked[0] if ranked else None, comparison(spanning, baseline)
    turned_down = rejected(inputs, best.plan) if best else () if found.scored else misses(inputs, found)
    return Answer(
        problem=inputs.problem,
        plans=tuple(replace(one, reasons=reasons(inputs, one, best, baseline)) for one in ranked),
        baseline=baseline,
        comparison=both,
        verdict=verdict(inputs, found, best, baseline, both),
        search=Search(
            num_candidates=found.num_candidates,
            num_pruned=found.num_pruned,
            num_feasible=sum(len(part.rows) for part in found.scored),
            num_ranked=num_ranked,
            gap_fraction=gap_fraction(inputs, best.prediction.step_seconds) if best else None,
        ),
        rejected=turned_down,
        binding=bindings(inputs, found, best, turned_down, both) if best else (),
    )


def _runner_up(best: RankedPlan, second: RankedPlan) -> RunnerUp:
    return RunnerUp(plan=second.plan, difference=difference(best.prediction, second.prediction))


def _restriction(problem: Problem, ranked: list[RankedPlan]) -> Restriction | None:
    """The best plan of the frameworks that are not allowed, against the best that is; None where all are allowed."""
    allowed, precision = allowed_frameworks(problem), problem.workload.dtypes.compute
    others = tuple(name for name in framework_names() if name not in allowed and computes(name, precision))
    if not others:
        return None
    free = replace(problem, framework=None, constraints=replace(problem.constraints, frameworks=others))
    prepared, found = first_that_fits(free)
    plan = next(iter(_ranked(prepared, found, is_refined=True)), None)
    best = ranked[0] if ranked else None
    return restriction(problem, allowed, best, None if plan is None else _full(prepared, plan))


def _written_answer(problem: Problem) -> Answer:
    """The plan that a person wrote stage by stage, beside the best one-zone plan of the same cluster.

    No `plans` where it does not fit; `rejected` then says what it lacks.
    """
    plan = best_written(problem, allowed_frameworks(problem))
    prepared, found = first_that_fits(replace(problem, plan=PlanRequest()))
    alone = next((other for other in _ranked(prepared, found, is_refined=True) if len(other.zones) == 1), None)
    written, baseline = _full(prepared, plan), _full(prepared, alone) if alone else None
    fits = written.prediction.memory.fits
    spanning = written if len(plan.zones) > 1 else None
    answer = _answer(prepared, found, [written] if fits else [], baseline, spanning)
    lacking = answer.rejected if fits else refused(prepared, plan)
    return replace(answer, problem=problem, verdict=as_written(written, baseline), rejected=lacking)


def allowed_frameworks(problem: Problem) -> tuple[str, ...]:
    """The framework of the job file, or those at hand, or all: as far as they compute in its precision.

    Where none at all does, all of them, so that such hardware can be predicted before anything runs on it.
    Errors: InfeasiblePlan where none that is allowed computes in it, but another does.
    """
    precision = problem.workload.dtypes.compute
    asked = (problem.framework,) if problem.framework else problem.constraints.frameworks or framework_names()
    able = tuple(name for name in asked if computes(name, precision))
    others = [name for name in framework_names() if computes(name, precision)]
    if not able and others:
        raise InfeasiblePlan.of(
            f"{', '.join(asked)} cannot compute in {precision}.",
            where="workload.precision",
            hint=f"Take {' or '.join(others)}, or another precision.",
            code="not_expressible",
        )
    return able or asked


def allowed_inputs(problem: Problem) -> Inputs:
    """What the cost model reads of `problem`, with the facts of its frameworks."""
    return inputs(problem, tuple(framework_facts(name) for name in allowed_frameworks(problem)))


def first_that_fits(
    problem: Problem, *, zones: Sequence[str] | None = None, every: bool = False
) -> tuple[Inputs, Scan]:
    """The scan of all candidates: of those with room to spare if any, else of tight ones, else of those that offload.

    Where nothing fits at all: what plans that keep everything on the GPU lack. With `zones`, only candidates that use
    all of them. `every`: with those that a bound keeps from the ranking, too.
    """
    prepared, found = _scanned(problem, TIGHT_FRACTION, zones, every)
    if found.scored:
        return prepared, found
    prepared, found = _scanned(problem, 1.0, zones, every)
    if found.scored or problem.plan.offload is not None:
        return prepared, found
    offloading = replace(problem, plan=replace(problem.plan, offload="optimizer"))
    saved = (_scanned(offloading, share, zones, every)[1] for share in (TIGHT_FRACTION, 1.0))
    return prepared, next((one for one in saved if one.scored), found)


def _scanned(problem: Problem, memory_fraction: float, zones: Sequence[str] | None, every: bool) -> tuple[Inputs, Scan]:
    prepared = allowed_inputs(problem)
    where, free = _layouts(prepared, zones), options(prepared, tries_ways=True)
    contest = None if every or has_limits(problem) else _contest(problem)  # what binds is found among all
    return prepared, scan(prepared, where, free, memory_fraction=memory_fraction, contest=contest)


def _contest(problem: Problem) -> Contest:
    return Contest(values=functools.partial(objective, problem), most=PER_CLASS)


def _layouts(inputs: Inputs, zones: Sequence[str] | None) -> tuple[Layout, ...]:
    """Those worth trying; with `zones`, those that use all of them."""
    found = layouts(inputs, inputs.problem.constraints.exclude_zones)
    if zones is None:
        return found

    def used(layout: Layout) -> set[str]:
        return {inputs.pools[pool].zone.name for chain in layout.chains for pool in chain}

    return tuple(layout for layout in found if used(layout) == set(zones))


def any_plan(problem: Problem, *, zones: Sequence[str] | None = None) -> Plan | None:
    """A plan that the job file leaves open, whether a framework can express it or not; None where there is none."""
    prepared = allowed_inputs(problem)
    where, free = _layouts(prepared, zones), options(prepared, any_framework=True)
    if problem.plan.shard is None and problem.plan.dp_shard is None:  # blame no choice that nobody wrote
        free = replace(free, shard=np.zeros(1, dtype=np.int64), recompute=free.recompute[:1])
    return best_plan(prepared, scan(prepared, where, free, memory_fraction=float("inf")))


def best_plan(inputs: Inputs, found: Scan) -> Plan | None:
    """The best plan of a scan, simulated; None where nothing was timed."""
    return next(iter(_ranked(inputs, found)), None)


def best_refined_plan(inputs: Inputs, found: Scan, is_wanted: IsWanted) -> Plan | None:
    """What single moves make of the best plans of a scan that holds only wanted ones; None where nothing was timed."""
    return next(iter(_ranked(inputs, found, is_refined=True, is_wanted=is_wanted)), None)


def _ranked(
    inputs: Inputs, found: Scan, *, is_refined: bool = False, is_wanted: IsWanted = lambda structure: True
) -> list[Plan]:
    """The best plans of each class, simulated, best first; of plans that differ in nothing visible the simplest.

    Where `is_refined`, with what single moves make of them: stages and replicas placed one by one, as is wanted.

    Ways for zones to agree are classes of their own. Of one that is tried with several settings, the gentlest to the
    mathematics stands for those that gain less than 1 % over it.
    """
    both = best_of_classes(inputs, found)
    starts = [[*simulated, *behind] for simulated, behind in both]
    more = refined(inputs, options(inputs, tries_ways=True), starts, is_wanted) if is_refined else []
    alike = [*(one for simulated, _ in both for one in simulated), *more]
    own = with_own_degrees(inputs, alike, _best_alone) if is_refined else []
    timed = _gentlest([*alike, *own])
    timed.sort(key=lambda pair: pair[0])
    kept: list[tuple[float, Plan]] = []
    for value, plan in timed:
        if not any(_looks_alike(plan, other) and value < SAME_RATIO * least for least, other in kept):
            kept.append((value, plan))
    return [plan for _, plan in _tied_alone_first(inputs.problem, kept)]


def _best_alone(problem: Problem) -> Plan | None:
    """Of a problem whose zones but one are excluded; None where nothing fits with room to spare."""
    prepared, found = _scanned(problem, TIGHT_FRACTION, None, every=False)
    return best_plan(prepared, found)


def _tied_alone_first(problem: Problem, ranked: list[tuple[float, Plan]]) -> list[tuple[float, Plan]]:
    """The same with the best plan of one zone first where the first plan spans zones for a gain that is a tie."""
    alone = next((one for one in ranked if len(one[1].zones) == 1), None)
    if problem.objective.minimize not in TIMED or alone is None or alone[0] > TIE_RATIO * ranked[0][0]:
        return ranked
    return [alone, *(one for one in ranked if one is not alone)]


def _gentlest(timed: list[tuple[float, Plan]]) -> list[tuple[float, Plan]]:
    """The same without plans of which another, gentler one is less than 1 % slower and looks alike."""

    def is_gentler(other: Plan, plan: Plan) -> bool:
        return gentleness(other.sync) < gentleness(plan.sync) and _looks_alike(plan, other)

    return [
        (value, plan)
        for value, plan in timed
        if not any(is_gentler(other, plan) and least < GENTLE_RATIO * value for least, other in timed)
    ]


def _looks_alike(one: Plan, other: Plan) -> bool:
    """Plans that a reader takes for the same: dp, cp and microbatch may trade places."""
    looks = []
    for plan in (one, other):
        method = plan.sync.method if len(plan.zones) > 1 else None  # one zone agrees with nobody, whatever its way
        looks.append((plan.framework, plan.tp, plan.pp, len(plan.zones), plan.zone_axis, method))
    return looks[0] == looks[1]


def _nearest(inputs: Inputs, found: Scan) -> list[RankedPlan]:
    """Where no candidate keeps the limits: the best plans for each limit alone, refined as if there were none."""
    plans: dict[Plan, None] = {}
    for free in unlimited(inputs.problem) if found.scored else ():
        plans |= dict.fromkeys(_ranked(replace(inputs, problem=free), found, is_refined=True)[:MOST_NEAREST])
    return [_full(inputs, plan) for plan in plans]


def _full(inputs: Inputs, plan: Plan) -> RankedPlan:
    framework = next(framework for framework in inputs.frameworks if framework.name == plan.framework)
    return RankedPlan(plan=plan, prediction=predict_plan(inputs.problem, plan, framework))
