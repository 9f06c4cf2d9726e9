"""One plan with all that a timeline of its step is drawn from: costs, prediction, and every replica group played."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.framework import Framework
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.timeline.chain import chain_pipeline
from crosszone.timeline.evaluate import Evaluation, evaluate, memory
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.rows import Tables
from crosszone.timeline.simulate import Played, play
from crosszone.timeline.stage_memory import StageBytes
from crosszone.timeline.tabulate import tabulate
from crosszone.timeline.terms import BUBBLE, COMPUTE
from crosszone.trace.span import Track

IN_PIPELINE = frozenset(
    (*COMPUTE, *BUBBLE, "tensor_parallel", "context_parallel", "expert_parallel", "weight_gather", "pipeline_send",
     "zone_pipeline_send")
)  # fmt: skip
"""Terms that the pipeline takes; all others come after its last backward."""
ROUNDING = 1e-9
"""Relative difference between played and predicted time that arithmetic may leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Replicas that are placed alike; one of them is played."""

    replica: int
    """Row in the ReplicaTable."""
    num_replicas: int
    rows: tuple[int, ...]
    """Row in the StageTable of each stage."""
    tracks: tuple[Track, ...]
    """Track of each stage's work."""
    played: Played


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A step, ready to be drawn."""

    plan: Plan
    prediction: Prediction
    inputs: Inputs
    tables: Tables
    evaluation: Evaluation
    bytes: StageBytes
    groups: tuple[Group, ...]
    start_seconds: float
    """Of the first forward: what late messages cost is drawn before it, in one piece."""
    pipeline_end_seconds: float
    """Of the last backward of the slowest group."""

    def time(self, played_seconds: float) -> float:
        """Where on the timeline a moment of the pipeline lies."""
        return self.start_seconds + played_seconds

    def zone_name(self, row: int) -> str:
        """Zone of a stage row."""
        return self.inputs.pools[int(self.tables.stages.pool[row])].zone.name


def replay(problem: Problem, plan: Plan, framework: Framework) -> Replay:
    """Cost `plan`, predict it, and play every group of its replicas."""
    prepared = inputs(problem, (framework,))
    tables = tabulate(prepared, plan)
    keys = keyed(prepared, tables.keyed_plans)
    evaluation = evaluate(prepared, tables, keys)
    prediction = predict_plan(problem, plan, framework)
    groups = tuple(_group(prepared, tables, evaluation, replica) for replica in range(len(tables.replicas)))
    start = float(evaluation.late_seconds[0])
    end = prediction.step_seconds - sum(
        term.exposed_seconds for term in prediction.terms if term.name not in IN_PIPELINE
    )
    played_end = start + max(group.played.makespan_seconds for group in groups)
    assert abs(played_end - end) <= ROUNDING * end, "the step was played as it was predicted"
    return Replay(
        plan=plan,
        prediction=prediction,
        inputs=prepared,
        tables=tables,
        evaluation=evaluation,
        bytes=memory(prepared, tables, keys),
        groups=groups,
        start_seconds=start,
        pipeline_end_seconds=played_end,
    )


def _group(inputs: Inputs, tables: Tables, evaluation: Evaluation, replica: int) -> Group:
    rows = tuple(np.flatnonzero(tables.stages.replica == replica).tolist())
    pools = [inputs.pools[int(tables.stages.pool[row])] for row in rows]
    return Group(
        replica=replica,
        num_replicas=int(tables.replicas.num_replicas[replica]),
        rows=rows,
        tracks=tuple(
            Track(zone=pool.zone.name, stream="compute", node_group=pool.node_group_index, replica=replica, stage=stage)
            for stage, pool in enumerate(pools)
        ),
        played=play(chain_pipeline(inputs, tables, evaluation, replica)),
    )
