"""Why this plan: what binds it, what it was measured against, and which neighbours cannot work."""

import dataclasses

import numpy as np

from crosszone import units
from crosszone.core.answer import Comparison, RankedPlan, RejectedPlan
from crosszone.core.plan import RECOMPUTES, Plan, zone_plans
from crosszone.core.prediction import Prediction
from crosszone.core.problem import PlanRequest, Problem
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.memory import TIGHT_FRACTION, state_bytes
from crosszone.cost.parameters import num_parameters
from crosszone.cost.traffic import boundary_bytes, ring_link_bytes
from crosszone.errors import Finding
from crosszone.frameworks import framework_names, supports
from crosszone.planner.binding import NOTABLE_FRACTION, zone_seconds
from crosszone.planner.comparison import weighed
from crosszone.planner.general import DEGREES, to_plan
from crosszone.planner.limits import TIMED, achieved, total_dollars, unmet, unpriced
from crosszone.planner.table import Scan
from crosszone.timeline.fit import plan_host_shortage, plan_memory
from crosszone.timeline.inputs import Inputs

TIE_RATIO = 1.05
"""Gains below it are less than what predictions of left-out runs miss on average (docs/decisions/0002)."""
MINOR_RATIO = 1.001
"""Below it the plan of one zone comes first (TIE_RATIO of the refinement)."""
DECIDE_MICROBATCHES = ("microbatch_size", "num_virtual_stages", "schedule")
"""Keys beside the degrees on which it depends whether stages and microbatches come out whole."""
WIDE_LEVEL = 0.9
MOST_MISSES = 3


def reasons(inputs: Inputs, one: RankedPlan, best: RankedPlan | None, baseline: RankedPlan | None) -> tuple[str, ...]:
    """Sentences on one ranked plan: zones, memory, time, batch, idle GPUs, and its distance from the best."""
    found = [*_zone_reasons(inputs, one), _memory_reason(one.prediction), *_time_reasons(one.prediction)]
    found += _share_reasons(one.plan)
    if one is best:
        found += _range_reasons(one.prediction)
    if one.prediction.sync is not None and one.prediction.sync.changes_mathematics:
        found.append(f"It changes the mathematics, as allowed: {one.prediction.sync.effect}.")
    if one.plan.offload != "none":
        host = units.format_bytes(one.prediction.host_memory_bytes)
        if inputs.problem.plan.offload is None:
            found.append(f"Only with the optimizer's states in host memory does it fit: {host} a node.")
        else:
            found.append(f"The optimizer's states wait in host memory: {host} a node.")
    if best is not None and one is not best:
        found.append(_distance(inputs.problem, one.prediction, best.prediction))
    if baseline is not None and one is best and len(one.plan.zones) > 1:
        gain = baseline.prediction.step_seconds / one.prediction.step_seconds
        found.append(f"{gain:.2f} times as fast as the best plan of one zone ({baseline.plan.zones[0]}).")
    return tuple(found)


def verdict(
    inputs: Inputs,
    found: Scan,
    best: RankedPlan | None,
    baseline: RankedPlan | None,
    both: Comparison | None = None,
) -> str:
    """A few sentences: span zones or not, with both numbers; or what is lacking; and which price is unknown."""
    if best is None:
        return unmet(inputs, found) if found.scored else _nothing_fits(inputs, found)
    more = [] if both is None else [weighed(both)]
    return " ".join([_choice(inputs.problem, best, baseline, both), *more, unpriced(inputs)]).rstrip()


def as_written(written: RankedPlan, baseline: RankedPlan | None) -> str:
    """The verdict on a plan that a person wrote: what it takes or lacks, beside the best plan of one zone."""
    prediction, memory = written.prediction, written.prediction.memory
    text = f"As written, the plan takes {units.format_seconds(prediction.step_seconds)} a step"
    if not memory.fits:
        lacking = f"it lacks {units.format_bytes(memory.peak_bytes - memory.capacity_bytes)} on its fullest GPU"
        if memory.peak_bytes <= memory.capacity_bytes:
            lacking = "what it offloads is more than a node's own memory"
        text = f"As written, the plan does not fit: {lacking}"
    if baseline is None:
        return f"{text}."
    alone = units.format_seconds(baseline.prediction.step_seconds)
    return f"{text}; the best plan of one zone ({baseline.plan.zones[0]}) takes {alone} a step."


def rejected(inputs: Inputs, plan: Plan) -> tuple[RejectedPlan, ...]:
    """Neighbours of `plan` that cannot work: one choice changed, and the rule or the memory that forbids it."""
    found = []
    for neighbour in _neighbours(inputs, plan):
        why = supports(neighbour.framework, neighbour) or _memory_refusal(inputs, neighbour)
        why = why or _headroom_refusal(inputs, plan, neighbour)
        if why:
            found.append(RejectedPlan(plan=neighbour, reasons=tuple(why)))
    return tuple(found)


