"""From good plans to the best: climbs from several of them, as far as the budget lasts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.planner.climb import Budget, Climb, Effort, Key, Place
from crosszone.planner.options import Options
from crosszone.planner.structure import IsWanted, structure_of
from crosszone.planner.trial import Fixed
from crosszone.timeline.fit import plan_memory
from crosszone.timeline.inputs import Inputs

PLAIN_SCHEDULES = (None, "1f1b", "interleaved_1f1b")
"""Schedules whose plans are refined; the others fix shapes of their own."""
TIE_RATIO = 1.001
"""Plans that differ by less tie: the simpler one stays."""
NEAR_RATIO = 1.03
"""Ways that are no further behind the best cut their layers before any of them moves stages."""
LOOKS = 2
"""Times that all hopeful ways look around before the best goes on."""
HOPEFUL_RATIO = 1.5
"""Ways that begin further behind the best wait until all others have ended."""
SMALL_NUM_GPUS = 32
SMALL = Effort(seconds=1.0, most_starts=4, most_simulated=24, least_gain_fraction=1e-7, is_steepest=True)
LARGE = Effort(seconds=0.15, most_starts=8, most_simulated=4, least_gain_fraction=1e-4, is_steepest=False)
"""So few seconds that three zones are planned in about one. Of 266 steps in large clusters that gained over 0.1 %, 248
went to the neighbour with the least estimate.
"""


@dataclass(slots=True)
class Way:
    """A climb under way."""

    climb: Climb
    start_value: float
    place: Place
    is_cut: bool = False
    """No other cut of its layers is better."""

    def order(self, least: float) -> tuple[bool, float]:
        """Ways that are near the best see to their layers first, which costs little."""
        return self.is_cut or self.place.value > NEAR_RATIO * least, self.place.value

    def go_on(self) -> bool:
        """Go to a better place; whether there is one, or more to look at."""
        layers_only = not self.is_cut
        better = self.climb.step(self.place, layers_only=layers_only)
        self.place, self.is_cut = better or self.place, better is None
        return better is not None or layers_only


def look_around(ways: Sequence[Way]) -> list[Way]:
    """Let each go to what is better and near; the ones that did. Ways of like settings look at one table."""
    alike: dict[Fixed, list[Way]] = {}
    for way in ways:
        alike.setdefault(way.climb.fixed, []).append(way)
    gone = []
    for some in alike.values():
        for way, better in zip(some, some[0].climb.near([way.place for way in some]), strict=True):
            way.place = better or way.place
            gone += [way] if better else []
    return gone


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
    effort = SMALL if int(inputs.hardware.num_gpus.sum()) <= SMALL_NUM_GPUS else LARGE
    chosen = (_unlike(listed, effort.most_starts) for listed in classes)
    starts = sorted((one for listed in chosen for one in listed), key=lambda start: start[0])
    if not starts:
        return []
    budget = Budget(effort)
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
    hopeful = [way for way in ways if way.place.value < HOPEFUL_RATIO * least]
    for _ in range(LOOKS):
        hopeful = look_around(hopeful)
    left, tops = list(ways), list[Way]()
    while left:
        least = min(way.place.value for way in ways)
        way = min(left, key=lambda way: way.order(least))
        is_new = way.is_cut or way.place.key not in known
        known.add(way.place.key)
        if budget.is_spent or not is_new or not way.go_on():
            left.remove(way)
            tops += [way] if is_new else []
    values = [(way.place.full_value, way.place.plan, way.start_value) for way in tops]
    return [(value, plan) for value, plan, start_value in values if value * TIE_RATIO < start_value]


def _unlike(listed: Sequence[tuple[float, Plan]], most: int) -> list[tuple[float, Plan]]:
    """The best of a class that differ in zones, blocks or depth, and the best whose zones' order may differ."""
    ordered: dict[object, tuple[float, Plan]] = {}
    unordered: dict[object, tuple[float, Plan]] = {}
    for value, plan in sorted(listed, key=lambda start: start[0]):
        ordered.setdefault((plan.zones, plan.tp, plan.pp), (value, plan))
        unordered.setdefault((frozenset(plan.zones), plan.tp, plan.pp), (value, plan))
    return list(dict.fromkeys([*list(ordered.values())[:most], *list(unordered.values())[:most]]))


def _pools(inputs: Inputs, zones: Sequence[str] | None) -> tuple[int, ...]:
    """Pools of the zone, if there is one alone, or of all zones that are not excluded."""
    excluded = inputs.problem.constraints.exclude_zones
    alone = zones is not None and len(zones) == 1
    return tuple(
        pool.index for pool in inputs.pools
        if (pool.zone.name in (zones or ()) if alone else pool.zone.name not in excluded)
    )  # fmt: skip
