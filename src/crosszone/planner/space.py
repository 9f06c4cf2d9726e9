"""Every legal plan on one layout: shapes crossed with microbatch, virtual stages, sharding, experts, recomputation."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosszone.core.layout import Layout
from crosszone.core.plan import SCHEDULES, Sync
from crosszone.core.problem import PlanRequest
from crosszone.core.schedules import refusal, schedule, traits
from crosszone.core.tables import EVERY_LAYER, Bools, Ints, PlanTable, ReplicaTable, StageTable, unique
from crosszone.planner.options import Options, divisors
from crosszone.planner.shapes import Shapes, shapes
from crosszone.planner.split import exact_shares, split_microbatches
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Settings, Tables

ONE_F_ONE_B, INTERLEAVED = SCHEDULES.index("1f1b"), SCHEDULES.index("interleaved_1f1b")
UNEVEN_CHUNKS = (2, 4, 8)
"""Virtual stages of uneven stages, besides divisors of the layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Candidates of one layout, one row each, recomputation left open."""

    layout: Layout
    settings: Settings
    shapes: Shapes
    plans: PlanTable
    shape: Ints
    """Row in `shapes`."""
    num_replicas: Ints
    """[plans, chains]"""
    num_microbatches: Ints
    """[plans, chains]: of one replica."""
    recompute_layers: int
    """What the job file says of them, where it fixes what is recomputed."""
    turns: bool
    """Pipelines turn round at the last rank: the model ends on the rank where it begins."""

    @property
    def pools(self) -> tuple[int, ...]:
        """Pools that these plans may use."""
        return tuple(sorted({pool for chain in self.layout.chains for pool in chain}))

    def like_replicas(self, num_sequences: int) -> tuple[Ints, Ints]:
        """(greatest common divisor of the sizes of groups of like replicas, microbatches of the replica with fewest).

        Groups as the general form has them: replicas of a chain that do one more are a group of their own.
        """
        totals = exact_shares(num_sequences // self.plans.microbatch_size, self.num_replicas, self.num_microbatches)
        fewest, busier = np.divmod(totals, self.num_replicas)
        alike = np.gcd.reduce(np.gcd(busier, self.num_replicas - busier), axis=1)
        return alike, fewest.min(axis=1)

    def filled(self, rows: Ints, framework: Ints, recompute: int) -> PlanTable:
        """The plans in `rows`, each for its `framework`, all with one way to recompute."""
        return replace(self.plans.take(rows), framework=framework, recompute=np.full(len(rows), recompute))

    def tables(self, rows: Ints, framework: Ints, recompute: int, recompute_layers: Ints | None = None) -> Tables:
        """The same with their replica groups and stages, of which each recomputes so many layers ([rows, runs])."""
        num_chains = self.num_replicas.shape[1]
        replicas = ReplicaTable(
            plan=np.repeat(np.arange(len(rows)), num_chains),
            num_replicas=self.num_replicas[rows].ravel(),
            num_microbatches=self.num_microbatches[rows].ravel(),
        )
        return Tables(
            layouts=(self.layout,),
            plans=self.filled(rows, framework, recompute),
            replicas=replicas,
            stages=self._stages(rows, num_chains, recompute_layers),
            settings=self.settings,
        )

    def runs(self, rows: Ints) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(place in `rows`, run) of each stage row of `tables`."""
        place, run = np.nonzero(self.shapes.num_stages[self.shape[rows]])
        return place, run

    def _stages(self, rows: Ints, num_chains: int, recompute_layers: Ints | None) -> StageTable:
        """Stage rows of the plans in `rows`, absent runs left out.

        Where the pipeline turns round at the last rank, the model ends where it begins.
        """
        shape, (place, run) = self.shapes, self.runs(rows)
        of_shape = self.shape[rows][place]
        stage, count = shape.stage[of_shape, run], shape.num_stages[of_shape, run]
        layers = shape.run_layers[of_shape, run]
        every = np.full(len(run), self.recompute_layers)
        return StageTable(
            replica=place * num_chains + shape.chain[run],
            pool=shape.pool[run],
            stage=stage,
            num_stages=count,
            first_layer=shape.first_layer[of_shape, run],
            run_layers=layers,
            num_layers=-(-layers // count),
            recompute_layers=every if recompute_layers is None else recompute_layers[place, run],
            has_embedding=stage == 0,
            has_head=(stage == 0) if self.turns else stage + count == shape.pp[of_shape],
        )


def candidates(inputs: Inputs, layout: Layout, options: Options) -> Space:
    """Legal plans on `layout`.

    Legal: whole heads and key-value heads per rank, at least one layer a stage and one microbatch a replica, whole
    rounds of microbatches where stages are interleaved, experts that divide, every degree that the job file fixes.
    """
    shape = shapes(inputs, layout, options)
    row, size, virtual, evenly = _crossed(inputs, shape, options)
    total = inputs.problem.workload.global_batch_size // size
    num_replicas, repeats = _thinned(shape.most_replicas[row], total, evenly, inputs.problem.plan.dp)
    share, is_unequal = _shares(inputs, layout, total, num_replicas)
    keep = (num_replicas >= 1).all(axis=1) & ~repeats & _interleaves(inputs, shape, row, virtual, share, is_unequal)
    if inputs.problem.plan.dp:
        keep &= num_replicas.sum(axis=1) == inputs.problem.plan.dp
    if options.world_size:
        keep &= (shape.tp * shape.cp * shape.pp)[row] * num_replicas.sum(axis=1) == options.world_size
    rows = np.flatnonzero(keep)
    pick, shard, dp_shard, ep = _sharded(inputs, layout, options, shape, row[rows], num_replicas[rows])
    rows = rows[pick]
    plans = _plans(
        inputs, layout, shape, row[rows], num_replicas[rows], is_unequal[rows], {"microbatch_size": size[rows],
        "num_virtual_stages": virtual[rows], "shard": shard, "dp_shard": dp_shard, "ep": ep},
    )  # fmt: skip
    return Space(
        layout=layout, settings=_settings(inputs.problem.plan), shapes=shape, plans=plans, shape=row[rows],
        num_replicas=num_replicas[rows], num_microbatches=share[rows],
        recompute_layers=inputs.problem.plan.recompute_layers or EVERY_LAYER,
        turns=traits(inputs.problem.plan.schedule or "1f1b").placement == "v",
    )  # fmt: skip


def _settings(request: PlanRequest) -> Settings:
    return Settings(
        sync=request.sync or Sync(),
        bucket_bytes=request.bucket_bytes,
        prefetch=request.prefetch,
        overlap_fraction=request.overlap_fraction,
    )


def _crossed(inputs: Inputs, shape: Shapes, options: Options) -> tuple[Ints, Ints, Ints, Bools]:
    """Shape row, microbatch size, virtual stages, and whether replicas are thinned to share the batch evenly.

    Uneven stages are interleaved where no even ones have as many ranks; single moves try the others.
    """
    request = inputs.problem.plan
    is_free = request.num_virtual_stages is None and request.schedule in (None, SCHEDULES[INTERLEAVED])
    chunks = unique(np.append(options.num_virtual_stages, UNEVEN_CHUNKS)) if is_free else options.num_virtual_stages
    axes = (np.arange(len(shape.tp)), options.microbatch_size, chunks, np.array([False, True]))
    row, size, virtual, evenly = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    needs_uneven = inputs.problem.model.num_layers % shape.pp != 0
    keep = (virtual == 1) | ((shape.pp > 1) & (shape.is_even | needs_uneven))[row]
    return row[keep], size[keep], virtual[keep], evenly[keep]


def _thinned(most: Ints, num_microbatches: Ints, evenly: Bools, fixed: int | None = None) -> tuple[Ints, Bools]:
    """Replicas [n, chains], at most one per microbatch and `fixed`; where `evenly`, as many as divide the microbatches.

    Also whether the even variant repeats the full one. Chains give up replicas in proportion, the last ones first.
    """
    total = most.sum(axis=1)
    full = np.minimum(total, num_microbatches if fixed is None else np.minimum(num_microbatches, fixed))
    even = _largest_divisor(num_microbatches, full)
    wanted = np.where(evenly, even, full)
    repeats = evenly & (even == full)
    if most.shape[1] == 1:
        return wanted[:, None], repeats
    kept = np.minimum(most, most * wanted[:, None] // np.maximum(total, 1)[:, None])
    missing = wanted - kept.sum(axis=1)
    for chain in range(most.shape[1]):
        more = np.minimum(missing, most[:, chain] - kept[:, chain])
        kept[:, chain] += more
        missing = missing - more
    return kept, repeats


def _largest_divisor(numbers: Ints, most: Ints) -> Ints:
    """Largest divisor of each number that is at most `most`."""
    result = np.ones_like(numbers)
    for number in unique(numbers):
        rows = numbers == number
        known = np.array(divisors(int(number)))
        result[rows] = known[np.searchsorted(known, most[rows], side="right") - 1]
    return result


def _shares(inputs: Inputs, layout: Layout, total: Ints, num_replicas: Ints) -> tuple[Ints, Bools]:
    """Microbatches of one replica of each chain [n, chains], and whether replicas differ in them."""
    speed = np.array([_chain_speed(inputs, chain) for chain in layout.chains])
    dp = num_replicas.sum(axis=1)
    divides = total % np.maximum(dp, 1) == 0
    if np.ptp(speed) < 1e-9 * speed.max():  # none is faster: all do the same, or one more
        share = -(-total // np.maximum(dp, 1))
        return np.repeat(share[:, None], len(speed), axis=1), ~divides
    rounded = split_microbatches(total, num_replicas, np.broadcast_to(speed, num_replicas.shape))
    totals = exact_shares(total, num_replicas, rounded)
    is_equal = (totals * dp[:, None] == num_replicas * total[:, None]).all(axis=1)  # rounding up may hide it
    return -(-totals // np.maximum(num_replicas, 1)), ~(divides & is_equal)


def _chain_speed(inputs: Inputs, chain: tuple[int, ...]) -> float:
    return float(np.mean(inputs.hardware.gemm_flop_per_second[list(chain)]))


def _interleaves(inputs: Inputs, shape: Shapes, row: Ints, virtual: Ints, share: Ints, is_unequal: Bools) -> Bools:
    """Virtual stages are whole layers; where they interleave, microbatches come in whole rounds of the ranks.

    A schedule that the job file names may need more.
    """
    pp, name = shape.pp[row], inputs.problem.plan.schedule
    whole = inputs.problem.model.num_layers // pp % virtual == 0
    may_be_uneven = name is None or traits(name).placement == "loop"
    fits = np.where(shape.is_even[row], whole, may_be_uneven & (shape.most_virtual[row] >= virtual))
    if name is None or traits(name).placement == "loop":
        fits = fits & (share[:, 0] % pp == 0) & ~is_unequal
    keep = np.asarray((virtual == 1) | fits)
    if name is not None and hasattr(schedule(name), "refusal"):
        distinct, index = np.unique(np.stack([pp, share.min(axis=1)]), axis=1, return_inverse=True)
        runs = [not refusal(name, int(stages), int(count)) for stages, count in distinct.T]
        keep &= np.array(runs, dtype=np.bool_)[index.ravel()]
    return keep


def _sharded(
    inputs: Inputs, layout: Layout, options: Options, shape: Shapes, row: Ints, num_replicas: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """(index in the given rows, shard, ranks that share one copy, ep) of every way to shard and to place experts.

    Groups that shard: all replicas of a zone (of the smallest chain), those of a fabric domain, or all of all zones;
    where the job file fixes their size, groups of that size that mix no zones, or all. One replica may shard over its
    ranks of cp. What a job file wants sharded may be sharded over one rank.
    """
    tp, cp = shape.tp[row], shape.cp[row]
    dp, whole = num_replicas.sum(axis=1), np.gcd.reduce(num_replicas, axis=1)
    domain = min(int(inputs.hardware.domain_size[pool]) for chain in layout.chains for pool in chain)
    inside = np.gcd(whole, np.maximum(domain // (tp * cp), 1))
    groups = [(whole, whole > 0), (inside, inside < whole), (dp, dp > whole)]
    if inputs.problem.plan.dp_shard:
        size = np.full_like(dp, inputs.problem.plan.dp_shard)
        groups = [(size, (whole % size == 0) | (dp == size))]
    everyone = np.arange(len(row))
    found = [(everyone, np.zeros_like(row), np.ones_like(row))] if 0 in options.shard else []
    may_be_alone = 0 not in options.shard
    for size, distinct in groups:
        index = np.flatnonzero(distinct & ((size > 1) | ((dp == 1) & ((cp > 1) | may_be_alone))))
        found += [(index, np.full(len(index), code), size[index]) for code in options.shard[options.shard > 0]]
    if not found:
        return (everyone[:0],) * 4
    index, shard, dp_shard = (np.concatenate(parts) for parts in zip(*found, strict=True))
    ranks = (tp * cp * num_replicas.min(axis=1))[index]
    by_ep = [(np.flatnonzero(ranks % ep == 0), ep) for ep in options.ep]
    pick = np.concatenate([rows for rows, _ in by_ep])
    ep = np.concatenate([np.full(len(rows), value) for rows, value in by_ep])
    return index[pick], shard[pick], dp_shard[pick], ep


def _plans(
    inputs: Inputs,
    layout: Layout,
    shape: Shapes,
    row: Ints,
    num_replicas: Ints,
    is_unequal: Bools,
    chosen: dict[str, Ints],
) -> PlanTable:
    """Columns of the plans; framework and recomputation are filled in when tables are built."""
    size, request = len(row), inputs.problem.plan
    tp, virtual = shape.tp[row], chosen["num_virtual_stages"]
    wants = True if request.sequence_parallel is None else request.sequence_parallel
    pipelined = SCHEDULES.index(request.schedule) if request.schedule else ONE_F_ONE_B
    return PlanTable(
        layout=np.zeros(size, dtype=np.int64),
        framework=np.zeros(size, dtype=np.int64),
        tp=tp,
        pp=shape.pp[row],
        cp=shape.cp[row],
        dp=num_replicas.sum(axis=1),
        schedule=np.where((virtual > 1) & (request.schedule is None), INTERLEAVED, pipelined),
        recompute=np.zeros(size, dtype=np.int64),
        sequence_parallel=(tp > 1) & wants,
        offloads_optimizer=np.full(size, request.offload not in (None, "none")),
        is_unequal=is_unequal,
        **chosen,
    )
