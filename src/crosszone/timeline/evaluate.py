"""The full cost model over a table of plans: seconds, memory, traffic and dollars, one value per plan."""

from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.cluster import ZoneLink
from crosszone.core.plan import SCHEDULES
from crosszone.core.tables import Floats, Numeric
from crosszone.cost.pipeline import period_seconds, pipeline_seconds, split_pipeline_seconds
from crosszone.cost.sync import sync_method
from crosszone.cost.sync.exchange import Exchange, SyncCost, stated
from crosszone.timeline.agreement import PoolAgreement, pool_agreement
from crosszone.timeline.boundaries import BoundaryColumns, boundary_columns
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed
from crosszone.timeline.late_receives import late_pipeline_seconds, posts_late
from crosszone.timeline.rows import Tables
from crosszone.timeline.stage_memory import StageBytes, stage_bytes
from crosszone.timeline.stages import (
    IS_SPLIT,
    StageSeconds,
    StageView,
    late_seconds,
    optimizer_seconds,
    stage_seconds,
    stage_view,
)
from crosszone.timeline.sync_choice import num_delay_steps, num_fragments
from crosszone.timeline.tie import TieColumns, tie_columns
from crosszone.timeline.zone_agreement import ZoneAgreement, zone_agreement

GPIPE = SCHEDULES.index("gpipe")
LATE = 1 << 30
"""A stage later than any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the cost model says of a table's plans; one value per plan unless said."""

    step_seconds: Floats
    """Pipeline + exposed agreement + optimizer."""
    pipeline_seconds: Floats
    """Of the slowest chain, by the closed form."""
    pool_exposed_seconds: Floats
    zone_exposed_seconds: Floats
    late_seconds: Floats
    """Ranks that late messages block."""
    tie_seconds: Floats
    """First and last stage adding their parts of a tied table's gradient."""
    optimizer_seconds: Floats
    egress_dollars: Floats
    """Per step; NaN where a price is unknown."""
    view: StageView
    """Per stage row, as are the next three."""
    seconds: StageSeconds
    boundary: BoundaryColumns
    pool_agreement: PoolAgreement
    zone_agreement: ZoneAgreement
    """One exchange."""
    sync: SyncCost
    """The same per mean inner step."""
    tie: TieColumns
    """Per replica group."""


def evaluate(inputs: Inputs, tables: Tables, keys: Keyed) -> Evaluation:
    """Time every plan of `tables`."""
    view = stage_view(inputs, tables, keys)
    seconds = stage_seconds(view)
    boundary = boundary_columns(inputs, tables, view.plans)
    pool = pool_agreement(view)
    zone = zone_agreement(view, tables)
    pipeline = tables.per_plan(np.maximum, _pipeline(inputs, tables, seconds, boundary))
    pool_exposed = tables.most(exposed_agreement(view, seconds, pool))
    tie = tie_columns(view, tables)
    tied = tables.per_plan(np.maximum, tie.seconds)
    late, update = tables.most(late_seconds(view)), tables.most(optimizer_seconds(view))
    inside = pipeline + pool_exposed + late + tied + update
    sync = _sync_cost(view, tables, zone, _hidden_behind(view, tables, seconds, pool, zone), inside)
    return Evaluation(
        step_seconds=inside + sync.exposed_seconds,
        pipeline_seconds=pipeline,
        pool_exposed_seconds=pool_exposed,
        zone_exposed_seconds=sync.exposed_seconds,
        late_seconds=late,
        tie_seconds=tied,
        optimizer_seconds=update,
        egress_dollars=zone.egress_dollars / tables.settings.sync.every
        + _boundary_dollars(inputs, tables, boundary)
        + _tie_dollars(inputs, tables, tie),
        view=view,
        seconds=seconds,
        boundary=boundary,
        pool_agreement=pool,
        zone_agreement=zone,
        sync=sync,
        tie=tie,
    )


def with_pipeline(tables: Tables, evaluation: Evaluation, pipeline_seconds: Numeric) -> Evaluation:
    """The same for pipelines that were simulated: exchanges that run beside whole steps have as long as it takes.

    Those of the mathematics of one cluster run beside the backward alone.
    """
    settings = tables.settings
    is_in_step = sync_method(settings.sync.method).ALLOWS is None and settings.overlap_fraction is None
    if is_in_step or not (evaluation.zone_agreement.seconds > 0.0).any():
        return evaluation
    own = evaluation
    inside = pipeline_seconds + own.pool_exposed_seconds + own.late_seconds + own.tie_seconds + own.optimizer_seconds
    hidden = _hidden_behind(own.view, tables, own.seconds, own.pool_agreement, own.zone_agreement)
    sync = _sync_cost(own.view, tables, own.zone_agreement, hidden, inside)
    return replace(own, zone_exposed_seconds=sync.exposed_seconds, sync=sync)


