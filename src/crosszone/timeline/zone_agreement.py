"""Agreeing between zones: what one exchange moves over each link, and how long it takes before anything hides it."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import ZONE_ALGORITHMS, Sync
from crosszone.core.problem import Problem
from crosszone.core.tables import Bools, Floats, Ints, Numeric, unique
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.codecs import Codec
from crosszone.cost.codecs.content import Content, Encoded
from crosszone.cost.codecs.matrices import model_matrices
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import num_parameters
from crosszone.cost.sync import is_local, sync_method
from crosszone.cost.sync.exchange import OUTER_TRAFFIC_BYTES
from crosszone.cost.zone_collectives import (
    Exchange,
    ExchangeLinks,
    direct_exchange,
    ring_exchange,
    tree_exchange,
)
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.paths import link_between, rates_at_once
from crosszone.timeline.rings import best_tree, tree_levels
from crosszone.timeline.rows import Settings, Tables
from crosszone.timeline.stages import PARAMETERS, StageView
from crosszone.timeline.sync_choice import stream_codec

PoolPair = tuple[int, int]
ALIKE = 1.01
"""Algorithms whose exchanges differ by less count as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneAgreement:
    """One exchange; one value per plan. All zero where replicas lie in one zone."""

    link_bytes: Floats
    """On each directed link that is used."""
    transfer_seconds: Floats
    """Of the slowest link."""
    latency_seconds: Floats
    """Of all calls, one after the other."""
    num_calls: Floats
    """Collectives of one process group that an exchange takes: one for each bucket of gradients or sharded layer."""
    codec_seconds: Floats
    """Packing and unpacking on the GPUs."""
    outer_seconds: Floats
    """The outer optimizer's step, where there is one."""
    egress_dollars: Floats
    """NaN where a link's price is unknown."""
    is_per_microbatch: Bools
    """Weights are gathered across zones with every microbatch, instead of once a step."""
    is_ring: Bools
    """Shards span zones, which takes a ring whatever the plan's algorithm."""

    @property
    def seconds(self) -> Floats:
        """Transfer and latency."""
        return self.transfer_seconds + self.latency_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    """What all zones together want done with their copies; one value per plan."""

    all_reduce_bytes: Floats
    half_bytes: Floats
    """Only scattered, or only gathered."""
    num_calls: Floats
    """All-reduces that follow each other, by what their rounds take."""
    gathers: Bools
    spans: Bools
    """Something is only scattered or gathered."""


def zone_agreement(view: StageView, tables: Tables) -> ZoneAgreement:
    """Exchange of the whole model between the zones of each plan, however its parts are spread inside them."""
    inputs, plans, settings = view.inputs, tables.plans, tables.settings
    ring_sizes = np.array([len(layout.ring) for layout in tables.layouts])
    num_zones = ring_sizes[plans.layout]
    if not (num_zones > 1).any():
        return _nothing(len(plans))
    packing = stream_codec(settings.sync, sync_method(settings.sync.method).STREAM)
    packed = packing.encoded(exchanged_content(inputs.problem, settings.sync, plans.tp))
    volume = _volume(view, tables, packing, packed, num_zones)
    flows = num_flows(view, tables)
    members = plans.dp * plans.cp // _ranks_of_a_copy(view, tables)
    found = _exchange(inputs, tables, volume, num_zones, flows, members)
    crosses = num_zones > 1
    return replace(
        found,
        transfer_seconds=np.where(crosses, found.transfer_seconds, 0.0),
        latency_seconds=np.where(crosses, found.latency_seconds * volume.num_calls, 0.0),
        num_calls=volume.num_calls,
        codec_seconds=np.where(crosses, _codec_seconds(inputs, tables, packed, flows), 0.0),
        outer_seconds=np.where(crosses, _outer_seconds(view, tables), 0.0),
    )