def misses(inputs: Inputs, found: Scan) -> tuple[RejectedPlan, ...]:
    """Where nothing fits: the plans that come nearest, each with the memory that it lacks."""
    plans = dict.fromkeys(to_plan(inputs, miss.tables, 0) for miss in found.misses[:MOST_MISSES])
    return tuple(one for plan in plans for one in refused(inputs, plan))


def refused(inputs: Inputs, plan: Plan) -> tuple[RejectedPlan, ...]:
    """`plan` with the memory that it lacks."""
    return (RejectedPlan(plan=plan, reasons=tuple(_memory_refusal(inputs, plan))),)


def not_expressible(problem: Problem, frameworks: tuple[str, ...], plan: Plan | None) -> tuple[Finding, ...]:
    """Why nothing that the job file leaves open can be planned: rules of the frameworks, on a plan that is left open.

    In full of the frameworks that come nearest to it; of the others how many rules are broken.
    """
    if plan is None:
        names = (*DEGREES, *DECIDE_MICROBATCHES)
        degrees = {name: value for name in names if (value := getattr(problem.plan, name)) is not None}
        written = ", ".join(f"{name}={value}" for name, value in degrees.items()) or "the model and the batch"
        numbers = f"{problem.cluster.num_gpus} GPUs, {problem.workload.global_batch_size} sequences a step"
        message = f"{written} leave no whole stages and replicas on {numbers}, {problem.model.num_layers} layers."
        hint = "Free a degree, or change the batch so that replicas and microbatches divide it."
        return (Finding(code="not_expressible", message=message, where="plan", hint=hint),)
    reasons = {name: supports(name, dataclasses.replace(plan, framework=name)) for name in frameworks}
    fewest = min(map(len, reasons.values()))
    told = [why for found in reasons.values() if len(found) == fewest for why in found]
    others = [f"{name}: {len(found)} rules" for name, found in reasons.items() if len(found) > fewest]
    if others:
        told.append(f"Others are further from it ({', '.join(others)}).")
    return tuple(Finding(code="not_expressible", message=why, where="plan") for why in dict.fromkeys(told))


def _choice(problem: Problem, best: RankedPlan, baseline: RankedPlan | None, both: Comparison | None) -> str:
    seconds = units.format_seconds(best.prediction.step_seconds)
    if len(problem.cluster.zones) - len(problem.constraints.exclude_zones) == 1:
        return f"The best plan takes {seconds} a step."
    is_timed = problem.objective.minimize in TIMED
    if len(best.plan.zones) == 1:
        is_later = both is not None and both.spanning.step_seconds * MINOR_RATIO < both.alone.step_seconds
        better = "cheaper" if not is_timed else "done sooner, failures included" if is_later else "over 0.1 % faster"
        others = f"nothing over several{_that_is_allowed(problem)} is {better}"
        return f"Stay in one zone: {best.plan.zones[0]} alone takes {seconds} a step; {others}."
    together = f"{', '.join(best.plan.zones)} together ({best.plan.world_size} GPUs) take {seconds} a step"
    if baseline is None:
        return f"Span zones: {together}; {_why_none_alone(problem)}."
    alone = units.format_seconds(baseline.prediction.step_seconds)
    gain = baseline.prediction.step_seconds / best.prediction.step_seconds
    is_tie = is_timed and gain < TIE_RATIO
    zone = f"the best zone alone ({baseline.plan.zones[0]}, {baseline.plan.world_size} GPUs) {alone}"
    text = f"{together}, {zone}: {gain:.{3 if is_tie else 2}f} times as fast{_for_money(best, baseline)}."
    if not is_tie:
        return f"Span zones: {text}"
    return f"Span zones, if only just: {text} So small a gain is within the model's error: one zone does as well."


def _that_is_allowed(problem: Problem) -> str:
    """Words that keep a verdict true where limits or fixed choices leave faster plans out."""
    goal = problem.objective
    limits = (goal.deadline_seconds, goal.budget_dollars, problem.constraints.max_egress_dollars)
    if any(limit is not None for limit in limits):
        return " that keeps the limits"
    return "" if problem.plan == PlanRequest() else " that the job file leaves open"


