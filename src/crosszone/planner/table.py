"""All candidates of a problem: filtered by what frameworks can express, then by memory, then timed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import RECOMPUTES, Sync
from crosszone.core.tables import EVERY_LAYER, Bools, Floats, Ints, unique
from crosszone.frameworks import expressed_by, recomputes_alike, runs_way
from crosszone.frameworks.rules import table_expressed
from crosszone.planner.bounds import (
    Cutoffs,
    LayoutClass,
    Paces,
    distinct_chains,
    layout_class,
    least_gpu_seconds,
    least_step_seconds,
    paces,
)
from crosszone.planner.link_bounds import link_bounds
from crosszone.planner.options import Options
from crosszone.planner.rows import Rows
from crosszone.planner.space import Space, candidates
from crosszone.planner.symmetry import distinct
from crosszone.planner.wall import layout_wall_ratio
from crosszone.planner.ways import ways
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed, codes, keyed
from crosszone.timeline.margin import least_recompute_layers, memory_margin
from crosszone.timeline.rows import Tables
from crosszone.timeline.zone_agreement import fastest_algorithm

CHUNK = 3072
"""Plans evaluated at once: their columns stay in the processor's cache."""
FIRST_BATCH = 512
"""Candidates that are timed first where nothing of their class was, so that the others are held against them."""
BATCH_GROWTH = 4
NONE, FULL = RECOMPUTES.index("none"), RECOMPUTES.index("full")
LIKELY_RATIO = 2.0
"""Step of a good plan / the least that its GPUs take: for what checkpoints and failures add, which hardly depends on
it."""


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
    """Nearest first; none where something fits."""
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
    gpu_seconds: Floats
    """As in `least_gpu_seconds`."""
    recomputes_alike: Bools
    """By framework, as `least_recompute_layers` takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Candidates of one space that are left to try."""

    rows: Rows
    keys: Keyed
    can: Bools
    """[recomputes, rows]: what can be expressed."""
    bounds: Floats
    """[recomputes, rows]: the least that each may cost; none outside a contest."""

    def take(self, index: Ints | Bools | slice) -> "_Asked":
        return _Asked(
            rows=self.rows.take(index),
            keys=self.keys.take(index),
            can=self.can[:, index],
            bounds=self.bounds[:, index],
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
        gpu_seconds=least_gpu_seconds(inputs, options),
        recomputes_alike=recomputes_alike(inputs.frameworks),
    )
    if contest is not None:
        layouts = distinct(inputs, layouts)
    scored: list[list[Scored]] = [[] for _ in layouts]
    misses: list[Miss] = []
    num_rows = 0
    # The most powerful first, so that weaker ones are soon known to be hopeless; listed as they came all the same.
    for index in sorted(range(len(layouts)), key=lambda index: -_flop_per_second(inputs, layouts[index])):
        layout = layouts[index]
        tried = _ways(inputs, layout) if options.tries_ways else ways(inputs.problem, layout)
        tried = tuple(sync for sync in tried if not _is_hopeless(run, layout, sync))
        if not tried:
            continue
        space = candidates(inputs, layout, options)
        for sync in tried:
            spread = replace(space, settings=replace(space.settings, sync=sync))
            num_rows += len(space.plans) * len(options.recompute) * len(inputs.frameworks)
            asked = _asked(run, spread)
            if asked is not None:
                scored[index] += _scored_fitting(run, asked)
                misses = [] if any(scored) else [*misses, *_misses(run, asked)]
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
    least = np.array([least_step_seconds(run.inputs, run.gpu_seconds, layout)])
    return bool(_least_values(run, layout, least)[0] > cutoff)


def _least_values(run: _Run, layout: Layout, step_seconds: Floats) -> Floats:
    """What is minimised, were this all the time and nothing else to pay for."""
    assert run.contest is not None
    dollars = _rent_dollars_per_second(run.inputs, layout) * step_seconds
    return run.contest.values(step_seconds, dollars, np.zeros_like(step_seconds), 1.0)


