"""Replicas of a zone that hold the same stage agree with each other, whichever of its pools they lie in."""

from dataclasses import dataclass, fields

import numpy as np

from crosszone.core.tables import Bools, Floats, Ints, offsets
from crosszone.cost.collectives import Path
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables

NUM_DECIMALS = 9
"""Of ranks per domain, which are whole where pools are alike: the logarithm that follows rounds up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneGroups:
    """Pairs of stage rows: `member` holds stages of `row` in the same plan and zone, itself among them.

    Rows that no pair names are alone with theirs in a zone.
    """

    row: Ints
    """Sorted."""
    member: Ints
    stages_fraction: Floats
    """Of the row's stages: how many the member holds."""

    @property
    def is_empty(self) -> bool:
        """Every row is alone."""
        return len(self.row) == 0

    def are_several(self, size: int) -> Bools:
        """Which of `size` stage rows are not alone."""
        found = np.zeros(size, dtype=np.bool_)
        found[self.row] = True
        return found

    def total(self, values: Floats) -> Floats:
        """One value per stage row, summed over its group; the mean over its stages where they differ."""
        return values if self.is_empty else self._reduced(np.add, values, values[self.member] * self.stages_fraction)

    def least(self, values: Floats) -> Floats:
        """Smallest value of each row's group."""
        return values if self.is_empty else self._reduced(np.minimum, values, values[self.member])

    def most(self, values: Floats) -> Floats:
        """Largest value of each row's group."""
        return values if self.is_empty else self._reduced(np.maximum, values, values[self.member])

    def _reduced(self, function: np.ufunc, values: Floats, of_pairs: Floats) -> Floats:
        starts = np.flatnonzero(np.concatenate([[True], self.row[1:] != self.row[:-1]]))
        found = values.astype(of_pairs.dtype)
        found[self.row[starts]] = function.reduceat(of_pairs, starts)
        return found


def zone_groups(inputs: Inputs, tables: Tables) -> ZoneGroups:
    """The groups of all rows of `tables`."""
    zone, stages = inputs.hardware.zone, tables.stages
    several = np.array([_has_several(zone, layout.chains) for layout in tables.layouts])
    none = np.zeros(0, dtype=np.int64)
    if len(tables.replicas) == len(tables.plans) or not several.any():
        return ZoneGroups(row=none, member=none, stages_fraction=none.astype(float))
    plan = tables.replicas.plan[stages.replica]
    rows = np.flatnonzero(several[tables.plans.layout[plan]])
    place = plan[rows] * (int(zone.max()) + 1) + zone[stages.pool[rows]]
    order = np.argsort(place, kind="stable")
    left, right = _pairs(place[order])
    row, member = rows[order[left]], rows[order[right]]
    end = stages.stage + stages.num_stages
    shared = np.minimum(end[row], end[member]) - np.maximum(stages.stage[row], stages.stage[member])
    num_members = np.bincount(row[shared > 0], minlength=len(plan))
    keep = np.flatnonzero((shared > 0) & (num_members[row] > 1))
    keep = keep[np.argsort(row[keep], kind="stable")]
    return ZoneGroups(
        row=row[keep], member=member[keep], stages_fraction=shared[keep] / stages.num_stages[row[keep]].astype(float)
    )


def _has_several(zone: Ints, chains: tuple[tuple[int, ...], ...]) -> bool:
    """Two chains pass through one zone."""
    passed = [int(each) for chain in chains for each in {int(zone[pool]) for pool in chain}]
    return len(passed) > len(set(passed))


def _pairs(place: Ints) -> tuple[Ints, Ints]:
    """Indices of all ordered pairs of equal values of the sorted `place`, an index with itself among them."""
    if not len(place):
        return place, place
    starts = offsets(place, 1)
    sizes = np.diff(np.append(starts, len(place)))
    own_size, own_start = np.repeat(sizes, sizes), np.repeat(starts, sizes)
    left = np.repeat(np.arange(len(place)), own_size)
    within = np.arange(len(left)) - np.repeat(np.cumsum(own_size) - own_size, own_size)
    return left, np.repeat(own_start, own_size) + within


def group_path(inputs: Inputs, pool: Ints) -> Path:
    """Path of a group whose ranks lie in these pools."""
    hardware = inputs.hardware
    return Path(
        fabric_bytes_per_second=hardware.fabric_bytes_per_second[pool],
        network_bytes_per_second=hardware.network_bytes_per_second[pool],
        fabric_latency_seconds=hardware.collective_latency_seconds[pool],
        network_latency_seconds=hardware.network_latency_seconds[pool],
    )


def zone_path(path: Path, groups: ZoneGroups, ranks: Floats, per_domain: Floats) -> tuple[Floats, Path]:
    """(ranks per domain, path) of collectives of a zone's groups; one value per stage row, as are the arguments.

    `path`, `ranks` and `per_domain` are of each row's own pool. Rings over all rails pass through every domain, so that
    the slowest port and the domain that carries least over its r network shares bind all; q domains add up over pools:
        r' = n / sum(n_p / r_p),  network' = min(r_p network_p) / r',  fabric' = min(fabric_p)
    """
    if groups.is_empty:
        return per_domain, path
    own = np.clip(np.minimum(per_domain, ranks), 1.0, None)
    inside = np.round(groups.total(ranks) / groups.total(ranks / own), NUM_DECIMALS)
    fabric = np.where(own > 1.0, path.fabric_bytes_per_second, np.inf)  # ranks alone in a domain do not use it
    joint = Path(
        fabric_bytes_per_second=groups.least(fabric),
        network_bytes_per_second=groups.least(own * path.network_bytes_per_second) / inside,
        fabric_latency_seconds=groups.most(np.asarray(path.fabric_latency_seconds)),
        network_latency_seconds=groups.most(np.asarray(path.network_latency_seconds)),
    )
    several = groups.are_several(len(ranks))
    return np.where(several, inside, per_domain), where_path(several, joint, path)


def where_path(condition: Bools, path: Path, other: Path) -> Path:
    """Of each row: `path` where the condition holds, else `other`."""
    names = [field.name for field in fields(Path)]
    return Path(**{name: np.where(condition, getattr(path, name), getattr(other, name)) for name in names})
