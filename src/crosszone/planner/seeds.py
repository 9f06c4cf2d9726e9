"""Structures of a small cluster to start from: blocks of each size, chains in every order of pools, every dp."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from crosszone.core.tables import Floats, Ints
from crosszone.planner.options import divisors
from crosszone.planner.shapes import head_in_layers, usable_gpus
from crosszone.planner.split import split_layers
from crosszone.planner.structure import Chain, Groups, Structure
from crosszone.timeline.inputs import Inputs

MOST_GPUS = 32
"""GPUs of the cluster up to which seeds are laid; larger ones are scanned only."""
MOST_POOLS = 4
MOST_SEEDS = 3000


def seeds(inputs: Inputs, pools: Sequence[int], tps: Sequence[int], cps: Sequence[int]) -> list[Structure]:
    """Structures whose layers are cut by speed, or by memory where that fits alone; at most `MOST_SEEDS`.

    The rest is left to single moves from them.
    """
    if sum(int(inputs.hardware.num_gpus[pool]) for pool in pools) > MOST_GPUS or len(pools) > MOST_POOLS:
        return []
    head = head_in_layers(inputs)
    ways = ((1.0 / inputs.hardware.gemm_flop_per_second, head), (1.0 / inputs.hardware.memory_bytes, 0.0))
    found: dict[Structure, None] = {}
    for tp, cp in itertools.product(tps, cps):
        blocks = {pool: int(usable_gpus(inputs, pool, np.array([tp]))[0]) // (tp * cp) for pool in pools}
        for pp in range(1, min(inputs.problem.model.num_layers, sum(blocks.values())) + 1):
            groups = [*_through(inputs, blocks, pp), *_beside(inputs, blocks, pp)]
            for load, extra_layers in ways:
                cuts = _cuts(groups, inputs.problem.model.num_layers, pp, load, extra_layers)
                found |= {Structure(tp, cp, cut, group): None for group, cut in zip(groups, cuts, strict=True)}
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


def _cuts(
    groups: Sequence[Groups], num_layers: int, pp: int, load: Floats, extra_layers: float
) -> list[tuple[int, ...]]:
    """Layers of each stage, so that the fullest stage is least full, where a layer loads each pool so much.

    The last stage has `extra_layers` more to do.
    """
    if not groups:
        return []
    loads = np.array([[max(load[chain[stage]] for chain, _ in group) for stage in range(pp)] for group in groups])
    extra = np.zeros(loads.shape)
    extra[:, -1] = extra_layers * loads[:, -1]
    layers: Ints = split_layers(num_layers, np.ones(loads.shape, dtype=np.int64), loads, extra)
    return [tuple(row) for row in layers.tolist()]
