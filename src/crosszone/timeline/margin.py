"""Memory that ranks have left, and how few layers they may recompute for some to be left."""

from collections.abc import Callable

import numpy as np

from crosszone.core.tables import EVERY_LAYER, Bools, Floats, Ints
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import Keyed
from crosszone.timeline.rows import Tables
from crosszone.timeline.stage_memory import bytes_by_recomputed
from crosszone.timeline.stages import StageView, stage_view


def memory_margin(inputs: Inputs, tables: Tables, keys: Keyed, memory_fraction: float = 1.0) -> Floats:
    """Per plan: bytes that the fullest rank or node has left of this share of its memory; negative: it does not fit."""
    view = stage_view(inputs, tables, keys)
    return -tables.most(-_stage_margin(view, memory_fraction)(view.stages.recompute_layers))


def least_recompute_layers(
    inputs: Inputs, tables: Tables, keys: Keyed, *, memory_fraction: float, is_alike: Bools
) -> Ints:
    """Per stage row: first layers of each virtual stage that must be recomputed, at least, for its ranks to fit.

    Stages differ in it where their framework lets them (`is_alike` by framework: all stages have as many); replicas do
    not. What one stage recomputes changes no other's memory and saves no time, so that no plan alike but for it is
    faster. `EVERY_LAYER` where not even all are enough. Assumes: all plans recompute whole layers.
    """
    view = stage_view(inputs, tables, keys)
    least = _least(view, memory_fraction)
    plan = tables.replicas.plan[tables.stages.replica]
    alike = is_alike[tables.plans.framework]
    if alike.any():
        least = np.where(alike[plan], tables.most(least.astype(float)).astype(np.int64)[plan], least)
    if len(tables.replicas) > len(tables.plans):
        place = plan * (int(tables.stages.stage.max(initial=0)) + 1) + tables.stages.stage
        most = np.zeros(int(place.max(initial=-1)) + 1, dtype=np.int64)
        np.maximum.at(most, place, least)
        least = most[place]
    return least


def _stage_margin(view: StageView, memory_fraction: float) -> Callable[[Ints], Floats]:
    """Per stage row: bytes left on its fullest rank, or its node where that has less, by layers that it recomputes."""
    hardware, pool = view.inputs.hardware, view.stages.pool
    needed = bytes_by_recomputed(view)
    most = memory_fraction * hardware.memory_bytes[pool]
    most_on_host = memory_fraction * hardware.node_memory_bytes[pool]

    def margin(recompute_layers: Ints) -> Floats:
        size = needed(view.recomputed_fraction_of(recompute_layers))
        on_host = most_on_host - size.host * hardware.gpus_per_node[pool]
        return np.minimum(most - size.total, np.where(size.host > 0.0, on_host, np.inf))

    return margin


def _least(view: StageView, memory_fraction: float) -> Ints:
    """Per stage row, of itself alone.

    More layers leave more memory, the less so the more there are: along the chord between too few and enough, what
    comes out is enough, and mostly the least; whether one fewer would do is tried.
    """
    margin = _stage_margin(view, memory_fraction)
    few = np.zeros(len(view.stages), dtype=np.int64)
    enough = -(-view.stages.num_layers // view.plans.num_virtual_stages)
    lacking, left = margin(few), margin(enough)
    is_free, never = lacking >= 0.0, left < 0.0
    while True:
        is_open = ~is_free & ~never & (enough - few > 1)
        if not is_open.any():
            return np.where(is_free, 0, np.where(never, EVERY_LAYER, enough))
        chord = np.where(is_open, (enough - few) * lacking / np.where(is_open, lacking - left, 1.0), 0.0)
        tried = np.where(is_open, np.clip(few + np.ceil(chord).astype(np.int64), few + 1, enough - 1), enough)
        found = margin(tried)
        fits = found >= 0.0
        enough, left = np.where(is_open & fits, tried, enough), np.where(is_open & fits, found, left)
        few, lacking = np.where(is_open & ~fits, tried, few), np.where(is_open & ~fits, found, lacking)
