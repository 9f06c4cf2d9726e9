"""The table of all candidates: layouts x frameworks x degrees, filtered by rules, then memory, then timed."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Floats
from crosszone.frameworks import expressible
from crosszone.planner.options import Options
from crosszone.planner.space import candidates
from crosszone.timeline.evaluate import Evaluation, Tables, evaluate, with_framework
from crosszone.timeline.inputs import Inputs

CHUNK = 8192
"""Plans evaluated at once: their columns stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Candidates of one layout that were evaluated. One value per plan."""

    layout: Layout
    tables: Tables
    step_seconds: Floats
    dollars: Floats
    """Per step; NaN where a price is unknown."""
    margin_bytes: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All candidates of a problem."""

    scored: tuple[Scored, ...]
    num_candidates: int
    num_pruned: int


def scan(inputs: Inputs, layouts: tuple[Layout, ...], options: Options) -> Scan:
    """Evaluate every candidate that a framework can express."""
    scored, num_candidates, num_pruned = [], 0, 0
    for layout in layouts:
        raw, fewest = candidates(inputs, layout, 0, options)
        if not len(raw.plans):
            continue
        like = np.gcd.reduceat(raw.replicas.num_replicas, np.searchsorted(raw.replicas.plan, np.arange(len(raw.plans))))
        for index, framework in enumerate(inputs.frameworks):
            can = expressible(
                framework.name,
                raw.plans,
                num_layers=inputs.problem.model.num_layers,
                num_microbatches=fewest,
                num_like_replicas=like,
            )
            num_pruned += int(np.sum(~can))
            if can.any():
                part = _score(inputs, with_framework(raw.take(can), index))
                num_candidates += len(part.step_seconds)
                scored.append(part)
    return Scan(scored=tuple(scored), num_candidates=num_candidates, num_pruned=num_pruned)


def _score(inputs: Inputs, tables: Tables) -> Scored:
    size = len(tables.plans)
    parts = [evaluate(inputs, tables.rows(start, min(start + CHUNK, size))) for start in range(0, size, CHUNK)]
    return Scored(
        layout=tables.layouts[0],
        tables=tables,
        step_seconds=np.concatenate([part.step_seconds for part in parts]),
        dollars=np.concatenate([_dollars(part) for part in parts]),
        margin_bytes=np.concatenate([part.margin_bytes for part in parts]),
    )


def _dollars(evaluation: Evaluation) -> Floats:
    return evaluation.gpu_dollars_per_second * evaluation.step_seconds + evaluation.egress_dollars
