"""Layers of every stage by what its seconds are now, so that many single moves are one."""

from collections.abc import Iterator, Sequence

import numpy as np

from crosszone.core.tables import Floats
from crosszone.planner.split import split_layers
from crosszone.timeline.simulate import Pipeline

PARTS = (1.0, 0.75, 0.5, 0.25)
"""How far layers go towards the cut that time alone would have: memory may not allow all of it."""


def recut(layers: Sequence[int], pipelines: Sequence[Pipeline], head_in_layers: float) -> Iterator[tuple[int, ...]]:
    """Layers of each stage, moved towards those with which the busiest stage is least busy.

    `pipelines` are those of all replica groups with `layers` in their stages. A stage takes as long per layer as it
    does now, the last one has the LM head beside them, and what it stands for messages from other zones stays.
    """
    work, stands = (np.max(values, axis=0) for values in zip(*_loads(pipelines), strict=True))
    held, head = np.array(layers, dtype=float), np.zeros(len(layers))
    head[-1] = head_in_layers
    each = work / (held + head)
    alone = np.ones((1, len(layers)), dtype=np.int64)
    wanted = split_layers(sum(layers), alone, each[None, :], (stands + head * each)[None, :])[0]
    for part in PARTS:
        yield _rounded(held + part * (wanted - held), sum(layers))


def _loads(pipelines: Sequence[Pipeline]) -> Iterator[tuple[Floats, Floats]]:
    """Of each: seconds that its stages work and stand, for one microbatch of those that have most of them."""
    most = max(each.num_microbatches for each in pipelines)
    for pipeline in pipelines:
        share = pipeline.num_microbatches / most
        work = np.array(pipeline.forward_seconds) + np.array(pipeline.backward_seconds)
        yield share * work, share * _standing_seconds(pipeline)


def _standing_seconds(pipeline: Pipeline) -> Floats:
    """Of each stage, for one microbatch: while messages from other zones come in that were not received early."""
    num_stages = len(pipeline.forward_seconds)
    seconds = np.zeros(num_stages)
    for stage, boundary in enumerate(() if pipeline.receives_early else pipeline.boundaries):
        for receiver, is_forward in ((stage + 1) % num_stages, True), (stage, False):
            delay, transfer, link = boundary.way(is_forward=is_forward)
            seconds[receiver] += 0.0 if link is None else pipeline.num_virtual_stages * (delay + transfer)
    return seconds


def _rounded(layers: Floats, total: int) -> tuple[int, ...]:
    """Whole layers that add up to `total`: the largest remainders are rounded up."""
    whole = np.floor(layers + 1e-9).astype(np.int64)
    short = total - int(whole.sum())
    whole[np.argsort(whole - layers, kind="stable")[:short]] += 1
    return tuple(whole.tolist())
