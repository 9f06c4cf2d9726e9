"""One way up from a plan: a step at a time to a better neighbour, simulated, until none is better."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.plan import SHARDS, Plan
from crosszone.core.tables import Floats, Ints
from crosszone.planner.limits import TIMED, objective, simulated_objective
from crosszone.planner.options import MOST_VIRTUAL_STAGES, Options
from crosszone.planner.recut import recut
from crosszone.planner.seeds import seeds
from crosszone.planner.shapes import head_in_layers
from crosszone.planner.structure import IsWanted, Moves, Structure
from crosszone.planner.trial import Degrees, Fixed, Timed, plan_of, timed, trials
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Settings

MOST_CROSSED = 60
"""Structures of one neighbourhood up to which every degree is crossed with each; beyond, only near ones."""
MOST_SEEDED = 6
"""Kinds of seeds that are climbed from."""
MOST_NEAR = 1
"""Plans that are simulated of what is nearest to a start."""
HOPEFUL_RATIO = 1.1
"""What is nearest to a start and further behind that of another by the estimate is not simulated."""
SEED_MARGIN = 1.3
"""A seed whose estimate exceeds the best plan known by more is left."""
TABLE_SECONDS = 4.0e-3
STRUCTURE_SECONDS = 4.5e-5
STAGE_SECONDS = 8.0e-7
"""A table of neighbours takes so long, each structure in it, and each stage of each of its rows."""
SIMULATION_SECONDS = 8.0e-4
ACTION_SECONDS = 2.5e-7
"""A simulation takes so long, and each action of its pipeline that is not left out as mere repetition."""
Neighbours = list[tuple[Structure, Degrees]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much a refinement may do."""

    seconds: float
    """Counted by what its parts take, as above, never by a clock: the same on every machine, so that answers are."""
    most_starts: int
    """Plans of each class that are climbed from."""
    most_simulated: int
    """Of one neighbourhood: the ones with the least estimates."""
    least_gain_fraction: float
    """A step must gain more."""
    is_steepest: bool
    """A step goes to the best of all neighbours. Otherwise to the first that is better, the nearest ones first."""


class Budget:
    """Work that is left to a refinement."""

    def __init__(self, effort: Effort) -> None:
        self.effort, self._left = effort, effort.seconds

    @property
    def is_spent(self) -> bool:
        """Nothing is left."""
        return self._left <= 0.0

    def affords(self, seconds: float) -> bool:
        """Something is left after that much."""
        return seconds < self._left

    def most_structures(self, like: Structure) -> float:
        """Structures of that size that it affords, with one row each."""
        return self._left / (STRUCTURE_SECONDS + STAGE_SECONDS * like.num_stages)

    def spend(self, seconds: float) -> None:
        """Take that much."""
        self._left -= seconds


Key = tuple[object, ...]
"""What two ways have in common where they meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a way is."""

    value: float
    """The objective without the odds of failures, by which ways go."""
    full_value: float
    """With them."""
    structure: Structure
    plan: Plan
    found: Timed
    index: int
    """The plan's row in `found`."""

    @property
    def key(self) -> Key:
        """It is the same place for every way that comes by."""
        plan = self.plan
        return (self.structure, plan.framework, plan.microbatch_size, plan.num_virtual_stages, plan.shard, plan.sync)


