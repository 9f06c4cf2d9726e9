"""Structures side by side: their groups and stages as columns, to be gathered once per plan that has them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.tables import Floats, Ints
from crosszone.planner.structure import Groups, Structure, layout_of
from crosszone.timeline.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """One value per structure, unless said."""

    structures: tuple[Structure, ...]
    layouts: tuple[Layout, ...]
    layout: Ints
    tp: Ints
    cp: Ints
    pp: Ints
    dp: Ints
    whole: Ints
    """Greatest common divisor of the numbers of replicas of its groups."""
    fewest_in_a_zone: Ints
    """Of the zones that hold first stages, replicas of the one with fewest."""
    num_zones: Ints
    """That hold first stages, where replicas agree across zones; else 0."""
    dollars_per_second: Floats
    """Rent of all GPUs of the zones that it uses."""
    first_group: Ints
    """One more than there are structures."""
    num_replicas: Ints
    """Per group."""
    first_stage: Ints
    """One more than there are structures."""
    pool: Ints
    """Per stage of each group, as are the next four."""
    stage: Ints
    layers: Ints
    first_layer: Ints
    group: Ints
    """Index among the structure's own groups."""

    def groups_of(self, rows: Ints) -> tuple[Ints, Ints]:
        """(index in `rows`, row of the groups) of every group of the structures in `rows`."""
        return _gathered(self.first_group, rows)

    def stages_of(self, rows: Ints) -> tuple[Ints, Ints]:
        """(index in `rows`, row of the stages) of every stage of the structures in `rows`."""
        return _gathered(self.first_stage, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lying:
    """Columns of structures whose replicas lie alike, whatever their blocks and layers; named as in `Blocks`."""

    layout: Layout
    fewest_in_a_zone: int
    num_zones: int
    dollars_per_second: float


def blocks(inputs: Inputs, structures: Sequence[Structure]) -> Blocks:
    """Columns of `structures`."""
    lying: dict[Groups, _Lying] = {}  # many structures differ in their layers alone
    for one in structures:
        if one.groups not in lying:
            lying[one.groups] = _lying(inputs, one)
    of = [lying[one.groups] for one in structures]
    layouts = {layout: place for place, layout in enumerate(dict.fromkeys(each.layout for each in lying.values()))}
    counts = [[count for _, count in one.groups] for one in structures]
    pp = [one.pp for one in structures]
    num_stages = [own * len(one.groups) for own, one in zip(pp, structures, strict=True)]
    starts = [np.cumsum((0, *one.layers[:-1])).tolist() if one.pp > 1 else [0] for one in structures]
    return Blocks(
        structures=tuple(structures),
        layouts=tuple(layouts),
        layout=_ints([layouts[each.layout] for each in of]),
        tp=_ints([one.tp for one in structures]),
        cp=_ints([one.cp for one in structures]),
        pp=_ints(pp),
        dp=_ints([sum(own) for own in counts]),
        whole=_ints([int(np.gcd.reduce(own)) for own in counts]),
        fewest_in_a_zone=_ints([each.fewest_in_a_zone for each in of]),
        num_zones=_ints([each.num_zones for each in of]),
        dollars_per_second=np.array([each.dollars_per_second for each in of], dtype=float),
        first_group=np.cumsum([0, *map(len, counts)]),
        num_replicas=_ints([count for own in counts for count in own]),
        first_stage=np.cumsum([0, *num_stages]),
        pool=_ints([pool for one in structures for chain, _ in one.groups for pool in chain]),
        stage=_ints([stage for one in structures for _ in one.groups for stage in range(one.pp)]),
        layers=_ints([held for one in structures for _ in one.groups for held in one.layers]),
        first_layer=_ints(
            [first for one, own in zip(structures, starts, strict=True) for _ in one.groups for first in own]
        ),
        group=_ints([group for one in structures for group in range(len(one.groups)) for _ in range(one.pp)]),
    )


def _gathered(first: Ints, rows: Ints) -> tuple[Ints, Ints]:
    lengths = first[rows + 1] - first[rows]
    owner = np.repeat(np.arange(len(rows)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, first[rows][owner] + offset


def _lying(inputs: Inputs, structure: Structure) -> _Lying:
    """What follows from the groups of `structure` alone."""
    layout, counts = layout_of(inputs, structure), dict[int, int]()
    hardware = inputs.hardware
    for chain, count in structure.groups:
        zone = int(hardware.zone[chain[0]])
        counts[zone] = counts.get(zone, 0) + count
    used = hardware.zone[list({pool for chain in layout.chains for pool in chain})]
    dollars = (hardware.num_gpus * hardware.dollars_per_gpu_second)[np.isin(hardware.zone, used)]
    return _Lying(
        layout=layout,
        fewest_in_a_zone=min(counts.values()),
        num_zones=len(counts) * (len(layout.ring) > 1),
        dollars_per_second=float(dollars.sum()),
    )


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)
