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
from crosszone.timeline.keys import keyed
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


def scan(inputs: Inputs, layouts: tuple[Layout, ...], options: Options) -> Scan:
    """Time every candidate that a framework can express and that fits.

    Recomputation only costs time, so that of plans alike but for it the one that fits with the least of it is timed.
    """
    scored: list[Scored] = []
    misses: list[Miss] = []
    num_pruned = 0
    for layout in layouts:
        space = candidates(inputs, layout, options)
        for framework in range(len(inputs.frameworks)):
            found, miss, pruned = _scan_framework(inputs, space, framework, options)
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
    inputs: Inputs, space: Space, framework: int, options: Options
) -> tuple[list[Scored], list[Miss], int]:
    """Candidates of one framework that fit, the nearest of those that do not, and how many were not timed."""
    found, misses = [], []
    left = np.arange(len(space.plans))
    num_rows = len(left) * len(options.recompute)
    for recompute in np.sort(options.recompute):
        rows = left[_expressible(inputs, space, left, framework, int(recompute))]
        if not len(rows):
            continue
        fits, part, miss = _score(inputs, space, rows, framework, int(recompute))
        if len(part.rows):
            found.append(part)
        if miss is not None:
            misses.append(miss)
        left = np.setdiff1d(left, rows[fits], assume_unique=True)
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
    inputs: Inputs, space: Space, rows: Ints, framework: int, recompute: int
) -> tuple[Bools, Scored, Miss | None]:
    """Which of `rows` fit, those with their times, and the one that lacks least where none fits."""
    keys = keyed(inputs, space.filled(rows, framework=framework, recompute=recompute), space.pools)
    margins, times, dollars = [], [], []
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        tables = space.tables(rows[part], framework=framework, recompute=recompute)
        margin = memory_margin(inputs, tables, keys.take(part))
        fits = margin >= 0.0
        margins.append(margin)
        if fits.any():
            evaluation = evaluate(inputs, tables.take(fits), keys.take(part).take(fits))
            times.append(evaluation.step_seconds)
            dollars.append(_dollars(evaluation))
    margin = np.concatenate(margins)
    fits = margin >= 0.0
    scored = Scored(
        space=space,
        framework=framework,
        recompute=recompute,
        rows=rows[fits],
        step_seconds=np.concatenate([np.zeros(0), *times]),
        dollars=np.concatenate([np.zeros(0), *dollars]),
    )
    return fits, scored, None if fits.any() else _nearest(space, rows, margin, framework, recompute)


def _nearest(space: Space, rows: Ints, margin: Floats, framework: int, recompute: int) -> Miss:
    best = int(np.argmax(margin))
    tables = space.tables(rows[[best]], framework=framework, recompute=recompute)
    return Miss(tables=tables, lacking_bytes=-float(margin[best]))


def _dollars(evaluation: Evaluation) -> Floats:
    return evaluation.gpu_dollars_per_second * evaluation.step_seconds + evaluation.egress_dollars
