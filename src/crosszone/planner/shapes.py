"""Ways to lay pipelines on the pools of a layout: blocks of tp*cp GPUs, stages per pool, layers per stage."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Bools, Ints
from crosszone.cost.flop import forward_flop, head_flop
from crosszone.planner.options import Options, divisors, powers_of_two
from crosszone.planner.split import split_layers
from crosszone.timeline.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """One row per shape; [shapes, chains] and [shapes, runs] where said.

    A run is a part of a chain whose stages are alike: its first stage, the others of its first pool, each further pool,
    and its last stage. First and last do more than layers; the first stage of a run has most microbatches in flight.
    """

    tp: Ints
    cp: Ints
    pp: Ints
    most_replicas: Ints
    """[shapes, chains]"""
    num_stages: Ints
    """[shapes, runs]; 0: the run is absent."""
    run_layers: Ints
    """[shapes, runs]"""
    stage: Ints
    """[shapes, runs]: index of the run's first stage in its chain."""
    first_layer: Ints
    """[shapes, runs]"""
    is_even: Bools
    """Every stage was given as many layers as the others."""
    pool: Ints
    """[runs]"""
    chain: Ints
    """[runs]"""

    @property
    def fullest(self) -> Ints:
        """Layers of the fullest stage of each run; 0 where the run is absent."""
        return np.where(self.num_stages > 0, -(-self.run_layers // np.maximum(self.num_stages, 1)), 0)

    @property
    def most_virtual(self) -> Ints:
        """Virtual stages up to which each has a layer; the first may hold the embedding alone, the last the head."""
        alone = self.num_stages == 1
        ends = alone & ((self.stage == 0) | (self.stage + self.num_stages == self.pp[:, None]))
        slimmest = self.run_layers // np.maximum(self.num_stages, 1) + ends
        return np.asarray(np.where(self.num_stages > 0, slimmest, np.iinfo(np.int64).max).min(axis=1))

    @property
    def is_uneven(self) -> Bools:
        """Some stages hold more layers than others."""
        slimmest = np.where(
            self.num_stages > 0, self.run_layers // np.maximum(self.num_stages, 1), np.iinfo(np.int64).max
        )
        return np.asarray(self.fullest.max(axis=1) != slimmest.min(axis=1))


def shapes(inputs: Inputs, layout: Layout, options: Options) -> Shapes:
    """Every shape with at least one layer a stage and one replica a chain, even and balanced where they differ."""
    tp, cp = (axis.ravel() for axis in np.meshgrid(options.tp, options.cp, indexing="ij"))
    through_pools = len(layout.chains) == 1 and len(layout.chains[0]) > 1
    placed = _placed_by_replicas(inputs, layout.chains[0], tp, cp) if through_pools else _placed_by_stages(
        inputs, layout, tp, cp
    )  # fmt: skip
    tp, cp, pp, replicas, pool_stages = placed
    model_layers, fixed = inputs.problem.model.num_layers, inputs.problem.plan.pp
    keep = (pp <= model_layers) & (pp == fixed if fixed else True)
    even = np.flatnonzero(keep & (model_layers % pp == 0))
    balanced = np.flatnonzero(keep & (pp > 1))
    rows = np.concatenate([even, balanced])
    is_even = np.arange(len(rows)) < len(even)
    num_stages, pool, chain = _runs(layout, pp[rows], pool_stages[rows])
    starts = np.r_[True, chain[1:] != chain[:-1]]
    stage = _since_chain_start(num_stages, starts)
    layers = num_stages * (model_layers // pp[rows])[:, None]
    if len(balanced):
        uneven = num_stages[~is_even]
        layers[~is_even] = (
            _cut_alike(inputs, pp[balanced], stage[~is_even], uneven)
            if len(layout.chains) > 1
            else _balanced(inputs, uneven, pool)
        )
    found = Shapes(
        tp=tp[rows], cp=cp[rows], pp=pp[rows], most_replicas=replicas[rows], num_stages=num_stages,
        run_layers=layers, stage=stage,
        first_layer=_since_chain_start(layers, starts), is_even=is_even, pool=pool, chain=chain,
    )  # fmt: skip
    # Balanced that came out even repeats the even row.
    return _take(found, is_even | found.is_uneven)


def _take(shapes: Shapes, keep: Bools) -> Shapes:
    static: dict[str, Any] = {"pool": shapes.pool, "chain": shapes.chain}
    rows: dict[str, Any] = {
        name: getattr(shapes, name)[keep] for name in Shapes.__dataclass_fields__ if name not in static
    }
    return Shapes(**rows, **static)


def _placed_by_replicas(inputs: Inputs, chain: tuple[int, ...], tp: Ints, cp: Ints) -> tuple[Ints, ...]:
    """One pipeline through all pools: dp is chosen, each pool gives as many stages as it has room for."""
    problem = inputs.problem
    most = int(inputs.hardware.num_gpus[list(chain)].min())
    fixed = problem.plan.dp
    wanted = sorted({*divisors(problem.workload.global_batch_size), *powers_of_two(most)})
    degrees = np.array([fixed] if fixed else [dp for dp in wanted if dp <= most], dtype=np.int64)
    tp, cp, dp = _crossed(tp, cp, degrees)
    stages = np.stack([usable_gpus(inputs, pool, tp) // (tp * cp * dp) for pool in chain], axis=1)
    keep = (stages >= 1).all(axis=1)
    return tp[keep], cp[keep], stages.sum(axis=1)[keep], dp[keep, None], stages[keep]


def _placed_by_stages(inputs: Inputs, layout: Layout, tp: Ints, cp: Ints) -> tuple[Ints, ...]:
    """Each chain has its own replicas: pp is chosen, each chain gets as many replicas as it has room for.

    A chain through several pools gives each of them stages in proportion to its GPUs.
    """
    fixed = inputs.problem.plan.pp
    degrees = np.array([fixed] if fixed else _depths(inputs), dtype=np.int64)
    tp, cp, pp = _crossed(tp, cp, degrees)
    replicas, stages = [], []
    for chain in layout.chains:
        usable = np.stack([usable_gpus(inputs, pool, tp) for pool in chain], axis=1)
        shares = _proportional(pp, usable)
        room = usable // (tp * cp)[:, None] // np.maximum(shares, 1)
        replicas.append(np.where((shares >= 1).all(axis=1), room.min(axis=1), 0))
        stages.append(shares)
    most_replicas, pool_stages = np.stack(replicas, axis=1), np.concatenate(stages, axis=1)
    keep = (most_replicas >= 1).all(axis=1)
    return tp[keep], cp[keep], pp[keep], most_replicas[keep], pool_stages[keep]


def _crossed(tp: Ints, cp: Ints, degrees: Ints) -> tuple[Ints, Ints, Ints]:
    row, column = (axis.ravel() for axis in np.meshgrid(np.arange(len(tp)), np.arange(len(degrees)), indexing="ij"))
    return tp[row], cp[row], degrees[column]


def _depths(inputs: Inputs) -> list[int]:
    """Depths worth trying: divisors of the layers, of a pool's nodes and a node's GPUs, powers of two, up to 7."""
    numbers = [inputs.problem.model.num_layers]
    numbers += [
        number for pool in inputs.pools for number in (pool.node_group.num_nodes, pool.node_group.gpus_per_node)
    ]
    most = min(inputs.problem.model.num_layers, int(inputs.hardware.num_gpus.max()))
    found = {value for number in numbers for value in divisors(number)} | set(powers_of_two(most)) | {3, 5, 6, 7}
    return sorted(value for value in found if value <= most)


def _proportional(total: Ints, weights: Ints) -> Ints:
    """Whole shares of `total` in proportion to `weights`, [n, pools]; rows sum to `total`."""
    edges = np.cumsum(weights, axis=1) * total[:, None] / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.diff(np.round(edges).astype(np.int64), axis=1, prepend=0))


def usable_gpus(inputs: Inputs, pool: int, tp: Ints) -> Ints:
    """GPUs of the pool in whole groups of tp: inside a node or fabric, or filling several whole nodes.

    Those that the job file wants idle are not among them.
    """
    group = inputs.pools[pool].node_group
    size, nodes, domain = group.gpus_per_node, group.num_nodes, max(group.fabric.num_gpus, 1)
    inside = nodes * (size // tp) * tp
    whole_nodes = np.where(tp % size == 0, nodes // np.maximum(tp // size, 1) * tp, 0)
    whole_fabrics, rest = divmod(group.num_gpus, domain)
    in_fabrics = (whole_fabrics * (domain // tp) + rest // tp) * tp
    across = np.where(tp <= domain, in_fabrics, whole_nodes)
    most = (group.num_gpus - _num_idle(inputs, pool)) // tp * tp
    return np.asarray(np.minimum(np.where(tp <= size, inside, across), most))


def _num_idle(inputs: Inputs, pool: int) -> int:
    """GPUs of the pool that the job file wants idle."""
    place = (inputs.pools[pool].zone.name, inputs.pools[pool].node_group_index)
    return sum(idle.num_gpus for idle in inputs.problem.plan.idle_gpus or () if (idle.zone, idle.node_group) == place)


def _runs(layout: Layout, pp: Ints, pool_stages: Ints) -> tuple[Ints, Ints, Ints]:
    """Stages of each run [shapes, runs], and pool and chain of each run."""
    counts, pools, chains, column = [], [], [], 0
    several = (pp > 1).astype(np.int64)
    for index, chain in enumerate(layout.chains):
        per_pool = pool_stages[:, column : column + len(chain)].copy()
        column += len(chain)
        per_pool[:, 0] -= 1
        per_pool[:, -1] -= several
        counts += [np.ones_like(pp), *per_pool.T, several]
        pools += [chain[0], *chain, chain[-1]]
        chains += [index] * (len(chain) + 2)
    return np.stack(counts, axis=1), np.array(pools), np.array(chains)


def _balanced(inputs: Inputs, num_stages: Ints, pool: Ints) -> Ints:
    """Layers of each run of a chain so that its busiest stage is least busy: pools differ in speed."""
    seconds = np.broadcast_to(1.0 / inputs.hardware.gemm_flop_per_second[pool], num_stages.shape)
    extra = np.zeros(num_stages.shape)
    extra[:, -1] = head_in_layers(inputs) * seconds[:, -1]
    return split_layers(inputs.problem.model.num_layers, num_stages, seconds, extra)


def _cut_alike(inputs: Inputs, pp: Ints, stage: Ints, num_stages: Ints) -> Ints:
    """Layers of each run where chains must cut the model at the same layers, which they exchange gradients of.

    Every chain is cut like one of equal GPUs: a first stage, those between, and a last one with the LM head. Runs lie
    differently in chains of different pools; each gets what its stages hold.
    """
    num_layers, between = inputs.problem.model.num_layers, pp - 2
    counts = np.stack([np.ones_like(pp), between, np.ones_like(pp)], axis=1)
    extra = np.zeros(counts.shape)
    extra[:, -1] = head_in_layers(inputs)
    first, middle, _ = split_layers(num_layers, counts, np.ones(counts.shape), extra).T
    each, left_over = np.divmod(middle, np.maximum(between, 1))

    def layers_before(stages: Ints) -> Ints:
        inner = stages - 1
        ones_more = np.maximum(inner - (between - left_over)[:, None], 0)  # later stages take what is left over
        before = first[:, None] + inner * each[:, None] + ones_more
        return np.where(stages == 0, 0, np.where(stages == pp[:, None], num_layers, before))

    return layers_before(stage + num_stages) - layers_before(stage)


def head_in_layers(inputs: Inputs) -> float:
    """Work of the LM head in layers: the ratio of their FLOP."""
    model, length = inputs.problem.model, inputs.problem.workload.sequence_length
    head = head_flop(model, length)
    return head / ((forward_flop(model, length) - head) / model.num_layers)


def _since_chain_start(values: Ints, starts: Bools) -> Ints:
    """Sum of the columns before each column, within its chain."""
    before = np.cumsum(values, axis=1) - values
    origin = np.maximum.accumulate(np.where(starts, np.arange(values.shape[1]), 0))
    return np.asarray(before - before[:, origin])
