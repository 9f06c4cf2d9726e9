"""Candidates as columns: one row per plan, per group of like replicas, per kind of stage.

Rows of a child table are sorted by their parent, so that a reduction needs no more than where each parent begins.
"""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Value = TypeVar("Value", np.int64, np.bool_)
Numeric = float | NDArray[np.float64] | NDArray[np.int64]
"""One number, or one per row: cost functions take either and broadcast."""


class Columns:
    """What all tables share: a length, selection of rows, stacking. Their columns are their slots."""

    __slots__: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(getattr(self, self.__slots__[0]))

    def take(self, rows: NDArray[np.intp] | Bools | slice) -> Self:
        """The rows with these indices, or where the mask holds."""
        if isinstance(rows, slice) or rows.dtype == np.bool_:
            return type(self)(**{name: getattr(self, name)[rows] for name in self.__slots__})
        return type(self)(**{name: getattr(self, name).take(rows) for name in self.__slots__})

    @classmethod
    def stack(cls, tables: "list[Self]") -> Self:
        """All rows of `tables`, in order."""
        return cls(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTable(Columns):
    """One row per plan. Codes index the tuples of `core.plan`: SCHEDULES, RECOMPUTES, SHARDS."""

    layout: Ints
    """Index in the search's list of layouts."""
    framework: Ints
    """Index in the search's list of frameworks."""
    tp: Ints
    pp: Ints
    cp: Ints
    ep: Ints
    dp: Ints
    dp_shard: Ints
    num_virtual_stages: Ints
    microbatch_size: Ints
    schedule: Ints
    recompute: Ints
    shard: Ints
    sequence_parallel: Bools
    offloads_optimizer: Bools
    is_unequal: Bools
    """Replicas consume different numbers of microbatches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTable(Columns):
    """One row per plan and group of replicas that are placed alike."""

    plan: Ints
    num_replicas: Ints
    num_microbatches: Ints
    """Of one replica in one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTable(Columns):
    """One row per replica group and run of neighbouring stages that are alike; `num_stages` = 1 in the general form."""

    replica: Ints
    """Row in the ReplicaTable."""
    pool: Ints
    """Index in the cluster's node groups, zones in order."""
    stage: Ints
    """Index of the run's first stage."""
    num_stages: Ints
    first_layer: Ints
    run_layers: Ints
    """Layers of all stages of the run together."""
    num_layers: Ints
    """Layers of the fullest stage of the run."""
    recompute_layers: Ints
    """First layers of each virtual stage for which the plan's `recompute` is; `EVERY_LAYER` or more: all."""
    has_embedding: Bools
    has_head: Bools


EVERY_LAYER = 1 << 20
"""More layers than any stage has."""


def floats(*values: Numeric) -> tuple[Floats, ...]:
    """Each value as an array of floats."""
    return tuple(np.asarray(value, dtype=float) for value in values)


MOST_CHILDREN = 8
"""Child rows of a parent up to which extremes are taken one after the other: `ufunc.reduceat` is as fast beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Where the child rows of each parent lie."""

    starts: NDArray[np.intp]
    """First row of each parent."""
    nth: tuple[NDArray[np.intp], ...]
    """First row of each parent, second row, ..., its last one again where it has fewer; none where one has many."""

    @classmethod
    def of(cls, parents: Ints, num_parents: int) -> Self:
        """Of a child table whose column `parents` is sorted and names every parent."""
        starts = offsets(parents, num_parents)
        lasts = np.append(starts[1:], len(parents)) - 1
        most = int((lasts - starts).max(initial=-1)) + 1
        each = range(most if most <= MOST_CHILDREN else 0)
        return cls(starts=starts, nth=tuple(np.minimum(starts + place, lasts) for place in each))

    def reduced(self, function: np.ufunc, values: Floats) -> Floats:
        """One value per parent: of its child rows by `np.add`, `np.maximum` or `np.minimum`."""
        if function is np.add or not self.nth:
            return np.asarray(function.reduceat(values, self.starts))
        found = values.take(self.nth[0])
        for rows in self.nth[1:]:  # twenty times as fast as extremes by `reduceat`
            function(found, values.take(rows), out=found)
        return found


def unique(values: NDArray[Value]) -> NDArray[Value]:
    """Each value once, ascending. `numpy.unique` loads masked arrays for that: a hundredth of what a plan takes."""
    ordered = np.sort(values, axis=None)
    is_new = np.append(True, ordered[1:] != ordered[:-1])
    return ordered.compress(is_new[: len(ordered)])


def offsets(parents: Ints, num_parents: int) -> NDArray[np.intp]:
    """First row of each parent in a child table whose column `parents` is sorted and names every parent."""
    assert num_parents <= len(parents)
    return np.flatnonzero(np.concatenate([[True], parents[1:] != parents[:-1]])[: len(parents)])
