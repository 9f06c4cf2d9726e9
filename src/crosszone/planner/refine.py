"""From good plans to the best: single moves, simulated, until none is better."""

import math
from collections.abc import Sequence

import numpy as np

from crosszone.core.plan import SHARDS, Plan
from crosszone.core.tables import Floats
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.planner.limits import TIMED, objective
from crosszone.planner.options import MOST_VIRTUAL_STAGES, Options
from crosszone.planner.seeds import seeds
from crosszone.planner.structure import Moves, Structure, structure_of
from crosszone.planner.trial import Degrees, Fixed, Timed, plan_of, timed, trials
from crosszone.planner.wall import plan_wall_ratio, step_data_dollars
from crosszone.timeline.fit import plan_memory
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Settings

PLAIN_SCHEDULES = (None, "1f1b", "interleaved_1f1b")
"""Schedules whose plans are refined; the others fix shapes of their own."""
MOST_CROSSED = 60
"""Structures of one neighbourhood up to which every degree is crossed with each; beyond, only near ones."""
MOST_SEEDED = 6
"""Kinds of seeds that are climbed from."""
SEED_MARGIN = 1.3
"""A seed whose estimate exceeds the best plan known by more is left."""
SMALL_NUM_GPUS = 32
SMALL_WORK = 1.0e6
LARGE_WORK = 1.5e5
"""Actions simulated in one refinement; a microsecond or two each."""
ROW_WORK = 20.0
"""A row of a neighbourhood in actions, up to as many stages; each more stage is one more."""
MOST_SIMULATED = 24
"""Of one neighbourhood that is cut off: the ones with the lowest bounds."""
Key = tuple[object, ...]
STARTS = 2
"""Plans of each class that are climbed from."""
TIE_RATIO = 1.001
"""Plans that differ by less tie: the simpler one stays."""
BETTER = 1.0 - 1e-7
"""A move must gain more than rounding does."""


class Budget:
    """Work that a refinement may do: the same on every machine, so that answers are."""

    def __init__(self, inputs: Inputs) -> None:
        is_small = int(inputs.hardware.num_gpus.sum()) <= SMALL_NUM_GPUS
        self._left = SMALL_WORK if is_small else LARGE_WORK

    @property
    def is_spent(self) -> bool:
        """Nothing is left."""
        return self._left <= 0.0

    def affords(self, work: float) -> bool:
        """Something is left after that much."""
        return work < self._left

    def most_structures(self, like: Structure) -> float:
        """Structures of that size that it affords, with one row each."""
        return self._left / max(ROW_WORK, like.num_stages)

    def spend(self, work: float) -> None:
        """Take that much."""
        self._left -= work


def refined(
    inputs: Inputs, options: Options, classes: Sequence[Sequence[tuple[float, Plan]]]
) -> list[tuple[float, Plan]]:
    """(objective, plan): what gains more than a tie over the best plans of each class, and in small clusters over all.

    From a plan of one zone the way stays in that zone, so that the best plan of one zone is refined as one. The best
    plans go first, as long as the budget lasts.
    """
    if inputs.problem.plan.schedule not in PLAIN_SCHEDULES:
        return []
    starts = sorted((one for listed in classes for one in _unlike(listed)), key=lambda start: start[0])
    known: set[Key] = set()
    found: list[tuple[float, Plan]] = []
    budget = Budget(inputs)
    everywhere = _pools(inputs, None)
    for value, plan in starts:
        if budget.is_spent:
            break
        climb = _Climb(inputs, options, everywhere if len(plan.zones) > 1 else _pools(inputs, plan.zones), plan, budget)
        found += _gaining(climb.top(structure_of(inputs, plan), plan, known), value)
    if starts:
        best = min(value for value, _ in (*starts, *found))
        climb = _Climb(inputs, options, everywhere, starts[0][1], budget)
        for structure, plan in climb.seeded():
            found += _gaining(climb.top(structure, plan, known), best)
    return found


def _unlike(listed: Sequence[tuple[float, Plan]]) -> list[tuple[float, Plan]]:
    """The best few of a class that differ in zones, blocks or depth, and the best few whose zones' order may differ."""
    ordered: dict[object, tuple[float, Plan]] = {}
    unordered: dict[object, tuple[float, Plan]] = {}
    for value, plan in sorted(listed, key=lambda start: start[0]):
        ordered.setdefault((plan.zones, plan.tp, plan.pp), (value, plan))
        unordered.setdefault((frozenset(plan.zones), plan.tp, plan.pp), (value, plan))
    return list(dict.fromkeys([*list(ordered.values())[:STARTS], *list(unordered.values())[:STARTS]]))


