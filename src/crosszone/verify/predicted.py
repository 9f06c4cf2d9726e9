"""Predictions of many runs at once: rows that share model, formats and kind of node are one table of plans.

The step is `timeline.predict`'s, row by row: the same tables, the same cost functions, the pipeline simulated.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosszone.catalog.efficiency import efficiency
from crosszone.core.cluster import Cluster, Gpu
from crosszone.core.efficiency import Efficiency
from crosszone.core.problem import Problem
from crosszone.core.tables import Floats
from crosszone.timeline.chain import chain_pipeline
from crosszone.timeline.evaluate import Evaluation, evaluate
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.rows import Tables
from crosszone.timeline.simulate import makespan_seconds
from crosszone.timeline.stage_memory import StageBytes, stage_bytes
from crosszone.timeline.steps import stacked
from crosszone.timeline.tabulate import tabulate
from crosszone.verify.case import Case

MAX_EVENTS = 2_000_000
"""Actions up to which a pipeline is simulated; beyond, its closed form stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is predicted of one row."""

    step_seconds: float
    total_bytes: tuple[float, ...]
    """What a rank of each stage needs."""
    allocated_bytes: tuple[float, ...]
    reserved_bytes: tuple[float, ...]
    device_bytes: tuple[float, ...]
    """The same rank's memory as tools count it; see `timeline.stage_memory`."""
    fits: bool

    @property
    def is_finite(self) -> bool:
        """Whether time and memory are numbers at all; absurd rows overflow."""
        return (
            math.isfinite(self.step_seconds) and self.step_seconds > 0.0 and all(map(math.isfinite, self.total_bytes))
        )

    def peak_bytes(self, *, kind: str, scope: str) -> float:
        """Peak memory as a tool counts it that a table calls `kind`, on the ranks that it calls `scope`.

        "allocated" is the tensors, "reserved" what the allocator holds; all else (nvidia-smi, rocm-smi, not said) the
        whole process. Where a table says "allocated or reserved" it is reserved, which tools print as GPU
        memory. The fullest rank counts unless the scope is the first or the last.
        """
        text = kind.lower()
        if "reserved" in text and "context" not in text:
            stages = self.reserved_bytes
        elif "allocated" in text and "context" not in text:
            stages = self.allocated_bytes
        else:
            stages = self.device_bytes
        if "first rank" in scope.lower():
            return stages[0]
        return stages[-1] if "last rank" in scope.lower() else max(stages)


def forecasts(
    cases: Sequence[Case],
    on_progress: Callable[[int], None] = lambda count: None,
    *,
    shares: Callable[[Gpu], Efficiency] = efficiency,
    max_events: int = MAX_EVENTS,
) -> list[Forecast]:
    """One forecast per case, in order. `on_progress` is told how many more are done; `shares` as in `inputs`.

    Pipelines of more than `max_events` actions are not simulated: their closed form stands in.
    """
    groups: dict[Any, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        groups[_key(case.problem)].append(index)
    found: dict[int, Forecast] = {}
    for members in groups.values():
        together = _together([cases[index] for index in members], shares, max_events)
        found.update(zip(members, together, strict=True))
        on_progress(len(members))
    return [found[index] for index in range(len(cases))]


def _key(problem: Problem) -> tuple[Any, ...]:
    """What the cost of a plan depends on besides the plan: not the batch, and not how many nodes there are."""
    workload = dataclasses.replace(problem.workload, global_batch_size=1)
    return problem.model, workload, _one_node(problem.cluster), problem.calibrations


def _one_node(cluster: Cluster) -> Cluster:
    zone = cluster.zones[0]
    group = dataclasses.replace(zone.node_groups[0], num_nodes=1)
    return dataclasses.replace(cluster, zones=(dataclasses.replace(zone, node_groups=(group,)),))


def _together(cases: list[Case], shares: Callable[[Gpu], Efficiency], max_events: int) -> list[Forecast]:
    """Forecasts of cases with the same key."""
    frameworks = tuple({case.framework.name: case.framework for case in cases}.values())
    prepared = inputs(cases[0].problem, frameworks, shares)
    tables = stacked([tabulate(prepared, case.plan) for case in cases])
    keys = keyed(prepared, tables.keyed_plans)
    with np.errstate(all="ignore"):  # a row that has no finite answer is told apart below
        evaluation = evaluate(prepared, tables, keys)
        size = stage_bytes(evaluation.view)
        pipeline = _pipeline_seconds(prepared, tables, evaluation, max_events)
    # All that is no pipeline stays as it is, whatever terms there are.
    step_seconds = evaluation.step_seconds - evaluation.pipeline_seconds + pipeline
    return _forecasts(prepared, tables, evaluation, size, step_seconds)


def _pipeline_seconds(prepared: Inputs, tables: Tables, evaluation: Evaluation, max_events: int) -> Floats:
    """Simulated seconds of every plan's pipeline; those without one have nothing to simulate."""
    plans, found = tables.plans, evaluation.pipeline_seconds.copy()
    counts = tables.replicas.num_microbatches
    events = 2.0 * counts * plans.pp * plans.num_virtual_stages
    rows = np.flatnonzero((plans.pp > 1) & (events <= max_events))
    # Rows with the same order of work follow each other: the simulation keeps the orders that it used last.
    ordered = rows[np.lexsort((counts[rows], plans.num_virtual_stages[rows], plans.pp[rows]))]
    for row in ordered.tolist():
        found[row] = makespan_seconds(chain_pipeline(prepared, tables, evaluation, row))
    return found


def _forecasts(
    prepared: Inputs, tables: Tables, evaluation: Evaluation, size: StageBytes, step_seconds: Floats
) -> list[Forecast]:
    """Row by row, from columns per plan and per stage."""
    total = size.total
    allocated, reserved, device = size.allocated, size.reserved, size.device
    fits = total <= prepared.hardware.memory_bytes[tables.stages.pool]
    starts = np.append(np.searchsorted(tables.stages.replica, np.arange(len(tables.plans))), len(tables.stages))
    return [
        Forecast(
            step_seconds=float(step_seconds[row]),
            total_bytes=tuple(total[start:end].tolist()),
            allocated_bytes=tuple(allocated[start:end].tolist()),
            reserved_bytes=tuple(reserved[start:end].tolist()),
            device_bytes=tuple(device[start:end].tolist()),
            fits=bool(fits[start:end].all()),
        )
        for row, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
    ]