def _for_money(best: RankedPlan, baseline: RankedPlan) -> str:
    """The price of both, as far as it is known."""
    rents = [one.prediction.gpu_dollars for one in (best, baseline)]
    egress = best.prediction.egress_dollars
    if None in rents:
        return f", with {units.format_dollars(egress)} of egress" if egress else ""
    sums = [units.format_dollars(_dollars(one.prediction)) for one in (best, baseline)]
    return f" for {sums[0]} against {sums[1]}{', egress unknown' if egress is None else ''}"


def _dollars(prediction: Prediction) -> float:
    """What is paid in all, as the table says; else what is known of it."""
    total = total_dollars(prediction)
    return total if total is not None else (prediction.gpu_dollars or 0.0) + (prediction.egress_dollars or 0.0)


def _why_none_alone(problem: Problem) -> str:
    limits = (problem.objective.deadline_seconds, problem.objective.budget_dollars)
    if limits != (None, None) or problem.objective.minimize not in TIMED:
        return "no zone alone has the memory and keeps the limits"
    if problem.plan != PlanRequest():
        return "no zone alone has room for what the job file fixes"
    return "no zone alone has the memory"


def _distance(problem: Problem, prediction: Prediction, best: Prediction) -> str:
    """How far a plan is behind the first, in time and, where money decides, in money."""
    slower = prediction.step_seconds / best.step_seconds - 1.0
    is_timed = problem.objective.minimize in TIMED
    values = achieved(problem, prediction), achieved(problem, best)
    dearer = "" if is_timed or not values[0] or not values[1] else f" ({_more(values[0] / values[1] - 1.0)} in all)"
    if slower >= 0.0:
        return f"{units.format_fraction(slower)} slower than the first plan{dearer}."
    why = "done later: failures and checkpoints take more" if is_timed else f"it costs more{dearer}"
    return f"{units.format_fraction(-slower)} less time than the first plan, but {why}."


def _more(share: float) -> str:
    """`share` as so much more or less money."""
    return f"{units.format_fraction(abs(share))} {'more' if share >= 0.0 else 'less'} money"


def _zone_reasons(inputs: Inputs, one: RankedPlan) -> list[str]:
    """What crosses zones a step, and what the other way to cross would move."""
    plan = one.plan
    if len(plan.zones) < 2:
        return []
    moved = max((link.step_bytes for link in one.prediction.links), default=0.0)
    other = _other_axis_bytes(inputs, plan)
    ours, theirs = ("PP", "DP") if "pp" in plan.zone_axis else ("DP", "PP")
    sentence = f"{ours} across zones moves {units.format_bytes(moved)} a step over the busiest link, "
    sentence += f"{theirs} would move {units.format_bytes(other)}."
    exposed = zone_seconds(one.prediction)
    return [sentence, f"Zone links cost {units.format_seconds(exposed)} of the step."]


def _other_axis_bytes(inputs: Inputs, plan: Plan) -> float:
    """Bytes a step over one link direction if the plan's zones were joined by the other axis."""
    problem = inputs.problem
    workload, model = problem.workload, problem.model
    if "pp" in plan.zone_axis:
        gradient = num_parameters(model) * state_bytes(workload, weights_are_master=False).reduction
        zones = np.array([len(plan.zones)])
        once = ring_link_bytes(
            num_zones=zones, num_ranks=zones, is_flat=zones < 0, all_reduce_bytes=gradient, half_bytes=0.0
        )
        return float(once[0])
    size = DTYPE_BYTES[workload.dtypes.activations]
    return float(boundary_bytes(workload.global_batch_size, workload.sequence_length, model.hidden_size, size))


def _memory_reason(prediction: Prediction) -> str:
    memory = prediction.memory
    fullest = memory.fullest
    peak, capacity = units.format_bytes(memory.peak_bytes), units.format_bytes(memory.capacity_bytes)
    return f"Memory {memory.verdict}: {peak} of {capacity} on stage {fullest.stage} in {fullest.zone}."


def _time_reasons(prediction: Prediction) -> list[str]:
    """The largest terms besides the work itself."""
    losses = [
        term
        for term in prediction.terms
        if term.name not in ("matrix_multiply", "attention")
        and term.exposed_seconds > NOTABLE_FRACTION * prediction.step_seconds
    ]
    if not losses:
        return []
    losses.sort(key=lambda term: -term.exposed_seconds)
    parts = [
        f"{term.name.replace('_', ' ')} {units.format_fraction(term.exposed_seconds / prediction.step_seconds)}"
        for term in losses[:3]
    ]
    return [f"Largest losses: {', '.join(parts)} of the step."]


def _range_reasons(prediction: Prediction) -> list[str]:
    """How far measured runs of this kind were off."""
    wide = [one for one in prediction.intervals if one.level >= WIDE_LEVEL]
    low_high = [(units.format_seconds(one.low_seconds), units.format_seconds(one.high_seconds)) for one in wide]
    return [f"Nine of ten measured steps of such plans would lie in {low} to {high}." for low, high in low_high[:1]]