def _gaining(tops: Sequence[tuple[float, Plan]], value: float) -> list[tuple[float, Plan]]:
    return [top for top in tops if top[0] * TIE_RATIO < value]


def _pools(inputs: Inputs, zones: Sequence[str] | None) -> tuple[int, ...]:
    """Pools of these zones, or of all that are not excluded."""
    excluded = inputs.problem.constraints.exclude_zones
    return tuple(
        pool.index for pool in inputs.pools
        if (pool.zone.name not in excluded if zones is None else pool.zone.name in zones)
    )  # fmt: skip


class _Climb:
    """Ways up that have the settings of one plan. They go by the objective without the odds of failures."""

    def __init__(self, inputs: Inputs, options: Options, pools: tuple[int, ...], start: Plan, budget: Budget) -> None:
        self._inputs, self._options, self._pools, self._budget = inputs, options, pools, budget
        self._moves = Moves(inputs, pools, tuple(options.tp.tolist()), tuple(options.cp.tolist()))
        settings = Settings(
            sync=start.sync, bucket_bytes=start.bucket_bytes, prefetch=start.prefetch,
            overlap_fraction=start.overlap_fraction,
        )  # fmt: skip
        wanted = inputs.problem.plan.sequence_parallel
        self._fixed = Fixed(
            settings=settings,
            sequence_parallel=True if wanted is None else wanted,
            offload=start.offload,
            memory_fraction=TIGHT_FRACTION if plan_memory(inputs, start).verdict == "fits" else 1.0,
        )

    def top(self, structure: Structure, start: Plan, known: set[Key]) -> list[tuple[float, Plan]]:
        """The top of this hill, alone; nothing where its start is the top, or the way meets one that was gone."""
        value, plan, full = np.inf, start, np.inf
        own = self._timed([(structure, self._degrees(start, is_exact=True))])
        if own is not None and (there := self._lowest(own, value)) is not None:
            value, full, structure, plan = there
        while not self._budget.is_spent:
            key = (structure, plan.framework, plan.microbatch_size, plan.num_virtual_stages, plan.shard, plan.sync)
            if key in known:
                return []
            known.add(key)
            better = self._step(structure, plan, value)
            if better is None:
                break
            value, full, structure, plan = better
        return [(full, plan)] if np.isfinite(full) else []

    def seeded(self) -> list[tuple[Structure, Plan]]:
        """Of the seeds' plans the best of each kind, by the estimate."""
        if self._budget.is_spent:
            return []
        degrees = self._degrees(None)
        laid = seeds(self._inputs, self._pools, self._options.tp.tolist(), self._options.cp.tolist())
        found = self._timed([(structure, degrees) for structure in laid if self._moves.is_legal(structure)])
        if found is None:
            return []
        values = self._values(found, found.evaluation.step_seconds)
        kinds: dict[object, tuple[Structure, Plan]] = {}
        for index in np.argsort(values, kind="stable").tolist():
            if values[index] > SEED_MARGIN * values.min() or len(kinds) >= MOST_SEEDED:
                break
            of, virtual = found.trials.structure_at(index), int(found.trials.num_virtual_stages[index])
            kind = (of.tp, of.cp, of.pp, len(of.groups) > 1, virtual > 1)
            if kind not in kinds:
                kinds[kind] = of, plan_of(self._inputs, found, index, self._fixed)
        return list(kinds.values())

    def _step(self, base: Structure, plan: Plan, value: float) -> tuple[float, float, Structure, Plan] | None:
        """The best plan one move away, if it is better; at the start, the plan itself is among them.

        Where the budget does not afford all neighbours, only the degrees of the plan are changed.
        """
        around = self._moves.around(base, self._budget.most_structures(base))
        every = self._degrees(None)
        near = self._degrees(plan) if len(around) > MOST_CROSSED else every
        found = self._timed([(base, every), *((structure, near) for structure in around)])
        return None if found is None else self._lowest(found, value)

    def _timed(self, structures: Sequence[tuple[Structure, Degrees]]) -> Timed | None:
        if not structures:
            return None
        tried = trials(self._inputs, structures)
        work = float(np.maximum(ROW_WORK, tried.num_stages).sum())
        if not self._budget.affords(work):  # before tables of that size are made
            return None
        self._budget.spend(work)
        return timed(self._inputs, tried, self._fixed, self._options.recompute.tolist())

    def _lowest(self, found: Timed, value: float) -> tuple[float, float, Structure, Plan] | None:
        """(value, value with the odds of failures, structure, plan) of the best of these, if it is below `value`."""
        bounds = self._values(found, found.bound_seconds)
        may = np.flatnonzero(bounds < value * BETTER)
        order = may[np.argsort(found.evaluation.step_seconds[may], kind="stable")]
        best, seconds_of_best = None, np.nan
        for index in order[:MOST_SIMULATED].tolist():
            if not bounds[index] < value * BETTER:
                continue
            if self._budget.is_spent:
                break
            self._budget.spend(found.num_actions(index))
            most = value if self._inputs.problem.objective.minimize in TIMED else np.inf
            seconds = found.steps.seconds(self._inputs, index, most_seconds=most)
            if math.isinf(seconds):  # longer than the best, and simulated no further
                continue
            new = float(self._values(found, np.full(len(bounds), seconds))[index])
            if new < value * BETTER:
                value, best, seconds_of_best = new, index, seconds
        if best is None:
            return None
        plan = plan_of(self._inputs, found, best, self._fixed)
        return value, self._full_value(found, best, plan, seconds_of_best), found.trials.structure_at(best), plan

    def _degrees(self, plan: Plan | None, *, is_exact: bool = False) -> Degrees:
        """Every degree, or those near the plan's, or only the plan's own."""
        options = self._options
        names = [framework.name for framework in self._inputs.frameworks]
        sizes, chunks = options.microbatch_size.tolist(), virtual_stages(self._inputs, options)
        if plan is None:
            return Degrees(
                framework=tuple(range(len(names))), microbatch_size=tuple(sizes), num_virtual_stages=tuple(chunks),
                shard=tuple(options.shard.tolist()), ep=tuple(options.ep.tolist()),
            )  # fmt: skip
        if is_exact:
            return Degrees(
                framework=(names.index(plan.framework),), microbatch_size=(plan.microbatch_size,),
                num_virtual_stages=(plan.num_virtual_stages,), shard=(SHARDS.index(plan.shard),), ep=(plan.ep,),
            )  # fmt: skip
        return Degrees(
            framework=(names.index(plan.framework),),
            microbatch_size=_near(sizes, plan.microbatch_size),
            num_virtual_stages=tuple(sorted({1, *_near(chunks, plan.num_virtual_stages)} & set(chunks))),
            shard=tuple(sorted({SHARDS.index(plan.shard), *options.shard[:2].tolist()})),
            ep=(plan.ep,),
        )

    def _values(self, found: Timed, seconds: Floats) -> Floats:
        """A lower bound of the objective of each, at a lower bound of its step."""
        egress = found.evaluation.egress_dollars
        return objective(self._inputs.problem, seconds, self._rents(found) * seconds + egress, egress)

    def _full_value(self, found: Timed, index: int, plan: Plan, seconds: float) -> float:
        inputs, layout = self._inputs, found.tables.layouts[int(found.tables.plans.layout[index])]
        egress = float(found.evaluation.egress_dollars[index]) + step_data_dollars(inputs.problem, plan, seconds)
        dollars = float(self._rents(found)[index]) * seconds + egress
        ratio = plan_wall_ratio(inputs, layout, plan, seconds)
        fewest = plan.microbatch_size * min(replica.num_microbatches for replica in plan.replicas)
        one = np.array([seconds]), np.array([dollars]), np.array([egress])
        return float(objective(inputs.problem, *one, ratio, fewest)[0])

    def _rents(self, found: Timed) -> Floats:
        return found.trials.blocks.dollars_per_second[found.trials.structure]


def virtual_stages(inputs: Inputs, options: Options) -> list[int]:
    """Virtual stages to try where layers need not come out even: what the job file fixes, or every number."""
    request, given = inputs.problem.plan, options.num_virtual_stages.tolist()
    if request.num_virtual_stages is not None or request.schedule == "1f1b":
        return list(given)
    return sorted({*given, *range(2, min(MOST_VIRTUAL_STAGES, inputs.problem.model.num_layers) + 1)})


def _near(values: list[int], value: int) -> tuple[int, ...]:
    """The value with the ones before and after it."""
    place = values.index(value) if value in values else 0
    return tuple(values[max(place - 1, 0) : place + 2])
