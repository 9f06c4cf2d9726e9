"""What keeps the best plan from being better: memory, batch, heads, layers, links, limits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crosszone import units
from crosszone.core.answer import Comparison, RankedPlan, RejectedPlan
from crosszone.core.explanation import Binding
from crosszone.core.plan import Plan, recompute_words
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.frameworks import supports
from crosszone.planner.limits import TIMED, num_sequences, objectives, wall_dollars
from crosszone.planner.options import divisors, options
from crosszone.planner.table import Scan, Scored
from crosszone.timeline.inputs import Inputs

ZONE_TERMS = ("zone_pipeline_send", "zone_agreement", "embedding_agreement")
"""Terms that links between zones cause."""
NOTABLE_FRACTION = 0.05
"""Share of the step from which a loss binds."""
GAIN_RATIO = 1.01
"""A limit binds where the best plan without it is better by more, by the estimate."""


def bindings(
    inputs: Inputs, found: Scan, best: RankedPlan, rejected: Sequence[RejectedPlan], both: Comparison | None
) -> tuple[Binding, ...]:
    """Every constraint that binds the best plan, with its numbers."""
    listed = [
        *_memory(best, rejected),
        *_batch(inputs.problem, best),
        *_tensor(inputs, best.plan),
        *_layers(inputs.problem, best),
        *_links(best, both),
        *_limits(inputs.problem, found),
    ]
    return tuple(Binding(constraint=name, message=message) for name, message in listed)


def zone_seconds(prediction: Prediction) -> float:
    """Of the step, exposed, that links between zones cause."""
    return sum(term.exposed_seconds for term in prediction.terms if term.name in ZONE_TERMS)


def _memory(best: RankedPlan, rejected: Sequence[RejectedPlan]) -> list[tuple[str, str]]:
    """Neighbours that would be lighter on time and have no room."""
    found = []
    for one in rejected:
        changed = _changed(one.plan, best.plan)
        if changed and not supports(one.plan.framework, one.plan):
            found.append(("memory", f"{changed}: {' '.join(one.reasons)}"))
    memory = best.prediction.memory
    if not found and memory.verdict == "tight":
        peak, capacity = units.format_bytes(memory.peak_bytes), units.format_bytes(memory.capacity_bytes)
        found.append(("memory", f"The fullest GPU needs {peak} of {capacity}."))
    return found


def _changed(plan: Plan, best: Plan) -> str:
    """What of a neighbour would take less time; empty where that is not what it changes."""
    words = {
        "recompute": ("Recompute {0} instead of {1}", recompute_words(plan), recompute_words(best)),
        "shard": ("Shard {0} instead of {1}", plan.shard, best.shard),
        "microbatch_size": ("Microbatches of {0} instead of {1}", plan.microbatch_size, best.microbatch_size),
    }
    differing = [text.format(new, old) for text, new, old in words.values() if new != old]
    return differing[0] if len(differing) == 1 else ""


def _batch(problem: Problem, best: RankedPlan) -> list[tuple[str, str]]:
    plan, total = best.plan, problem.workload.global_batch_size
    fewest = min(replica.num_microbatches for replica in plan.replicas)
    bubble = best.prediction.bubble_fraction
    if plan.pp > 1 and bubble > NOTABLE_FRACTION:
        share = units.format_fraction(bubble)
        return [
            (
                "batch",
                f"{total} sequences a step are {fewest} microbatches of {plan.microbatch_size} for {plan.pp} stages: "
                f"the bubble takes {share} of the step.",
            )
        ]
    if fewest == 1 and plan.microbatch_size == 1:
        return [("batch", f"{total} sequences a step are one for each of {plan.dp} replicas: no more replicas fit.")]
    return []


def _tensor(inputs: Inputs, plan: Plan) -> list[tuple[str, str]]:
    """Where tp is as large as it may be: what stops it."""
    problem = inputs.problem
    if problem.plan.tp is not None or plan.tp == 1:
        return []
    if plan.tp < max(options(inputs).tp):
        return []
    larger = [tp for tp in divisors(problem.model.num_heads) if tp > plan.tp]
    near = max(max(pool.node_group.gpus_per_node, pool.node_group.fabric.num_gpus) for pool in inputs.pools)
    if larger and larger[0] > near:
        return [("fabric", f"tp={plan.tp} is the largest that stays on a node or fabric of {near} GPUs.")]
    heads, shared = problem.model.num_heads, problem.model.num_kv_heads
    return [("heads", f"tp={plan.tp} is the largest that divides {heads} heads and {shared} key-value heads.")]


def _layers(problem: Problem, best: RankedPlan) -> list[tuple[str, str]]:
    counts = sorted({stage.num_layers for stage in best.plan.stages})
    layers = problem.model.num_layers
    if best.plan.pp == layers > 1:
        return [("layers", f"pp={layers} is one stage for each of {layers} layers.")]
    is_fixed = problem.plan.stages is not None
    # Unlike GPUs get unequal stages on purpose.
    if len(counts) > 1 and not is_fixed and layers % best.plan.pp and len(_gpus(problem, best.plan)) == 1:
        spread = f"{counts[0]} to {counts[-1]}"
        return [("layers", f"{layers} layers over {best.plan.pp} stages do not come out: stages hold {spread}.")]
    return []


def _gpus(problem: Problem, plan: Plan) -> set[str]:
    """Kinds of GPU that work."""
    places = {place for one in plan.replicas for place in zip(one.zones, one.node_groups, strict=True)}
    return {problem.cluster.zone(zone).node_groups[index].gpu.name for zone, index in places}


def _links(best: RankedPlan, both: Comparison | None) -> list[tuple[str, str]]:
    """What zone links cost the plan; where it stays in one zone, that spanning is slower."""
    prediction = best.prediction
    waited = zone_seconds(prediction)
    if prediction.links and waited > NOTABLE_FRACTION * prediction.step_seconds:
        link = max(prediction.links, key=lambda one: one.exposed_seconds)
        size, rate = units.format_bytes(link.step_bytes), units.format_bytes_per_second(link.bytes_per_second)
        share = units.format_fraction(waited / prediction.step_seconds)
        return [
            (
                "links",
                f"Zone links take {share} of the step; the busiest, {link.from_zone} to {link.to_zone}, carries {size} "
                f"at {rate}.",
            )
        ]
    if len(best.plan.zones) == 1 and both is not None:
        together, alone = (units.format_seconds(side.step_seconds) for side in (both.spanning, both.alone))
        zones = ", ".join(both.spanning.zones)
        return [("links", f"Over {zones} the best plan takes {together} a step, in {both.alone.zones[0]} {alone}.")]
    return []


def _limits(problem: Problem, found: Scan) -> list[tuple[str, str]]:
    """Limits that shut out the candidate that would be the best without any."""
    if not found.scored or not has_limits(problem):
        return []
    free = _without_limits(problem)
    values = [(objectives(free, part), objectives(problem, part)) for part in found.scored]
    kept = min(float(limited.min()) for _, limited in values)
    number = min(range(len(values)), key=lambda index: float(values[index][0].min()))
    row = int(np.argmin(values[number][0]))
    least = float(values[number][0][row])
    if not np.isfinite(kept) or kept < GAIN_RATIO * least:
        return []
    gain = units.format_fraction(1.0 - least / kept)
    what = "time" if problem.objective.minimize in TIMED else "money"
    return [
        (name, f"{text}; without it a plan of {gain} less {what} is to be had, by the estimate.")
        for name, text in _broken(problem, found.scored[number], row)
    ]


def has_limits(problem: Problem) -> bool:
    """Whether the job file limits time, money, egress or batches."""
    goal, limits = problem.objective, problem.constraints
    bounds = (goal.deadline_seconds, goal.budget_dollars, limits.max_egress_dollars, limits.min_replica_batch_size)
    return any(bound is not None for bound in bounds)


def _without_limits(problem: Problem) -> Problem:
    return replace(
        problem,
        objective=replace(problem.objective, deadline_seconds=None, budget_dollars=None),
        constraints=replace(problem.constraints, max_egress_dollars=None, min_replica_batch_size=None),
    )


def _broken(problem: Problem, part: Scored, row: int) -> list[tuple[str, str]]:
    """Limits that one candidate does not keep, with both numbers."""
    goal, limits, steps = problem.objective, problem.constraints, problem.workload.num_steps
    found = []
    if steps is not None:
        seconds = float(part.step_seconds[row]) * part.wall_ratio * steps
        egress = float(part.egress_dollars[row]) * steps
        one = slice(row, row + 1)
        paid = float(wall_dollars(part.dollars[one], part.egress_dollars[one], part.wall_ratio)[0]) * steps
        sums = [("budget", paid, goal.budget_dollars), ("egress", egress, limits.max_egress_dollars)]
        found = [
            (name, f"The limit on {name} is {units.format_dollars(most)}, it would be {units.format_dollars(value)}")
            for name, value, most in sums
            if most is not None and value > most
        ]
        latest = goal.deadline_seconds
        if latest is not None and seconds > latest:
            times = units.format_seconds(latest), units.format_seconds(seconds)
            found.append(("deadline", f"The deadline is {times[0]}, it would take {times[1]}"))
    least = limits.min_replica_batch_size
    if least is not None:
        have = float(np.broadcast_to(num_sequences(problem, part), part.step_seconds.shape)[row])
        if have < least:
            found.append(("replica_batch", f"min_replica_batch is {least}, a replica would consume {have:g}"))
    return found
