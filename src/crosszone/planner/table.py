"""All candidates of a problem: filtered by what frameworks can express, then by memory, then timed."""

from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Bools, Floats, Ints, PlanTable
from crosszone.frameworks import expressible
from crosszone.planner.options import Options
from crosszone.planner.space import Space, candidates
from crosszone.planner.wall import layout_wall_ratio
from crosszone.planner.ways import ways
from crosszone.timeline.evaluate import evaluate, memory_margin
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed, keyed
from crosszone.timeline.rows import Tables

CHUNK = 8192
"""Plans evaluated at once: their columns stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Candidates of one space: its rows, each with a framework, all with one way to recompute."""

    space: Space
    row: Ints
    framework: Ints
    """Index among the search's frameworks."""
    recompute: int

    def __len__(self) -> int:
        return len(self.row)

    @property
    def layout(self) -> Layout:
        """Where these candidates lie."""
        return self.space.layout

    def take(self, index: Ints | Bools | slice) -> "Rows":
        """Some of them."""
        return replace(self, row=self.row[index], framework=self.framework[index])

    def plans(self) -> PlanTable:
        """Their plans as columns."""
        return self.space.filled(self.row, self.framework, self.recompute)

    def tables(self) -> Tables:
        """Their plans, replica groups and stages."""
        return self.space.tables(self.row, self.framework, self.recompute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Candidates that were timed. One value per row."""

    rows: Rows
    step_seconds: Floats
    dollars: Floats
    """Per step, egress among them; NaN where a price is unknown."""
    egress_dollars: Floats
    """Per step; NaN where a price is unknown."""
    wall_ratio: float = 1.0
    """Wall time that half of all trainings stay under / time of the steps; 1 where unknown, or where nothing asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """The candidate of one layout and way to recompute that lacks least memory where none fits."""

    tables: Tables
    lacking_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found of all candidates."""

    scored: tuple[Scored, ...]
    misses: tuple[Miss, ...]
    """Nearest first."""
    num_candidates: int
    """Timed by the full cost model: expressible, fitting, not dominated."""
    num_pruned: int


def scan(inputs: Inputs, layouts: tuple[Layout, ...], options: Options, *, memory_fraction: float = 1.0) -> Scan:
    """Time every candidate that a framework can express and that fits in this share of the memory (infinite: any).

    Recomputation only costs time, so that of plans alike but for it the one that fits with the least of it is timed.
    """
    scored: list[Scored] = []
    misses: list[Miss] = []
    num_rows = 0
    for layout in layouts:
        space = candidates(inputs, layout, options)
        for sync in ways(inputs.problem, layout) if options.tries_ways else (space.settings.sync,):
            spread = replace(space, settings=replace(space.settings, sync=sync))
            num_rows += len(space.plans) * len(options.recompute) * len(inputs.frameworks)
            found, missed = _scan_space(inputs, spread, options, memory_fraction=memory_fraction)
            scored += found
            misses += missed
    num_candidates = sum(len(part.rows) for part in scored)
    return Scan(
        scored=tuple(scored),
        misses=tuple(sorted(misses, key=lambda miss: miss.lacking_bytes)),
        num_candidates=num_candidates,
        num_pruned=num_rows - num_candidates,
    )


def _scan_space(
    inputs: Inputs, space: Space, options: Options, *, memory_fraction: float
) -> tuple[list[Scored], list[Miss]]:
    """Timed candidates of one space, from the least recomputation to the most; what fits goes no further."""
    recomputes = np.sort(options.recompute).tolist()
    can = _expressible(inputs, space, recomputes) | options.any_framework
    framework, row = np.nonzero(can.any(axis=0))
    left = Rows(space=space, row=row, framework=framework, recompute=recomputes[0])
    keys = keyed(inputs, left.plans(), space.pools)
    found: list[Scored] = []
    misses: list[Miss] = []
    for index, recompute in enumerate(recomputes):
        left = replace(left, recompute=recompute)
        asked = np.flatnonzero(can[index, left.framework, left.row])
        margin = _margins(inputs, left.take(asked), keys.take(asked), memory_fraction)
        fits = asked[margin >= 0.0]
        if len(fits):
            found.append(_timed(inputs, left.take(fits), keys.take(fits)))
        elif len(asked):
            nearest = asked[[int(np.argmax(margin))]]
            misses.append(Miss(tables=left.take(nearest).tables(), lacking_bytes=-float(margin.max())))
        remains = np.ones(len(left), dtype=np.bool_)
        remains[fits] = False
        left, keys = left.take(remains), keys.take(remains)
    return found, misses if not found else []


def _expressible(inputs: Inputs, space: Space, recomputes: list[int]) -> Bools:
    """[recomputes, frameworks, rows of the space]: what can be expressed."""
    everyone = np.arange(len(space.plans))
    if not len(everyone):
        return np.zeros((len(recomputes), len(inputs.frameworks), 0), dtype=np.bool_)
    alike, fewest = space.like_replicas(inputs.problem.workload.global_batch_size)
    tables = [space.filled(everyone, np.zeros_like(everyone), recompute) for recompute in recomputes]
    num_layers, sync = inputs.problem.model.num_layers, space.settings.sync
    spans = len(space.layout.ring) > 1
    rows = [
        expressible(
            framework.name,
            plans,
            num_layers=num_layers,
            num_microbatches=fewest,
            num_like_replicas=alike,
            fewest_replicas=space.num_replicas.min(axis=1) if spans else None,
            sync=sync,
        )
        for plans in tables
        for framework in inputs.frameworks
    ]
    return np.stack(rows).reshape(len(recomputes), len(inputs.frameworks), len(everyone))


def _margins(inputs: Inputs, rows: Rows, keys: Keyed, memory_fraction: float) -> Floats:
    """Bytes left on the fullest rank of each candidate."""
    parts = [
        memory_margin(inputs, rows.take(part).tables(), keys.take(part), memory_fraction) for part in _chunks(len(rows))
    ]
    return np.concatenate([np.zeros(0), *parts])


def _timed(inputs: Inputs, rows: Rows, keys: Keyed) -> Scored:
    parts = [evaluate(inputs, rows.take(part).tables(), keys.take(part)) for part in _chunks(len(rows))]
    step_seconds = np.concatenate([part.step_seconds for part in parts])
    egress_dollars = np.concatenate([part.egress_dollars for part in parts])
    return Scored(
        rows=rows,
        step_seconds=step_seconds,
        dollars=_rent_dollars_per_second(inputs, rows.layout) * step_seconds + egress_dollars,
        egress_dollars=egress_dollars,
        wall_ratio=layout_wall_ratio(inputs, rows.layout, float(np.median(step_seconds))),
    )


def _rent_dollars_per_second(inputs: Inputs, layout: Layout) -> float:
    """Price of all GPUs of the layout's zones, as a prediction counts them: idle ones are paid for too."""
    hardware = inputs.hardware
    zones = hardware.zone[[pool for chain in layout.chains for pool in chain]]
    paid = np.isin(hardware.zone, zones)
    return float(np.sum((hardware.num_gpus * hardware.dollars_per_gpu_second)[paid]))


def _chunks(size: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK)]
