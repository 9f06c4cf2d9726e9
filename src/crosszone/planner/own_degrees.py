"""Degrees of its own for each zone, where zones exchange nothing but local updates.

Every zone gets the plan that it would have alone for its share of the batch, and shares follow speed until no zone
waits. What zones exchange is the same as with degrees alike.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from crosszone.core.cluster import Cluster, NodeGroup
from crosszone.core.layout import Layout
from crosszone.core.plan import OwnDegrees, Plan, Sync
from crosszone.core.problem import Objective, Problem
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.cost.sync import is_local
from crosszone.frameworks import runs_own_degrees, supports
from crosszone.planner.limits import simulated_objective
from crosszone.planner.ways import LOCAL_SGD, ways
from crosszone.timeline.fit import plan_memory
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.money import rents_per_second
from crosszone.timeline.predict import plan_step_seconds
from crosszone.timeline.rings import best_ring
from crosszone.timeline.steps import Steps
from crosszone.timeline.tabulate import tabulate
from crosszone.timeline.threats import idle_gpus
from crosszone.timeline.zone_agreement import fastest_algorithm

BestAlone = Callable[[Problem], Plan | None]
"""The best plan of a problem that leaves one zone; None where it has none."""
LEAST_GAIN_RATIO = 1.01
"""Degrees alike are simpler: what gains less is not worth it."""
MOST_ZONE_SETS = 2
"""Zones together that are tried: those of the best plans."""
MOST_ZONES = 8
"""Of such a set: each costs some scans of its own."""
MOST_ROUNDS = 4
"""Chosen: shares of the batch move by less than a portion after two or three."""
NUM_PORTIONS = 32
"""Parts of the batch, at least, in which zones share it while their degrees are open."""
COARSE = 8
"""Fine portions of a coarse one."""
MOST_TRIES = 3
"""To keep enough memory free for what ranks hold in order to agree, which smaller shard groups have more of."""
MOST_MOVES = 64
"""Of sequences from one zone to another once their degrees are found."""


def with_own_degrees(
    inputs: Inputs, ranked: Sequence[tuple[float, Plan]], best_alone: BestAlone
) -> list[tuple[float, Plan]]:
    """(objective, plan): what zones with degrees of their own gain over those of `ranked`.

    Nothing where frameworks, the job file or zones that are all alike leave no room for it. Zones that take local steps
    in `ranked` go first; others may have no degrees that all of them can have.
    """
    request = inputs.problem.plan
    names = [each.name for each in inputs.frameworks if runs_own_degrees(each.name)]
    if not names or request.dp is not None or request.idle_gpus is not None or not _may_be_local(inputs.problem):
        return []
    found: list[tuple[float, Plan]] = []
    for zones in _zone_sets(inputs.problem, ranked):
        least = min((value for value, plan in ranked if set(plan.zones) == set(zones)), default=math.inf)
        own = (one for name in names for one in _Zones.of(inputs, zones, name, best_alone).together())
        found += [(value, one) for value, one in own if value * LEAST_GAIN_RATIO < least]
    return found


def _zone_sets(problem: Problem, ranked: Sequence[tuple[float, Plan]]) -> list[tuple[str, ...]]:
    """Zones that may gain: those of the best plans that take local steps, then of the best others, then all of them."""
    local_first = sorted(ranked, key=lambda one: (not is_local(one[1].sync.method), one[0]))
    used = [plan.zones for _, plan in local_first]
    every = tuple(zone.name for zone in problem.cluster.zones if zone.name not in problem.constraints.exclude_zones)
    sets: dict[frozenset[str], tuple[str, ...]] = {}
    for zones in (*used, every) if ranked else ():
        if len(zones) <= MOST_ZONES and _are_unlike(problem, zones):
            sets.setdefault(frozenset(zones), zones)
    return list(sets.values())[:MOST_ZONE_SETS]


def _may_be_local(problem: Problem) -> bool:
    sync = problem.plan.sync
    return LOCAL_SGD in problem.constraints.allow if sync is None else is_local(sync.method)


def _are_unlike(problem: Problem, zones: Sequence[str]) -> bool:
    """The zones' nodes differ, so that what is best in each may, too."""
    kinds = [
        tuple((group.gpu.name, group.num_gpus, group.gpus_per_node) for group in problem.cluster.zone(zone).node_groups)
        for zone in zones
    ]
    return len(set(kinds)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zones:
    """Zones that train together by one framework, each in its own way."""

    inputs: Inputs
    names: tuple[str, ...]
    framework: str
    syncs: tuple[Sync, ...]
    """Ways to agree by local updates that are allowed, the gentlest first."""
    best_alone: BestAlone
    known: dict[tuple[str, int, float], Plan | None] = field(default_factory=dict)
    """Best plans by zone, sequences, and bytes of each GPU that are kept free."""
    known_apart: dict[tuple[float, ...], list[Plan] | None] = field(default_factory=dict)
    """What `_apart` found."""

    @classmethod
    def of(cls, inputs: Inputs, names: tuple[str, ...], framework: str, best_alone: BestAlone) -> "_Zones":
        """These zones, agreeing around the best ring of them."""
        index = [place for place, zone in enumerate(inputs.problem.cluster.zones) if zone.name in names]
        layout = Layout(chains=(), ring=best_ring(inputs.links, index), crosses_pp=False)
        tried = ways(inputs.problem, layout, algorithm=fastest_algorithm(inputs, layout))
        syncs = tuple(sync for sync in tried if is_local(sync.method))
        return cls(inputs=inputs, names=names, framework=framework, syncs=syncs, best_alone=best_alone)

    def together(self) -> Iterator[tuple[float, Plan]]:
        """(objective, plan) for every way to agree with which a plan fits."""
        for sync in self.syncs:
            plan = self._fitting(sync)
            value = math.inf if plan is None else _value(self.inputs, plan)
            if plan is not None and math.isfinite(value) and not supports(self.framework, plan):
                yield value, plan

    def _fitting(self, sync: Sync) -> Plan | None:
        """The zones' plans as one. What ranks keep in order to agree is known, and kept free, once there is a plan."""
        kept_free = (0.0,) * len(self.names)
        for _ in range(MOST_TRIES):
            if kept_free not in self.known_apart:
                self.known_apart[kept_free] = self._apart(kept_free)
            parts = self.known_apart[kept_free]
            if parts is None:
                return None
            plan = _joined(self.inputs.problem, parts, sync)
            memory = plan_memory(self.inputs, plan)
            if memory.verdict == "fits":
                return plan
            alone = [plan_memory(self.inputs, part).peak_bytes for part in parts]
            peaks = [max(each.total_bytes for each in memory.stages if each.zone == name) for name in self.names]
            more = ((peak - before) / TIGHT_FRACTION for peak, before in zip(peaks, alone, strict=True))
            kept_free = tuple(map(max, kept_free, more))
        return None

    def _apart(self, kept_free: tuple[float, ...]) -> list[Plan] | None:
        """A plan for each zone and its share of the batch; None where a zone alone has none."""
        batch = self.inputs.problem.workload.global_batch_size
        fine = math.gcd(batch, 1 << max(batch // NUM_PORTIONS, 1).bit_length() - 1)
        coarse = math.gcd(batch, COARSE * fine)  # larger microbatches divide it
        found = [self._shared(kept_free, portion) for portion in dict.fromkeys((fine, coarse))]
        levelled = [self._levelled(parts) for parts in found if parts is not None]
        return min(levelled, key=self._slowest_seconds, default=None)

    def _shared(self, kept_free: tuple[float, ...], portion: int) -> list[Plan] | None:
        """A plan for each zone, the batch shared by speed in whole portions; None where there are too few of either."""
        batch = self.inputs.problem.workload.global_batch_size
        if batch // portion < len(self.names):
            return None
        shares = _portions([self._peak(name) for name in self.names], batch, portion)
        best: tuple[float, list[Plan]] | None = None
        for _ in range(MOST_ROUNDS):
            parts = [self._alone(*each) for each in zip(self.names, shares, kept_free, strict=True)]
            plans = [part for part in parts if part is not None]
            if len(plans) < len(parts):
                break
            seconds = [plan_step_seconds(self.inputs, plan) for plan in plans]
            if best is None or max(seconds) < best[0]:
                best = max(seconds), plans
            speeds = [share / second for share, second in zip(shares, seconds, strict=True)]
            before, shares = shares, _portions(speeds, batch, portion)
            if shares == before:
                break
        return None if best is None else best[1]

    def _slowest_seconds(self, parts: list[Plan]) -> float:
        return max(plan_step_seconds(self.inputs, part) for part in parts)

    def _alone(self, name: str, num_sequences: int, kept_free_bytes: float) -> Plan | None:
        """The best plan of one zone for so many sequences a step."""
        key = name, num_sequences, kept_free_bytes
        if key not in self.known:
            problem = self.inputs.problem
            others = tuple(zone.name for zone in problem.cluster.zones if zone.name != name)
            self.known[key] = self.best_alone(
                replace(
                    problem,
                    cluster=_with_less_memory(problem.cluster, kept_free_bytes),
                    workload=replace(problem.workload, global_batch_size=num_sequences),
                    objective=Objective(),
                    constraints=replace(problem.constraints, exclude_zones=others, allow=(), max_egress_dollars=None),
                    framework=self.framework,
                    plan=replace(problem.plan, sync=None, is_sync_method_open=False),
                )
            )
        return self.known[key]

    def _levelled(self, parts: list[Plan]) -> list[Plan]:
        """The same, sequences moved from the slowest zone to others as long as the slowest gains by it."""
        seconds = [plan_step_seconds(self.inputs, part) for part in parts]
        for _ in range(MOST_MOVES):
            slow = max(range(len(parts)), key=seconds.__getitem__)
            for fast in sorted(set(range(len(parts))) - {slow}, key=seconds.__getitem__):
                moved = _moved(parts[slow], parts[fast])
                times = [plan_step_seconds(self.inputs, part) for part in moved]
                if moved and max(times) < seconds[slow]:
                    (parts[slow], parts[fast]), (seconds[slow], seconds[fast]) = moved, times
                    break
            else:
                break
        return parts

    def _peak(self, name: str) -> float:
        """FLOP per second of all GPUs of a zone."""
        precision = self.inputs.problem.workload.dtypes.compute
        groups = self.inputs.problem.cluster.zone(name).node_groups
        return sum(group.num_gpus * (group.gpu.peak(precision) or group.gpu.vector_flop_per_second) for group in groups)


def _with_less_memory(cluster: Cluster, num_bytes: float) -> Cluster:
    """The same with GPUs of which so much is kept free."""

    def less(group: NodeGroup) -> NodeGroup:
        return replace(group, gpu=replace(group.gpu, memory_bytes=max(group.gpu.memory_bytes - num_bytes, 0.0)))

    if not num_bytes:
        return cluster
    zones = (replace(zone, node_groups=tuple(map(less, zone.node_groups))) for zone in cluster.zones)
    return replace(cluster, zones=tuple(zones))


def _portions(speeds: Sequence[float], batch: int, portion: int) -> list[int]:
    """The batch shared by speed in whole portions, each zone at least one; the largest remainders are rounded up."""
    count, total = batch // portion, sum(speeds)
    wanted = [speed / total * count for speed in speeds]
    shares = [max(int(share), 1) for share in wanted]
    while sum(shares) != count:
        more = 1 if sum(shares) < count else -1
        able = [index for index, share in enumerate(shares) if share + more >= 1]
        shares[max(able, key=lambda index: more * (wanted[index] - shares[index]))] += more
    return [share * portion for share in shares]


def _moved(giver: Plan, taker: Plan) -> tuple[Plan, ...]:
    """Both with as few sequences moved as both can move; empty where they cannot."""
    units = _unit(giver), _unit(taker)
    if None in units:
        return ()
    step = math.lcm(*(unit for unit in units if unit is not None))
    both = _with_sequences(giver, giver.num_sequences - step), _with_sequences(taker, taker.num_sequences + step)
    return tuple(part for part in both if part is not None) if None not in both else ()


def _unit(plan: Plan) -> int | None:
    """Sequences that one shard group works off at once; None where replicas are placed in several ways."""
    is_one = len({(replica.zones, replica.node_groups) for replica in plan.replicas}) == 1
    return plan.dp_shard * plan.microbatch_size if is_one else None


def _with_sequences(plan: Plan, num_sequences: int) -> Plan | None:
    """The plan of one zone with its batch shared out over its shard groups as evenly as it goes."""
    num_groups, unit = plan.dp // plan.dp_shard, plan.dp_shard * plan.microbatch_size
    least, busier = divmod(num_sequences // unit, num_groups)
    if num_sequences % unit or least < 1:
        return None
    pairs = ((busier * plan.dp_shard, least + 1), ((num_groups - busier) * plan.dp_shard, least))
    return replace(
        plan,
        replicas=tuple(
            replace(
                plan.replicas[0],
                num_replicas=count,
                num_microbatches=each,
                weight=count * each * plan.microbatch_size / num_sequences,
            )
            for count, each in pairs
            if count
        ),
    )


def _joined(problem: Problem, parts: Sequence[Plan], sync: Sync) -> Plan:
    """One plan of zones that each do as their part says; the plan's own degrees are those of the largest share."""
    lead = max(parts, key=lambda part: part.num_sequences)
    alike, dp = _degrees(lead), sum(part.dp for part in parts)
    batch = problem.workload.global_batch_size
    replicas = tuple(
        replace(
            replica, own=None if _degrees(part) == alike else _degrees(part), weight=part.sequences_of(replica) / batch
        )
        for part in parts
        for replica in part.replicas
    )
    plan = replace(
        lead,
        dp=dp,
        sync=sync,
        stages=tuple(replace(stage, zone=None, node_group=None, dp=dp) for stage in lead.stages),
        replicas=replicas,
    )
    return replace(plan, idle_gpus=idle_gpus(problem.cluster, plan))


def _degrees(part: Plan) -> OwnDegrees:
    return part.degrees_of(part.replicas[0])


def _value(inputs: Inputs, plan: Plan) -> float:
    """The objective of one plan, simulated."""
    tables = tabulate(inputs, plan)
    steps = Steps.of(inputs, tables, keyed(inputs, tables.keyed_plans))
    working, idle = rents_per_second(inputs.problem, plan)
    return simulated_objective(
        inputs, tables.layouts[0], plan, steps.seconds(inputs, 0),
        rent_dollars_per_second=math.nan if working is None or idle is None else working + idle,
        egress_dollars=float(steps.evaluation.egress_dollars[0]),
    )  # fmt: skip
