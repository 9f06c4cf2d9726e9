"""Plans in general form, timed at once and simulated one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from crosszone.core.tables import Floats, Numeric, PlanTable, ReplicaTable, StageTable
from crosszone.timeline.chain import chain_pipeline, chain_seconds
from crosszone.timeline.evaluate import Evaluation, evaluate, with_pipeline
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed
from crosszone.timeline.rows import Tables
from crosszone.timeline.simulate import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Tables with a row per stage, and what the cost model says of them."""

    tables: Tables
    evaluation: Evaluation

    @classmethod
    def of(cls, inputs: Inputs, tables: Tables, keys: Keyed) -> Self:
        """The steps of all plans of `tables`."""
        return cls(tables=tables, evaluation=evaluate(inputs, tables, keys))

    def seconds(self, inputs: Inputs, index: int, *, most_seconds: float = np.inf) -> float:
        """The simulated step of one plan; infinite once it is known to exceed `most_seconds`."""
        first, last = np.searchsorted(self.tables.replicas.plan, [index, index + 1]).tolist()
        # The longer the pipeline, the less of an exchange beside it is waited for.
        rest = float(self.rest_seconds(most_seconds)[index]) if np.isfinite(most_seconds) else 0.0
        groups, most = range(first, last), most_seconds - rest
        pipeline = chain_seconds(inputs, self.tables, self.evaluation, groups, most_seconds=most)
        return pipeline + float(self.rest_seconds(pipeline)[index])

    def pipelines(self, inputs: Inputs, index: int) -> list[Pipeline]:
        """Of one plan's replica groups, as they are simulated."""
        first, last = np.searchsorted(self.tables.replicas.plan, [index, index + 1]).tolist()
        return [chain_pipeline(inputs, self.tables, self.evaluation, group) for group in range(first, last)]

    def rest_seconds(self, pipeline_seconds: Numeric) -> Floats:
        """All of the steps but their pipelines, where these take so long; the sum of both grows with it."""
        found = with_pipeline(self.tables, self.evaluation, pipeline_seconds)
        agreement = found.pool_exposed_seconds + found.zone_exposed_seconds
        return agreement + found.late_seconds + found.tie_seconds + found.optimizer_seconds


def stacked(parts: Sequence[Tables]) -> Tables:
    """The plans of all `parts`, whose settings are the same, in order."""
    num_layouts = np.cumsum([0, *(len(part.layouts) for part in parts)]).tolist()
    num_plans = np.cumsum([0, *(len(part.plans) for part in parts)]).tolist()
    num_replicas = np.cumsum([0, *(len(part.replicas) for part in parts)]).tolist()
    has_own = any(part.own is not None for part in parts)
    return replace(
        parts[0],
        layouts=tuple(layout for part in parts for layout in part.layouts),
        plans=PlanTable.stack([
            replace(part.plans, layout=part.plans.layout + before)
            for part, before in zip(parts, num_layouts, strict=False)
        ]),
        replicas=ReplicaTable.stack([
            replace(part.replicas, plan=part.replicas.plan + before)
            for part, before in zip(parts, num_plans, strict=False)
        ]),
        stages=StageTable.stack([
            replace(part.stages, replica=part.stages.replica + before)
            for part, before in zip(parts, num_replicas, strict=False)
        ]),
        own=PlanTable.stack([part.replica_plans() for part in parts]) if has_own else None,
    )  # fmt: skip
