"""Delay and load of the boundaries between pipeline stages."""

from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import traits
from crosszone.core.tables import Bools, Floats, Ints, PlanTable, unique
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.traffic import boundary_bytes
from crosszone.timeline.activation_codec import packed_activations
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.paths import Crossing, beside_others, crossing
from crosszone.timeline.rows import Tables

TURNS = np.array([traits(name).placement == "v" for name in SCHEDULES])
"""Schedules whose virtual stages turn round at the last rank: there is no way from it to the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of boundaries and wraps between zones, a value per row; 0, and queue -1, inside a zone."""

    latency_seconds: Floats
    transfer_seconds: Floats
    """Time that one message of every replica takes the link."""
    queue: Ints
    """Where messages wait for each other, as in `paths.queue_name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryColumns:
    """One value per row of a StageTable; "the boundary" is the one from the run's last stage to the next run.

    With virtual stages the last run of a chain goes on to the first: the wrap.
    """

    message_bytes: Floats
    """Of one microbatch of one replica, all tensor- and context-parallel ranks together; packed where it crosses."""
    inner_seconds: Floats
    """Delay of one boundary inside the run."""
    outer_seconds: Floats
    """Delay of the boundary, the mean of both ways; 0 at the end of the chain."""
    wrap_seconds: Floats
    """Delay of the wrap, in the last row of a chain; 0 elsewhere and without virtual stages."""
    one_transfer_seconds: Floats
    """Time that the zone link of the boundary or wrap is taken by one message of every replica; 0 inside a zone."""
    transfer_seconds: Floats
    """What all messages of one microbatch take of the queue that they wait in, the busier one of the two ways."""
    there: Way
    """Hidden states, from the run's last stage to the next run."""
    back: Way
    """Their gradients."""
    crosses: Bools
    """The boundary or wrap lies between zones."""
    num_crossings: Ints
    """Times that a microbatch passes the boundary or wrap forward: v, or v - 1 at the wrap."""
    next_pool: Ints
    """Pool on the other side; the own one where there is none."""


def boundary_columns(inputs: Inputs, tables: Tables, plans: PlanTable | None = None) -> BoundaryColumns:
    """All columns of the stage rows of `tables`; `plans` is the plan of each, where it is at hand."""
    stages, replicas = tables.stages, tables.replicas
    view = tables.plans.take(replicas.plan[stages.replica]) if plans is None else plans
    num_replicas = replicas.num_replicas[stages.replica]
    message = _message_bytes(inputs, view)
    is_last = np.append(stages.replica[1:] != stages.replica[:-1], True)
    starts = tables.first_stages()
    turns = TURNS[view.schedule]
    wraps = is_last & (view.num_virtual_stages > 1) & ~turns
    next_pool = np.where(is_last, stages.pool[starts][stages.replica], np.append(stages.pool[1:], 0))
    next_pool = np.where(is_last & ~wraps, stages.pool, next_pool)
    per_rank = message / (view.tp * view.cp)
    inner = _inside_seconds(inputs, view, num_replicas, stages.pool, per_rank)
    is_inside, delay = stages.pool == next_pool, inner
    if not is_inside.all():
        delay = np.where(is_inside, inner, _between_pools_seconds(inputs, stages.pool, next_pool, per_rank))
    zone = inputs.hardware.zone
    crosses = zone[stages.pool] != zone[next_pool]
    times = view.num_virtual_stages - is_last
    there = back = _nowhere(len(stages))
    if crosses.any():
        message, packing = packed_activations(inputs, tables, message, per_rank, crosses)
        flows, moved = num_replicas * view.cp * view.tp, message * num_replicas
        there, back = _zone_ways(inputs, tables, next_pool, flows, moved, crosses)
        there, back = (replace(way, latency_seconds=way.latency_seconds + packing) for way in (there, back))
        both = there.latency_seconds + there.transfer_seconds + back.latency_seconds + back.transfer_seconds
        delay = np.where(crosses, both / 2.0, delay)
    return BoundaryColumns(
        message_bytes=message,
        inner_seconds=inner,
        outer_seconds=np.where(is_last, 0.0, delay),
        wrap_seconds=np.where(wraps, delay, 0.0),
        one_transfer_seconds=there.transfer_seconds,
        transfer_seconds=_queued_seconds(tables, there, back, times),
        there=there,
        back=back,
        crosses=crosses,
        num_crossings=times,
        next_pool=next_pool,
    )


def _nowhere(num_rows: int) -> Way:
    zeros = np.zeros(num_rows)
    return Way(latency_seconds=zeros, transfer_seconds=zeros, queue=np.full(num_rows, -1, dtype=np.int64))


def _zone_ways(
    inputs: Inputs, tables: Tables, next_pool: Ints, num_flows: Ints, moved: Floats, crosses: Bools
) -> tuple[Way, Way]:
    """Hidden states of a microbatch of every replica there, their gradients back."""
    stages = tables.stages
    plan = tables.replicas.plan[stages.replica]
    there, back = (
        Way(
            latency_seconds=np.where(crosses, way.latency_seconds, 0.0),
            transfer_seconds=np.where(crosses, moved / way.bytes_per_second, 0.0),
            queue=way.queue,
        )
        for way in both_ways(inputs, stages.pool, next_pool, num_flows, crosses, plan=plan, group=stages.replica)
    )
    return there, back


