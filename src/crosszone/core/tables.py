"""Candidates as columns: one row per plan, per group of like replicas, per kind of stage.

Rows of a child table are sorted by their parent, so that a reduction is one `ufunc.reduceat`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Numeric = float | NDArray[np.float64] | NDArray[np.int64]
"""One number, or one per row: cost functions take either and broadcast."""


class Columns:
    """What all tables share: a length, selection of rows, stacking. Their columns are their slots."""

    __slots__: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(getattr(self, self.__slots__[0]))

    def take(self, rows: NDArray[np.intp] | Bools | slice) -> Self:
        """The rows with these indices, or where the mask holds."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.__slots__})

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
    is_uneven: Bools
    """Stages hold different numbers of layers."""
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
    has_embedding: Bools
    has_head: Bools


def floats(*values: Numeric) -> tuple[Floats, ...]:
    """Each value as an array of floats."""
    return tuple(np.asarray(value, dtype=float) for value in values)


def offsets(parents: Ints, num_parents: int) -> NDArray[np.intp]:
    """First row of each parent in a child table whose column `parents` is sorted and names every parent."""
    assert num_parents <= len(parents)
    return np.flatnonzero(np.concatenate([[True], parents[1:] != parents[:-1]])[: len(parents)])
