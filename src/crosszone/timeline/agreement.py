"""Agreeing on gradients: inside a pool, between pools of a zone, between zones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Bools, Floats, Ints
from crosszone.cost.collectives import all_gather_seconds, all_reduce_seconds
from crosszone.cost.memory import StateBytes, state_bytes
from crosszone.cost.traffic import ring_latency_seconds, ring_link_bytes
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.paths import achieved_bytes_per_second
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
    plans, domain = view.plans, view.inputs.hardware.domain_size[view.stages.pool]
    ranks = (tables.replicas.num_replicas[view.stages.replica] * plans.cp).astype(float)
    reduce, gather = _group_seconds(view, view.dense, ranks, view.num_shards, domain // plans.tp)
    if view.expert.any():  # an expert's copies are fewer by ep and more by the tp ranks that hold it whole
        spread = np.where(plans.ep > 1, plans.tp / plans.ep, 1.0)
        inside = np.where(plans.ep > 1, domain // plans.ep, domain // plans.tp)
        more = _group_seconds(view, view.expert, np.maximum(ranks * spread, 1.0), view.expert_shards, inside)
        reduce, gather = reduce + more[0], gather + more[1]
    buckets = view.parameters * _sizes(view).reduction / view.fact("gradient_bucket_bytes")
    return PoolAgreement(reduce_seconds=reduce, gather_seconds=gather, num_buckets=np.maximum(np.ceil(buckets), 1.0))


def _group_seconds(
    view: StageView, parameters: Floats, ranks: Floats, num_shards: Floats, per_domain: Floats
) -> tuple[Floats, Floats]:
    """Reducing gradients and gathering weights of `parameters` that `ranks` ranks agree on, bucket by bucket."""
    plans, sizes = view.plans, _sizes(view)
    gradient, weight = parameters * sizes.reduction, parameters * sizes.gathered_weight
    shards = np.where(plans.shard > 0, np.minimum(num_shards, ranks), 1.0)
    inside = np.clip(per_domain, 1.0, None)
    path, copies = group_path(view.inputs, view.stages.pool), ranks / shards
    copies_inside = np.clip(inside // shards, 1.0, None)
    buckets = np.maximum(np.ceil(gradient / view.fact("gradient_bucket_bytes")), 1.0)
    across = all_reduce_seconds(copies, np.minimum(copies_inside, copies), gradient / shards / buckets, path)
    scatter = all_gather_seconds(shards, np.minimum(inside, shards), gradient / buckets, path)
    gather = all_gather_seconds(shards, np.minimum(inside, shards), weight / buckets, path)
    times = buckets * view.fact("agreement_factor")
    across, scatter, gather = times * across, times * scatter, times * gather
    across = across + buckets * view.fact("bucket_seconds") * (ranks > 1.0)
    shards_state = (plans.shard == OPTIMIZER) | (plans.shard == GRADIENTS)
    return across + shards_state * scatter, shards_state * gather


def _sizes(view: StageView) -> StateBytes:
    return state_bytes(view.inputs.problem.workload, weights_are_master=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneAgreement:
    """One value per plan."""

    link_bytes: Floats
    """On each directed link of the ring, per step."""
    seconds: Floats
    """Of the slowest link, latency included."""
    egress_dollars: Floats
    """Per step; NaN where a link's price is unknown."""
    is_per_microbatch: Bools
    """Weights are gathered across zones with every microbatch, instead of once a step."""


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
    shape = {
        "num_zones": num_zones,
        "num_ranks": plans.dp * plans.cp,
        "is_flat": np.array(tables.settings.sync.method == "flat"),
    }
    link_bytes = ring_link_bytes(all_reduce_bytes=all_reduce, half_bytes=half, **shape)
    flows = plans.tp * plans.pp * plans.cp * fewest
    rate, latency, price = _slowest_link(inputs, layouts, plans.layout, flows)
    rounds = ring_latency_seconds(slowest_latency_seconds=latency, **shape)
    # Three collectives of half an all-reduce's rounds each, for every layer of a stage and every microbatch.
    layers = inputs.problem.model.num_layers / plans.pp
    rounds = rounds * np.where(gathers, 1.5 * layers * most_microbatches, 1.0)
    crosses = num_zones > 1
    return ZoneAgreement(
        link_bytes=link_bytes,
        seconds=np.where(crosses, link_bytes / rate + rounds, 0.0),
        egress_dollars=np.where(crosses, link_bytes * price, 0.0),
        is_per_microbatch=gathers,
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
