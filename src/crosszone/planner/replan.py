"""The best next plan of a training that runs, on a cluster that has changed, with the move counted."""

import contextlib
import dataclasses
from collections.abc import Sequence

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import PlanRequest, Problem
from crosszone.core.replan import Choice, Move, Replan
from crosszone.errors import CrossZoneError, InfeasiblePlan, SpecError
from crosszone.frameworks import framework_facts
from crosszone.planner.limits import TIMED
from crosszone.planner.move import Loss, move_to
from crosszone.planner.pinned import check_plan, misfits
from crosszone.planner.search import search
from crosszone.spec.plan_file import GIVE_ITS_JOB
from crosszone.timeline.predict import predict_plan

WORTH_RATIO = 0.98
"""A move must end the training this much earlier to be advised: below, errors of predictions weigh more."""


def replan(
    problem: Problem, running: Plan, *, remaining_tokens: float, is_torn_off: bool = False, top: int = 5
) -> Replan:
    """Ways to train the rest of `remaining_tokens` on the changed cluster of `problem`.

    Beside the running plan, if it still has its place: the best plans of a new search, and the best that keep its tp,
    cp, and pp. `is_torn_off`: what failed took the work since the last checkpoint, and all plans must start again.
    Errors: SpecError where `running` is of another model, InfeasiblePlan where no framework can express any plan.
    """
    _check_model(problem, running)
    rest = dataclasses.replace(
        problem, workload=dataclasses.replace(problem.workload, train_tokens=remaining_tokens), plan=PlanRequest()
    )
    impossible, stays = _impossible(rest, running), None
    if not impossible:
        prediction = predict_plan(rest, running, framework_facts(running.framework))
        stays = RankedPlan(plan=running, prediction=prediction) if prediction.memory.fits else None
        impossible = () if stays else ("it no longer fits in memory.",)
    found = [one for one in _searched(rest, running, top) if one.plan != running] + ([stays] if stays else [])
    loss = _loss(_as_it_ran(problem, rest, running), found) if is_torn_off else None
    choices = [_choice(rest, running, one, loss) for one in found]
    choices.sort(key=lambda choice: _rank(problem, choice))
    shown = [choice for rank, choice in enumerate(choices) if rank < top or choice.is_running]
    explained = tuple(dataclasses.replace(choice, reasons=_reasons(choice, choices)) for choice in shown)
    return Replan(
        running=running,
        remaining_tokens=remaining_tokens,
        choices=explained,
        impossible=impossible,
        verdict=_verdict(choices, impossible),
    )


def _check_model(problem: Problem, running: Plan) -> None:
    found = misfits(problem.model, running)
    if found:
        raise SpecError(*(dataclasses.replace(one, code="another_model", hint=GIVE_ITS_JOB) for one in found))


def _impossible(problem: Problem, plan: Plan) -> tuple[str, ...]:
    try:
        check_plan(problem, plan)
    except CrossZoneError as error:
        return tuple(finding.message for finding in error.findings)
    gone = sorted(set(plan.zones) & set(problem.constraints.exclude_zones))
    return tuple(f"{zone} is excluded." for zone in gone)


def _searched(problem: Problem, running: Plan, top: int) -> list[RankedPlan]:
    """The best plans, and the best that is split inside a replica as the running one is."""
    found = list(search(problem, top=top).plans)
    alike = PlanRequest(tp=running.tp, pp=running.pp, cp=running.cp)
    # What the running plan was split into may have no place any more; the others stand.
    with contextlib.suppress(InfeasiblePlan):
        found += search(dataclasses.replace(problem, plan=alike, framework=running.framework), top=1).plans
    return list({one.plan: one for one in found}.values())


def _as_it_ran(problem: Problem, rest: Problem, running: Plan) -> Prediction | None:
    """Of the whole job, before any zone was excluded; None where the cluster no longer has the GPUs."""
    workload = rest.workload if problem.workload.train_tokens is None else problem.workload
    here = dataclasses.replace(rest.constraints, exclude_zones=())
    whole = dataclasses.replace(rest, workload=workload, constraints=here)
    try:
        check_plan(whole, running)
    except CrossZoneError:
        return None
    return predict_plan(whole, running, framework_facts(running.framework))


