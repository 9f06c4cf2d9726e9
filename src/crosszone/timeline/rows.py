"""Candidates as three tables that belong together, and reductions from child to parent."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crosszone.core.layout import Layout
from crosszone.core.plan import Sync
from crosszone.core.tables import Bools, Floats, Ints, PlanTable, ReplicaTable, Segments, StageTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all plans of the tables have alike; fields as in `core.plan.Plan`."""

    sync: Sync = field(default_factory=Sync)
    bucket_bytes: float | None = None
    prefetch: int | None = None
    overlap_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Plans, their replica groups, their stages. Child rows are sorted by parent."""

    layouts: tuple[Layout, ...]
    plans: PlanTable
    replicas: ReplicaTable
    stages: StageTable
    settings: Settings = field(default_factory=Settings)
    own: PlanTable | None = None
    """What each replica group does where groups have degrees of their own; None: all do as their plan says."""
    _known: dict[str, Segments] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Rows of parents, as they are asked for."""

    def take(self, keep: Bools) -> "Tables":
        """The plans where `keep` holds, with their rows, renumbered."""
        replica_keep = keep[self.replicas.plan]
        stage_keep = replica_keep[self.stages.replica]
        replicas, stages = self.replicas.take(replica_keep), self.stages.take(stage_keep)
        new_plan, new_replica = np.cumsum(keep) - 1, np.cumsum(replica_keep) - 1
        return Tables(
            layouts=self.layouts,
            plans=self.plans.take(keep),
            replicas=replace(replicas, plan=new_plan[replicas.plan]),
            stages=replace(stages, replica=new_replica[stages.replica]),
            settings=self.settings,
            own=None if self.own is None else self.own.take(replica_keep),
        )

    def rows(self, start: int, stop: int) -> "Tables":
        """The plans `start` to `stop` - 1 with their rows, renumbered; cheaper than `take`."""
        replicas = slice(*np.searchsorted(self.replicas.plan, [start, stop]))
        stages = slice(*np.searchsorted(self.stages.replica, [replicas.start, replicas.stop]))
        replica, stage = self.replicas.take(replicas), self.stages.take(stages)
        return Tables(
            layouts=self.layouts,
            plans=self.plans.take(slice(start, stop)),
            replicas=replace(replica, plan=replica.plan - start),
            stages=replace(stage, replica=stage.replica - replicas.start),
            settings=self.settings,
            own=None if self.own is None else self.own.take(replicas),
        )

    @property
    def keyed_plans(self) -> PlanTable:
        """What the costs of layers depend on: a row per plan, or per replica group where those differ."""
        return self.plans if self.own is None else self.own

    def keyed_rows(self) -> Ints:
        """The row of `keyed_plans` of each replica group."""
        return self.replicas.plan if self.own is None else np.arange(len(self.replicas))

    def replica_plans(self) -> PlanTable:
        """The plan of each replica group, with the degrees that are its own."""
        if self.own is not None:
            return self.own
        return self.plans if len(self.plans) == len(self.replicas) else self.plans.take(self.replicas.plan)

    def per_replica(self, function: np.ufunc, values: Floats) -> Floats:
        """Values of stage rows, reduced to replica groups by `np.add` or `np.maximum`."""
        if len(values) == len(self.replicas):
            return values
        return self._of_replicas().reduced(function, values)

    def per_plan(self, function: np.ufunc, values: Floats) -> Floats:
        """Values of replica groups, reduced to plans."""
        if len(values) == len(self.plans):
            return values
        return self._of_plans().reduced(function, values)

    def most(self, values: Floats) -> Floats:
        """Largest value of each plan's stage rows."""
        return self.per_plan(np.maximum, self.per_replica(np.maximum, values))

    def total(self, values: Floats) -> Floats:
        """Sum over each plan's stage rows."""
        return self.per_plan(np.add, self.per_replica(np.add, values))

    def first_stages(self) -> NDArray[np.intp]:
        """First stage row of each replica group."""
        return self._of_replicas().starts

    def _of_replicas(self) -> Segments:
        return self._segments("replica", self.stages.replica, len(self.replicas))

    def _of_plans(self) -> Segments:
        return self._segments("plan", self.replicas.plan, len(self.plans))

    def _segments(self, name: str, parents: Ints, num_parents: int) -> Segments:
        if name not in self._known:
            self._known[name] = Segments.of(parents, num_parents)
        return self._known[name]
