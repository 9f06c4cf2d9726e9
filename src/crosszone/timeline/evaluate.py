"""The full cost model over a table of plans: seconds, memory, traffic and dollars, one value per plan."""

from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import SCHEDULES
from crosszone.core.tables import Bools, Floats, Ints, PlanTable, ReplicaTable, StageTable, offsets
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import num_parameters
from crosszone.cost.pipeline import period_seconds, pipeline_seconds
from crosszone.timeline.agreement import PoolAgreement, ZoneAgreement, pool_agreement, zone_agreement
from crosszone.timeline.boundaries import BoundaryColumns, boundary_columns
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import KeyCosts, key_costs
from crosszone.timeline.stages import StageColumns, optimizer_seconds, stage_columns

GPIPE = SCHEDULES.index("gpipe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Candidates: plans, their replica groups, their stages. Child rows are sorted by parent."""

    layouts: tuple[Layout, ...]
    plans: PlanTable
    replicas: ReplicaTable
    stages: StageTable

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
        )


def with_framework(tables: Tables, framework: int) -> Tables:
    """The same plans for the framework with this index."""
    code = np.full(len(tables.plans), framework)
    return replace(tables, plans=replace(tables.plans, framework=code))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the cost model says of each table's rows."""

    step_seconds: Floats
    """Per plan: pipeline + exposed agreement + optimizer."""
    pipeline_seconds: Floats
    """Per plan: of its slowest chain, by the closed form."""
    pool_exposed_seconds: Floats
    zone_exposed_seconds: Floats
    optimizer_seconds: Floats
    margin_bytes: Floats
    """Per plan: memory left on the fullest rank; negative where it does not fit."""
    egress_dollars: Floats
    """Per plan and step; NaN where a price is unknown."""
    gpu_dollars_per_second: Floats
    """Per plan, working GPUs only; NaN where a price is unknown."""
    costs: KeyCosts
    key: Ints
    stage: StageColumns
    boundary: BoundaryColumns
    pool_agreement: PoolAgreement
    zone_agreement: ZoneAgreement

    @property
    def fits(self) -> Bools:
        """Per plan: every rank has room."""
        return self.margin_bytes >= 0.0


