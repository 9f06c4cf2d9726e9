"""Where stages and replicas lie, one by one: the part of a plan that a search changes in single moves."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import Plan
from crosszone.planner.shapes import usable_gpus
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rings import best_ring

Chain = tuple[int, ...]
"""The pool of each stage."""
Groups = tuple[tuple[Chain, int], ...]
"""Chains with their numbers of replicas, each chain once, sorted."""
MOST_STAGES = 8
"""Stages up to which moves begin and end at any; beyond, the first and the last of each run of like stages stand for
all of it. Of more than so many of these, a layer goes to a neighbour only."""


@dataclass(frozen=True, slots=True)
class Structure:
    """Blocks of tp*cp GPUs, the layers of each stage, and where the stages of each group of replicas lie."""

    tp: int
    cp: int
    layers: tuple[int, ...]
    groups: Groups

    @property
    def pp(self) -> int:
        """Stages of a pipeline."""
        return len(self.layers)

    @property
    def dp(self) -> int:
        """Replicas of all groups together."""
        return sum(count for _, count in self.groups)

    @property
    def num_stages(self) -> int:
        """Stages of all groups, each once however many replicas it has."""
        return self.pp * len(self.groups)


IsWanted = Callable[[Structure], bool]
"""What a structure must be like beside what the job file fixes."""


def structure_of(inputs: Inputs, plan: Plan) -> Structure:
    """The structure of `plan`."""
    index = {(pool.zone.name, pool.node_group_index): pool.index for pool in inputs.pools}
    groups = (
        (tuple(index[place] for place in zip(replica.zones, replica.node_groups, strict=True)), replica.num_replicas)
        for replica in plan.replicas
    )
    return Structure(plan.tp, plan.cp, tuple(stage.num_layers for stage in plan.stages), _merged(groups))


def layout_of(inputs: Inputs, structure: Structure) -> Layout:
    """The structure's layout, as `timeline.tabulate` sees it."""
    zones = _zones_by_chain(inputs, structure)
    used = sorted({one for chain in zones for one in chain}) if _differ(zones) else []
    return Layout(
        chains=tuple(chain for chain, _ in structure.groups),
        ring=best_ring(inputs.links, used) if used else (),
        crosses_pp=any(len(set(chain)) > 1 for chain in zones),
    )


def zones_of(inputs: Inputs, structure: Structure) -> set[int]:
    """Zones that work, by index."""
    return {zone for chain in _zones_by_chain(inputs, structure) for zone in chain}


def agrees_across_zones(inputs: Inputs, structure: Structure) -> bool:
    """Replicas keep a stage in different zones."""
    return _differ(_zones_by_chain(inputs, structure))


def _zones_by_chain(inputs: Inputs, structure: Structure) -> list[list[int]]:
    zone = inputs.hardware.zone.tolist()
    return [[zone[pool] for pool in chain] for chain, _ in structure.groups]


def _differ(zones_by_chain: list[list[int]]) -> bool:
    return len(zones_by_chain) > 1 and any(len(set(column)) > 1 for column in zip(*zones_by_chain, strict=True))


