"""Event simulation of one pipeline: every rank in its schedule's order, links first come first served."""

import functools
import heapq
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from crosszone.core.schedules import schedule
from crosszone.core.schedules.action import Action

EXACT_EVENTS = 500
"""Actions up to which every microbatch is simulated; beyond, a steady state is extended (see `makespan_seconds`)."""
LOOPS = {"1f1b": 2, "interleaved_1f1b": 3}
"""How many go around the loop of two neighbours (see `cost.pipeline.period_seconds`): microbatches, or rounds of p
microbatches. The steady state repeats after as many. GPipe has none: its forwards end before its backwards begin."""
ROUNDING = 1e-9
"""Relative difference that arithmetic may leave between two times that are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """From one stage to the next."""

    delay_seconds: float
    """From the end of sending to arrival."""
    transfer_seconds: float = 0.0
    """Time that one message takes the link."""
    forward_link: str | None = None
    """Messages on the same link queue; None: the boundary has its own."""
    backward_link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What is simulated. Seconds are of one microbatch through all virtual stages of a rank."""

    schedule: str
    num_microbatches: int
    num_virtual_stages: int
    forward_seconds: tuple[float, ...]
    backward_seconds: tuple[float, ...]
    boundaries: tuple[Boundary, ...]
    """One fewer than stages; with virtual stages, the way from the last rank to the first comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One action as it was done."""

    rank: int
    action: Action
    start_seconds: float
    end_seconds: float