def evaluate(inputs: Inputs, tables: Tables) -> Evaluation:
    """Evaluate every row of `tables`."""
    plans, replicas, stages = tables.plans, tables.replicas, tables.stages
    plan_of_stage = replicas.plan[stages.replica]
    costs, key = key_costs(inputs, plans, stages, plan_of_stage)
    stage = stage_columns(inputs, plans, replicas, stages, costs, key)
    boundary = boundary_columns(inputs, plans, replicas, stages)
    pool = pool_agreement(inputs, plans, replicas, stages, stage)
    per_plan = _Reduce(tables=tables)
    zone = _zone_agreement(inputs, tables)
    pipeline = per_plan.max_over_replicas(_pipeline(tables, stage, boundary))
    pool_exposed = per_plan.max_over_stages(exposed_agreement(inputs, tables, stage, pool))
    zone_exposed = _zone_exposed(inputs, tables, per_plan, stage, pool, zone)
    update = per_plan.max_over_stages(optimizer_seconds(inputs, plans.take(plan_of_stage), stage, stages.pool))
    return Evaluation(
        step_seconds=pipeline + pool_exposed + zone_exposed + update,
        pipeline_seconds=pipeline,
        pool_exposed_seconds=pool_exposed,
        zone_exposed_seconds=zone_exposed,
        optimizer_seconds=update,
        margin_bytes=-per_plan.max_over_stages(stage.total_bytes - inputs.hardware.memory_bytes[stages.pool]),
        egress_dollars=zone.egress_dollars + _boundary_dollars(inputs, tables, per_plan, boundary),
        gpu_dollars_per_second=per_plan.sum_over_stages(_gpus(tables) * inputs.hardware.dollars_per_gpu_second[stages.pool]),
        costs=costs,
        key=key,
        stage=stage,
        boundary=boundary,
        pool_agreement=pool,
        zone_agreement=zone,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reduce:
    """Reductions from stages to replica groups to plans."""

    tables: Tables

    def per_replica(self, function: np.ufunc, values: Floats) -> Floats:
        starts = offsets(self.tables.stages.replica, len(self.tables.replicas))
        return np.asarray(function.reduceat(values, starts))

    def max_over_replicas(self, values: Floats) -> Floats:
        return np.asarray(np.maximum.reduceat(values, offsets(self.tables.replicas.plan, len(self.tables.plans))))

    def max_over_stages(self, values: Floats) -> Floats:
        return self.max_over_replicas(self.per_replica(np.maximum, values))

    def sum_over_stages(self, values: Floats) -> Floats:
        per_replica = self.per_replica(np.add, values)
        return np.asarray(np.add.reduceat(per_replica, offsets(self.tables.replicas.plan, len(self.tables.plans))))


def _pipeline(tables: Tables, stage: StageColumns, boundary: BoundaryColumns) -> Floats:
    """Seconds of each replica group's pipeline."""
    plans, replicas, stages = tables.plans.take(tables.replicas.plan), tables.replicas, tables.stages
    reduce = _Reduce(tables=tables)
    inner = (stages.num_stages - 1) * boundary.inner_seconds
    slowest = np.maximum(np.where(stages.num_stages > 1, boundary.inner_seconds, 0.0), boundary.outer_seconds)
    busiest = reduce.per_replica(np.maximum, stage.forward_seconds + stage.backward_seconds)
    period = period_seconds(
        busiest_stage_seconds=busiest,
        slowest_boundary_seconds=np.where(plans.schedule == GPIPE, 0.0, reduce.per_replica(np.maximum, slowest)),
        transfer_seconds=reduce.per_replica(np.maximum, boundary.outer_transfer_seconds),
        num_virtual_stages=plans.num_virtual_stages,
    )
    return pipeline_seconds(
        num_microbatches=replicas.num_microbatches,
        num_virtual_stages=plans.num_virtual_stages,
        sum_stage_seconds=reduce.per_replica(np.add, stage.mean_seconds * stages.num_stages),
        busiest_stage_seconds=busiest,
        period=period,
        sum_boundary_seconds=reduce.per_replica(np.add, inner + boundary.outer_seconds),
    )


def exposed_agreement(inputs: Inputs, tables: Tables, stage: StageColumns, pool: PoolAgreement) -> Floats:
    """Per stage row: what of the pool's agreement is not hidden.

    Buckets are reduced while the last microbatch's backward runs, all but the last one; weights are gathered while the
    next forward runs. Stages further back start their agreement earlier, by the backwards that are still to come.
    """
    plans = tables.plans.take(tables.replicas.plan[tables.stages.replica])
    reduces = _facts(inputs, plans, "overlaps_gradient_reduce")
    gathers = _facts(inputs, plans, "overlaps_weight_gather")
    head_start = tables.stages.stage * stage.backward_seconds / plans.num_virtual_stages
    hidden_reduce = head_start + reduces * stage.backward_seconds
    left_over = np.where(tables.stages.stage > 0, 0.0, pool.reduce_seconds / pool.num_buckets)
    reduce = np.maximum(pool.reduce_seconds - hidden_reduce, left_over)
    gather = np.maximum(pool.gather_seconds - gathers * stage.forward_seconds, 0.0)
    return reduce + gather


def _facts(inputs: Inputs, plans: PlanTable, name: str) -> Floats:
    return np.array([getattr(framework, name) for framework in inputs.frameworks], dtype=float)[plans.framework]


def _zone_agreement(inputs: Inputs, tables: Tables) -> ZoneAgreement:
    """Zones exchange one copy of the whole model's gradient, however its parts are spread inside them."""
    sizes = state_bytes(inputs.problem.workload, weights_are_master=False)
    parameters = float(num_parameters(inputs.problem.model))
    return zone_agreement(
        inputs,
        tables.layouts,
        tables.plans,
        tables.replicas,
        gradient_bytes=parameters * sizes.gradient,
        weight_bytes=parameters * sizes.gathered_weight,
    )


def _zone_exposed(
    inputs: Inputs, tables: Tables, per_plan: _Reduce, stage: StageColumns, pool: PoolAgreement, zone: ZoneAgreement
) -> Floats:
    """What of the exchange between zones is not hidden.

    Each stage sends as soon as its gradients are there, so that all backwards of the drain hide it, but for the first
    stage's where the framework reduces only after the backward. The last bucket is never hidden.
    """
    plans = tables.plans
    drain = per_plan.per_replica(np.add, stage.backward_seconds * tables.stages.num_stages)
    drain = np.minimum.reduceat(drain, offsets(tables.replicas.plan, len(plans))) / plans.num_virtual_stages
    overlaps = _facts(inputs, plans, "overlaps_gradient_reduce")
    window = drain * np.where(overlaps > 0, 1.0, (plans.pp - 1) / plans.pp)
    last = zone.seconds / (per_plan.max_over_stages(pool.num_buckets) * plans.pp)
    return np.where(zone.seconds > 0, np.maximum(zone.seconds - window, last), 0.0)


def _boundary_dollars(inputs: Inputs, tables: Tables, per_plan: _Reduce, boundary: BoundaryColumns) -> Floats:
    """Egress of stage boundaries per step: each microbatch crosses forward and backward."""
    stages, replicas = tables.stages, tables.replicas
    if not boundary.crosses.any():
        return np.zeros(len(tables.plans))
    zone = inputs.hardware.zone
    prices = np.array(
        [[_price(link) if link else 0.0 for link in row] for row in inputs.links], dtype=float
    )
    both_ways = prices + prices.T
    per_byte = both_ways[zone[stages.pool], zone[boundary.next_pool]]
    sent = boundary.message_bytes * replicas.num_replicas[stages.replica] * replicas.num_microbatches[stages.replica]
    return per_plan.sum_over_stages(np.where(boundary.crosses, sent * per_byte, 0.0))


def _price(link: object) -> float:
    price = getattr(link, "egress_dollars_per_byte", None)
    return float("nan") if price is None else float(price)


def _gpus(tables: Tables) -> Ints:
    """GPUs of each stage row: all stages of the run, all replicas of the group."""
    plans, replica = tables.plans.take(tables.replicas.plan[tables.stages.replica]), tables.stages.replica
    return plans.tp * plans.cp * tables.replicas.num_replicas[replica] * tables.stages.num_stages