def exchange_pairs(inputs: Inputs, layout: Layout, algorithm: str) -> list[PoolPair]:
    """(from pool, to pool) of each link that the zones of `layout` use, by the pool of each zone that sends least."""
    if len(layout.ring) < 2:
        return []
    hardware_zone = inputs.hardware.zone
    first = {int(zone): index for index, zone in reversed(list(enumerate(hardware_zone)))}
    used: dict[int, set[int]] = {}
    for chain in layout.chains:
        for member in chain:
            used.setdefault(int(hardware_zone[member]), set()).add(member)
    pool = {
        zone: min(sorted(used.get(zone, {first[zone]})), key=functools.partial(_sends, inputs)) for zone in layout.ring
    }
    if algorithm == "tree":
        edges = best_tree(inputs.links, layout.ring)
        return [(pool[start], pool[end]) for edge in edges for start, end in (edge, edge[::-1])]
    if algorithm == "direct":
        return [(pool[start], pool[end]) for start in layout.ring for end in layout.ring if start != end]
    pools = [pool[zone] for zone in layout.ring]
    return list(zip(pools, pools[1:] + pools[:1], strict=True))


def _sends(inputs: Inputs, pool: int) -> tuple[float, int, int]:
    """What of a pool decides how fast its zone sends; who comes first in a plan does not."""
    group = inputs.pools[pool].node_group
    return group.num_nodes * group.network_bytes_per_second, group.num_nodes, -group.gpus_per_node


def exchange_algorithm(settings: Settings) -> str:
    """As the plan says; a flat ring is a ring."""
    return "ring" if sync_method(settings.sync.method).IS_FLAT else settings.sync.algorithm


def fastest_algorithm(inputs: Inputs, layout: Layout) -> str:
    """Of ring, tree and direct, which add up the same, the one that sums a copy of the gradients fastest.

    Layer by layer, all GPUs of the smallest zone sending. The first of those within 1 % of each other.
    """
    if len(layout.ring) < 3:
        return ZONE_ALGORITHMS[0]
    model, zone = inputs.problem.model, inputs.hardware.zone
    size = num_parameters(model) * DTYPE_BYTES[inputs.problem.workload.dtypes.gradient_reduction]
    pools = [inputs.hardware.num_gpus[zone == one].sum() for one in layout.ring]
    flows, seconds = np.array([min(pools)]), {}
    for algorithm in ZONE_ALGORITHMS:
        pairs = exchange_pairs(inputs, layout, algorithm)
        one = _exchange_of(
            pairs, layout, algorithm, _exchange_links(inputs, pairs, flows), num_ranks=flows, is_flat=False,
            reduced=np.array([size]), half=np.zeros(1), warm=np.zeros(1, dtype=np.bool_),
        )  # fmt: skip
        seconds[algorithm] = float((one.transfer_seconds + model.num_layers * one.latency_seconds)[0])
    least = min(seconds.values())
    return next((name for name, each in seconds.items() if each <= ALIKE * least), ZONE_ALGORITHMS[0])


def least_exchange_seconds(
    inputs: Inputs, layout: Layout, settings: Settings, *, num_ranks: Ints, spans: bool
) -> Floats:
    """No plan's zones exchange the gradients of a step in less: moving them alone, all GPUs sending.

    `num_ranks` are those of a flat ring, at least; with `spans`, of a plan whose shards span zones, but for those that
    gather weights with every microbatch. 0 where zones agree on other than summed gradients, and where codecs or a
    stated overlap say what is sent or waited for.
    """
    sync = settings.sync
    way = sync_method(sync.method)
    if len(layout.ring) < 2 or way.ALLOWS is not None or sync.codecs or settings.overlap_fraction is not None:
        return np.zeros(len(num_ranks))
    gradient = num_parameters(inputs.problem.model) * DTYPE_BYTES[inputs.problem.workload.dtypes.gradient_reduction]
    algorithm = exchange_algorithm(settings)
    algorithm = _of_halves(algorithm) if spans else algorithm
    flows, count = np.array([inputs.hardware.num_gpus.sum()]), np.ones(len(num_ranks))
    pairs = exchange_pairs(inputs, layout, algorithm)
    one = _exchange_of(
        pairs,
        layout,
        algorithm,
        _exchange_links(_with_streams(inputs, settings), pairs, flows),
        num_ranks=num_ranks,
        is_flat=way.IS_FLAT,
        reduced=0.0 * count if spans else gradient * count,
        half=(gradient + _gathered_weight_bytes(inputs)) * count if spans else 0.0 * count,
        warm=np.ones(len(num_ranks), dtype=np.bool_),
    )
    return one.transfer_seconds / sync.every


