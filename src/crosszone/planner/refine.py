"""From good plans to the best: single moves, simulated, until none is better."""

from collections.abc import Sequence
import numpy as np

from crosszone.core.plan import SHARDS, Plan
from crosszone.core.tables import Floats
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.planner.limits import objective
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
MOST_SIMULATED = 24
"""Of one neighbourhood that is cut off: the ones with the lowest bounds."""
Key = tuple[object, ...]
BETTER = 1.0 - 1e-7
"""A move must gain more than rounding does."""


def refined(
    inputs: Inputs, options: Options, pools: Sequence[int], starts: Sequence[tuple[float, Plan]]
) -> list[tuple[float, Plan]]:
    """(objective, plan): tops of the hills from `starts` and, in small clusters, from seeds; each top once."""
    if not starts or inputs.problem.plan.schedule not in PLAIN_SCHEDULES:
        return []
    known: set[Key] = set()
    found: list[tuple[float, Plan]] = []
    for value, plan in starts:
        climb = _Climb(inputs, options, tuple(pools), plan)
        found += climb.top(value, structure_of(inputs, plan), plan, known)
    best = min(starts, key=lambda start: start[0])
    climb = _Climb(inputs, options, tuple(pools), best[1])
    for value, structure, plan in climb.seeded(best[0]):
        found += climb.top(value, structure, plan, known)
    return found


class _Climb:
    """Ways up that have the settings of one plan."""

    def __init__(self, inputs: Inputs, options: Options, pools: tuple[int, ...], start: Plan) -> None:
        self._inputs, self._options, self._pools = inputs, options, pools
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

    def top(self, value: float, structure: Structure, plan: Plan, known: set[Key]) -> list[tuple[float, Plan]]:
        """The top of this hill, alone; nothing where its start is the top, or the way meets one that was gone."""
        start = plan
        while True:
            key = (structure, plan.framework, plan.microbatch_size, plan.num_virtual_stages, plan.shard, plan.sync)
            if key in known:
                return []
            known.add(key)
            better = self._step(structure, plan, value)
            if better is None:
                return [] if plan is start else [(value, plan)]
            value, structure, plan = better

    def seeded(self, value: float) -> list[tuple[float, Structure, Plan]]:
        """Of the seeds' plans the best of each kind, simulated, as far as they are near `value`."""
        degrees = self._degrees(None)
        laid = seeds(self._inputs, self._pools, self._options.tp.tolist(), self._options.cp.tolist())
        found = self._timed([(structure, degrees) for structure in laid])
        if found is None:
            return []
        values = self._values(found, found.evaluation.step_seconds)
        kinds: dict[object, tuple[float, Structure, Plan]] = {}
        for index in np.argsort(values, kind="stable").tolist():
            if values[index] > SEED_MARGIN * value or len(kinds) >= MOST_SEEDED:
                break
            of, virtual = found.trials.structure_at(index), int(found.trials.num_virtual_stages[index])
            kind = (of.tp, of.cp, of.pp, len(of.groups) > 1, virtual > 1)
            if kind not in kinds:
                plan = plan_of(self._inputs, found.trials, index, self._fixed)
                seconds = found.step_seconds(self._inputs, index)
                kinds[kind] = (self._value(found, index, plan, seconds), of, plan)
        return sorted(kinds.values(), key=lambda start: start[0])

    def _step(self, base: Structure, plan: Plan, value: float) -> tuple[float, Structure, Plan] | None:
        """The best plan one move away, if it is better."""
        around = self._moves.around(base)
        every = self._degrees(None)
        near = self._degrees(plan) if len(around) > MOST_CROSSED else every
        found = self._timed([(base, every), *((structure, near) for structure in around)])
        return None if found is None else self._lowest(found, value)

    def _timed(self, structures: Sequence[tuple[Structure, Degrees]]) -> Timed | None:
        if not structures:
            return None
        tried = trials(self._inputs, structures)
        return timed(self._inputs, tried, self._fixed, self._options.recompute.tolist())

    def _lowest(self, found: Timed, value: float) -> tuple[float, Structure, Plan] | None:
        """The best of these by the simulated objective, if it is better than `value`."""
        bounds = self._values(found, found.bound_seconds)
        may = np.flatnonzero(bounds < value * BETTER)
        order = may[np.argsort(found.evaluation.step_seconds[may], kind="stable")]
        best: tuple[float, Structure, Plan] | None = None
        for index in order[:MOST_SIMULATED].tolist():
            if not bounds[index] < value * BETTER:
                continue
            seconds = found.step_seconds(self._inputs, index)
            plan = plan_of(self._inputs, found.trials, index, self._fixed)
            new = self._value(found, index, plan, seconds)
            if new < value * BETTER:
                value, best = new, (new, found.trials.structure_at(index), plan)
        return best

    def _degrees(self, plan: Plan | None) -> Degrees:
        """Every degree, or those near the plan's."""
        options = self._options
        names = [framework.name for framework in self._inputs.frameworks]
        sizes, chunks = options.microbatch_size.tolist(), virtual_stages(self._inputs, options)
        if plan is None:
            return Degrees(
                framework=tuple(range(len(names))), microbatch_size=tuple(sizes), num_virtual_stages=tuple(chunks),
                shard=tuple(options.shard.tolist()), ep=tuple(options.ep.tolist()),
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

    def _value(self, found: Timed, index: int, plan: Plan, seconds: float) -> float:
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
