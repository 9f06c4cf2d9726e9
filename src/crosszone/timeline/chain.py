"""The pipeline of one plan's slowest replica group, as the simulation takes it, with and without its delays."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import SCHEDULES
from crosszone.core.tables import Ints
from crosszone.timeline.evaluate import Evaluation, Tables
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Makespans:
    """Simulated seconds of one replica group."""

    replica: int
    """Row in the ReplicaTable."""
    total: float
    without_zone_delay: float
    without_delay: float


def slowest_chain(inputs: Inputs, tables: Tables, evaluation: Evaluation, plan: int = 0) -> Makespans:
    """Simulate every replica group of the plan in row `plan`; the slowest counts. Tables hold a row per stage."""
    groups = np.flatnonzero(tables.replicas.plan == plan)
    spans = [_makespans(inputs, tables, evaluation, int(group)) for group in groups]
    return max(spans, key=lambda spans: spans.total)


def chain_pipeline(inputs: Inputs, tables: Tables, evaluation: Evaluation, replica: int) -> Pipeline:
    """The replica group in row `replica` as a pipeline of single stages."""
    rows = np.flatnonzero(tables.stages.replica == replica)
    plan = tables.plans.take(tables.replicas.plan[[replica]])
    return Pipeline(
        schedule=SCHEDULES[int(plan.schedule[0])],
        num_microbatches=int(tables.replicas.num_microbatches[replica]),
        num_virtual_stages=int(plan.num_virtual_stages[0]),
        forward_seconds=tuple(evaluation.stage.forward_seconds[rows].tolist()),
        backward_seconds=tuple(evaluation.stage.backward_seconds[rows].tolist()),
        boundaries=_boundaries(inputs, tables, evaluation, rows, wraps=int(plan.num_virtual_stages[0]) > 1),
    )


def _boundaries(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, rows: Ints, *, wraps: bool
) -> tuple[Boundary, ...]:
    boundary, zone, pool = evaluation.boundary, inputs.hardware.zone, tables.stages.pool
    found = [
        _boundary(
            float(boundary.outer_seconds[row]),
            float(boundary.outer_transfer_seconds[row]),
            (int(zone[pool[row]]), int(zone[boundary.next_pool[row]])),
        )
        for row in rows[:-1]
    ]
    if wraps and found:  # virtual stages go on from the last rank to the first: no nearer than the farthest boundary
        found.append(max(found, key=lambda hop: hop.delay_seconds + hop.transfer_seconds))
    return tuple(found)


def _boundary(delay: float, transfer: float, zones: tuple[int, int]) -> Boundary:
    if zones[0] == zones[1]:
        return Boundary(delay_seconds=delay)
    there, back = (f"{start}>{end}" for start, end in (zones, zones[::-1]))
    return Boundary(
        delay_seconds=delay - transfer, transfer_seconds=transfer, forward_link=there, backward_link=back
    )


def _makespans(inputs: Inputs, tables: Tables, evaluation: Evaluation, replica: int) -> Makespans:
    pipeline = chain_pipeline(inputs, tables, evaluation, replica)
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
