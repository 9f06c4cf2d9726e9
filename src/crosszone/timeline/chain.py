"""The pipeline of one plan's slowest replica group, as the simulation takes it, with and without its delays."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import traits
from crosszone.core.tables import Ints
from crosszone.timeline.evaluate import Evaluation
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.late_receives import posts_late
from crosszone.timeline.paths import queue_name
from crosszone.timeline.rows import Tables
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds, with_orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Makespans:
    """Simulated seconds of one replica group."""

    replica: int
    """Row in the ReplicaTable."""
    total: float
    without_zone_delay: float
    without_delay: float


def chain_seconds(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, groups: Iterable[int], *, most_seconds: float = math.inf
) -> float:
    """Simulated seconds of the slowest of these replica groups; infinite once it is known to exceed `most_seconds`."""
    pipelines = {chain_pipeline(inputs, tables, evaluation, group) for group in _distinct(tables, groups)}
    return max(makespan_seconds(each, most_seconds=most_seconds) for each in pipelines)


def slowest_chain(inputs: Inputs, tables: Tables, evaluation: Evaluation) -> Makespans:
    """Of the replica group of the one plan in `tables`, a row per stage, whose pipeline takes longest."""
    groups = _distinct(tables, range(len(tables.replicas)))
    pipelines = {group: _with_kept_order(chain_pipeline(inputs, tables, evaluation, group)) for group in groups}
    slowest = max(groups, key=lambda group: makespan_seconds(pipelines[group]))
    return _makespans(slowest, pipelines[slowest])


def chain_pipeline(inputs: Inputs, tables: Tables, evaluation: Evaluation, replica: int) -> Pipeline:
    """The replica group in row `replica` as a pipeline of single stages."""
    rows = np.flatnonzero(tables.stages.replica == replica)
    plan = tables.plans.take(tables.replicas.plan[[replica]])
    name = SCHEDULES[int(plan.schedule[0])]
    wraps = int(plan.num_virtual_stages[0]) > 1 and traits(name).placement == "loop"
    return Pipeline(
        schedule=name,
        num_microbatches=int(tables.replicas.num_microbatches[replica]),
        num_virtual_stages=int(plan.num_virtual_stages[0]),
        forward_seconds=tuple(evaluation.seconds.forward[rows].tolist()),
        backward_seconds=tuple(evaluation.seconds.backward[rows].tolist()),
        weight_seconds=tuple(np.minimum(evaluation.seconds.weight, evaluation.seconds.backward)[rows].tolist()),
        boundaries=_boundaries(inputs, tables, evaluation, rows, wraps=wraps),
        receives_early=not posts_late(inputs, tables, evaluation.boundary)[replica],
    )


def _distinct(tables: Tables, groups: Iterable[int]) -> list[int]:
    """Those of one plan's replica groups that may be slowest: on the same pools, the one with most microbatches."""
    chains: dict[tuple[int, ...], int] = {}
    counts = tables.replicas.num_microbatches
    for group in groups:
        pools = tuple(tables.stages.pool[tables.stages.replica == group].tolist())
        if counts[group] > counts[chains.setdefault(pools, group)]:
            chains[pools] = group
    return list(chains.values())


def _boundaries(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, rows: Ints, *, wraps: bool
) -> tuple[Boundary, ...]:
    """One per pair of neighbours, and last the wrap from the last rank to the first where stages are virtual."""
    boundary = evaluation.boundary
    found = []
    for row in rows if wraps else rows[:-1]:
        if not boundary.crosses[row]:
            found.append(Boundary(delay_seconds=float(boundary.outer_seconds[row] + boundary.wrap_seconds[row])))
            continue
        there, back = boundary.there, boundary.back
        found.append(
            Boundary(
                delay_seconds=float(there.latency_seconds[row]),
                transfer_seconds=float(there.transfer_seconds[row]),
                forward_link=queue_name(inputs, int(there.queue[row])),
                backward_link=queue_name(inputs, int(back.queue[row])),
                backward_delay_seconds=float(back.latency_seconds[row]),
                backward_transfer_seconds=float(back.transfer_seconds[row]),
            )
        )
    return tuple(found)


def _with_kept_order(pipeline: Pipeline) -> Pipeline:
    """The same, which keeps its order without the delays that this was made for."""
    is_made = traits(pipeline.schedule).is_generated and len(pipeline.forward_seconds) > 1
    return with_orders(pipeline) if is_made else pipeline


def _makespans(replica: int, pipeline: Pipeline) -> Makespans:
    total = makespan_seconds(pipeline)
    near = [hop if hop.forward_link is None else Boundary(delay_seconds=0.0) for hop in pipeline.boundaries]
    crosses = any(hop.forward_link for hop in pipeline.boundaries)
    without_zones = makespan_seconds(dataclasses.replace(pipeline, boundaries=tuple(near))) if crosses else total
    free = tuple(Boundary(delay_seconds=0.0) for _ in pipeline.boundaries)
    return Makespans(
        replica=replica,
        total=total,
        without_zone_delay=without_zones,
        without_delay=makespan_seconds(dataclasses.replace(pipeline, boundaries=free)),
    )
