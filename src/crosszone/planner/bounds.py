"""Lower bounds that need no memory or collectives, and what they are held against.

A pipeline is never faster than one of its ranks: it works off every microbatch (m t), after the first microbatch came
through the stages before it and before the last one goes back through them. So, with b the time of these stages,

    T >= max_k (m t_k + b_k / v)

for 1F1B, interleaved 1F1B and GPipe, whose stages each run forward and backward at once in no order that skips a rank;
T >= max_k m t_k for every schedule. All else that a step has (delays, collectives, the optimizer) only adds to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import SCHEDULES
from crosszone.core.tables import Floats, Ints, PlanTable
from crosszone.frameworks.rules import HIERARCHICAL, SUMS
from crosszone.planner.link_bounds import link_seconds
from crosszone.planner.options import Options
from crosszone.planner.shapes import Shapes
from crosszone.timeline.inputs import Inputs, modes_of
from crosszone.timeline.keys import Keyed, keyed, pool_kinds
from crosszone.timeline.rows import Tables
from crosszone.timeline.stages import StageSeconds, stage_seconds, stage_view

IN_ORDER = np.isin(SCHEDULES, ("1f1b", "interleaved_1f1b", "gpipe"))
"""Per schedule: a microbatch goes up all ranks and down again, chunk by chunk."""
ROUNDING = 1.0 + 1e-4
"""Ranking compares five digits: what is that close to the last that counts is timed."""
HOPELESS_RATIO = 2.0
"""A class whose plans take longer than the last that counts of another by this, by the estimate, is not looked into:
estimates are off by far less."""

LayoutClass = tuple[bool, bool, str]
"""Stages cross zones, replicas do, and how they agree: plans are ranked within such a class first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paces:
    """[plans, distinct chains]: a chain takes at least num_microbatches * pace_seconds + lead_seconds."""

    pace_seconds: Floats
    lead_seconds: Floats

    def step_seconds(self, plan: Ints, num_microbatches: Ints) -> Floats:
        """Least time of rows that are paced like these plans; `num_microbatches` is [rows, chains]."""
        return np.asarray((num_microbatches * self.pace_seconds[plan] + self.lead_seconds[plan]).max(axis=1))


@dataclass(slots=True)
class Cutoffs:
    """The best values of each class so far, within one scan."""

    most: int
    """Values that are kept of each class."""
    best: dict[LayoutClass, Floats] = field(default_factory=dict)

    def cutoff(self, kind: LayoutClass) -> float:
        """What cannot be below it is not among the best of its class; infinite while there are too few.

        Nor does a class count that is far behind another of those that cross zones.
        """
        own = self._last(kind) * ROUNDING
        crossing = [self._last(other) for other in self.best if crosses(other)] if crosses(kind) else []
        return min(own, HOPELESS_RATIO * min(crossing, default=np.inf))

    def knows(self, kind: LayoutClass) -> bool:
        """As many values of the class were counted as may be among its best."""
        return bool(np.isfinite(self._last(kind)))

    def _last(self, kind: LayoutClass) -> float:
        kept = self.best.get(kind)
        return float(kept[-1]) if kept is not None and len(kept) == self.most else np.inf

    def add(self, kind: LayoutClass, values: Floats) -> None:
        """Count values of the class; those that are not finite rank nowhere."""
        known = np.concatenate([self.best.get(kind, values[:0]), values[np.isfinite(values)]])
        self.best[kind] = np.sort(known)[: self.most]


def crosses(kind: LayoutClass) -> bool:
    """Plans of the class use several zones."""
    return kind[0] or kind[1]


def layout_class(layout: Layout, method: str) -> LayoutClass:
    """The class in which plans of this layout and way to agree are ranked; all that sum in every step are one."""
    return layout.crosses_pp, len(layout.ring) > 1, HIERARCHICAL if method in SUMS else method