def exchange_rates(inputs: Inputs, settings: Settings, pairs: list[PoolPair], num_flows: Ints) -> Floats:
    """[plan, pair]: bytes per second of each pair while all of them send."""
    return rates_at_once(_with_streams(inputs, settings), pairs, num_flows)


def num_flows(view: StageView, tables: Tables) -> Ints:
    """Ranks of each plan's smallest zone that send different parts of the model at once.

    Once per zone those are all: a zone's replicas share its copy. A flat ring crosses each link once, from one rank of
    each part of the model that ranks share.
    """
    plans = tables.plans
    if sync_method(tables.settings.sync.method).IS_FLAT:
        return np.asarray(plans.tp * plans.pp * _ranks_of_a_copy(view, tables))
    return np.asarray(plans.tp * plans.pp * plans.cp * _fewest_replicas(view, tables))


def _ranks_of_a_copy(view: StageView, tables: Tables) -> Ints:
    """Ranks of one zone that each agree on a part of their own: those of a shard group that lies in the zone."""
    plans = tables.plans
    is_inside = (plans.shard > 0) & (plans.dp_shard <= _fewest_replicas(view, tables))
    return np.where(is_inside, plans.dp_shard * plans.cp, 1)


def _fewest_replicas(view: StageView, tables: Tables) -> Ints:
    """Of each plan's zones, in all their pools, the fewest that hold a stage."""
    if view.groups.is_empty:
        starts = np.searchsorted(tables.replicas.plan, np.arange(len(tables.plans)))
        return np.asarray(np.minimum.reduceat(tables.replicas.num_replicas, starts))
    in_zone = view.groups.total(view.num_replicas.astype(float))
    return np.rint(-tables.most(-in_zone)).astype(np.int64)


def _spans_zones(view: StageView, tables: Tables) -> Bools:
    """Plans of which a shard group has more ranks than a zone has replicas."""
    if tables.own is None:
        return np.asarray((tables.plans.dp_shard > _fewest_replicas(view, tables)) & (tables.plans.shard > 0))
    in_zone = view.groups.total(view.num_replicas.astype(float))
    return tables.most(((view.plans.dp_shard > in_zone) & (view.plans.shard > 0)).astype(float)) > 0.0


def _nothing(size: int) -> ZoneAgreement:
    zero, no = np.zeros(size), np.zeros(size, dtype=np.bool_)
    return ZoneAgreement(
        link_bytes=zero, transfer_seconds=zero, latency_seconds=zero, num_calls=zero + 1.0, codec_seconds=zero,
        outer_seconds=zero, egress_dollars=zero, is_per_microbatch=no, is_ring=no,
    )  # fmt: skip


def exchanged_content(problem: Problem, sync: Sync, tp: Numeric) -> Content:
    """One copy of the gradients as they are reduced, or of the change of the weights that the optimizer updates."""
    dtypes = problem.workload.dtypes
    format_name = (dtypes.master_weights or dtypes.weights) if is_local(sync.method) else dtypes.gradient_reduction
    return Content(
        num_elements=float(num_parameters(problem.model)),
        element_bytes=DTYPE_BYTES[format_name],
        matrices=model_matrices(problem.model),
        num_slices=np.asarray(tp, dtype=float),
    )


