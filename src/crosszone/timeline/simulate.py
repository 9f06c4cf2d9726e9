"""Event simulation of one pipeline: every action of every rank in its schedule's order, links first come first served."""

import heapq
from collections import defaultdict
from dataclasses import dataclass

from crosszone.core.schedules import schedule
from crosszone.core.schedules.action import Action

EXACT_EVENTS = 40_000
"""Actions up to which every microbatch is simulated; beyond, the steady state is extended (see `makespan_seconds`)."""


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

    A long pipeline repeats itself: past `EXACT_EVENTS` actions it is simulated for 6p and 8p microbatches and extended by
    the difference for each further 2p, which is exact once the steady state is reached (a test compares).
    """
    p, m, v = len(pipeline.forward_seconds), pipeline.num_microbatches, pipeline.num_virtual_stages
    if p == 1:
        return m * (pipeline.forward_seconds[0] + pipeline.backward_seconds[0])
    if 2 * m * p * v <= EXACT_EVENTS or m <= 8 * p:
        return max(event.end_seconds for event in simulate(pipeline))
    first, last = 6 * p + m % (2 * p), 8 * p + m % (2 * p)
    short, long = (
        max(event.end_seconds for event in simulate(_with_microbatches(pipeline, count))) for count in (first, last)
    )
    return short + (long - short) * (m - first) / (2 * p)


def simulate(pipeline: Pipeline) -> list[Event]:
    """Every action with its start and end, in order of end. Deterministic: ties go to the lower rank."""
    return _Run(pipeline).events()


def _with_microbatches(pipeline: Pipeline, num_microbatches: int) -> Pipeline:
    return Pipeline(
        schedule=pipeline.schedule,
        num_microbatches=num_microbatches,
        num_virtual_stages=pipeline.num_virtual_stages,
        forward_seconds=pipeline.forward_seconds,
        backward_seconds=pipeline.backward_seconds,
        boundaries=pipeline.boundaries,
    )


class _Run:
    """State of one simulation."""

    def __init__(self, pipeline: Pipeline) -> None:
        p, v = len(pipeline.forward_seconds), pipeline.num_virtual_stages
        order = schedule(pipeline.schedule).order
        self.pipeline = pipeline
        self.num_ranks, self.num_virtual = p, v
        self.orders = [order(rank, p, pipeline.num_microbatches, v) for rank in range(p)]
        self.position = [0] * p
        self.free_at = [0.0] * p
        self.arrived: dict[tuple[int, Action], float] = {}
        self.waiting: dict[tuple[int, Action], int] = {}
        self.link_free: defaultdict[str, float] = defaultdict(float)
        self.running: list[tuple[float, int, float]] = []

    def events(self) -> list[Event]:
        done: list[Event] = []
        for rank in range(self.num_ranks):
            self._advance(rank)
        while self.running:
            end, rank, start = heapq.heappop(self.running)
            action = self.orders[rank][self.position[rank]]
            done.append(Event(rank=rank, action=action, start_seconds=start, end_seconds=end))
            self.position[rank] += 1
            self.free_at[rank] = end
            self._deliver(rank, action, end)
            self._advance(rank)
        assert not self.waiting, "the schedule waits for itself"
        return done

    def _advance(self, rank: int) -> None:
        """Start the rank's next action, or note what it waits for."""
        if self.position[rank] == len(self.orders[rank]):
            return
        action = self.orders[rank][self.position[rank]]
        needs_message = not self._is_source(rank, action)
        key = (rank, action)
        if needs_message and key not in self.arrived:
            self.waiting[key] = rank
            return
        self._start(rank, action, self.arrived.pop(key, 0.0))

    def _start(self, rank: int, action: Action, arrival: float) -> None:
        seconds = (self.pipeline.forward_seconds if action.is_forward else self.pipeline.backward_seconds)[rank]
        start = max(self.free_at[rank], arrival)
        heapq.heappush(self.running, (start + seconds / self.num_virtual, rank, start))

    def _is_source(self, rank: int, action: Action) -> bool:
        """The first stage's forward waits for nobody; the last stage's backward follows its own forward."""
        if action.is_forward:
            return rank == 0 and action.virtual_stage == 0
        return rank == self.num_ranks - 1 and action.virtual_stage == self.num_virtual - 1

    def _deliver(self, rank: int, action: Action, end: float) -> None:
        """Send the action's result to the rank that goes on with it."""
        step = 1 if action.is_forward else -1
        position = action.virtual_stage * self.num_ranks + rank + step
        if not 0 <= position < self.num_ranks * self.num_virtual:
            return
        virtual_stage, target = divmod(position, self.num_ranks)
        boundary = self.pipeline.boundaries[min(rank, target) if abs(rank - target) == 1 else -1]
        if self.num_ranks == 2 and self.num_virtual > 1 and (rank > target) == action.is_forward:
            boundary = self.pipeline.boundaries[-1]
        arrival = self._sent(boundary, action.is_forward, end) + boundary.delay_seconds
        key = (target, Action(action.is_forward, action.microbatch, virtual_stage))
        if self.waiting.pop(key, None) is None:
            self.arrived[key] = arrival
        else:
            self._start(target, key[1], arrival)

    def _sent(self, boundary: Boundary, is_forward: bool, end: float) -> float:
        """When the message has left: links take one message at a time."""
        link = boundary.forward_link if is_forward else boundary.backward_link
        if link is None:
            return end + boundary.transfer_seconds
        sent = max(end, self.link_free[link]) + boundary.transfer_seconds
        self.link_free[link] = sent
        return sent