def _asked(run: _Run, space: Space) -> _Asked | None:
    """Candidates that can be expressed and may count, the least bound first; None where none can be."""
    inputs, recomputes = run.inputs, _recomputes(run)
    can = _expressible(inputs, space, recomputes) | run.options.any_framework
    if not can.any():
        return None
    code, first = _paced_alike(inputs, space)
    framework, row = np.nonzero(can.any(axis=0))
    alike, paced = np.unique(framework * len(first) + code[row], return_inverse=True)
    models = Rows(space=space, row=first[alike % len(first)], framework=alike // len(first), recompute=recomputes[0])
    keys = keyed(inputs, models.plans(), space.pools)
    asked = _Asked(
        rows=Rows(space=space, row=row, framework=framework, recompute=recomputes[0]),
        keys=keys.take(paced),
        can=can[:, framework, row],
        bounds=np.zeros((0, len(row))),
    )
    if run.contest is None:
        return asked
    chain = distinct_chains(inputs, space.layout, space.shapes)
    few = replace(models, space=_of_chains(space, unique(chain)))
    share = _most_microbatches(space, chain)[row]
    fixed = [recompute for recompute in recomputes if not _is_open(run, recompute)]
    links, bounds = link_bounds(inputs, space), list[Floats]()
    for each in _paces_by_recompute(inputs, few, keys, fixed):
        least = links.step_seconds(asked.rows.row, each.step_seconds(paced, share))
        bounds.append(_least_values(run, space.layout, least))
        if len(bounds) == 1:  # the least recomputation costs least
            may = np.flatnonzero(bounds[0] <= run.cutoffs.cutoff(_kind(space)))
            asked, paced, share, bounds = asked.take(may), paced[may], share[may], [bounds[0][may]]
    order = np.argsort(bounds[-1], kind="stable")
    # How many layers are recomputed may be open, and next to none.
    bounds += bounds[:1] * (len(recomputes) - len(fixed))
    return replace(asked, bounds=np.stack(bounds)).take(order)


def _recomputes(run: _Run) -> list[int]:
    """The least first."""
    return list(np.sort(run.options.recompute).tolist())


def _kind(space: Space) -> LayoutClass:
    return layout_class(space.layout, space.settings.sync.method)


def _scored_fitting(run: _Run, asked: _Asked) -> list[Scored]:
    """Candidates of one space that fit, timed, by recomputation; what fits without tries none."""
    layout, scored = asked.rows.layout, []
    likely = LIKELY_RATIO * least_step_seconds(run.inputs, run.gpu_seconds, layout)
    wall_ratio, first_stages = layout_wall_ratio(run.inputs, layout, likely), _first_stages(run, asked.rows.space)
    for index, recompute in enumerate(_recomputes(run)):
        asked = replace(asked, rows=replace(asked.rows, recompute=recompute))
        fits = np.zeros(len(asked.rows), dtype=np.bool_)
        timed = []
        for batch in _batches(run, asked, index, first_stages):
            is_fitting, fitting = _fitting(run, asked.take(batch))
            if not len(fitting.rows):
                continue
            fits[batch[is_fitting]] = recompute == NONE
            timed.append(_timed(run, fitting))
            if run.contest is not None:
                one = timed[-1]
                values = run.contest.values(one.step_seconds, one.dollars, one.egress_dollars, wall_ratio)
                run.cutoffs.add(_kind(asked.rows.space), values)
        if timed:
            scored.append(_scored(timed, wall_ratio))
            asked = asked.take(~fits)
    return scored


def _fitting(run: _Run, asked: _Asked) -> tuple[Bools, _Asked]:
    """(which of these fit, those), recomputing no more layers than they must where that is open."""
    rows = asked.rows
    if not _is_open(run, rows.recompute):
        fits = _margin(run, asked) >= 0.0
        return fits, asked.take(fits)
    layers = np.zeros((len(rows), rows.space.shapes.num_stages.shape[1]), dtype=np.int64)
    layers[rows.space.runs(rows.row)] = least_recompute_layers(
        run.inputs, rows.tables(), asked.keys, memory_fraction=run.memory_fraction, is_alike=run.recomputes_alike
    )
    fits = layers.max(axis=1) < EVERY_LAYER
    return fits, replace(asked, rows=replace(rows, recompute_layers=layers)).take(fits)


def _is_open(run: _Run, recompute: int) -> bool:
    """How many layers are recomputed is not fixed."""
    return recompute == FULL and run.inputs.problem.plan.recompute is None


def _batches(run: _Run, asked: _Asked, index: int, first_stages: Space | None) -> Iterator[Ints]:
    """Candidates that may fit and may count, with the recomputation of this index, some at a time."""
    kind = _kind(asked.rows.space)

    def may_count(rows: Ints) -> Ints:
        return rows if run.contest is None else rows[asked.bounds[index, rows] <= run.cutoffs.cutoff(kind)]

    left = may_count(np.flatnonzero(asked.can[index]))
    has_rivals = run.contest is None or run.cutoffs.knows(kind)
    size, ready = CHUNK if has_rivals else FIRST_BATCH, left[:0]
    while len(left) or len(ready):
        while len(left) and len(ready) < size:
            tried, left = left[:CHUNK], left[CHUNK:]
            if first_stages is not None:
                tried = tried[_margin(run, asked.take(tried), first_stages) >= 0.0]
            ready = np.concatenate([ready, tried])
        yield ready[:size]
        ready, left, size = may_count(ready[size:]), may_count(left), min(BATCH_GROWTH * size, CHUNK)


def _first_stages(run: _Run, space: Space) -> Space | None:
    """The same plans with the first stage of each kind of chain alone: where that does not fit, no more need be asked.

    None where what a rank holds depends on other stages: what codecs left out, shared by the ranks of a zone.
    """
    if space.settings.sync.codecs:
        return None
    chain = space.shapes.chain
    is_first = np.concatenate([[True], chain[1:] != chain[:-1]])
    return _of_runs(space, is_first & np.isin(chain, distinct_chains(run.inputs, space.layout, space.shapes)))


def _margin(run: _Run, asked: _Asked, space: Space | None = None) -> Floats:
    """Bytes that the fullest rank of each has left, of the share that it may use; with `space`, of its ranks alone."""
    rows = asked.rows if space is None else replace(asked.rows, space=space)
    parts = [slice(first, first + CHUNK) for first in range(0, len(rows), CHUNK)]
    return np.concatenate([
        np.zeros(0),
        *(memory_margin(run.inputs, rows.take(part).tables(), asked.keys.take(part), run.memory_fraction)
          for part in parts),
    ])  # fmt: skip


def _timed(run: _Run, asked: _Asked) -> _Timed:
    """Candidates through the full cost model."""
    found = evaluate(run.inputs, asked.rows.tables(), asked.keys)
    rent = _rent_dollars_per_second(run.inputs, asked.rows.layout)
    return _Timed(
        rows=asked.rows,
        step_seconds=found.step_seconds,
        dollars=rent * found.step_seconds + found.egress_dollars,
        egress_dollars=found.egress_dollars,
    )


def _misses(run: _Run, asked: _Asked) -> Iterator[Miss]:
    """Of each way to recompute the candidate that lacks least memory."""
    for index, recompute in enumerate(_recomputes(run)):
        tried = replace(asked, rows=replace(asked.rows, recompute=recompute)).take(asked.can[index])
        if len(tried.rows):
            margin = _margin(run, tried)
            nearest = tried.rows.take(np.array([int(np.argmax(margin))]))
            yield Miss(tables=nearest.tables(), lacking_bytes=-float(margin.max()))


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
    return _of_runs(space, np.isin(space.shapes.chain, chains))


def _of_runs(space: Space, runs: Bools) -> Space:
    shapes = space.shapes
    chains = unique(shapes.chain[runs])
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
    kinds = [space.num_microbatches[:, chain == first].max(axis=1) for first in unique(chain)]
    return np.stack(kinds, axis=1)


def _paces(inputs: Inputs, rows: Rows, keys: Keyed) -> Paces:
    return next(_paces_by_recompute(inputs, rows, keys, [rows.recompute]))


def _paces_by_recompute(inputs: Inputs, rows: Rows, keys: Keyed, recomputes: list[int]) -> Iterator[Paces]:
    tables = rows.tables()
    plain = replace(tables.plans, shard=np.zeros(len(rows), dtype=np.int64))
    return paces(inputs, replace(tables, plans=plain), keys, recomputes)


def _scored(parts: list[_Timed], wall_ratio: float) -> Scored:
    """All of one space and way to recompute, by framework and row."""
    row, framework = (np.concatenate([getattr(part.rows, name) for part in parts]) for name in ("row", "framework"))
    order = np.lexsort((row, framework))

    def column(name: str) -> Floats:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    layers = [part.rows.recompute_layers for part in parts]
    known = [each for each in layers if each is not None]
    return Scored(
        rows=replace(
            parts[0].rows,
            row=row[order],
            framework=framework[order],
            recompute_layers=np.concatenate(known)[order] if known else None,
        ),
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
    wanted = inputs.problem.plan
    alike, fewest = space.like_replicas(inputs.problem.workload.global_batch_size)
    in_zones = _zone_replicas(inputs, space)
    asked = table_expressed(
        space.plans,
        num_layers=inputs.problem.model.num_layers,
        num_microbatches=fewest,
        num_like_replicas=alike,
        fewest_replicas=in_zones.min(axis=1) if len(space.layout.ring) > 1 else None,
        num_zones=in_zones.shape[1],
        sync=space.settings.sync,
    )
    names, sync = [framework.name for framework in inputs.frameworks], space.settings.sync
    open_recompute = replace(asked, recompute=np.array(recomputes)[:, np.newaxis])
    shape = (len(recomputes), num_rows)
    found = [np.broadcast_to(expressed_by(name, open_recompute, wanted.rank_order), shape) for name in names]
    runs: Bools = np.array([runs_way(name, asked, sync, wanted) for name in names])
    return np.asarray(np.stack(found, axis=1) & runs)


def _zone_replicas(inputs: Inputs, space: Space) -> Ints:
    """[rows, zones]: replicas of each zone that holds first stages."""
    zones, of_chain = np.unique(inputs.hardware.zone[[chain[0] for chain in space.layout.chains]], return_inverse=True)
    return np.asarray(space.num_replicas @ (of_chain[:, None] == np.arange(len(zones))))


def _rent_dollars_per_second(inputs: Inputs, layout: Layout) -> float:
    """Price of all GPUs of the layout's zones, as a prediction counts them: idle ones are paid for too."""
    hardware = inputs.hardware
    zones = hardware.zone[[pool for chain in layout.chains for pool in chain]]
    paid = np.isin(hardware.zone, zones)
    return float(np.sum((hardware.num_gpus * hardware.dollars_per_gpu_second)[paid]))
