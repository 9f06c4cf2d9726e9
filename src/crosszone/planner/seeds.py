"""Structures of a small cluster to start from: blocks of each size, chains in every order of pools, every dp."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from crosszone.core.tables import Ints
from crosszone.planner.options import divisors
from crosszone.planner.shapes import head_in_layers, usable_gpus
from crosszone.planner.split import split_layers
from crosszone.planner.structure import Chain, Groups, Structure
from crosszone.timeline.inputs import Inputs

MOST_GPUS = 32
"""GPUs of the cluster up to which seeds are laid; larger ones are scanned only."""
MOST_POOLS = 4
MOST_SEEDS = 1500


def seeds(inputs: Inputs, pools: Sequence[int], tps: Sequence[int], cps: Sequence[int]) -> list[Structure]:
    """Structures whose layers are cut by speed, at most `MOST_SEEDS`: the rest is left to single moves from them."""
    if sum(int(inputs.hardware.num_gpus[pool]) for pool in pools) > MOST_GPUS or len(pools) > MOST_POOLS:
        return []
    found: dict[Structure, None] = {}
    for tp, cp in itertools.product(tps, cps):
        blocks = {pool: int(usable_gpus(inputs, pool, np.array([tp]))[0]) // (tp * cp) for pool in pools}
        for pp in range(1, min(inputs.problem.model.num_layers, sum(blocks.values())) + 1):
            groups = [*_through(inputs, blocks, pp), *_beside(inputs, blocks, pp)]
            for group, layers in zip(groups, _cuts(inputs, groups, pp), strict=True):
                found[Structure(tp, cp, layers, group)] = None
    every = list(found)
    step = -(-len(every) // MOST_SEEDS)
    return every[:: max(step, 1)]


def _through(inputs: Inputs, blocks: dict[int, int], pp: int) -> Iterator[Groups]:
    """One chain through any pools in any order, with every useful number of replicas."""
    for size in range(1, min(pp, len(blocks)) + 1):
        for order in itertools.permutations(blocks, size):
            for cuts in itertools.combinations(range(1, pp), size - 1):
                edges = (0, *cuts, pp)
                counts = [end - start for start, end in itertools.pairwise(edges)]
                most = min(blocks[pool] // count for pool, count in zip(order, counts, strict=True))
                chain: Chain = tuple(
                    itertools.chain.from_iterable((pool,) * count for pool, count in zip(order, counts, strict=True))
                )
                for dp in _useful(inputs, most):
                    yield ((chain, dp),)


def _beside(inputs: Inputs, blocks: dict[int, int], pp: int) -> Iterator[Groups]:
    """Every pool its own replicas, in every number of them."""
    most = [blocks[pool] // pp for pool in blocks]
    for counts in itertools.product(*(range(number + 1) for number in most)):
        if sum(count > 0 for count in counts) > 1 and sum(counts) <= inputs.problem.workload.global_batch_size:
            yield tuple(((pool,) * pp, count) for pool, count in zip(blocks, counts, strict=True) if count)


def _useful(inputs: Inputs, most: int) -> list[int]:
    """Numbers of replicas that share the batch evenly, and all that fit."""
    fitting = min(most, inputs.problem.workload.global_batch_size)
    return sorted({dp for dp in (*divisors(inputs.problem.workload.global_batch_size), fitting) if 0 < dp <= fitting})


def _cuts(inputs: Inputs, groups: Sequence[Groups], pp: int) -> list[tuple[int, ...]]:
    """Layers of each stage, so that the slowest pool's busiest stage is least busy."""
    if not groups:
        return []
    slowness = 1.0 / inputs.hardware.gemm_flop_per_second
    seconds = np.array([[max(slowness[chain[stage]] for chain, _ in group) for stage in range(pp)] for group in groups])
    extra = np.zeros(seconds.shape)
    extra[:, -1] = head_in_layers(inputs) * seconds[:, -1]
    layers: Ints = split_layers(inputs.problem.model.num_layers, np.ones(seconds.shape, dtype=np.int64), seconds, extra)
    return [tuple(row) for row in layers.tolist()]
