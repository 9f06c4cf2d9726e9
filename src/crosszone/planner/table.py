"""All candidates of a problem: filtered by what frameworks can express, then by memory, then timed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import Sync
from crosszone.core.tables import Bools, Floats, Ints, PlanTable
from crosszone.frameworks import expressible
from crosszone.planner.bounds import (
    Cutoffs,
    Paces,
    distinct_chains,
    layout_class,
    least_gpu_seconds,
    least_step_seconds,
    paces,
)
from crosszone.planner.options import Options
from crosszone.planner.space import Space, candidates
from crosszone.planner.symmetry import distinct
from crosszone.planner.wall import layout_wall_ratio
from crosszone.planner.ways import ways
from crosszone.timeline.evaluate import evaluate, memory_margin
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed, codes, keyed
from crosszone.timeline.rows import Tables
from crosszone.timeline.zone_agreement import fastest_algorithm

CHUNK = 3072
"""Plans evaluated at once: their columns stay in the processor's cache."""
FIRST_BATCH = 256
"""Candidates of a space that are timed first, so that the others have something to be held against."""
BATCH_GROWTH = 4


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What makes one candidate better than another, where only the best count."""

    values: Callable[[Floats, Floats, Floats, float], Floats]
    """Less is better: of step_seconds, dollars, egress_dollars and wall_ratio, in none of which it may fall."""
    most: int
    """Candidates of each class that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One scan; `cutoffs` fill as it goes."""

    inputs: Inputs
    options: Options
    memory_fraction: float
    contest: Contest | None
    cutoffs: Cutoffs
    gpu_seconds: Floats | None
    """As in `least_gpu_seconds`, in a contest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Candidates that are left to try."""

    rows: Rows
    keys: Keyed
    can: Bools
    """[recomputes, rows]"""
    position: Ints
    """Among all of the space."""

    def take(self, index: Ints | Bools | slice) -> "_Asked":
        return _Asked(
            rows=self.rows.take(index),
            keys=self.keys.take(index),
            can=self.can[:, index],
            position=self.position[index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """Candidates of one batch; columns as in `Scored`."""

    rows: Rows
    step_seconds: Floats
    dollars: Floats
    egress_dollars: Floats


def scan(
    inputs: Inputs,
    layouts: tuple[Layout, ...],
    options: Options,
    *,
    memory_fraction: float = 1.0,
    contest: Contest | None = None,
) -> Scan:
    """Time every candidate that a framework can express and that fits in this share of the memory (infinite: any).

    Recomputation only costs time, so that of plans alike but for it the one that fits with the least of it is timed.
    In a `contest`, candidates and layouts whose lower bound is beyond the last that counts are not timed, nor layouts
    that repeat another: the best of each class are as good as without.
    """
    run = _Run(
        inputs=inputs,
        options=options,
        memory_fraction=memory_fraction,
        contest=contest,
        cutoffs=Cutoffs(most=contest.most if contest else 0),
        gpu_seconds=least_gpu_seconds(inputs, options) if contest else None,
    )
    if contest is not None:
        layouts = distinct(inputs, layouts)
    scored: list[list[Scored]] = [[] for _ in layouts]
    misses: list[Miss] = []
    num_rows = 0
    # The most powerful first, so that weaker ones are soon known to be hopeless; listed as they came all the same.
    for index in sorted(range(len(layouts)), key=lambda index: -_flop_per_second(inputs, layouts[index])):
        layout = layouts[index]
        tried = _ways(inputs, layout) if options.tries_ways else (inputs.problem.plan.sync or Sync(),)
        tried = tuple(sync for sync in tried if not _is_hopeless(run, layout, sync))
        if not tried:
            continue
        space = candidates(inputs, layout, options)
        for sync in tried:
            spread = replace(space, settings=replace(space.settings, sync=sync))
            num_rows += len(space.plans) * len(options.recompute) * len(inputs.frameworks)
            found, missed = _scan_space(run, spread)
            scored[index] += found
            misses += missed
    listed = tuple(part for parts in scored for part in parts)
    num_candidates = sum(len(part.rows) for part in listed)
    return Scan(
        scored=listed,
        misses=tuple(sorted(misses, key=lambda miss: miss.lacking_bytes)),
        num_candidates=num_candidates,
        num_pruned=num_rows - num_candidates,
    )


def _ways(inputs: Inputs, layout: Layout) -> tuple[Sync, ...]:
    return ways(inputs.problem, layout, algorithm=fastest_algorithm(inputs, layout))


def _flop_per_second(inputs: Inputs, layout: Layout) -> float:
    pools = [pool for chain in layout.chains for pool in chain]
    return float(np.sum((inputs.hardware.gemm_flop_per_second * inputs.hardware.num_gpus)[pools]))


def _is_hopeless(run: _Run, layout: Layout, sync: Sync) -> bool:
    """No plan of the layout can be among the best of its class, even if every GPU did nothing but its best."""
    if run.contest is None:
        return False
    cutoff = run.cutoffs.cutoff(layout_class(layout, sync.method))
    if not np.isfinite(cutoff):
        return False
    assert run.gpu_seconds is not None
    least = np.array([least_step_seconds(run.inputs, run.gpu_seconds, layout)])
    return bool(_least_values(run, layout, least)[0] > cutoff)


def _least_values(run: _Run, layout: Layout, step_seconds: Floats) -> Floats:
    """What is minimised, were this all the time and nothing else to pay for."""
    assert run.contest is not None
    dollars = _rent_dollars_per_second(run.inputs, layout) * step_seconds
    return run.contest.values(step_seconds, dollars, np.zeros_like(step_seconds), 1.0)


def _scan_space(run: _Run, space: Space) -> tuple[list[Scored], list[Miss]]:
    """Timed candidates of one space, batch by batch; what fits with some recomputation tries no more of it."""
    recomputes = np.sort(run.options.recompute).tolist()
    can = _expressible(run.inputs, space, recomputes) | run.options.any_framework
    if not can.any():
        return [], []
    asked, bounds = _asked(run, space, can, recomputes)
    kind = layout_class(space.layout, space.settings.sync.method)
    timed: list[list[_Timed]] = [[] for _ in recomputes]
    misses: list[Miss] = []
    ratio: float | None = None
    start, size = 0, CHUNK if run.contest is None else FIRST_BATCH
    while start < len(asked.rows):
        left = asked.take(slice(start, start + size))
        start, size = start + size, min(BATCH_GROWTH * size, CHUNK)
        for index, recompute in enumerate(recomputes):
            if run.contest is not None:
                left = left.take(bounds[index][left.position] <= run.cutoffs.cutoff(kind))
            found, left, miss = _fitting(run, replace(left, rows=replace(left.rows, recompute=recompute)), index)
            misses += miss
            if found is None:
                continue
            timed[index].append(found)
            if ratio is None:
                ratio = layout_wall_ratio(run.inputs, space.layout, float(found.step_seconds.min()))
            if run.contest is not None:
                values = run.contest.values(found.step_seconds, found.dollars, found.egress_dollars, ratio)
                run.cutoffs.add(kind, values)
    scored = [_scored(parts, ratio or 1.0) for parts in timed if parts]
    return scored, [] if scored else misses


def _asked(run: _Run, space: Space, can: Bools, recomputes: list[int]) -> tuple[_Asked, list[Floats]]:
    """Candidates that can be expressed and may count, the most hopeful first; and their bounds by recomputation."""
    inputs = run.inputs
    code, first = _paced_alike(inputs, space)
    framework, row = np.nonzero(can.any(axis=0))
    alike, paced = np.unique(framework * len(first) + code[row], return_inverse=True)
    models = Rows(space=space, row=first[alike % len(first)], framework=alike // len(first), recompute=recomputes[0])
    keys = keyed(inputs, models.plans(), space.pools)
    bounds: list[Floats] = []
    if run.contest is not None:
        chain = distinct_chains(inputs, space.layout, space.shapes)
        few = replace(models, space=_of_chains(space, np.unique(chain)))
        share = _most_microbatches(space, chain)[row]
        cutoff = run.cutoffs.cutoff(layout_class(space.layout, space.settings.sync.method))
        for each in _paces_by_recompute(inputs, few, keys, recomputes):
            bounds.append(_least_values(run, space.layout, each.step_seconds(paced, share)))
            if len(bounds) == 1:  # the least recomputation costs least
                may = bounds[0] <= cutoff
                framework, row, paced = framework[may], row[may], paced[may]
                share, bounds = share[may], [bounds[0][may]]
        order = np.argsort(bounds[-1], kind="stable")
        framework, row, paced = framework[order], row[order], paced[order]
        bounds = [each[order] for each in bounds]
    asked = _Asked(
        rows=Rows(space=space, row=row, framework=framework, recompute=recomputes[0]),
        keys=keys.take(paced),
        can=can[:, framework, row],
        position=np.arange(len(row)),
    )
    return asked, bounds


def _paced_alike(inputs: Inputs, space: Space) -> tuple[Ints, Ints]:
    """A code per row, and one row of each code: rows alike in what a microbatch takes, whatever they shard."""
    plans = space.plans
    columns: tuple[Ints | Bools, ...] = (
        space.shape,
        plans.ep,
        plans.microbatch_size,
        plans.num_virtual_stages,
        plans.sequence_parallel,
    )
    if any(framework.receive_stall_seconds for framework in inputs.frameworks):
        columns = (*columns, plans.dp)
    return codes(columns)


def _of_chains(space: Space, chains: Ints) -> Space:
    """The same plans with these chains alone: enough for what a microbatch takes in each."""
    shapes = space.shapes
    runs = np.isin(shapes.chain, chains)
    columns: dict[str, Any] = {
        name: getattr(shapes, name)[:, runs] for name in ("num_stages", "run_layers", "stage", "first_layer")
    }
    few = replace(shapes, **columns, pool=shapes.pool[runs], chain=np.searchsorted(chains, shapes.chain[runs]))
    return replace(
        space,
        shapes=few,
        num_replicas=space.num_replicas[:, chains],
        num_microbatches=space.num_microbatches[:, chains],
    )


def _most_microbatches(space: Space, chain: Ints) -> Ints:
    """[rows, distinct chains]: of the busiest replica of each kind."""
    kinds = [space.num_microbatches[:, chain == first].max(axis=1) for first in np.unique(chain)]
    return np.stack(kinds, axis=1)


def _paces(inputs: Inputs, rows: Rows, keys: Keyed) -> Paces:
    return next(_paces_by_recompute(inputs, rows, keys, [rows.recompute]))


def _paces_by_recompute(inputs: Inputs, rows: Rows, keys: Keyed, recomputes: list[int]) -> Iterator[Paces]:
    tables = rows.tables()
    plain = replace(tables.plans, shard=np.zeros(len(rows), dtype=np.int64))
    return paces(inputs, replace(tables, plans=plain), keys, recomputes)


def _fitting(run: _Run, asked: _Asked, index: int) -> tuple[_Timed | None, _Asked, list[Miss]]:
    """(those that fit, timed; those that do not; the one that lacks least where none fits)."""
    here = np.flatnonzero(asked.can[index])
    if not len(here):
        return None, asked, []
    ready = asked.take(here)
    tables = ready.rows.tables()
    margin = memory_margin(run.inputs, tables, ready.keys, run.memory_fraction)
    fits = margin >= 0.0
    if not fits.any():
        nearest = ready.rows.take(np.array([int(np.argmax(margin))]))
        return None, asked, [Miss(tables=nearest.tables(), lacking_bytes=-float(margin.max()))]
    chosen = ready if fits.all() else ready.take(fits)
    found = evaluate(run.inputs, tables if fits.all() else chosen.rows.tables(), chosen.keys)
    rent = _rent_dollars_per_second(run.inputs, asked.rows.layout)
    remains = np.ones(len(asked.rows), dtype=np.bool_)
    remains[here[fits]] = False
    timed = _Timed(
        rows=chosen.rows,
        step_seconds=found.step_seconds,
        dollars=rent * found.step_seconds + found.egress_dollars,
        egress_dollars=found.egress_dollars,
    )
    return timed, asked.take(remains), []


def _scored(parts: list[_Timed], wall_ratio: float) -> Scored:
    """All of one space and way to recompute, by framework and row."""
    row, framework = (np.concatenate([getattr(part.rows, name) for part in parts]) for name in ("row", "framework"))
    order = np.lexsort((row, framework))

    def column(name: str) -> Floats:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    return Scored(
        rows=replace(parts[0].rows, row=row[order], framework=framework[order]),
        step_seconds=column("step_seconds"),
        dollars=column("dollars"),
        egress_dollars=column("egress_dollars"),
        wall_ratio=wall_ratio,
    )


def _expressible(inputs: Inputs, space: Space, recomputes: list[int]) -> Bools:
    """[recomputes, frameworks, rows]: what can be expressed."""
    num_rows = len(space.plans)
    if not num_rows:
        return np.zeros((len(recomputes), len(inputs.frameworks), 0), dtype=np.bool_)
    alike, fewest = space.like_replicas(inputs.problem.workload.global_batch_size)
    tables = [replace(space.plans, recompute=np.full(num_rows, recompute)) for recompute in recomputes]
    num_layers, sync = inputs.problem.model.num_layers, space.settings.sync
    spans = len(space.layout.ring) > 1
    found = [
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
    return np.stack(found).reshape(len(recomputes), len(inputs.frameworks), num_rows)


def _rent_dollars_per_second(inputs: Inputs, layout: Layout) -> float:
    """Price of all GPUs of the layout's zones, as a prediction counts them: idle ones are paid for too."""
    hardware = inputs.hardware
    zones = hardware.zone[[pool for chain in layout.chains for pool in chain]]
    paid = np.isin(hardware.zone, zones)
    return float(np.sum((hardware.num_gpus * hardware.dollars_per_gpu_second)[paid]))