def _volume(view: StageView, tables: Tables, packing: Codec, packed: Encoded, num_zones: Ints) -> _Volume:
    """Shards that stay in a zone replicate across: one all-reduce of everything. Shards that span zones: a
    reduce-scatter of gradients and an all-gather of weights; with sharded weights, two gathers and a scatter for every
    microbatch. Messages that cannot be added are gathered from all.
    """
    inputs, plans, replicas = view.inputs, tables.plans, tables.replicas
    starts = np.searchsorted(replicas.plan, np.arange(len(plans)))
    most_microbatches = np.maximum.reduceat(replicas.num_microbatches, starts)
    spans = _spans_zones(view, tables)
    gathers = spans & (plans.shard == PARAMETERS)
    gradient = np.broadcast_to(packed.wire_bytes, len(plans)).astype(float)
    model, weight = inputs.problem.model, _gathered_weight_bytes(inputs)
    half = np.where(spans & ~gathers, gradient + weight, 0.0)
    half = half + gathers * most_microbatches * (2.0 * weight + gradient)
    if not packing.is_summable:
        ranks = np.maximum(plans.dp * plans.cp, num_zones)
        members = np.where(sync_method(tables.settings.sync.method).IS_FLAT, ranks, num_zones)
        half, gradient = np.where(spans, half, members * gradient), 0.0 * gradient
    # Three collectives of half an all-reduce's rounds each, for every layer of a stage and every microbatch.
    calls = np.where(gathers, 1.5 * model.num_layers / plans.pp * most_microbatches, _num_calls(view, tables))
    return _Volume(
        all_reduce_bytes=np.where(spans, 0.0, gradient),
        half_bytes=half,
        num_calls=calls * np.where(gathers, 1.0, float(packing.num_rounds)),
        gathers=gathers,
        spans=half > 0.0,
    )


def _gathered_weight_bytes(inputs: Inputs) -> float:
    """One copy of the weights, as ranks that share them gather them."""
    sizes = state_bytes(inputs.problem.workload, weights_are_master=False)
    return float(num_parameters(inputs.problem.model)) * sizes.gathered_weight


def _of_halves(algorithm: str) -> str:
    """How what is only scattered or gathered travels: a tree does neither."""
    return "ring" if algorithm == "tree" else algorithm


def _num_calls(view: StageView, tables: Tables) -> Floats:
    """Collectives by which a step's gradients are reduced: a bucket each, or a layer each where weights are sharded.

    Those of one process group follow each other on its stream, so that each waits for its own rounds (PyTorch's
    `ProcessGroupNCCL`). Stages agree beside each other, each in its own groups. What zones exchange once in many steps
    is taken as one message.
    """
    if is_local(tables.settings.sync.method):
        return np.ones(len(tables.plans))
    sizes = state_bytes(view.inputs.problem.workload, weights_are_master=False)
    layers = np.sum(view.layers, axis=0) + 1.0  # embedding and head are one more
    buckets = np.maximum(np.ceil(view.parameters * sizes.reduction / view.bucket_bytes), 1.0)
    return tables.most(np.where(view.plans.shard == PARAMETERS, layers, buckets))


def _exchange(
    inputs: Inputs, tables: Tables, volume: _Volume, num_zones: Ints, flows: Ints, members: Ints
) -> ZoneAgreement:
    """Bytes, seconds and egress of each plan, layout by layout; without what codecs and outer steps take.

    `members` are the ranks of a flat ring.
    """
    plans, settings = tables.plans, tables.settings
    size = len(plans)
    moved, transfer, latency, dollars = (np.zeros(size) for _ in range(4))
    algorithm = exchange_algorithm(settings)
    is_ring = volume.spans & (_of_halves(algorithm) != algorithm)
    for index in unique(plans.layout[num_zones > 1]):
        for rings in unique(is_ring):
            rows = np.flatnonzero((plans.layout == index) & (is_ring == rings))
            layout, chosen = tables.layouts[index], _of_halves(algorithm) if rings else algorithm
            pairs = exchange_pairs(inputs, layout, chosen)
            if not pairs or not len(rows):
                continue
            one = _rows_exchange(inputs, tables, volume, rows, pairs, chosen, flows[rows], members[rows])
            moved[rows], transfer[rows], latency[rows] = one.link_bytes, one.transfer_seconds, one.latency_seconds
            dollars[rows] = one.link_bytes * _price(inputs, pairs)
    zero = np.zeros(size)
    return ZoneAgreement(
        link_bytes=moved, transfer_seconds=transfer, latency_seconds=latency, num_calls=volume.num_calls,
        codec_seconds=zero, outer_seconds=zero, egress_dollars=dollars, is_per_microbatch=volume.gathers,
        is_ring=is_ring,
    )  # fmt: skip


