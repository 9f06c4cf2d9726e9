"""Agreeing on gradients: inside a pool, between pools of a zone, between zones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Floats, Ints
from crosszone.cost.collectives import all_gather_seconds, all_reduce_seconds
from crosszone.cost.memory import state_bytes
from crosszone.cost.traffic import ring_latency_seconds, ring_link_bytes
from crosszone.timeline.boundaries import achieved_bytes_per_second
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables
from crosszone.timeline.stages import GRADIENTS, OPTIMIZER, PARAMETERS, StageView, group_path


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAgreement:
    """One value per row of a StageTable."""

    reduce_seconds: Floats
    """Reducing gradients over the replicas of the pool."""
    gather_seconds: Floats
    """Gathering updated weights where the optimizer's states are sharded."""
    num_buckets: Floats


def pool_agreement(view: StageView, tables: Tables) -> PoolAgreement:
    """Time of the collectives among a pool's replicas, per stage.

    Unsharded: one all-reduce. Sharded over n_s ranks and replicated n_r times: reduce-scatter over n_s, all-reduce of
    the shard over n_r, all-gather of the weights over n_s. Weights sharded too: gradients were scattered with every
    microbatch, only the all-reduce over n_r is left. Source: Rajbhandari et al. 2020, sec. 7; Zhao et al. 2023, sec.
    3.2.2.
    """
    inputs, plans, pool = view.inputs, view.plans, view.stages.pool
    sizes = state_bytes(inputs.problem.workload, weights_are_master=False)
    gradient, weight = view.parameters * sizes.gradient, view.parameters * sizes.gathered_weight
    ranks = (tables.replicas.num_replicas[view.stages.replica] * plans.cp).astype(float)
    shards = np.where(plans.shard > 0, np.minimum(view.num_shards, ranks), 1.0)
    per_domain = np.clip(inputs.hardware.domain_size[pool] // plans.tp, 1.0, None)
    path = group_path(inputs, pool)
    copies = ranks / shards
    copies_per_domain = np.clip(per_domain // shards, 1.0, None)
    across = all_reduce_seconds(copies, np.minimum(copies_per_domain, copies), gradient / shards, path)
    scatter = all_gather_seconds(shards, np.minimum(per_domain, shards), gradient, path)
    gather = all_gather_seconds(shards, np.minimum(per_domain, shards), weight, path)
    shards_state = (plans.shard == OPTIMIZER) | (plans.shard == GRADIENTS)
    return PoolAgreement(
        reduce_seconds=across + shards_state * scatter,
        gather_seconds=shards_state * gather,
        num_buckets=np.maximum(np.ceil(gradient / view.fact("gradient_bucket_bytes")), 1.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneAgreement:
    """One value per plan."""

    link_bytes: Floats
    """On each directed link of the ring, per step."""
    seconds: Floats
    """Of the slowest link, latency included."""
    egress_dollars: Floats
    """Per step; NaN where a link's price is unknown."""


def zone_agreement(inputs: Inputs, tables: Tables, *, gradient_bytes: float, weight_bytes: float) -> ZoneAgreement:
    """Exchange of the whole model's gradient (`gradient_bytes`) between the zones of each plan.

    Shards that stay in a zone replicate across: one all-reduce of everything. Shards that span zones: a
    reduce-scatter of gradients and an all-gather of weights; with sharded weights, two gathers and a scatter for
    every microbatch.
    """
    plans, replicas, layouts = tables.plans, tables.replicas, tables.layouts
    num_zones = np.array([len(layout.ring) for layout in layouts])[plans.layout]
    starts = np.searchsorted(replicas.plan, np.arange(len(plans)))
    fewest = np.minimum.reduceat(replicas.num_replicas, starts)
    most_microbatches = np.maximum.reduceat(replicas.num_microbatches, starts)
    spans = plans.dp_shard > fewest
    gathers = spans & (plans.shard == PARAMETERS)
    scatters = spans & (plans.shard > 0) & ~gathers
    all_reduce = np.where(spans & (plans.shard > 0), 0.0, gradient_bytes)
    half = scatters * (gradient_bytes + weight_bytes)
    half = half + gathers * most_microbatches * (2.0 * weight_bytes + gradient_bytes)
    shape = {"num_zones": num_zones, "num_ranks": plans.dp * plans.cp, "is_flat": plans.is_flat}
    link_bytes = ring_link_bytes(all_reduce_bytes=all_reduce, half_bytes=half, **shape)
    flows = plans.tp * plans.pp * plans.cp * fewest
    rate, latency, price = _slowest_link(inputs, layouts, plans.layout, flows)
    rounds = ring_latency_seconds(slowest_latency_seconds=latency, **shape)
    crosses = num_zones > 1
    return ZoneAgreement(
        link_bytes=link_bytes,
        seconds=np.where(crosses, link_bytes / rate + rounds, 0.0),
        egress_dollars=np.where(crosses, link_bytes * price, 0.0),
    )


def ring_links(inputs: Inputs, layout: Layout) -> list[tuple[int, int]]:
    """(from pool, to pool) of each hop of the layout's ring, by the first pool of each zone; empty within one zone."""
    if len(layout.ring) < 2:
        return []
    first = {int(zone): index for index, zone in reversed(list(enumerate(inputs.hardware.zone)))}
    used = {int(inputs.hardware.zone[pool]): pool for chain in reversed(layout.chains) for pool in reversed(chain)}
    pools = [used.get(zone, first[zone]) for zone in layout.ring]
    return list(zip(pools, pools[1:] + pools[:1], strict=True))


def _slowest_link(
    inputs: Inputs, layouts: Sequence[Layout], layout_of_plan: Ints, flows: Ints
) -> tuple[Floats, Floats, Floats]:
    """Per plan: rate of the ring's slowest link, its longest latency, and the sum of its egress prices per byte."""
    rate, latency = np.full(len(flows), np.nan), np.zeros(len(flows))
    price = np.zeros(len(flows))
    zone = inputs.hardware.zone
    for index in np.unique(layout_of_plan):
        hops = ring_links(inputs, layouts[index])
        if not hops:
            continue
        rows = np.flatnonzero(layout_of_plan == index)
        links = [inputs.links[int(zone[start])][int(zone[end])] for start, end in hops]
        rates = [achieved_bytes_per_second(inputs, hop, flows[rows]) for hop in hops]
        rate[rows] = np.minimum.reduce(rates)
        latency[rows] = max(link.latency_seconds for link in links if link)
        prices = [link.egress_dollars_per_byte for link in links if link]
        price[rows] = np.nan if None in prices else sum(value or 0.0 for value in prices)
    return rate, latency, price