class Moves:
    """Legal structures that differ from a given one in one move; degrees that the job file fixes stay."""

    def __init__(
        self, inputs: Inputs, pools: tuple[int, ...], tps: tuple[int, ...], cps: tuple[int, ...],
        is_wanted: IsWanted = lambda structure: True,
    ) -> None:  # fmt: skip
        self._inputs, self._pools, self._tps, self._cps, self._is_wanted = inputs, pools, tps, cps, is_wanted
        self._usable = {tp: {pool: int(usable_gpus(inputs, pool, np.array([tp]))[0]) for pool in pools} for tp in tps}
        request = inputs.problem.plan
        self._fixed = {"pp": request.pp, "dp": request.dp}

    def around(self, base: Structure, most: float = math.inf) -> list[Structure]:
        """Every legal structure one move away, each once, in a fixed order; none where there are more than `most`."""
        return self._legal(base, itertools.chain(self._shifted(base), self._moved(base), self._reshaped(base)), most)

    def shifted(self, base: Structure, most: float = math.inf) -> list[Structure]:
        """Of these the ones with other layers, which are few."""
        return self._legal(base, self._shifted(base), most)

    def moved(self, base: Structure, most: float = math.inf) -> list[Structure]:
        """Of these the ones whose stages or replicas lie elsewhere or are more or fewer."""
        return self._legal(base, itertools.chain(self._moved(base), self._reshaped(base)), most)

    def reshaped(self, base: Structure, most: float = math.inf) -> list[Structure]:
        """Of these the ones with other degrees, which may call for other microbatches and virtual stages."""
        return self._legal(base, self._reshaped(base), most)

    def _legal(self, base: Structure, asked: Iterator[Structure], most: float) -> list[Structure]:
        found: dict[Structure, None] = {}
        for structure in asked:
            if structure != base and structure not in found and self.is_legal(structure):
                found[structure] = None
                if len(found) > most:
                    return []
        return list(found)

    def _reshaped(self, base: Structure) -> Iterator[Structure]:
        return itertools.chain(self._counted(base), self._cut(base), self._blocked(base))

    def is_legal(self, structure: Structure) -> bool:
        """There are GPUs for all of it, as many replicas as microbatches, and what is fixed stays fixed."""
        if structure.tp not in self._usable or structure.cp not in self._cps or min(structure.layers) < 1:
            return False
        if not structure.groups or structure.dp > self._inputs.problem.workload.global_batch_size:
            return False
        if any(fixed is not None and fixed != getattr(structure, name) for name, fixed in self._fixed.items()):
            return False
        room = self._room(structure)
        return all(left >= 0 for left in room.values()) and self._is_wanted(structure)

    def _room(self, structure: Structure) -> dict[int, int]:
        """GPUs that each pool has left; negative: more than there are."""
        used: Counter[int] = Counter()
        for chain, count in structure.groups:
            for pool in chain:
                used[pool] += structure.tp * structure.cp * count
        return {pool: has - used[pool] for pool, has in self._usable[structure.tp].items()}

    def _shifted(self, base: Structure) -> Iterator[Structure]:
        """One layer from a stage to another."""
        stages = _distinct_stages(base)
        far = len(stages) <= MOST_STAGES
        pairs = itertools.permutations(stages, 2) if far else _next_to(stages, base.pp)
        for giver, taker in pairs:
            if base.layers[giver] > 1:
                layers = list(base.layers)
                layers[giver] -= 1
                layers[taker] += 1
                yield replace(base, layers=tuple(layers))

    def _moved(self, base: Structure) -> Iterator[Structure]:
        """A stage of a group in another pool; two stages in each other's pools; the whole chain the other way round."""
        stages = _distinct_stages(base)
        for index, (chain, count) in enumerate(base.groups):
            changed = [(*chain[:stage], pool, *chain[stage + 1 :]) for stage in stages for pool in self._pools]
            for one, other in itertools.combinations(stages, 2):
                swapped = list(chain)
                swapped[one], swapped[other] = chain[other], chain[one]
                changed.append(tuple(swapped))
            changed.append(chain[::-1])
            for new in changed:
                if new != chain:
                    yield _with_group(base, index, new, count)
        for chain, _ in base.groups:  # layers turn round with the pools that hold them
            if len(base.groups) == 1 and base.pp > 1:
                yield replace(base, layers=base.layers[::-1], groups=((chain[::-1], base.groups[0][1]),))

    def _counted(self, base: Structure) -> Iterator[Structure]:
        """Another number of replicas in a group, one replica from a group to another, one more group or one fewer."""
        room = self._room(base)
        block = base.tp * base.cp
        for index, (chain, count) in enumerate(base.groups):
            need = Counter(chain)
            most = count + min(room[pool] // (block * times) for pool, times in need.items())
            for new in range(most + 1) if most <= 16 else (0, count // 2, count - 1, count + 1, most):
                yield _with_group(base, index, chain, new)
        for giver, taker in itertools.permutations(range(len(base.groups)), 2):
            groups = list(base.groups)
            for index, change in ((giver, -1), (taker, 1)):
                groups[index] = (groups[index][0], groups[index][1] + change)
            yield replace(base, groups=_merged(iter(groups)))
        for chain in self._free_chains(base, room):
            most = min(room[pool] // (block * times) for pool, times in Counter(chain).items())
            for new in sorted({1, most // 2, most - 1, most} - {0, -1}):
                yield replace(base, groups=_merged(iter((*base.groups, (chain, new)))))

    def _free_chains(self, base: Structure, room: dict[int, int]) -> Iterator[Chain]:
        """Chains that may join: all in one pool, or filling pools one after the other."""
        block = base.tp * base.cp
        blocks = {pool: left // block for pool, left in room.items() if left >= block}
        for pool, most in blocks.items():
            if most >= base.pp:
                yield (pool,) * base.pp
        if sum(blocks.values()) >= base.pp > 1 and len(blocks) <= 4:
            for order in itertools.permutations(blocks):
                yield tuple(itertools.chain.from_iterable((pool,) * blocks[pool] for pool in order))[: base.pp]

    def _cut(self, base: Structure) -> Iterator[Structure]:
        """Two neighbouring stages as one; a stage as two, the new one in any pool; fewer replicas where room ends."""
        stages = _distinct_stages(base)
        for stage in (one for one in stages if one < base.pp - 1):
            layers = (*base.layers[:stage], base.layers[stage] + base.layers[stage + 1], *base.layers[stage + 2 :])
            for kept in (stage, stage + 1):
                left_out = 2 * stage + 1 - kept
                rest = ((chain[:left_out] + chain[left_out + 1 :], count) for chain, count in base.groups)
                yield replace(base, layers=layers, groups=_merged(rest))
        for stage in stages:
            held = base.layers[stage]
            if held < 2:
                continue
            layers = (*base.layers[:stage], held // 2, held - held // 2, *base.layers[stage + 1 :])
            for place, pool in itertools.product((stage, stage + 1), self._pools):
                groups = tuple(((*chain[:place], pool, *chain[place:]), count) for chain, count in base.groups)
                whole = replace(base, layers=layers, groups=_merged(iter(groups)))
                yield whole
                yield replace(whole, groups=_merged((chain, count // 2) for chain, count in whole.groups))
            doubled = tuple(((*chain[:stage], chain[stage], *chain[stage:]), count) for chain, count in base.groups)
            yield replace(base, layers=layers, groups=_merged(iter(doubled)))

    def _blocked(self, base: Structure) -> Iterator[Structure]:
        """Twice or half as large blocks, with as many replicas, half as many or twice as many."""
        for tp, cp in (
            (base.tp * 2, base.cp), (base.tp // 2, base.cp), (base.tp, base.cp * 2), (base.tp, base.cp // 2),
            (base.tp * 2, base.cp // 2), (base.tp // 2, base.cp * 2),
        ):  # fmt: skip
            if tp < 1 or cp < 1:
                continue
            for groups in (
                base.groups,
                tuple((chain, count * 2) for chain, count in base.groups),
                tuple((chain, count // 2) for chain, count in base.groups),
            ):
                yield Structure(tp, cp, base.layers, _merged(iter(groups)))


def _distinct_stages(base: Structure) -> list[int]:
    """All stages of a short chain; of a long one the first and the last of each run with like layers in like pools."""
    if base.pp <= MOST_STAGES:
        return list(range(base.pp))
    stages = list(zip(base.layers, *(chain for chain, _ in base.groups), strict=True))
    ends = (0, base.pp - 1)
    return [
        stage for stage in range(base.pp)
        if stage in ends or stages[stage] != stages[stage - 1] or stages[stage] != stages[stage + 1]
    ]  # fmt: skip


def _next_to(stages: Sequence[int], pp: int) -> Iterator[tuple[int, int]]:
    """Each of the stages with its neighbours, either way."""
    pairs = {pair for one in stages for other in (one - 1, one + 1) if 0 <= other < pp
             for pair in ((one, other), (other, one))}  # fmt: skip
    yield from sorted(pairs)


def _with_group(base: Structure, index: int, chain: Chain, count: int) -> Structure:
    groups = (*base.groups[:index], (chain, count), *base.groups[index + 1 :])
    return replace(base, groups=_merged(iter(groups)))


def _merged(groups: Iterator[tuple[Chain, int]]) -> Groups:
    """Each chain once, sorted; chains without replicas left out."""
    counts: Counter[Chain] = Counter()
    for chain, count in groups:
        counts[chain] += count
    return tuple(sorted((chain, count) for chain, count in counts.items() if count > 0))
