"""All candidates of a problem: filtered by what frameworks can express, then by memory, then timed."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Bools, Floats, Ints
from crosszone.frameworks import expressible
from crosszone.planner.options import Options
from crosszone.planner.space import Space, candidates
from crosszone.timeline.evaluate import Evaluation, evaluate, memory_margin
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed, keyed
from crosszone.timeline.rows import Tables

CHUNK = 8192
"""Plans evaluated at once: their columns stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Candidates of one layout, framework and way to recompute that fit. One value per row."""

    space: Space
    framework: int
    recompute: int
    rows: Ints
    """In `space`."""
    step_seconds: Floats
    dollars: Floats
    """Per step; NaN where a price is unknown."""

    @property
    def layout(self) -> Layout:
        """Where these candidates lie."""
        return self.space.layout

    def tables(self, index: int) -> Tables:
        """The candidate at `index` as tables of one plan."""
        return self.space.tables(self.rows[[index]], framework=self.framework, recompute=self.recompute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """The candidate of one layout, framework and way to recompute that lacks least memory."""

    tables: Tables
    lacking_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found of all candidates."""

    scored: tuple[Scored, ...]
    misses: tuple[Miss, ...]
    """Nearest first; only of layouts and frameworks where nothing fits."""
    num_candidates: int
    """Timed by the full cost model: expressible, fitting, not dominated."""
    num_pruned: int


def scan(inputs: Inputs, layouts: tuple[Layout, ...], options: Options, *, must_fit: bool = True) -> Scan:
    """Time every candidate that a framework can express and, where it `must_fit`, that fits.

    Recomputation only costs time, so that of plans alike but for it the one that fits with the least of it is timed.
    """
    scored: list[Scored] = []
    misses: list[Miss] = []
    num_pruned = 0
    for layout in layouts:
        space = candidates(inputs, layout, options)
        for framework in range(len(inputs.frameworks)):
            found, miss, pruned = _scan_framework(inputs, space, framework, options, must_fit)
            scored += found
            misses += miss if not found else []
            num_pruned += pruned
    return Scan(
        scored=tuple(scored),
        misses=tuple(sorted(misses, key=lambda miss: miss.lacking_bytes)),
        num_candidates=sum(len(part.rows) for part in scored),
        num_pruned=num_pruned,
    )


def _scan_framework(
    inputs: Inputs, space: Space, framework: int, options: Options, must_fit: bool
) -> tuple[list[Scored], list[Miss], int]:
    """Candidates of one framework that fit, the nearest of those that do not, and how many were not timed."""
    found: list[Scored] = []
    misses: list[Miss] = []
    num_rows = len(space.plans) * len(options.recompute)
    lightest = int(options.recompute.min())
    left = np.flatnonzero(_expressible(inputs, space, np.arange(len(space.plans)), framework, lightest))
    keys = keyed(inputs, space.filled(left, framework=framework, recompute=lightest), space.pools)
    for recompute in np.sort(options.recompute).tolist():
        if not len(left):
            break
        can = _expressible(inputs, space, left, framework, recompute)
        rows = left[can]
        fits = np.zeros(len(left), dtype=np.bool_)
        fits[can], part, miss = _score(inputs, space, rows, keys.take(can), framework, recompute, must_fit)
        if len(part.rows):
            found.append(part)
        if miss is not None:
            misses.append(miss)
        left, keys = left[~fits], keys.take(~fits)
    return found, misses, num_rows - sum(len(part.rows) for part in found)


def _expressible(inputs: Inputs, space: Space, rows: Ints, framework: int, recompute: int) -> Bools:
    return expressible(
        inputs.frameworks[framework].name,
        space.filled(rows, framework=framework, recompute=recompute),
        num_layers=inputs.problem.model.num_layers,
        num_microbatches=space.num_microbatches[rows].min(axis=1),
        num_like_replicas=np.gcd.reduce(space.num_replicas[rows], axis=1),
    )


def _score(
    inputs: Inputs, space: Space, rows: Ints, keys: Keyed, framework: int, recompute: int, must_fit: bool
) -> tuple[Bools, Scored, Miss | None]:
    """Which of `rows` fit (or need not), those with their times, and the one that lacks least where none fits."""
    margins, times, dollars = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        tables = space.tables(rows[part], framework=framework, recompute=recompute)
        margin = memory_margin(inputs, tables, keys.take(part))
        fits = margin >= (0.0 if must_fit else -np.inf)
        margins.append(margin)
        if fits.any():
            evaluation = evaluate(inputs, tables.take(fits), keys.take(part).take(fits))
            times.append(evaluation.step_seconds)
            dollars.append(_dollars(evaluation))
    margin = np.concatenate(margins)
    fits = margin >= (0.0 if must_fit else -np.inf)
    scored = Scored(
        space=space,
        framework=framework,
        recompute=recompute,
        rows=rows[fits],
        step_seconds=np.concatenate(times),
        dollars=np.concatenate(dollars),
    )
    return fits, scored, None if fits.any() or not len(rows) else _nearest(space, rows, margin, framework, recompute)


def _nearest(space: Space, rows: Ints, margin: Floats, framework: int, recompute: int) -> Miss:
    best = int(np.argmax(margin))
    tables = space.tables(rows[[best]], framework=framework, recompute=recompute)
    return Miss(tables=tables, lacking_bytes=-float(margin[best]))


def _dollars(evaluation: Evaluation) -> Floats:
    return evaluation.gpu_dollars_per_second * evaluation.step_seconds + evaluation.egress_dollars