def _share_reasons(plan: Plan) -> list[str]:
    found = []
    counts = sorted({stage.num_layers for stage in plan.stages})
    if len(counts) > 1:
        found.append(f"Stages hold {counts[0]} to {counts[-1]} layers, so that none is much busier than the others.")
    shares = sorted({replica.num_microbatches for replica in plan.replicas})
    if plan.has_own_degrees:
        consumed = ", ".join(f"{part.zones[0]} {part.num_sequences}" for part in zone_plans(plan))
        found.append(
            f"Only local updates cross zones: each divides its work in its own way. Sequences a step: {consumed}."
        )
    elif len(shares) > 1:
        found.append(
            f"Replicas consume {shares[0]} to {shares[-1]} microbatches a step; gradients are weighted by tokens."
        )
    idle: dict[str, int] = {}
    for group in plan.idle_gpus:
        idle[group.zone] = idle.get(group.zone, 0) + group.num_gpus
    return found + [
        f"{count} GPUs in {zone} stay idle." if count > 1 else f"1 GPU in {zone} stays idle."
        for zone, count in idle.items()
    ]


def _nothing_fits(inputs: Inputs, found: Scan) -> str:
    plan = to_plan(inputs, found.misses[0].tables, 0)
    lacking = units.format_bytes(found.misses[0].lacking_bytes)
    return (
        f"Nothing fits: the nearest plan (tp={plan.tp}, pp={plan.pp}, dp={plan.dp}, shard {plan.shard}, recompute "
        f"{plan.recompute}) lacks {lacking} on its fullest GPU."
    )


def _neighbours(inputs: Inputs, plan: Plan) -> list[Plan]:
    """Plans that differ in one choice and use the same GPUs."""
    found = []
    lighter = RECOMPUTES[: RECOMPUTES.index(plan.recompute)]
    for recompute in lighter[:1]:
        stages = tuple(dataclasses.replace(stage, recompute=recompute, recompute_layers=None) for stage in plan.stages)
        found.append(dataclasses.replace(plan, recompute=recompute, stages=stages))
    if plan.shard != "none":
        found.append(dataclasses.replace(plan, shard="none", dp_shard=1))
    bigger = _with_microbatch(plan, plan.microbatch_size * 2)
    if bigger is not None:
        found.append(bigger)
    for name in framework_names():
        if name != plan.framework and (name in [one.name for one in inputs.frameworks]):
            found.append(dataclasses.replace(plan, framework=name))
    return found


def _with_microbatch(plan: Plan, size: int) -> Plan | None:
    """The plan with larger microbatches; None where a replica's share does not divide, or is no whole round."""
    factor = size // plan.microbatch_size
    rounds = factor * (plan.pp if plan.num_virtual_stages > 1 else 1)
    if any(replica.num_microbatches % rounds for replica in plan.replicas):
        return None
    replicas = tuple(
        dataclasses.replace(replica, num_microbatches=replica.num_microbatches // factor) for replica in plan.replicas
    )
    return dataclasses.replace(plan, microbatch_size=size, replicas=replicas)


def _memory_refusal(inputs: Inputs, plan: Plan) -> list[str]:
    if plan.framework not in [framework.name for framework in inputs.frameworks]:
        return []
    memory = plan_memory(inputs, plan)
    if memory.fits:
        return []
    shortage, fullest = plan_host_shortage(inputs, plan), memory.fullest
    if shortage is not None and fullest.filled_fraction <= 1.0:
        return [f"{shortage[0].upper()}{shortage[1:]}."]
    needs, has = units.format_bytes(fullest.total_bytes), units.format_bytes(fullest.capacity_bytes)
    return [f"Stage {fullest.stage} in {fullest.zone} needs {needs}, its GPU has {has}."]


def _headroom_refusal(inputs: Inputs, plan: Plan, neighbour: Plan) -> list[str]:
    """Of a neighbour that fits, but tightly, where `plan` has room to spare."""
    memory = plan_memory(inputs, neighbour)
    if memory.verdict != "tight" or plan_memory(inputs, plan).verdict != "fits":
        return []
    fullest = memory.fullest
    needs, has = units.format_bytes(fullest.total_bytes), units.format_bytes(fullest.capacity_bytes)
    share = units.format_fraction(fullest.filled_fraction)
    most = units.format_fraction(TIGHT_FRACTION)
    return [
        f"Tight: {share}, {needs} of {has} on stage {fullest.stage} in {fullest.zone}; plans above {most} are taken "
        "only if nothing else fits."
    ]