def makespan_seconds(pipeline: Pipeline) -> float:
    """Time from the first forward to the last backward.

    A long pipeline repeats itself. Past `EXACT_EVENTS` actions it is simulated for four spans of microbatches, a span
    being a multiple of p and of what repeats. Where every microbatch of the third span ends as long after its like in
    the second, the steady state is reached, and each further span adds that long; otherwise all of it is simulated.
    """
    p, m, v = len(pipeline.forward_seconds), pipeline.num_microbatches, pipeline.num_virtual_stages
    if p == 1:
        return m * (pipeline.forward_seconds[0] + pipeline.backward_seconds[0])
    loop = LOOPS.get(pipeline.schedule)
    span = 0 if loop is None else loop * p if v > 1 else math.lcm(loop, p)
    if not span or m < 6 * span or 2 * m * p * v <= EXACT_EVENTS:
        return _last_end(_played(pipeline))
    count = 4 * span + m % span
    done = _played(replace(pipeline, num_microbatches=count))
    last_backwards = range(p * v * count, (p * v + 1) * count)
    ends = [end for task, _, end in done if task in last_backwards]
    steps = [later - earlier for earlier, later in zip(ends[span : 2 * span], ends[2 * span : 3 * span], strict=True)]
    if max(steps) - min(steps) > ROUNDING * ends[-1]:
        return _last_end(_played(pipeline))
    return _last_end(done) + steps[0] * (m // span - 4)


def simulate(pipeline: Pipeline) -> list[Event]:
    """Every action with its start and end, in order of end. Deterministic: ties go to the lower rank."""
    p, m = len(pipeline.forward_seconds), pipeline.num_microbatches
    num_positions = p * pipeline.num_virtual_stages
    events = []
    for task, start, end in _played(pipeline):
        node, microbatch = divmod(task, m)
        virtual_stage, rank = divmod(node % num_positions, p)
        action = Action(node < num_positions, microbatch, virtual_stage)
        events.append(Event(rank=rank, action=action, start_seconds=start, end_seconds=end))
    return events


class _Node(NamedTuple):
    """The forward or the backward of one position: what is the same for all microbatches.

    Positions are p * virtual stage + rank: 0 .. pv - 1. Node n < pv is the forward of position n, node pv + n its
    backward, and task n * m + i is what node n does to microbatch i: whole numbers, because many are looked up.
    """

    seconds: float
    waits: bool
    """It needs a message before it can start."""
    target: int | None
    """Node that its result goes to."""
    target_rank: int
    delay_seconds: float
    transfer_seconds: float
    link: str | None


def _last_end(done: list[tuple[int, float, float]]) -> float:
    return done[-1][2]


def _played(pipeline: Pipeline) -> list[tuple[int, float, float]]:
    """(task, start, end) of every action in order of end.

    The heap holds what each rank is at work on. When that ends, its result is sent and the rank goes on; a rank whose
    next task lacks its message stands until that arrives.
    """
    p, m, v = len(pipeline.forward_seconds), pipeline.num_microbatches, pipeline.num_virtual_stages
    nodes = _nodes(pipeline)
    upcoming = [iter(tasks) for tasks in _tasks(pipeline.schedule, p, m, v)]
    current = [next(tasks) for tasks in upcoming]
    arrived: list[float | None] = [None if node.waits else 0.0 for node in nodes for _ in range(m)]
    link_free = dict.fromkeys((node.link for node in nodes), 0.0)
    started, stands_since = [0.0] * p, [0.0] * p
    running: list[tuple[float, int]] = []
    done: list[tuple[int, float, float]] = []

    def begin(rank: int, free: float) -> None:
        arrival = arrived[current[rank]]
        if arrival is None:
            stands_since[rank] = free
        else:
            started[rank] = start = max(arrival, free)
            heapq.heappush(running, (start + nodes[current[rank] // m].seconds, rank))

    for rank in range(p):
        begin(rank, 0.0)
    while running:
        end, rank = heapq.heappop(running)
        task = current[rank]
        done.append((task, started[rank], end))
        current[rank] = next(upcoming[rank], -1)
        node, microbatch = divmod(task, m)
        _, _, target, target_rank, delay, transfer, link = nodes[node]
        if target is not None:
            sent = end + transfer
            if link is not None:  # a link takes one message at a time
                sent = link_free[link] = max(end, link_free[link]) + transfer
            message = target * m + microbatch
            arrived[message] = sent + delay
            if current[target_rank] == message and target_rank != rank:  # it stood for this one
                begin(target_rank, stands_since[target_rank])
        if current[rank] >= 0:
            begin(rank, end)
    assert len(done) == len(nodes) * m, "the schedule waits for itself"
    return done


@functools.lru_cache(maxsize=8)
def _tasks(name: str, num_stages: int, num_microbatches: int, num_virtual_stages: int) -> tuple[tuple[int, ...], ...]:
    """The tasks of each rank in its schedule's order; kept, as one plan is simulated with and without its delays."""
    order, m, num_positions = schedule(name).order, num_microbatches, num_stages * num_virtual_stages
    return tuple(
        tuple(
            ((0 if is_forward else num_positions) + virtual_stage * num_stages + rank) * m + microbatch
            for is_forward, microbatch, virtual_stage in order(rank, num_stages, m, num_virtual_stages)
        )
        for rank in range(num_stages)
    )


def _nodes(pipeline: Pipeline) -> list[_Node]:
    """The first position's forward waits for nobody; the last position's backward follows its own forward."""
    p, v = len(pipeline.forward_seconds), pipeline.num_virtual_stages
    last = p * v - 1
    forwards, backwards = [], []
    for position in range(last + 1):
        rank = position % p
        there = _hop(pipeline, rank) if position < last else None
        back = _hop(pipeline, rank - 1) if position > 0 else None
        forwards.append(
            _Node(
                seconds=pipeline.forward_seconds[rank] / v,
                waits=position > 0,
                target=position + 1 if there else None,
                target_rank=(rank + 1) % p,
                delay_seconds=there.delay_seconds if there else 0.0,
                transfer_seconds=there.transfer_seconds if there else 0.0,
                link=there.forward_link if there else None,
            )
        )
        backwards.append(
            _Node(
                seconds=pipeline.backward_seconds[rank] / v,
                waits=position < last,
                target=last + position if back else None,
                target_rank=(rank - 1) % p,
                delay_seconds=back.delay_seconds if back else 0.0,
                transfer_seconds=back.transfer_seconds if back else 0.0,
                link=back.backward_link if back else None,
            )
        )
    return forwards + backwards


def _hop(pipeline: Pipeline, rank: int) -> Boundary:
    """The boundary after `rank`; after the last rank, and before the first, the way around."""
    if len(pipeline.forward_seconds) == 1:
        return Boundary(delay_seconds=0.0)  # virtual stages of one rank hand over in place
    return pipeline.boundaries[rank]