def _loss(ran: Prediction | None, found: Sequence[RankedPlan]) -> Loss:
    """Half of what lies between two checkpoints of the running plan; where it is unknown, of the best next one."""
    known = ran or (found[0].prediction if found else None)
    every = (known.reliability.checkpoint_every_seconds if known and known.reliability else None) or 0.0
    return Loss(running_seconds=every / 2.0, running_step_seconds=None if ran is None else ran.step_seconds)


def _choice(problem: Problem, running: Plan, one: RankedPlan, loss: Loss | None) -> Choice:
    plan, prediction = one.plan, one.prediction
    move = move_to(problem, running, one, loss)
    rest_seconds = prediction.finish.p50_seconds or prediction.train_seconds
    assert rest_seconds is not None, "the tokens of the rest are known"
    return Choice(
        plan=plan,
        prediction=prediction,
        is_running=plan == running,
        move=move,
        finish_seconds=move.total_seconds + rest_seconds,
        dollars=_dollars(one, move),
        reasons=(),
    )


def _dollars(one: RankedPlan, move: Move) -> float | None:
    """Of the rest, and of the GPUs that wait during the move."""
    prediction = one.prediction
    total = prediction.costs.total_dollars if prediction.costs else None
    rent, train = prediction.gpu_dollars, prediction.train_seconds
    if total is None or rent is None or not train or move.egress_dollars is None:
        return None
    return total + rent / train * move.total_seconds + move.egress_dollars


def _rank(problem: Problem, choice: Choice) -> tuple[float, float]:
    """By what the job minimises; a move that gains almost nothing comes after staying."""
    reluctance = 1.0 if choice.is_running else 1.0 / WORTH_RATIO
    money = float("inf") if choice.dollars is None else choice.dollars
    first = choice.finish_seconds if problem.objective.minimize in TIMED else money
    return reluctance * first, choice.finish_seconds


def _reasons(choice: Choice, choices: Sequence[Choice]) -> tuple[str, ...]:
    running = next((one for one in choices if one.is_running), None)
    move = choice.move
    found = []
    if move.total_seconds > 0.0:
        parts = {
            "saving": move.save_seconds,
            "work done again": move.lost_seconds,
            "sending the state": move.transfer_seconds,
            "restarting": move.restart_seconds,
        }
        said = ", ".join(f"{name} {units.format_seconds(value)}" for name, value in parts.items() if value > 0.0)
        found.append(f"The move takes {units.format_seconds(move.total_seconds)}: {said}.")
    if running is not None and choice is not running:
        old, new = running.prediction.step_seconds, choice.prediction.step_seconds
        if new < old:
            even = move.total_seconds / (1.0 - new / old)
            found.append(
                f"A step takes {units.format_seconds(new)} instead of {units.format_seconds(old)}: the move has paid "
                f"for itself after {units.format_seconds(even)}; without it the rest lasts "
                f"{units.format_seconds(running.finish_seconds)}."
            )
        else:
            found.append(f"A step takes {units.format_seconds(new)}, the running plan's {units.format_seconds(old)}.")
    return tuple(found)


def _verdict(choices: Sequence[Choice], impossible: tuple[str, ...]) -> str:
    reasons = "; ".join(reason.removesuffix(".") for reason in impossible)
    why = f"The running plan cannot go on: {reasons}. " if impossible else ""
    if not choices:
        return f"{why}Nothing fits on the changed cluster."
    best = choices[0]
    running = next((one for one in choices if one.is_running), None)
    done = units.format_seconds(best.finish_seconds)
    if best.is_running:
        other = choices[1] if len(choices) > 1 else None
        gain = "" if other is None else f" The best move would be done in {units.format_seconds(other.finish_seconds)}."
        return f"Stay: the running plan is done in {done}.{gain}"
    if running is None:
        return f"{why}Move: the best plan is done in {done}, the move of {_moved(best)} included."
    stay = units.format_seconds(running.finish_seconds)
    return f"Move: done in {done} instead of {stay}, the move of {_moved(best)} included."


def _moved(choice: Choice) -> str:
    return units.format_seconds(choice.move.total_seconds)