def memory(inputs: Inputs, tables: Tables, keys: Keyed) -> StageBytes:
    """Peak memory of every stage row."""
    return stage_bytes(stage_view(inputs, tables, keys))


def _pipeline(inputs: Inputs, tables: Tables, seconds: StageSeconds, boundary: BoundaryColumns) -> Floats:
    """Seconds of each replica group's pipeline."""
    is_late = posts_late(inputs, tables, boundary)
    if is_late.all():
        return late_pipeline_seconds(tables, seconds, boundary)
    early = _early_pipeline(tables, seconds, boundary)
    return np.where(is_late, late_pipeline_seconds(tables, seconds, boundary), early) if is_late.any() else early


def _early_pipeline(tables: Tables, seconds: StageSeconds, boundary: BoundaryColumns) -> Floats:
    """The same where messages travel while their receiver works."""
    plans, replicas, stages = tables.replica_plans(), tables.replicas, tables.stages
    inner = (stages.num_stages - 1) * boundary.inner_seconds
    slowest = np.maximum(np.where(stages.num_stages > 1, boundary.inner_seconds, 0.0), boundary.outer_seconds)
    busiest = tables.per_replica(np.maximum, seconds.forward + seconds.backward)
    crossing = tables.per_replica(np.add, inner + boundary.outer_seconds)
    wrap = tables.per_replica(np.add, boundary.wrap_seconds)
    worst = tables.per_replica(np.maximum, slowest)
    before = np.where(slowest == worst[stages.replica], stages.stage + stages.num_stages - 1, LATE)
    slowest_seconds = np.where(plans.schedule == GPIPE, 0.0, worst)
    transfer = tables.per_replica(np.maximum, boundary.transfer_seconds)
    slowest_boundary = tables.per_replica(np.minimum, before)
    period = period_seconds(
        busiest_stage_seconds=busiest,
        slowest_boundary_seconds=slowest_seconds,
        sum_boundary_seconds=crossing,
        wrap_seconds=wrap,
        transfer_seconds=transfer,
        num_virtual_stages=plans.num_virtual_stages,
        pp=plans.pp,
    )
    common = pipeline_seconds(
        num_microbatches=replicas.num_microbatches,
        num_virtual_stages=plans.num_virtual_stages,
        pp=plans.pp,
        sum_stage_seconds=tables.per_replica(np.add, seconds.mean * stages.num_stages),
        busiest_stage_seconds=busiest,
        period=period,
        slowest_boundary_seconds=slowest_seconds,
        sum_boundary_seconds=crossing,
        wrap_seconds=wrap,
        transfer_seconds=transfer,
        slowest_boundary=slowest_boundary,
    )
    is_split = IS_SPLIT[plans.schedule]
    if not is_split.any():
        return common
    forward, weight = (tables.per_replica(np.maximum, part) for part in (seconds.forward, seconds.weight))
    split = split_pipeline_seconds(
        schedule=plans.schedule,
        num_microbatches=replicas.num_microbatches,
        pp=plans.pp,
        busiest_stage_seconds=busiest,
        forward_seconds=forward,
        weight_seconds=weight,
        slowest_boundary_seconds=worst,
        sum_boundary_seconds=crossing,
        transfer_seconds=transfer,
        slowest_boundary=slowest_boundary,
    )
    return np.where(is_split, split, common)


def exposed_agreement(view: StageView, seconds: StageSeconds, pool: PoolAgreement) -> Floats:
    """Per stage row: what of the pool's agreement is not hidden.

    Buckets are reduced while the last microbatch's backward runs, all but the last one; weights are gathered while the
    next forward runs. Stages further back start their agreement earlier, by the backwards that are still to come.
    """
    if view.settings.overlap_fraction is not None:
        return (1.0 - view.settings.overlap_fraction) * (pool.reduce_seconds + pool.gather_seconds)
    return _exposed_reduce(view, seconds, pool) + exposed_gather(view, seconds, pool)


def exposed_gather(view: StageView, seconds: StageSeconds, pool: PoolAgreement) -> Floats:
    """The part of `exposed_agreement` that comes after the optimizer: gathering weights."""
    if view.settings.overlap_fraction is not None:
        return (1.0 - view.settings.overlap_fraction) * pool.gather_seconds
    return np.asarray(np.maximum(pool.gather_seconds - view.overlaps_weight_gather * seconds.forward, 0.0))