def paces(inputs: Inputs, tables: Tables, keys: Keyed, recomputes: Iterable[int]) -> Iterator[Paces]:
    """Paces of the plans of `tables`, which must not shard, over however many replicas; for each way to recompute."""
    view, plan = stage_view(inputs, tables, keys), tables.replicas.plan[tables.stages.replica]
    for recompute in recomputes:
        plans = replace(view.plans, recompute=np.full(len(view.plans), recompute))
        key = keys.key(plan, tables.stages.pool, modes_of(inputs, plans))
        yield _paces(tables, stage_seconds(replace(view, plans=plans, key=key)))


def _paces(tables: Tables, seconds: StageSeconds) -> Paces:
    stages = tables.stages
    each = seconds.forward + seconds.backward
    run = seconds.mean * stages.num_stages
    starts = tables.first_stages()
    ends = np.cumsum(run)
    before = ends - run - (ends - run)[starts][stages.replica]
    # Where stages of a run differ, which of them is last is not known here.
    is_even = stages.run_layers == stages.num_layers * stages.num_stages
    before = before + np.where(is_even, (stages.num_stages - 1) * each, 0.0)
    pace = tables.per_replica(np.maximum, each)
    lead = tables.per_replica(np.maximum, np.where(each >= pace[stages.replica], before, 0.0))
    plans = tables.replica_plans()
    lead = np.where(IN_ORDER[plans.schedule], np.maximum(lead, 0.0) / plans.num_virtual_stages, 0.0)
    shape = (len(tables.plans), -1)
    return Paces(pace_seconds=pace.reshape(shape), lead_seconds=lead.reshape(shape))


def distinct_chains(inputs: Inputs, layout: Layout, shapes: Shapes) -> Ints:
    """Per chain: the first one that is cut as it is and runs on the same hardware, of however many GPUs."""
    kinds = pool_kinds(inputs)
    first: dict[object, int] = {}
    found = []
    for index, chain in enumerate(layout.chains):
        runs = shapes.chain == index
        cut = tuple(column[:, runs].tobytes() for column in (shapes.num_stages, shapes.run_layers))
        found.append(first.setdefault((tuple(kinds[pool] for pool in chain), cut), index))
    return np.array(found, dtype=np.int64)


def least_step_seconds(inputs: Inputs, gpu_seconds: Floats, layout: Layout) -> float:
    """A step in which every GPU of the layout does nothing but its best of all layers: work over summed rates.

    Where stages cross zones, no less than the hidden states of the batch take of the slowest link on their way.
    `gpu_seconds` as in `least_gpu_seconds`.
    """
    pools = sorted({pool for chain in layout.chains for pool in chain})
    problem, hardware = inputs.problem, inputs.hardware
    rates = hardware.num_gpus[pools] / gpu_seconds[pools]
    work = float(problem.workload.global_batch_size * problem.model.num_layers / rates.sum())
    return max(work, link_seconds(inputs, layout))


def least_gpu_seconds(inputs: Inputs, options: Options) -> Floats:
    """Per pool: GPU seconds that one sequence takes in one layer, at the best degrees, kind of layer and framework."""
    axes = (np.arange(len(inputs.frameworks)), options.tp, options.cp, options.ep, options.microbatch_size)
    framework, tp, cp, ep, size = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    one, no = np.ones_like(tp), np.zeros(len(tp), dtype=np.bool_)
    request, pools = inputs.problem.plan, np.arange(len(inputs.pools))
    plans = PlanTable(
        layout=0 * one, framework=framework, tp=tp, pp=one, cp=cp, ep=ep, dp=one, dp_shard=one, num_virtual_stages=one,
        microbatch_size=size, schedule=0 * one, recompute=0 * one, shard=0 * one, offloads_optimizer=no, is_unequal=no,
        sequence_parallel=(tp > 1) & (request.sequence_parallel is not False),
    )  # fmt: skip
    found = keyed(inputs, plans, pools.tolist())
    key = found.key(np.arange(len(plans))[:, None], pools)
    least = np.min([(layer.forward.total + layer.backward.total)[key] for layer in found.costs.layers], axis=0)
    return np.asarray((least * (tp * cp / size)[:, None]).min(axis=0))
