"""Which zones to use together: every set of a few, of many those that are well linked."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rings import node_bytes_per_second

MOST_ZONES = 6
"""Zones up to which every set of them is tried."""
MOST_NEAR = 4
"""Zones of a neighbourhood up to which every set of them is tried, where there are more zones than `MOST_ZONES`."""
SAME_RATIO = 1.25
"""Links count as equally fast unless some rate between theirs is missing: a gap of more than this."""

Zones = tuple[int, ...]


def zone_sets(inputs: Inputs, zones: Sequence[int]) -> tuple[Zones, ...]:
    """Sets of `zones` that plans may use, each ascending, small ones first.

    Of many zones: each alone, and of each neighbourhood every set, or where it is large its strongest zones, doubling
    in number. A neighbourhood is what links of some speed join: a region, the regions of a continent, all zones.
    """
    if len(zones) <= MOST_ZONES:
        return tuple(_every_set(zones))
    found = dict.fromkeys(_every_set(zones, most=1))
    for near in _neighbourhoods(inputs, zones):
        found |= dict.fromkeys(_every_set(near) if len(near) <= MOST_NEAR else _strongest(inputs, near))
    return tuple(sorted(found, key=len))


def _every_set(zones: Sequence[int], most: int | None = None) -> Iterator[Zones]:
    for size in range(1, (most or len(zones)) + 1):
        yield from itertools.combinations(zones, size)


def _strongest(inputs: Inputs, zones: Zones) -> Iterator[Zones]:
    """The 2, 4, 8, ... zones that do most work, and all."""
    hardware = inputs.hardware
    work = np.bincount(hardware.zone, weights=hardware.gemm_flop_per_second * hardware.num_gpus).tolist()
    by_work = sorted(zones, key=lambda zone: -work[zone])
    size = 2
    while size < len(zones):
        yield tuple(sorted(by_work[:size]))
        size *= 2
    yield zones


def _neighbourhoods(inputs: Inputs, zones: Sequence[int]) -> Iterator[Zones]:
    """All groups of zones that the fastest links join, those and the next slower ones, ..., all links (single linkage).

    There are fewer than zones. Source: Sibson 1973, "SLINK", Computer Journal 16(1).
    """
    known = {hop: 0.0 if math.isnan(rate) else rate for hop, rate in node_bytes_per_second(inputs.links, zones).items()}
    rates = {(one, other): min(known[one, other], known[other, one]) for one, other in itertools.combinations(zones, 2)}
    joined: dict[int, Zones] = {zone: (zone,) for zone in zones}
    for level in _levels(list(rates.values())):
        before = set(joined.values())
        for (one, other), rate in rates.items():
            if rate >= level and joined[one] != joined[other]:
                together = tuple(sorted(joined[one] + joined[other]))
                joined |= dict.fromkeys(together, together)
        yield from sorted(set(joined.values()) - before)


def _levels(rates: Sequence[float]) -> list[float]:
    """The slowest of each run of rates without a gap, the fastest run first."""
    ordered = sorted(rates, reverse=True)
    return [rate for rate, slower in zip(ordered, [*ordered[1:], -1.0], strict=True) if slower * SAME_RATIO < rate]
