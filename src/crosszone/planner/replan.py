"""The best next plan of a training that runs, on a cluster that has changed, with the move counted."""

import contextlib
import dataclasses
from collections.abc import Sequence

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.plan import Plan
from crosszone.core.problem import PlanRequest, Problem
from crosszone.core.replan import Choice, Move, Replan
from crosszone.cost.memory import state_bytes
from crosszone.cost.network import link_bytes_per_second
from crosszone.cost.parameters import num_parameters
from crosszone.errors import CrossZoneError, InfeasiblePlan
from crosszone.frameworks import framework_facts
from crosszone.planner.limits import TIMED
from crosszone.planner.pinned import check_plan
from crosszone.planner.search import search
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.saving import Saving, saving_of
from crosszone.timeline.threats import plan_footprint

WORTH_RATIO = 0.98
"""A move must end the training this much earlier to be advised: below, errors of predictions weigh more."""


def replan(
    problem: Problem, running: Plan, *, remaining_tokens: float, is_torn_off: bool = False, top: int = 5
) -> Replan:
    """Ways to train the rest of `remaining_tokens` on the changed cluster of `problem`.

    Beside the running plan, if it still has its place: the best plans of a new search, and the best that keep its tp,
    cp, and pp. `is_torn_off`: what failed took the work since the last checkpoint, and all plans must start again.
    Errors: InfeasiblePlan where no framework can express any plan.
    """
    rest = dataclasses.replace(
        problem, workload=dataclasses.replace(problem.workload, train_tokens=remaining_tokens), plan=PlanRequest()
    )
    impossible = _impossible(rest, running)
    found = _searched(rest, running, top)
    choices = [_choice(rest, running, one, is_torn_off=is_torn_off) for one in found if one.plan != running]
    if not impossible:
        prediction = predict_plan(rest, running, framework_facts(running.framework))
        if prediction.memory.fits:
            stays = RankedPlan(plan=running, prediction=prediction)
            choices.append(_choice(rest, running, stays, is_torn_off=is_torn_off))
        else:
            impossible = ("It no longer fits in memory.",)
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


def _choice(problem: Problem, running: Plan, one: RankedPlan, *, is_torn_off: bool) -> Choice:
    plan, prediction = one.plan, one.prediction
    move = _move(problem, running, one, is_torn_off=is_torn_off)
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


def _move(problem: Problem, running: Plan, one: RankedPlan, *, is_torn_off: bool) -> Move:
    stays = one.plan == running and not is_torn_off
    gone = problem.constraints.exclude_zones if is_torn_off else ()
    size_bytes, seconds, dollars = (0.0, 0.0, 0.0) if stays else _transfer(problem, running, one.plan, gone)
    old, new = _saving(problem, running, one), _saving(problem, one.plan, one)
    reliability = one.prediction.reliability
    every = (reliability.checkpoint_every_seconds if reliability else None) or 0.0
    return Move(
        save_seconds=0.0 if stays or is_torn_off else old.write_seconds,
        lost_seconds=every / 2.0 if is_torn_off else 0.0,
        transfer_seconds=seconds,
        restart_seconds=0.0 if stays else new.restart_seconds,
        transfer_bytes=size_bytes,
        egress_dollars=dollars,
    )


def _saving(problem: Problem, plan: Plan, one: RankedPlan) -> Saving:
    """What a checkpoint of `plan` takes, as far as its node groups are still in the cluster; else as of `one`."""
    groups = {(zone.name, index) for zone in problem.cluster.zones for index in range(len(zone.node_groups))}
    placed = {
        place for replica in plan.replicas for place in zip(replica.zones, replica.node_groups, strict=True)
    }  # fmt: skip
    return saving_of(problem, plan_footprint(plan if placed <= groups else one.plan, ()))


def _transfer(problem: Problem, running: Plan, plan: Plan, gone: Sequence[str]) -> tuple[float, float, float | None]:
    """(bytes, seconds, dollars) to bring each zone the layers that it will train and does not hold.

    They come over the fastest link from a zone that holds some of them; zones receive at the same time. What lay only
    in zones that are `gone` is read from storage, which is part of the restart.
    """
    held, wanted = _layers(running), _layers(plan)
    here = {zone.name for zone in problem.cluster.zones} - set(gone)
    sizes = state_bytes(problem.workload, weights_are_master=False)
    layer_bytes = num_parameters(problem.model) * (sizes.weight + sizes.optimizer) / problem.model.num_layers
    total, longest, dollars = 0.0, 0.0, 0.0
    is_priced = True
    for zone, layers in wanted.items():
        missing = layers - held.get(zone, frozenset())
        sources = [other for other in held if other in here - {zone} and held[other] & missing]
        if not missing or not sources:
            continue
        moved = len(missing) * layer_bytes
        links = [problem.cluster.link(other, zone) for other in sources]
        rates = [float(link_bytes_per_second(link, num_nodes=1e9, num_flows=_num_flows(plan))) for link in links]
        best = max(range(len(links)), key=lambda index: rates[index])
        total, longest = total + moved, max(longest, moved / rates[best])
        price = links[best].egress_dollars_per_byte
        is_priced &= price is not None
        dollars += moved * (price or 0.0)
    return total, longest, dollars if is_priced else None


def _layers(plan: Plan) -> dict[str, frozenset[int]]:
    """Layers that each zone holds."""
    found: dict[str, set[int]] = {}
    for replica in plan.replicas:
        for zone, stage in zip(replica.zones, plan.stages, strict=True):
            found.setdefault(zone, set()).update(range(stage.first_layer, stage.first_layer + stage.num_layers))
    return {zone: frozenset(layers) for zone, layers in found.items()}


def _num_flows(plan: Plan) -> int:
    """Every rank that will hold a part fetches it."""
    return plan.tp * plan.cp * plan.pp


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
                f"for itself after {units.format_seconds(even)}, the rest lasts "
                f"{units.format_seconds(running.finish_seconds)}."
            )
        else:
            found.append(f"A step takes {units.format_seconds(new)}, the running plan's {units.format_seconds(old)}.")
    return tuple(found)


def _verdict(choices: Sequence[Choice], impossible: tuple[str, ...]) -> str:
    why = f"The running plan cannot go on: {' '.join(impossible)} " if impossible else ""
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
