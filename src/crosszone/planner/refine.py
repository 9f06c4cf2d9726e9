"""From good plans to the best: climbs from several of them, as far as the budget lasts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.planner.climb import Budget, Climb, Effort, Key, Place
from crosszone.planner.options import Options
from crosszone.planner.structure import IsWanted, structure_of
from crosszone.timeline.fit import plan_memory
from crosszone.timeline.inputs import Inputs

PLAIN_SCHEDULES = (None, "1f1b", "interleaved_1f1b")
"""Schedules whose plans are refined; the others fix shapes of their own."""
STARTS = 4
"""Plans of each class that are climbed from."""
TIE_RATIO = 1.001
"""Plans that differ by less tie: the simpler one stays."""
HOPEFUL_RATIO = 1.5
"""Ways that begin further behind the best wait until all others have ended."""
SMALL_NUM_GPUS = 32
SMALL = Effort(seconds=1.0, most_simulated=24, least_gain_fraction=1e-7, is_steepest=True)
LARGE = Effort(seconds=0.15, most_simulated=8, least_gain_fraction=1e-4, is_steepest=False)
"""So few seconds that three zones are planned in about one. Of 266 steps in large clusters that gained over 0.1 %, 248
went to the neighbour with the least estimate.
"""


@dataclass(slots=True)
class Way:
    """A climb under way."""

    climb: Climb
    start_value: float
    place: Place
    is_looked_around: bool = False
    """Nothing near the place is better."""

    def look_around(self) -> bool:
        """Go to what is better and near; whether there is such a place."""
        better = self.climb.near(self.place)
        self.place, self.is_looked_around = better or self.place, better is None
        return better is not None

    def go_on(self) -> bool:
        """Go to a better place; whether there is one."""
        if not self.is_looked_around and self.look_around():
            return True
        better = self.climb.step(self.place)
        self.place, self.is_looked_around = better or self.place, better is None
        return better is not None


def refined(
    inputs: Inputs,
    options: Options,
    classes: Sequence[Sequence[tuple[float, Plan]]],
    is_wanted: IsWanted = lambda structure: True,
) -> list[tuple[float, Plan]]:
    """(objective, plan): what gains more than a tie over the best plans of each class, and in small clusters over all.

    From a plan of one zone the way stays in that zone, so that the best plan of one zone is refined as one. The best
    plans go first, as long as the budget lasts. All ways stay among structures that are wanted.
    """
    if inputs.problem.plan.schedule not in PLAIN_SCHEDULES:
        return []
    starts = sorted((one for listed in classes for one in _unlike(listed)), key=lambda start: start[0])
    if not starts:
        return []
    budget = Budget(SMALL if int(inputs.hardware.num_gpus.sum()) <= SMALL_NUM_GPUS else LARGE)
    # Where one of the starts has room to spare, all have: tight plans are looked for only where there are no others.
    fraction = TIGHT_FRACTION if plan_memory(inputs, starts[0][1]).verdict == "fits" else 1.0

    def climb_from(plan: Plan, pools: tuple[int, ...]) -> Climb:
        return Climb(inputs, options, pools, plan, budget, is_wanted, memory_fraction=fraction)

    known: set[Key] = set()
    found = _climbed(_ways(inputs, starts, climb_from), budget, known)
    best = min(value for value, _ in (*starts, *found))
    climb = climb_from(starts[0][1], _pools(inputs, None))
    seeds = [Way(climb=climb, start_value=best, place=place) for place in climb.starts(climb.seeded()) if place]
    return found + _climbed(seeds, budget, known)


def _ways(
    inputs: Inputs, starts: Sequence[tuple[float, Plan]], climb_from: Callable[[Plan, tuple[int, ...]], Climb]
) -> list[Way]:
    """Those of the plans that have a place in general form; of one table where their settings are alike."""
    alike: dict[object, list[tuple[float, Plan]]] = {}
    for value, plan in starts:
        settings = (plan.sync, plan.bucket_bytes, plan.prefetch, plan.overlap_fraction, plan.offload)
        alike.setdefault(settings, []).append((value, plan))
    ways = []
    for listed in alike.values():
        climb = climb_from(listed[0][1], _pools(inputs, None))
        places = climb.starts([(structure_of(inputs, plan), plan) for _, plan in listed])
        for (value, plan), place in zip(listed, places, strict=True):
            if place is not None:
                ways.append(Way(climb=climb_from(plan, _pools(inputs, plan.zones)), start_value=value, place=place))
    return ways


def _climbed(ways: Sequence[Way], budget: Budget, known: set[Key]) -> list[tuple[float, Plan]]:
    """(objective, plan) of the tops of these ways, where they gain more than a tie. The lowest way goes on first.

    Before that, all that are not far behind look around, which tells the ones that are worth it. Where two meet, one
    ends.
    """
    least = min((way.place.value for way in ways), default=0.0)
    for way in ways:
        if way.place.value < HOPEFUL_RATIO * least:
            way.look_around()
    left, tops = list(ways), list[Way]()
    while left:
        way = min(left, key=lambda way: way.place.value)
        is_new = way.place.key not in known
        known.add(way.place.key)
        if budget.is_spent or not is_new or not way.go_on():
            left.remove(way)
            tops += [way] if is_new else []
    values = [(way.place.full_value, way.place.plan, way.start_value) for way in tops]
    return [(value, plan) for value, plan, start_value in values if value * TIE_RATIO < start_value]


def _unlike(listed: Sequence[tuple[float, Plan]]) -> list[tuple[float, Plan]]:
    """The best few of a class that differ in zones, blocks or depth, and the best few whose zones' order may differ."""
    ordered: dict[object, tuple[float, Plan]] = {}
    unordered: dict[object, tuple[float, Plan]] = {}
    for value, plan in sorted(listed, key=lambda start: start[0]):
        ordered.setdefault((plan.zones, plan.tp, plan.pp), (value, plan))
        unordered.setdefault((frozenset(plan.zones), plan.tp, plan.pp), (value, plan))
    return list(dict.fromkeys([*list(ordered.values())[:STARTS], *list(unordered.values())[:STARTS]]))


def _pools(inputs: Inputs, zones: Sequence[str] | None) -> tuple[int, ...]:
    """Pools of the zone, if there is one alone, or of all zones that are not excluded."""
    excluded = inputs.problem.constraints.exclude_zones
    alone = zones is not None and len(zones) == 1
    return tuple(
        pool.index for pool in inputs.pools
        if (pool.zone.name in (zones or ()) if alone else pool.zone.name not in excluded)
    )  # fmt: skip
