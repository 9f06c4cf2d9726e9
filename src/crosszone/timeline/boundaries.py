"""Delay and load of the boundaries between pipeline stages."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Bools, Floats, Ints, PlanTable, offsets
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.network import link_bytes_per_second
from crosszone.cost.traffic import boundary_bytes
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryColumns:
    """One value per row of a StageTable; "the boundary" is the one from the run's last stage to the next run.

    With virtual stages the last run of a chain goes on to the first: the wrap.
    """

    message_bytes: Floats
    """Of one microbatch of one replica, all tensor- and context-parallel ranks together."""
    inner_seconds: Floats
    """Delay of one boundary inside the run."""
    outer_seconds: Floats
    """Delay of the boundary; 0 at the end of the chain."""
    wrap_seconds: Floats
    """Delay of the wrap, in the last row of a chain; 0 elsewhere and without virtual stages."""
    one_transfer_seconds: Floats
    """Time that the zone link of the boundary or wrap is taken by one message of every replica; 0 inside a zone."""
    transfer_seconds: Floats
    """The same for all messages of one microbatch that share the link one way."""
    crosses: Bools
    """The boundary or wrap lies between zones."""
    num_crossings: Ints
    """Times that a microbatch passes the boundary or wrap forward: v, or v - 1 at the wrap."""
    next_pool: Ints
    """Pool on the other side; the own one where there is none."""


def boundary_columns(inputs: Inputs, tables: Tables) -> BoundaryColumns:
    """All columns of the stage rows of `tables`."""
    stages, replicas = tables.stages, tables.replicas
    view = tables.plans.take(replicas.plan[stages.replica])
    num_replicas = replicas.num_replicas[stages.replica]
    message = _message_bytes(inputs, view)
    is_last = np.append(stages.replica[1:] != stages.replica[:-1], True)
    starts = offsets(stages.replica, len(replicas))
    wraps = is_last & (view.num_virtual_stages > 1)
    next_pool = np.where(is_last, stages.pool[starts][stages.replica], np.append(stages.pool[1:], 0))
    next_pool = np.where(is_last & ~wraps, stages.pool, next_pool)
    per_rank = message / (view.tp * view.cp)
    inner = _inside_seconds(inputs, view, num_replicas, stages.pool, per_rank)
    delay = np.where(stages.pool == next_pool, inner, _between_pools_seconds(inputs, stages.pool, next_pool, per_rank))
    zone = inputs.hardware.zone
    crosses = zone[stages.pool] != zone[next_pool]
    transfer = np.zeros(len(stages))
    if crosses.any():
        flows = num_replicas * view.cp * view.tp
        latency, rate = zone_link_columns(inputs, stages.pool, next_pool, flows, crosses)
        transfer = np.where(crosses, message * num_replicas / rate, 0.0)
        delay = np.where(crosses, latency + transfer, delay)
    times = view.num_virtual_stages - is_last
    # A wrap between the same two zones as a boundary shares its link: its backward goes where the other's forward goes.
    shared = np.where(view.num_virtual_stages > 1, 2 * view.num_virtual_stages - 1, 1)
    return BoundaryColumns(
        message_bytes=message,
        inner_seconds=inner,
        outer_seconds=np.where(is_last, 0.0, delay),
        wrap_seconds=np.where(wraps, delay, 0.0),
        one_transfer_seconds=transfer,
        transfer_seconds=transfer * shared,
        crosses=crosses,
        num_crossings=times,
        next_pool=next_pool,
    )


def _message_bytes(inputs: Inputs, view: PlanTable) -> Floats:
    """Hidden states of one microbatch; every tensor-parallel rank sends all unless the framework splits them."""
    workload, model = inputs.problem.workload, inputs.problem.model
    element_bytes = DTYPE_BYTES[workload.dtypes.activations]
    message = boundary_bytes(view.microbatch_size, workload.sequence_length, model.hidden_size, element_bytes)
    scatters = np.array([framework.scatters_pipeline_send for framework in inputs.frameworks])[view.framework]
    return message * np.where(scatters, 1, view.tp)


def zone_link_columns(
    inputs: Inputs, pool: Ints, next_pool: Ints, num_flows: Ints, crosses: Bools
) -> tuple[Floats, Floats]:
    """One-way latency and achieved bytes per second from the zone of `pool` to that of `next_pool`; NaN elsewhere."""
    latency, rate = np.full(len(pool), np.nan), np.full(len(pool), np.nan)
    pair = pool * len(inputs.pools) + next_pool
    for code in np.unique(pair[crosses]):
        rows = crosses & (pair == code)
        start, end = divmod(int(code), len(inputs.pools))
        zones = int(inputs.hardware.zone[start]), int(inputs.hardware.zone[end])
        link = inputs.links[zones[0]][zones[1]]
        assert link is not None, "the reader of the job file has refused a missing link"
        latency[rows] = link.latency_seconds
        rate[rows] = achieved_bytes_per_second(inputs, (start, end), num_flows[rows])
    return latency, rate


def achieved_bytes_per_second(inputs: Inputs, pool_pair: tuple[int, int], num_flows: Ints) -> Floats:
    """What `num_flows` flows from one pool to another get: the link's caps and the uplinks of both zones."""
    start, end = (inputs.pools[index] for index in pool_pair)
    zones = [int(inputs.hardware.zone[index]) for index in pool_pair]
    link = inputs.links[zones[0]][zones[1]]
    assert link is not None
    per_node = max(start.node_group.gpus_per_node, end.node_group.gpus_per_node)
    fewest = min(start.node_group.num_nodes, end.node_group.num_nodes)
    num_nodes = np.minimum(np.ceil(num_flows / per_node), fewest)
    rate = link_bytes_per_second(link, num_nodes=num_nodes, num_flows=num_flows)
    network = min(group.node_group.network_bytes_per_second for group in (start, end))
    uplinks = [pool.zone.uplink_bytes_per_second for pool in (start, end)]
    caps = [np.full(len(rate), cap) for cap in uplinks if cap]
    return np.asarray(np.minimum.reduce([rate, num_nodes * network, *caps]))


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