def _exposed_reduce(view: StageView, seconds: StageSeconds, pool: PoolAgreement) -> Floats:
    stage = view.stages.stage
    head_start = stage * seconds.backward / view.plans.num_virtual_stages
    hidden = head_start + view.overlaps_reduce * seconds.backward
    left_over = np.where(stage > 0, 0.0, pool.reduce_seconds / pool.num_buckets)
    return np.asarray(np.maximum(pool.reduce_seconds - hidden, left_over))


def _hidden_behind(
    view: StageView, tables: Tables, seconds: StageSeconds, pool: PoolAgreement, zone: ZoneAgreement
) -> tuple[Floats, Floats]:
    """(window, last): compute of the step that can hide its exchange between zones, and what nothing hides.

    Each stage sends as soon as its gradients are there, so that all backwards of the drain hide it, but for the first
    stage's where the framework reduces only after the backward. What already hides the reduction inside a pool, which
    comes first, hides nothing else. The last bucket is never hidden. Weights that are gathered across zones with every
    microbatch are prefetched one layer ahead: all compute may hide them.
    """
    if not (zone.seconds > 0.0).any():
        return np.zeros(len(tables.plans)), np.zeros(len(tables.plans))
    plans = tables.plans
    drain = tables.per_replica(np.add, seconds.backward * tables.stages.num_stages)
    drain = tables.per_plan(np.minimum, drain) / plans.num_virtual_stages
    taken = tables.most(pool.reduce_seconds) - tables.most(_exposed_reduce(view, seconds, pool))
    share = np.where(tables.most(view.overlaps_reduce) > 0.0, 1.0, (plans.pp - 1) / plans.pp)
    window = np.maximum(drain * share - taken, 0.0)
    last = (zone.transfer_seconds / plans.pp + zone.latency_seconds) / zone.num_calls
    busy = tables.per_replica(np.maximum, seconds.forward + seconds.backward) * tables.replicas.num_microbatches
    ahead = tables.most(view.overlaps_weight_gather) * tables.per_plan(np.minimum, busy)
    return np.where(zone.is_per_microbatch, ahead, window), last


def _sync_cost(
    view: StageView, tables: Tables, zone: ZoneAgreement, hidden_behind: tuple[Floats, Floats], compute_seconds: Floats
) -> SyncCost:
    """The exchange between zones per mean inner step, the way the plans agree; `compute_seconds` is all else."""
    sync, share = tables.settings.sync, tables.settings.overlap_fraction
    exchange = Exchange(
        transfer_seconds=zone.transfer_seconds,
        latency_seconds=zone.latency_seconds,
        codec_seconds=zone.codec_seconds,
        outer_seconds=zone.outer_seconds,
        link_bytes=zone.link_bytes,
        window_seconds=hidden_behind[0],
        last_seconds=hidden_behind[1],
        compute_seconds=compute_seconds,
        every=sync.every,
        num_fragments=num_fragments(sync, view.inputs.problem.model.num_layers),
        num_delay_steps=num_delay_steps(sync),
    )
    if share is not None:
        return stated(exchange, share)
    cost: SyncCost = sync_method(sync.method).cost(exchange)
    return cost


def _boundary_dollars(inputs: Inputs, tables: Tables, boundary: BoundaryColumns) -> Floats:
    """Egress of stage boundaries per step: each microbatch crosses forward and backward, once per virtual stage."""
    stages, replicas = tables.stages, tables.replicas
    if not boundary.crosses.any():
        return np.zeros(len(tables.plans))
    zone = inputs.hardware.zone
    per_byte = _both_ways_dollars(inputs)[zone[stages.pool], zone[boundary.next_pool]]
    times = replicas.num_replicas[stages.replica] * replicas.num_microbatches[stages.replica] * boundary.num_crossings
    return tables.total(np.where(boundary.crosses, boundary.message_bytes * times * per_byte, 0.0))


def _tie_dollars(inputs: Inputs, tables: Tables, tie: TieColumns) -> Floats:
    if not tie.crosses.any():
        return np.zeros(len(tables.plans))
    zone = inputs.hardware.zone
    per_byte = _both_ways_dollars(inputs)[zone[tie.first_pool], zone[tie.last_pool]]
    return tables.per_plan(np.add, np.where(tie.crosses, tie.link_bytes * per_byte, 0.0))


def _both_ways_dollars(inputs: Inputs) -> Floats:
    """[zone, zone]: price of a byte there and one back."""
    prices = np.array([[_price(link) for link in row] for row in inputs.links], dtype=float)
    return np.asarray(prices + prices.T)


def _price(link: ZoneLink | None) -> float:
    if link is None:
        return 0.0
    return np.nan if link.egress_dollars_per_byte is None else link.egress_dollars_per_byte