class Climb:
    """Ways up that have the settings of one plan."""

    def __init__(
        self,
        inputs: Inputs,
        options: Options,
        pools: tuple[int, ...],
        start: Plan,
        budget: Budget,
        is_wanted: IsWanted,
        *,
        memory_fraction: float,
    ) -> None:
        self._inputs, self._options, self._pools, self._budget = inputs, options, pools, budget
        self._moves = Moves(inputs, pools, tuple(options.tp.tolist()), tuple(options.cp.tolist()), is_wanted)
        settings = Settings(
            sync=start.sync, bucket_bytes=start.bucket_bytes, prefetch=start.prefetch,
            overlap_fraction=start.overlap_fraction,
        )  # fmt: skip
        wanted = inputs.problem.plan.sequence_parallel
        self.fixed = Fixed(
            settings=settings,
            sequence_parallel=True if wanted is None else wanted,
            offload=start.offload,
            memory_fraction=memory_fraction,
        )

    def starts(self, begun: Sequence[tuple[Structure, Plan]]) -> list[Place | None]:
        """Where ways begin from plans of these settings; None where one does not fit or is none in general form."""
        found = self._timed([(structure, self._degrees(plan, is_exact=True)) for structure, plan in begun])
        if found is None:
            return [None] * len(begun)
        own = (np.flatnonzero(found.trials.structure == index) for index in range(len(begun)))
        return [self._better(found, np.inf, among=rows) for rows in own]

    def near(self, places: Sequence[Place]) -> list[Place | None]:
        """Of each place a better one with other degrees or with layers cut anew: one table for all.

        None where there is none, and where the way is the steepest: a step looks at these, too.
        """
        if self._budget.effort.is_steepest:
            return [None] * len(places)
        here = [self._here(place) for place in places]
        found = self._timed([one for own in here for one in own])
        if found is None:
            return [None] * len(places)
        owner = np.repeat(np.arange(len(here)), [len(own) for own in here])[found.trials.structure]
        values = self._values(found, found.evaluation.step_seconds)
        least = [float(values[owner == index].min(initial=np.inf)) for index in range(len(here))]
        return [
            self._better(found, place.value, among=np.flatnonzero(owner == index), most_simulated=MOST_NEAR)
            if least[index] <= HOPEFUL_RATIO * min(least) else None
            for index, place in enumerate(places)
        ]  # fmt: skip

    def step(self, place: Place, *, layers_only: bool = False) -> Place | None:
        """A better place that is one move away; None where there is none: this is the top.

        Where the way is the steepest, the best one; else the first that is found, by what costs least to look at.
        """
        for neighbours in self._neighbourhoods(place, layers_only=layers_only):
            found = self._timed(neighbours)
            better = None if found is None else self._better(found, place.value)
            if better is not None:
                return better
        return None

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
                kinds[kind] = of, plan_of(self._inputs, found, index, self.fixed)
        return list(kinds.values())

    def _neighbourhoods(self, place: Place, *, layers_only: bool) -> Iterator[Neighbours]:
        """What to look at until something is better, the cheapest first; all at once where ways are steepest."""
        structure, most = place.structure, self._budget.most_structures
        if self._budget.effort.is_steepest:
            if layers_only:
                return
            around = self._moves.around(structure, most(structure))
            near = self._degrees(place.plan if len(around) > MOST_CROSSED else None)
            yield [*self._here(place), *((one, near) for one in around)]
            return
        own = self._degrees(place.plan, is_exact=True)
        if layers_only:
            cut = dict.fromkeys([*self._recut(place), *self._moves.shifted(structure, most(structure))])
            yield [(one, own) for one in cut]
            return
        yield self._crossed(place)
        yield [(one, own) for one in self._moves.moved(structure, most(structure))]
        near = self._degrees(place.plan)
        yield [(one, near) for one in self._moves.reshaped(structure, most(structure))]

    def _here(self, place: Place) -> Neighbours:
        """The same structure with other degrees, and with layers cut anew."""
        own = self._degrees(place.plan, is_exact=True)
        return [*self._crossed(place), *((one, own) for one in self._recut(place))]

    def _crossed(self, place: Place) -> Neighbours:
        """The same structure with other degrees.

        Every one with each where ways are steepest. Elsewhere microbatches and virtual stages change together, or
        framework and shards do: what takes more is two looks away, which cost less than a wide one.
        """
        own, every, structure = self._degrees(place.plan, is_exact=True), self._degrees(None), place.structure
        if self._budget.effort.is_steepest:
            return [(structure, every)]
        share = replace(own, microbatch_size=every.microbatch_size, num_virtual_stages=every.num_virtual_stages)
        keep = replace(own, framework=every.framework, shard=every.shard, ep=every.ep)
        return [(structure, share), (structure, keep)]

    def _recut(self, place: Place) -> list[Structure]:
        """The same with layers cut anew, by what its stages take."""
        structure = place.structure
        if structure.pp == 1:
            return []
        pipelines = place.found.steps.pipelines(self._inputs, place.index)
        cuts = dict.fromkeys(recut(structure.layers, pipelines, head_in_layers(self._inputs)))
        found = [replace(structure, layers=layers) for layers in cuts if layers != structure.layers]
        return [one for one in found if self._moves.is_legal(one)]

    def _timed(self, structures: Sequence[tuple[Structure, Degrees]]) -> Timed | None:
        budget, seconds = self._budget, TABLE_SECONDS + STRUCTURE_SECONDS * len(structures)
        if not structures or not budget.affords(seconds):
            return None
        budget.spend(seconds)
        tried = trials(self._inputs, structures)
        seconds = STAGE_SECONDS * float(tried.num_stages.sum())
        if not budget.affords(seconds):  # before tables of that size are made
            return None
        budget.spend(seconds)
        return timed(self._inputs, tried, self.fixed, self._options.recompute.tolist())

    def _better(
        self, found: Timed, value: float, *, among: Ints | None = None, most_simulated: int | None = None
    ) -> Place | None:
        """The best of those that may be best, or the first that is below `value`; None where none is."""
        effort, bounds = self._budget.effort, self._values(found, found.bound_seconds)
        ratio = 1.0 - effort.least_gain_fraction
        rows = np.arange(len(bounds)) if among is None else among
        may = rows[bounds[rows] < value * ratio]
        order = may[np.argsort(found.evaluation.step_seconds[may], kind="stable")]
        best, seconds_of_best = None, np.nan
        for index in order[: most_simulated or effort.most_simulated].tolist():
            if not bounds[index] < value * ratio:
                continue
            if self._budget.is_spent or (best is not None and not effort.is_steepest):
                break
            self._budget.spend(SIMULATION_SECONDS + ACTION_SECONDS * found.num_actions(index))
            most = value if self._inputs.problem.objective.minimize in TIMED else np.inf
            seconds = found.steps.seconds(self._inputs, index, most_seconds=most)
            if math.isinf(seconds):  # longer than the best, and simulated no further
                continue
            new = float(self._values(found, np.full(len(bounds), seconds))[index])
            if new < value * ratio:
                value, best, seconds_of_best = new, index, seconds
        return None if best is None else self._place(found, best, value, seconds_of_best)

    def _place(self, found: Timed, index: int, value: float, seconds: float) -> Place:
        plan = plan_of(self._inputs, found, index, self.fixed)
        return Place(
            value=value, full_value=self._full_value(found, index, plan, seconds), plan=plan,
            structure=found.trials.structure_at(index), found=found, index=index,
        )  # fmt: skip

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
        return simulated_objective(
            self._inputs, found.tables.layouts[int(found.tables.plans.layout[index])], plan, seconds,
            rent_dollars_per_second=float(self._rents(found)[index]),
            egress_dollars=float(found.evaluation.egress_dollars[index]),
        )  # fmt: skip

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