def _rows_exchange(
    inputs: Inputs, tables: Tables, volume: _Volume, rows: Ints, pairs: list[PoolPair], algorithm: str, flows: Ints,
    members: Ints,
) -> Exchange:  # fmt: skip
    plans, settings = tables.plans.take(rows), tables.settings
    return _exchange_of(
        pairs,
        tables.layouts[int(plans.layout[0])],
        algorithm,
        _exchange_links(_with_streams(inputs, settings), pairs, flows),
        num_ranks=members,
        is_flat=sync_method(settings.sync.method).IS_FLAT,
        reduced=volume.all_reduce_bytes[rows],
        half=volume.half_bytes[rows],
        warm=volume.gathers[rows],
    )


def _exchange_links(inputs: Inputs, pairs: list[PoolPair], flows: Ints) -> ExchangeLinks:
    """One of each kind: zones that all send to all have links by the thousand, of which most are alike."""
    between = [link_between(inputs, pair) for pair in pairs]
    latency = np.array([link.latency_seconds for link in between])
    jitter = np.array([link.jitter_seconds or 0.0 for link in between])
    distinct, row = np.unique(flows, return_inverse=True)
    rates = rates_at_once(inputs, pairs, distinct)
    _, kinds = np.unique(np.vstack([rates, latency, jitter]), axis=1, return_index=True)
    return ExchangeLinks(
        bytes_per_second=rates[:, kinds][row],
        latency_seconds=latency[kinds],
        jitter_seconds=jitter[kinds],
        num_flows=flows.astype(float) * min(link.num_streams or 1 for link in between),
        num_links=len(pairs),
    )


def _exchange_of(
    pairs: list[PoolPair], layout: Layout, algorithm: str, links: ExchangeLinks, *, num_ranks: Ints, is_flat: bool,
    reduced: Floats, half: Floats, warm: Bools,
) -> Exchange:  # fmt: skip
    num_zones = len(layout.ring)
    if algorithm == "tree":
        levels = tree_levels(pairs[::2])  # up each edge, and down
        return tree_exchange(links, num_levels=levels, all_reduce_bytes=reduced, is_warm=warm)
    if algorithm == "direct":
        return direct_exchange(links, num_zones=num_zones, all_reduce_bytes=reduced, half_bytes=half, is_warm=warm)
    return ring_exchange(
        links,
        num_zones=np.full(len(reduced), num_zones),
        num_ranks=np.maximum(num_ranks, num_zones),  # fewer where stages of one replica fill several zones
        is_flat=np.full(len(reduced), is_flat),
        all_reduce_bytes=reduced,
        half_bytes=half,
        is_warm=warm,
    )


def _with_streams(inputs: Inputs, settings: Settings) -> Inputs:
    """The same with as many connections on every link as the plan's agreement asks for."""
    wanted = settings.sync.num_streams
    if wanted is None:
        return inputs
    links = tuple(tuple(link and replace(link, num_streams=wanted) for link in row) for row in inputs.links)
    return replace(inputs, links=links)


def _price(inputs: Inputs, pairs: list[PoolPair]) -> float:
    """Sum over the links; NaN where one is unknown."""
    prices = [link_between(inputs, pair).egress_dollars_per_byte for pair in pairs]
    return float("nan") if None in prices else float(sum(price or 0.0 for price in prices))


def _codec_seconds(inputs: Inputs, tables: Tables, packed: Encoded, flows: Ints) -> Floats:
    """Packing and unpacking one copy, shared by the ranks that send parts of it; a flat ring's ranks each hold all."""
    hardware, pool = inputs.hardware, tables.stages.pool
    memory = -tables.most(-hardware.memory_bytes_per_second[pool])
    products = -tables.most(-hardware.gemm_flop_per_second[pool])
    return np.asarray((packed.traffic_bytes / memory + packed.product_flop / products) / flows)


def _outer_seconds(view: StageView, tables: Tables) -> Floats:
    """Outer momentum and weights of what a rank holds, at memory bandwidth, or over PCIe where states are offloaded."""
    if not sync_method(tables.settings.sync.method).HAS_OUTER_STEP:
        return np.zeros(len(tables.plans))
    hardware, pool = view.inputs.hardware, view.stages.pool
    held = view.dense / view.num_shards + view.expert / view.expert_shards
    rate = np.where(
        view.plans.offloads_optimizer, hardware.host_bytes_per_second[pool], hardware.memory_bytes_per_second[pool]
    )
    return tables.most(held * OUTER_TRAFFIC_BYTES / rate)
