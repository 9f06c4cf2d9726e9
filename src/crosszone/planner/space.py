"""Every legal plan on one layout, as tables."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import SCHEDULES
from crosszone.core.tables import Bools, Ints, PlanTable, ReplicaTable, StageTable
from crosszone.cost.flop import forward_flop
from crosszone.planner.options import Options, divisors, powers_of_two
from crosszone.planner.split import split_layers, split_microbatches
from crosszone.timeline.evaluate import Tables
from crosszone.timeline.inputs import Inputs

ONE_F_ONE_B, INTERLEAVED = SCHEDULES.index("1f1b"), SCHEDULES.index("interleaved_1f1b")
SHARD_GROUPS = 3
"""Ways to choose the ranks that shard: all of a zone's replicas, those of a fabric domain, all of all zones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Degrees of candidate plans, one row each; [plans, chains] and [plans, pools of all chains] where said."""

    tp: Ints
    cp: Ints
    ep: Ints
    pp: Ints
    microbatch_size: Ints
    num_virtual_stages: Ints
    recompute: Ints
    shard: Ints
    shard_group: Ints
    is_even: Bools
    """Every stage is to hold as many layers as the others."""
    num_replicas: Ints
    """[plans, chains]"""
    pool_stages: Ints
    """[plans, pools]: stages in each pool of each chain."""

    def take(self, rows: Ints | Bools) -> "_Grid":
        return _Grid(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def candidates(inputs: Inputs, layout: Layout, layout_index: int, options: Options) -> tuple[Tables, Ints]:
    """Legal plans on `layout` and, per plan, the microbatches of its replica with fewest. Framework code 0 throughout.

    Legal: whole heads and key-value heads per rank, at least one layer a stage and one microbatch a replica, every degree
    that the job file fixes.
    """
    grid = _crossed(inputs, options, _placed(inputs, layout, options))
    grid = grid.take(_is_legal(inputs, grid))
    num_microbatches, is_unequal = _microbatches(inputs, layout, grid)
    interleaves = grid.num_virtual_stages > 1
    fits_rounds = ~interleaves | (~is_unequal & (num_microbatches[:, 0] % grid.pp == 0))
    grid, num_microbatches, is_unequal = grid.take(fits_rounds), num_microbatches[fits_rounds], is_unequal[fits_rounds]
    stages, layers = _stages(inputs, layout, grid)
    plans = _plans(inputs, layout, layout_index, grid, is_unequal, layers)
    keep = _is_wanted(inputs, grid, plans)
    tables = Tables(layouts=(layout,), plans=plans, replicas=_replicas(grid, num_microbatches), stages=stages)
    return tables.take(keep), num_microbatches.min(axis=1)[keep]


def _placed(inputs: Inputs, layout: Layout, options: Options) -> tuple[Ints, ...]:
    """(tp, cp, pp, replicas [n, chains], pool stages [n, pools]) of each way to lay tp*cp*pp blocks on the pools."""
    tp, cp = (axis.ravel() for axis in np.meshgrid(options.tp, options.cp, indexing="ij"))
    if len(layout.chains) == 1 and len(layout.chains[0]) > 1:
        return _placed_by_replicas(inputs, layout.chains[0], tp, cp)
    return _placed_by_stages(inputs, layout, tp, cp)


def _placed_by_replicas(inputs: Inputs, chain: tuple[int, ...], tp: Ints, cp: Ints) -> tuple[Ints, ...]:
    """One pipeline through all pools: dp is chosen, each pool gives as many stages as it has room for."""
    problem = inputs.problem
    most = int(inputs.hardware.num_gpus[list(chain)].min())
    fixed = problem.plan.dp
    wanted = sorted({*divisors(problem.workload.global_batch_size), *powers_of_two(most)})
    degrees = np.array([fixed] if fixed else [dp for dp in wanted if dp <= most], dtype=np.int64)
    row, column = (axis.ravel() for axis in np.meshgrid(np.arange(len(tp)), np.arange(len(degrees)), indexing="ij"))
    tp, cp, dp = tp[row], cp[row], degrees[column]
    stages = np.stack([_usable(inputs, pool, tp) // (tp * cp * dp) for pool in chain], axis=1)
    keep = (stages >= 1).all(axis=1)
    return tp[keep], cp[keep], stages.sum(axis=1)[keep], dp[keep, None], stages[keep]


def _placed_by_stages(inputs: Inputs, layout: Layout, tp: Ints, cp: Ints) -> tuple[Ints, ...]:
    """Each chain has its own replicas: pp is chosen, each chain gets as many replicas as it has room for.

    A chain through several pools gives each of them stages in proportion to its GPUs.
    """
    fixed = inputs.problem.plan.pp
    most = min(inputs.problem.model.num_layers, max(int(inputs.hardware.num_gpus.max()), 1))
    degrees = np.array([fixed] if fixed else _stage_counts(inputs, most), dtype=np.int64)
    row, column = (axis.ravel() for axis in np.meshgrid(np.arange(len(tp)), np.arange(len(degrees)), indexing="ij"))
    tp, cp, pp = tp[row], cp[row], degrees[column]
    replicas, stages = [], []
    for chain in layout.chains:
        usable = np.stack([_usable(inputs, pool, tp) for pool in chain], axis=1)
        shares = _proportional(pp, usable)
        room = usable // np.maximum(tp * cp, 1)[:, None] // np.maximum(shares, 1)
        replicas.append(np.where((shares >= 1).all(axis=1), room.min(axis=1), 0))
        stages.append(shares)
    num_replicas, pool_stages = np.stack(replicas, axis=1), np.concatenate(stages, axis=1)
    keep = (num_replicas >= 1).all(axis=1)
    return tp[keep], cp[keep], pp[keep], num_replicas[keep], pool_stages[keep]


def _stage_counts(inputs: Inputs, most: int) -> list[int]:
    """Depths worth trying: divisors of the layers, of the GPUs and nodes of a pool, powers of two."""
    numbers = [inputs.problem.model.num_layers]
    numbers += [number for pool in inputs.pools for number in (pool.node_group.num_nodes, pool.node_group.gpus_per_node)]
    found = {value for number in numbers for value in divisors(number)} | set(powers_of_two(most)) | {3, 6, 7}
    return sorted(value for value in found if value <= most)


def _proportional(total: Ints, weights: Ints) -> Ints:
    """Whole shares of `total` in proportion to `weights`, [n, pools]; the last pool takes what rounding leaves."""
    edges = np.cumsum(weights, axis=1) * total[:, None] / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return np.diff(np.round(edges).astype(np.int64), axis=1, prepend=0)


def _usable(inputs: Inputs, pool: int, tp: Ints) -> Ints:
    """GPUs of the pool in whole groups of tp that do not straddle nodes, unless a group fills several whole nodes."""
    group = inputs.pools[pool].node_group
    size, nodes = group.gpus_per_node, group.num_nodes
    inside = nodes * (size // tp) * tp
    whole_nodes = np.where(tp % size == 0, nodes // np.maximum(tp // size, 1) * tp, 0)
    shares_fabric = tp <= group.fabric.num_gpus
    across = np.where(shares_fabric, nodes * size // tp * tp, whole_nodes)
    return np.where(tp <= size, inside, across)


def _crossed(inputs: Inputs, options: Options, placed: tuple[Ints, ...]) -> _Grid:
    """Every placement with every other choice; replicas thinned to what the batch can feed, in two variants."""
    tp, cp, pp, num_replicas, pool_stages = placed
    axes = (
        np.arange(len(tp)),
        options.ep,
        options.microbatch_size,
        options.num_virtual_stages,
        options.recompute,
        options.shard,
        np.arange(SHARD_GROUPS),
        np.array([0, 1]),  # layers: even or balanced
        np.array([0, 1]),  # replicas: all that fit, or as many as share the microbatches evenly
    )
    row, ep, size, virtual, recompute, shard, group, balanced, evenly = (
        axis.ravel() for axis in np.meshgrid(*axes, indexing="ij", copy=False)
    )
    # Most combinations are repeats or illegal on sight: they are dropped before anything is computed of them.
    keep = (shard > 0) | (group == 0)
    keep &= (virtual == 1) | ((balanced == 0) & (pp[row] > 1))
    keep &= (pp[row] > 1) | (balanced == 0)
    keep &= (num_replicas.sum(axis=1)[row] > 1) | ((evenly == 0) & (shard == 0)) | (cp[row] > 1)
    row, ep, size, virtual, recompute, shard, group, balanced, evenly = (
        axis[keep] for axis in (row, ep, size, virtual, recompute, shard, group, balanced, evenly)
    )
    microbatches = inputs.problem.workload.global_batch_size // size
    replicas, differs = _thinned(num_replicas[row], microbatches, evenly.astype(bool))
    keep = (evenly == 0) | differs
    return _Grid(
        tp=tp[row], cp=cp[row], ep=ep, pp=pp[row], microbatch_size=size, num_virtual_stages=virtual,
        recompute=recompute, shard=shard, shard_group=group, is_even=balanced == 0, num_replicas=replicas,
        pool_stages=pool_stages[row],
    ).take(keep)  # fmt: skip


def _thinned(num_replicas: Ints, num_microbatches: Ints, evenly: Bools) -> tuple[Ints, Bools]:
    """Replicas [n, chains], at most one per microbatch; where `evenly`, as many as divide the microbatches.

    Also whether an even variant differs from the full one. Chains give up replicas in proportion, the last ones first.
    """
    total = num_replicas.sum(axis=1)
    most = np.minimum(total, num_microbatches)
    even = _largest_divisor(num_microbatches, most)
    wanted = np.where(evenly, even, most)
    if num_replicas.shape[1] == 1:
        return wanted[:, None], even != most
    kept = np.minimum(num_replicas, num_replicas * wanted[:, None] // np.maximum(total, 1)[:, None])
    missing = wanted - kept.sum(axis=1)
    for chain in range(num_replicas.shape[1]):
        more = np.minimum(missing, num_replicas[:, chain] - kept[:, chain])
        kept[:, chain] += more
        missing = missing - more
    return kept, even != most


def _largest_divisor(numbers: Ints, most: Ints) -> Ints:
    """Largest divisor of each number that is at most `most`."""
    result = np.ones_like(numbers)
    for number in np.unique(numbers):
        rows = numbers == number
        known = np.array(divisors(int(number)))
        result[rows] = known[np.searchsorted(known, most[rows], side="right") - 1]
    return result


def _is_legal(inputs: Inputs, grid: _Grid) -> Bools:
    problem = inputs.problem
    dp = grid.num_replicas.sum(axis=1)
    legal = (grid.num_replicas >= 1).all(axis=1) & (grid.pp <= problem.model.num_layers)
    if problem.plan.dp:
        legal &= dp == problem.plan.dp
    if problem.plan.pp:
        legal &= grid.pp == problem.plan.pp
    per_stage, rest = np.divmod(problem.model.num_layers, grid.pp)
    legal &= ~grid.is_even | (rest == 0)
    legal &= (grid.num_virtual_stages == 1) | (per_stage % grid.num_virtual_stages == 0)
    # Experts stay within the ranks of one stage in one chain.
    ranks = grid.tp * grid.cp * grid.num_replicas.min(axis=1)
    return legal & (ranks % grid.ep == 0)


def _microbatches(inputs: Inputs, layout: Layout, grid: _Grid) -> tuple[Ints, Bools]:
    """Microbatches of one replica of each chain [n, chains], and whether replicas differ in them."""
    speed = np.array([_chain_speed(inputs, chain) for chain in layout.chains])
    total = inputs.problem.workload.global_batch_size // grid.microbatch_size
    shares = split_microbatches(total, grid.num_replicas, np.broadcast_to(speed, grid.num_replicas.shape))
    dp = grid.num_replicas.sum(axis=1)
    equal = total % dp == 0
    # Where all replicas can do the same and none is faster, they do.
    if np.ptp(speed) < 1e-9 * speed.max():
        shares = np.broadcast_to(-(-total // dp)[:, None], shares.shape).copy()
    return shares, ~(equal & (shares == shares[:, :1]).all(axis=1))


def _chain_speed(inputs: Inputs, chain: tuple[int, ...]) -> float:
    return float(sum(inputs.hardware.gemm_flop_per_second[list(chain)]) / len(chain))


def _stages(inputs: Inputs, layout: Layout, grid: _Grid) -> tuple[StageTable, Ints]:
    """Stage rows of every plan, and the layers of the runs of the first chain [n, runs] (to tell even from uneven)."""
    counts, pools, chains = _runs(layout, grid)
    layers = np.zeros_like(counts)
    for chain in range(len(layout.chains)):
        columns = np.flatnonzero(chains == chain)
        layers[:, columns] = _layers(inputs, grid, counts[:, columns], pools[columns])
    present = counts > 0
    plan, run = np.nonzero(present)
    first_of_chain = np.r_[True, chains[1:] != chains[:-1]]
    stage = _since_chain_start(counts, first_of_chain)
    first_layer = _since_chain_start(layers, first_of_chain)
    num_stages, run_layers = counts[plan, run], layers[plan, run]
    last = stage + counts == grid.pp[:, None]
    table = StageTable(
        replica=plan * len(layout.chains) + chains[run],
        pool=pools[run],
        stage=stage[plan, run],
        num_stages=num_stages,
        first_layer=first_layer[plan, run],
        run_layers=run_layers,
        num_layers=-(-run_layers // num_stages),
        has_embedding=stage[plan, run] == 0,
        has_head=last[plan, run],
    )
    return table, np.where(counts > 0, -(-layers // np.maximum(counts, 1)), 0)


def _runs(layout: Layout, grid: _Grid) -> tuple[Ints, Ints, Ints]:
    """Stages of each run [n, runs], and pool and chain of each run.

    A chain's runs: its first stage, the others of the first pool, each further pool, and its last stage apart. First and
    last do more than layers; the first stage of a run has most microbatches in flight.
    """
    counts, pools, chains, column = [], [], [], 0
    for index, chain in enumerate(layout.chains):
        per_pool = grid.pool_stages[:, column : column + len(chain)].copy()
        column += len(chain)
        several = (grid.pp > 1).astype(np.int64)
        per_pool[:, 0] -= 1
        per_pool[:, -1] -= several
        counts += [np.ones_like(grid.pp), *per_pool.T, several]
        pools += [chain[0], *chain, chain[-1]]
        chains += [index] * (len(chain) + 2)
    return np.stack(counts, axis=1), np.array(pools), np.array(chains)


def _since_chain_start(values: Ints, first_of_chain: Bools) -> Ints:
    """Sum of the columns before each column, within its chain."""
    before = np.cumsum(values, axis=1) - values
    starts = np.maximum.accumulate(np.where(first_of_chain, np.arange(values.shape[1]), 0))
    return np.asarray(before - before[:, starts])


def _layers(inputs: Inputs, grid: _Grid, counts: Ints, pools: Ints) -> Ints:
    """Layers of each run of one chain [n, runs]: even where asked, else so that the busiest stage is least busy."""
    model = inputs.problem.model
    even = counts * (model.num_layers // grid.pp)[:, None]
    balanced = ~grid.is_even
    if balanced.any():
        seconds = 1.0 / inputs.hardware.gemm_flop_per_second[pools]
        shape = (int(balanced.sum()), len(pools))
        extra = np.zeros(shape)
        extra[:, -1] = _head_in_layers(inputs) * seconds[-1]
        even[balanced] = split_layers(model.num_layers, counts[balanced], np.broadcast_to(seconds, shape), extra)
    return even


def _head_in_layers(inputs: Inputs) -> float:
    """Work of the LM head in layers: the ratio of their FLOP."""
    model, length = inputs.problem.model, inputs.problem.workload.sequence_length
    head = 2.0 * length * model.hidden_size * model.vocab_size
    return head / ((forward_flop(model, length) - head) / model.num_layers)


def _shard_ranks(inputs: Inputs, layout: Layout, grid: _Grid) -> Ints:
    """Ranks that share one copy: all replicas of a zone (of the smallest chain), those of a fabric domain, or all."""
    whole = np.gcd.reduce(grid.num_replicas, axis=1)
    domain = min(int(inputs.hardware.domain_size[pool]) for chain in layout.chains for pool in chain)
    inside = np.gcd(whole, np.maximum(domain // (grid.tp * grid.cp), 1))
    dp = grid.num_replicas.sum(axis=1)
    ranks = np.select([grid.shard_group == 0, grid.shard_group == 1], [whole, inside], dp)
    return np.where(grid.shard > 0, ranks, 1)


def _plans(
    inputs: Inputs, layout: Layout, layout_index: int, grid: _Grid, is_unequal: Bools, layers: Ints
) -> PlanTable:
    size = len(grid.tp)
    fullest, none = layers.max(axis=1), np.iinfo(np.int64).max
    slimmest = np.where(layers > 0, layers, none).min(axis=1)
    request = inputs.problem.plan
    parallel = np.where(grid.tp > 1, True if request.sequence_parallel is None else request.sequence_parallel, False)
    pipelined = SCHEDULES.index(request.schedule) if request.schedule else ONE_F_ONE_B
    return PlanTable(
        layout=np.full(size, layout_index),
        framework=np.zeros(size, dtype=np.int64),
        tp=grid.tp,
        pp=grid.pp,
        cp=grid.cp,
        ep=grid.ep,
        dp=grid.num_replicas.sum(axis=1),
        dp_shard=_shard_ranks(inputs, layout, grid),
        num_virtual_stages=grid.num_virtual_stages,
        microbatch_size=grid.microbatch_size,
        schedule=np.where(grid.num_virtual_stages > 1, INTERLEAVED, pipelined),
        recompute=grid.recompute,
        shard=grid.shard,
        sequence_parallel=parallel.astype(bool),
        offloads_optimizer=np.full(size, request.offload not in (None, "none")),
        is_uneven=fullest != slimmest,
        is_unequal=is_unequal,
        crosses_pp=np.full(size, layout.crosses_pp),
        crosses_dp=np.full(size, len(layout.ring) > 1),
        is_flat=np.full(size, request.sync is not None and request.sync.method == "flat"),
    )


def _is_wanted(inputs: Inputs, grid: _Grid, plans: PlanTable) -> Bools:
    """Drops repeats (groups of one rank, two ways to the same group, balanced that came out even) and unwanted shards."""
    whole = np.gcd.reduce(grid.num_replicas, axis=1)
    repeats = (plans.shard > 0) & (plans.dp_shard * plans.cp == 1)
    repeats |= (grid.shard_group == 1) & (plans.dp_shard == whole)
    repeats |= (grid.shard_group == 2) & (whole == plans.dp)
    repeats |= ~grid.is_even & ~plans.is_uneven & (inputs.problem.model.num_layers % grid.pp == 0)
    wanted = ~repeats
    if inputs.problem.plan.dp_shard:
        wanted &= (plans.dp_shard == inputs.problem.plan.dp_shard) | (plans.shard == 0)
    return wanted


def _replicas(grid: _Grid, num_microbatches: Ints) -> ReplicaTable:
    size, num_chains = grid.num_replicas.shape
    return ReplicaTable(
        plan=np.repeat(np.arange(size), num_chains),
        num_replicas=grid.num_replicas.ravel(),
        num_microbatches=num_microbatches.ravel(),
    )

