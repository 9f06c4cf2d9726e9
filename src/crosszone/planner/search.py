"""The search: every candidate scored, the best few simulated, the answer explained."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from crosszone.core.answer import Answer, RankedPlan, Search
from crosszone.core.layout import Layout
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.tables import Floats
from crosszone.errors import Finding, InfeasiblePlan
from crosszone.frameworks import framework_facts, framework_names
from crosszone.planner.explain import misses, reasons, rejected, verdict
from crosszone.planner.general import to_plan
from crosszone.planner.layouts import layouts, zone_of
from crosszone.planner.options import options
from crosszone.planner.table import Scan, Scored, scan
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.predict import predict_plan

MOST_SIMULATED = 32
"""Plans whose pipeline is simulated: the estimate's best, enough that its error (see tests) cannot hide the true best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One row of one scored table."""

    value: float
    """What is minimised, by the estimate."""
    scored: Scored
    row: int


def search(problem: Problem, *, top: int) -> Answer:
    """Ranked plans for `problem`, with the best plan of one zone beside them. `plans` is empty where nothing fits.

    Errors: InfeasiblePlan where no framework at hand can express any plan that the job file leaves open.
    """
    prepared = inputs(problem, tuple(framework_facts(name) for name in allowed_frameworks(problem)))
    found = scan(prepared, layouts(prepared, problem.constraints.exclude_zones), options(prepared))
    if not found.num_candidates:
        raise InfeasiblePlan(_nothing_expressible(problem))
    ranked = _ranked(prepared, _shortlist(prepared, found, lambda layout: True))
    baseline = _baseline(prepared, found, ranked)
    best = ranked[0] if ranked else None
    return Answer(
        problem=problem,
        plans=_explained(prepared, ranked[:top], baseline),
        baseline=baseline,
        verdict=verdict(prepared, found, best, baseline),
        search=Search(
            num_candidates=found.num_candidates,
            num_pruned=found.num_pruned,
            num_feasible=sum(int(np.sum(part.margin_bytes >= 0.0)) for part in found.scored),
        ),
        rejected=rejected(prepared, best.plan) if best else misses(prepared, found),
    )


def allowed_frameworks(problem: Problem) -> tuple[str, ...]:
    """The framework of the job file, or those at hand, or all."""
    if problem.framework:
        return (problem.framework,)
    return problem.constraints.frameworks or framework_names()


def objective(problem: Problem, step_seconds: Floats, dollars: Floats) -> Floats:
    """What is minimised: seconds, or dollars, per step. With the tokens fixed, throughput per dollar is cost.

    Infinite where the deadline or the budget is missed, or a price that decides is unknown.
    """
    goal, tokens = problem.objective, problem.workload.train_tokens
    value = step_seconds if goal.minimize == "time" else np.where(np.isnan(dollars), np.inf, dollars)
    if tokens is None:
        return value
    num_steps = tokens / problem.workload.global_batch_tokens
    if goal.deadline_seconds is not None:
        value = np.where(step_seconds * num_steps > goal.deadline_seconds, np.inf, value)
    if goal.budget_dollars is not None:
        value = np.where(dollars * num_steps > goal.budget_dollars, np.inf, value)
    return value


def best_of(inputs: Inputs, found: Scan) -> Plan | None:
    """The best plan of a scan; the one that lacks least memory where none fits; None where there is none at all."""
    ranked = _ranked(inputs, _shortlist(inputs, found, lambda layout: True))
    if ranked:
        return ranked[0].plan
    if not found.scored:
        return None
    part = max(found.scored, key=lambda part: float(part.margin_bytes.max()))
    return to_plan(inputs, part.tables, int(np.argmax(part.margin_bytes)))


def _shortlist(inputs: Inputs, found: Scan, wanted: Callable[[Layout], bool]) -> list[Candidate]:
    """The best rows of all layouts that `wanted` accepts; ties go to the simpler plan."""
    listed: list[Candidate] = []
    for part in found.scored:
        if not wanted(part.layout):
            continue
        value = objective(inputs.problem, part.step_seconds, part.dollars)
        value = np.where(part.margin_bytes >= 0.0, value, np.inf)
        most = min(MOST_SIMULATED, len(value))
        for row in np.argpartition(value, most - 1)[:most]:
            if np.isfinite(value[row]):
                listed.append(Candidate(value=float(value[row]), scored=part, row=int(row)))
    return sorted(listed, key=_order)[:MOST_SIMULATED]


def _order(candidate: Candidate) -> tuple[float, ...]:
    plans, row = candidate.scored.tables.plans, candidate.row
    simpler = (plans.crosses_pp, plans.crosses_dp, plans.cp, plans.pp, plans.tp, plans.shard, plans.framework)
    return (float(f"{candidate.value:.5g}"), *(float(column[row]) for column in simpler))


def _ranked(inputs: Inputs, shortlist: Iterable[Candidate]) -> list[RankedPlan]:
    """The shortlist in full, best first by the simulated objective; plans that differ in nothing visible once."""
    plans = [to_plan(inputs, candidate.scored.tables, candidate.row) for candidate in shortlist]
    full = [RankedPlan(plan=plan, prediction=_predict(inputs, plan)) for plan in plans]
    usable = [ranked for ranked in full if ranked.prediction.memory.fits and _within_egress(inputs, ranked.prediction)]
    return sorted(usable, key=lambda ranked: _final_value(inputs.problem, ranked.prediction))


def _within_egress(inputs: Inputs, prediction: Prediction) -> bool:
    most = inputs.problem.constraints.max_egress_dollars
    return most is None or prediction.egress_dollars is None or prediction.egress_dollars <= most


def _predict(inputs: Inputs, plan: Plan) -> Prediction:
    framework = next(framework for framework in inputs.frameworks if framework.name == plan.framework)
    return predict_plan(inputs.problem, plan, framework)


def _final_value(problem: Problem, prediction: Prediction) -> float:
    if problem.objective.minimize == "time" or prediction.gpu_dollars is None:
        return prediction.step_seconds
    return prediction.gpu_dollars + (prediction.egress_dollars or 0.0)


def _baseline(inputs: Inputs, found: Scan, ranked: list[RankedPlan]) -> RankedPlan | None:
    """The best plan that stays in one zone; the winner itself where it does."""
    if ranked and len(ranked[0].plan.zones) == 1:
        return ranked[0]

    def stays(layout: Layout) -> bool:
        return len({zone_of(inputs, pool) for chain in layout.chains for pool in chain}) == 1

    alone = _ranked(inputs, _shortlist(inputs, found, stays)[: MOST_SIMULATED // 4])
    return alone[0] if alone else None


def _explained(inputs: Inputs, ranked: list[RankedPlan], baseline: RankedPlan | None) -> tuple[RankedPlan, ...]:
    best = ranked[0] if ranked else None
    return tuple(
        RankedPlan(plan=one.plan, prediction=one.prediction, reasons=reasons(inputs, one, best, baseline))
        for one in ranked
    )


def _nothing_expressible(problem: Problem) -> Finding:
    names = ", ".join(allowed_frameworks(problem))
    return Finding(
        code="not_expressible",
        message=f"No plan that the job file leaves open can be laid on {problem.cluster.num_gpus} GPUs by {names}.",
        where="plan",
        hint="Free a degree under `plan`, or allow another framework.",
    )