def _queued_seconds(tables: Tables, there: Way, back: Way, times: Ints) -> Floats:
    """Per row: what all messages of one microbatch take of the busier of the two queues that the row's wait in."""
    rows = np.flatnonzero(there.queue >= 0)
    queued = np.zeros(len(there.queue))
    if len(rows) == 0:
        return queued
    replica = tables.stages.replica[rows]
    num_queues = int(max(there.queue.max(), back.queue.max())) + 1
    keys = np.concatenate([replica * num_queues + way.queue[rows] for way in (there, back)])
    found, place = np.unique(keys, return_inverse=True)
    taken = np.concatenate([times[rows] * way.transfer_seconds[rows] for way in (there, back)])
    load = np.bincount(place, weights=taken, minlength=len(found))[place]
    queued[rows] = np.maximum(*np.split(load, 2))
    return queued


def _message_bytes(inputs: Inputs, view: PlanTable) -> Floats:
    """Hidden states of one microbatch; every tensor-parallel rank sends all unless the framework splits them."""
    workload, model = inputs.problem.workload, inputs.problem.model
    element_bytes = DTYPE_BYTES[workload.dtypes.activations]
    message = boundary_bytes(view.microbatch_size, workload.sequence_length, model.hidden_size, element_bytes)
    scatters = np.array([framework.scatters_pipeline_send for framework in inputs.frameworks])[view.framework]
    return message * np.where(scatters, 1, view.tp)


def both_ways(
    inputs: Inputs, pool: Ints, next_pool: Ints, num_flows: Ints, crosses: Bools, *, plan: Ints, group: Ints
) -> tuple[Crossing, Crossing]:
    """Forth from `pool` to `next_pool`, and back. `group` is each row's replica group, `plan` its plan.

    Several groups of a plan that cross, and links of one group that share an uplink, send at the same time.
    """
    there = crossing(inputs, pool, next_pool, num_flows, crosses)
    back = crossing(inputs, next_pool, pool, num_flows, crosses)
    rows = np.flatnonzero(crosses)
    has_uplinks = any(zone.uplink_bytes_per_second for zone in inputs.problem.cluster.zones)
    known: dict[tuple[tuple[int, ...], ...], Floats] = {}
    for index in _with_rivals(plan[rows], group[rows], pool[rows], has_uplinks):
        own = rows[plan[rows] == index]
        ways = [(there, pool[own], next_pool[own]), (back, next_pool[own], pool[own])]
        start, end = (np.concatenate([way[side] for way in ways]) for side in (1, 2))
        alike, flows = np.tile(group[own] - group[own][0], 2), np.tile(num_flows[own], 2)
        key = tuple(tuple(each.tolist()) for each in (start, end, alike, flows))
        if key not in known:
            alone = np.concatenate([way[0].bytes_per_second[own] for way in ways])
            pairs = list(zip(start.tolist(), end.tolist(), strict=True))
            known[key] = beside_others(inputs, pairs, alike.tolist(), alone, flows.astype(float))
        there.bytes_per_second[own], back.bytes_per_second[own] = np.split(known[key], 2)
    return there, back


def _with_rivals(plan: Ints, group: Ints, pool: Ints, has_uplinks: bool) -> Ints:
    """Plans of which several groups cross, or, where zones have uplinks, one group crosses at several places."""
    several = _has_several(plan, group)
    return np.flatnonzero(several | _has_several(plan, pool) if has_uplinks else several)


def _has_several(plan: Ints, values: Ints) -> Bools:
    """By plan: whether its rows have more than one value."""
    width = int(values.max(initial=0)) + 1
    return np.asarray(np.bincount(unique(plan * width + values) // width) > 1)


def _inside_seconds(inputs: Inputs, view: PlanTable, num_replicas: Ints, pool: Ints, per_rank: Floats) -> Floats:
    """A boundary inside a pool: over the fabric where neighbouring stages share a domain, else over the network.

    Ranks are laid out tp, cp, dp, pp from the inside, so that a stage's neighbour is tp*cp*dp ranks away.
    """
    hardware = inputs.hardware
    shares_domain = view.tp * view.cp * num_replicas < hardware.domain_size[pool]
    rate = np.where(shares_domain, hardware.fabric_bytes_per_second[pool], hardware.network_bytes_per_second[pool])
    latency = np.where(shares_domain, hardware.collective_latency_seconds[pool], hardware.network_latency_seconds[pool])
    return latency + per_rank / rate


def _between_pools_seconds(inputs: Inputs, pool: Ints, next_pool: Ints, per_rank: Floats) -> Floats:
    """A boundary between two pools of one zone: over the slower of their networks."""
    hardware = inputs.hardware
    rate = np.minimum(hardware.network_bytes_per_second[pool], hardware.network_bytes_per_second[next_pool])
    return hardware.network_latency_seconds[pool] + per_rank / rate
