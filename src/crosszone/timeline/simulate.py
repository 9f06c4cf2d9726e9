"""Event simulation of one pipeline: every rank in its schedule's order, links first come first served."""

import functools
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from crosszone.core.schedules import rank_orders, schedule, traits
from crosszone.core.schedules.action import KINDS, Action
from crosszone.core.schedules.placement import position_of, rank_of
from crosszone.core.schedules.work import Orders, Work
from crosszone.timeline.node import Node
from crosszone.timeline.rounds import Edge, Rounds, edges, rounds, ways
from crosszone.timeline.steady import State, Steady, TooLong

EXACT_EVENTS = 500
"""Actions up to which every microbatch is simulated; beyond, what only repeats itself is left out."""
REGULAR = ("1f1b", "interleaved_1f1b", "zb_h1", "zbv")
"""Orders of which more microbatches only repeat the middle: after warm-up, as many of all actions each time. A weight
gradient follows each backward, or none."""
MANTISSA_BITS = 52
"""Of a float, less one."""
ROOM_RATIO = 16.0
"""Of the grid on which times lie, over all work (see `_on_a_grid`)."""
FEWEST_TURNS, FEWEST_VIRTUAL_TURNS = 2, 4
"""Of p microbatches, in which a regular order warms up, repeats itself and ends: without and with virtual stages."""


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
    backward_delay_seconds: float | None = None
    """None: as forward."""
    backward_transfer_seconds: float | None = None

    def way(self, *, is_forward: bool) -> tuple[float, float, str | None]:
        """Delay, time that one message takes the link, and the link, one direction."""
        if is_forward:
            return self.delay_seconds, self.transfer_seconds, self.forward_link
        delay, transfer = self.backward_delay_seconds, self.backward_transfer_seconds
        return (
            self.delay_seconds if delay is None else delay,
            self.transfer_seconds if transfer is None else transfer,
            self.backward_link,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What is simulated. Seconds are of one microbatch through all virtual stages of a rank."""

    schedule: str
    num_microbatches: int
    num_virtual_stages: int
    forward_seconds: tuple[float, ...]
    backward_seconds: tuple[float, ...]
    """All of the backward."""
    weight_seconds: tuple[float, ...] | None = None
    """The part of it that makes weight gradients, for schedules that do it apart; None: half."""
    boundaries: tuple[Boundary, ...]
    """One fewer than stages; with virtual stages in a loop, the way from the last rank to the first comes last."""
    most_in_flight: float | None = None
    """Microbatches that a rank may hold where the schedule is generated; None: what the schedule says."""
    orders: Orders | None = None
    """The order of each rank; None: the schedule's."""
    receives_early: bool = True
    """Messages travel while their receiver works. Otherwise a receive is posted only when the receiver has nothing else
    to do before it, and a message leaves when both ends are ready: no delay is hidden behind the receiver's work."""


class Event(NamedTuple):
    """One action as it was done."""

    rank: int
    action: Action
    start_seconds: float
    end_seconds: float


class Message(NamedTuple):
    """What one rank sent another: the result of `action`, of which the receiver makes the same of its own."""

    from_rank: int
    to_rank: int
    link: str | None
    """None: the boundary has its own."""
    action: Action
    """Of the sender."""
    start_seconds: float
    """The link was free for it."""
    end_seconds: float
    """It had left, and the link was free for the next."""
    arrival_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One step as it went."""

    events: tuple[Event, ...]
    """In order of end; ties go to the lower rank."""
    messages: tuple[Message, ...]
    """In order of the end of the action that made them. What stays on a rank is none."""
    makespan_seconds: float


def makespan_seconds(pipeline: Pipeline, *, most_seconds: float = math.inf) -> float:
    """Time from the first forward to the end of the last action; infinite once it is known to exceed `most_seconds`.

    A long pipeline repeats itself, and repetitions are left out (see `rounds.Rounds` and, past `EXACT_EVENTS` actions,
    `steady.Steady`), which changes nothing: what never quite repeats itself is simulated from first to last.
    """
    try:
        asked = _Asked(pipeline, most_seconds)
        return _makespan_seconds(asked) if pipeline.orders is not None else _kept_makespan_seconds(asked)
    except TooLong:  # no makespan, and so none is kept
        return math.inf


@dataclass(frozen=True, slots=True)
class _Asked:
    pipeline: Pipeline
    most_seconds: float = field(default=math.inf, compare=False)
    """Not compared: what is known of a pipeline holds whatever limit it is asked with."""


@functools.lru_cache(maxsize=256)
def _kept_makespan_seconds(asked: _Asked) -> float:
    """Kept, as a search comes by its best plans several times: ranked, refined and predicted."""
    return _makespan_seconds(asked)


def _makespan_seconds(asked: _Asked) -> float:
    pipeline = asked.pipeline
    p, m, v = len(pipeline.forward_seconds), pipeline.num_microbatches, pipeline.num_virtual_stages
    if p == 1:
        return m * (pipeline.forward_seconds[0] + pipeline.backward_seconds[0])
    nodes = _nodes(pipeline)
    seconds = _seconds_by_rounds(pipeline, nodes)
    if seconds is not None:
        return seconds
    steady = None if 2 * m * p * v <= EXACT_EVENTS else Steady(asked.most_seconds)
    return _last_end(_played(pipeline, nodes, steady=steady))


def simulate(pipeline: Pipeline) -> list[Event]:
    """Every action with its start and end, in order of end. Deterministic: ties go to the lower rank."""
    return _events(pipeline, _played(pipeline, _nodes(pipeline)))


def play(pipeline: Pipeline) -> Played:
    """Every action and every message between ranks."""
    sent: Sent = []
    events = _events(pipeline, _played(pipeline, _nodes(pipeline), sent))
    return Played(events=tuple(events), messages=_messages(pipeline, sent), makespan_seconds=events[-1].end_seconds)


def with_orders(pipeline: Pipeline) -> Pipeline:
    """The same pipeline, whose order of work stays as it is now where times and delays are changed."""
    return replace(pipeline, orders=rank_orders(pipeline.schedule, _work(pipeline)))


Sent = list[tuple[int, float, float, float]]
"""(task, start, end, arrival) of messages; `Message` in short."""


class _Links:
    """When each link is free again; `sent` gets every message."""

    def __init__(self, nodes: list[Node], sent: Sent | None) -> None:
        self.free: dict[str | None, float] = dict.fromkeys((node.link for node in nodes), 0.0)
        self._nodes, self._sent = nodes, sent

    def send(self, task: int, node: int, end: float) -> float:
        """Arrival of what `task`, of this node, has made by `end`."""
        _, _, _, _, delay, transfer, link = self._nodes[node]
        left = end + transfer
        if link is not None:  # a link takes one message at a time
            left = self.free[link] = max(end, self.free[link]) + transfer
        arrival = left + delay
        if self._sent is not None:
            self._sent.append((task, left - transfer, left, arrival))
        return arrival


def _seconds_by_rounds(pipeline: Pipeline, nodes: list[Node]) -> float | None:
    """The makespan by that of a shorter pipeline and the rounds that it lacks; None where none are known or needed."""
    p, v = len(pipeline.forward_seconds), pipeline.num_virtual_stages
    count = (FEWEST_TURNS if v == 1 else FEWEST_VIRTUAL_TURNS) * p
    is_known = pipeline.schedule in REGULAR and pipeline.orders is None
    if not is_known or pipeline.num_microbatches <= count or not math.isfinite(_whole_seconds(nodes)):
        return None
    found = _kept_rounds(pipeline.schedule, p, count, v, edges(nodes))
    if found is None:
        return None
    taken = ways(nodes, early=pipeline.receives_early)
    return found.makespan_seconds(taken, (pipeline.num_microbatches - count) // found.shift)


@functools.lru_cache(maxsize=32)
def _kept_rounds(name: str, p: int, m: int, v: int, shape: tuple[Edge, ...]) -> Rounds | None:
    """Kept, as a search simulates many pipelines of one shape."""
    return rounds(_written_tasks(name, p, m, v), shape, m)


def _last_end(done: list[tuple[int, float, float]]) -> float:
    return done[-1][2]


def _played(
    pipeline: Pipeline, nodes: list[Node], sent: Sent | None = None, *, steady: Steady | None = None
) -> list[tuple[int, float, float]]:
    """(task, start, end) of every action in order of end; `sent` gets every message.

    The heap holds what each rank is at work on. When that ends, its result is sent and the rank goes on; a rank whose
    next task lacks its message stands until that arrives. With `steady`, what repeats itself is left out.
    """
    m = pipeline.num_microbatches * traits(pipeline.schedule).num_parts
    tasks = _tasks(pipeline)
    seconds = _seconds(pipeline, nodes, tasks, m)
    early, before = pipeline.receives_early, [None] * len(nodes) if pipeline.receives_early else _senders(nodes)
    links, upcoming = _Links(nodes, sent), [iter(own) for own in tasks]
    state = State(current=[next(own) for own in upcoming], upcoming=upcoming, free=links.free)
    current, running, arrived, push, pop = state.current, state.running, state.arrived, heapq.heappush, heapq.heappop
    watched = range(0) if steady is None else steady.watch(state, tasks, seconds, m)
    started, stands_since = [0.0] * len(tasks), [0.0] * len(tasks)
    done: list[tuple[int, float, float]] = []

    def begin(rank: int, free: float) -> None:
        task = current[rank]
        start = arrived.pop(task, -1.0)
        if start < 0.0 and nodes[task // m][1]:
            stands_since[rank] = free
            return
        start = free if start < free else start
        sender = before[task // m]
        if sender is not None:  # the message leaves only now
            start = links.send(sender * m + task % m, sender, start)
        started[rank] = start
        push(running, (start + seconds[task], rank))

    for rank in range(len(tasks)):
        begin(rank, 0.0)
    while running:
        end, rank = pop(running)
        task = current[rank]
        done.append((task, started[rank], end))
        current[rank] = next(upcoming[rank], -1)
        node = task // m
        _, _, target, target_rank, delay, transfer, link = nodes[node]
        if target is not None:
            message = task + (target - node) * m
            if target_rank == rank or not early:
                arrived[message] = end
            elif link is None and sent is None:
                arrived[message] = end + transfer + delay
            else:
                arrived[message] = links.send(task, node, end)
            if target_rank != rank and current[target_rank] == message:  # it stood for this one
                begin(target_rank, stands_since[target_rank])
        if current[rank] >= 0:
            begin(rank, end)
        if task in watched and steady is not None and not steady.goes_on(end, task - node * m):
            watched = range(0)
    assert max(current) < 0, "the schedule waits for itself"
    return done


def _work(pipeline: Pipeline) -> Work:
    p, m, v = len(pipeline.forward_seconds), pipeline.num_microbatches, pipeline.num_virtual_stages
    weights = _weight_seconds(pipeline)
    most = pipeline.most_in_flight
    if most is None:
        most = float(max(schedule(pipeline.schedule).in_flight(rank, p, m, v) for rank in range(p)))
    return Work(
        num_microbatches=m,
        num_virtual_stages=v,
        forward_seconds=pipeline.forward_seconds,
        backward_seconds=tuple(
            whole - weight for whole, weight in zip(pipeline.backward_seconds, weights, strict=True)
        ),
        weight_seconds=weights,
        delay_seconds=tuple(_mean_way(hop, 0) for hop in pipeline.boundaries[: p - 1]),
        transfer_seconds=tuple(_mean_way(hop, 1) for hop in pipeline.boundaries[: p - 1]),
        most_in_flight=most,
    )


def _mean_way(hop: Boundary, index: int) -> float:
    """Delay (0) or transfer (1) of a boundary, the mean of there and back."""
    there, back = (hop.way(is_forward=is_forward)[:2] for is_forward in (True, False))
    return (there[index] + back[index]) / 2.0


def _weight_seconds(pipeline: Pipeline) -> tuple[float, ...]:
    return pipeline.weight_seconds or tuple(seconds / 2.0 for seconds in pipeline.backward_seconds)


def _senders(nodes: list[Node]) -> list[int | None]:
    """Of each node the one whose message it waits for, where that takes time."""
    found: list[int | None] = [None] * len(nodes)
    for index, node in enumerate(nodes):
        if node.target is not None and node.delay_seconds + node.transfer_seconds > 0.0:
            found[node.target] = index
    return found


def _tasks(pipeline: Pipeline) -> tuple[tuple[int, ...], ...]:
    """The tasks of each rank in its order. Kept, as one plan is simulated with and without its delays."""
    name, p, v = pipeline.schedule, len(pipeline.forward_seconds), pipeline.num_virtual_stages
    if pipeline.orders is not None:
        return _numbered(name, pipeline.num_microbatches, v, pipeline.orders)
    if traits(name).is_generated:
        return _generated_tasks(name, _work(pipeline))
    return _written_tasks(name, p, pipeline.num_microbatches, v)


@functools.lru_cache(maxsize=8)
def _generated_tasks(name: str, work: Work) -> tuple[tuple[int, ...], ...]:
    return _numbered(name, work.num_microbatches, work.num_virtual_stages, schedule(name).orders(work))


@functools.lru_cache(maxsize=8)
def _written_tasks(
    name: str, num_stages: int, num_microbatches: int, num_virtual_stages: int
) -> tuple[tuple[int, ...], ...]:
    order = schedule(name).order
    orders = tuple(order(rank, num_stages, num_microbatches, num_virtual_stages) for rank in range(num_stages))
    return _numbered(name, num_microbatches, num_virtual_stages, orders)


def _numbered(name: str, num_microbatches: int, num_virtual_stages: int, orders: Orders) -> tuple[tuple[int, ...], ...]:
    """Actions as whole numbers."""
    p, shape = len(orders), traits(name)
    count = _num_positions(name, p, num_virtual_stages)
    num_units = num_microbatches * shape.num_parts
    found = []
    for rank, order in enumerate(orders):
        at = [position_of(rank, chunk, p, shape.placement) for chunk in range(count // p)]
        first = {kind: [index * count + position for position in at] for index, kind in enumerate(KINDS)}
        found.append(
            tuple(
                first[kind][chunk] * num_units + microbatch * shape.num_parts + part
                for kind, microbatch, chunk, part in order
            )
        )
    return tuple(found)


def _num_positions(name: str, num_stages: int, num_virtual_stages: int) -> int:
    return num_stages * (2 if traits(name).placement == "both_ways" else num_virtual_stages)


def _seconds(pipeline: Pipeline, nodes: list[Node], tasks: tuple[tuple[int, ...], ...], num_units: int) -> list[float]:
    """Of every task. A backward that no weight gradient follows is all of the backward, in schedules that split it."""
    seconds = [node.seconds for node in nodes for _ in range(num_units)]
    if traits(pipeline.schedule).splits_backward:
        third = len(seconds) // 3
        apart = {task for own in tasks for task in own if task >= 2 * third}
        for task in range(third, 2 * third):
            if task + third not in apart:
                seconds[task] += seconds[task + third]
    return seconds


def _nodes(pipeline: Pipeline) -> list[Node]:
    """The first position's forward waits for nobody; the last position's backward follows its own forward.

    All that a rank holds takes as long as its own stage, also of the model's other copy. All times are multiples of a
    power of two that is so small, and so large, that floats hold every sum of them exactly: what ends at the same time
    does so in every arithmetic, and what repeats itself does so to the last digit.
    """
    p, shape = len(pipeline.forward_seconds), traits(pipeline.schedule)
    count = _num_positions(pipeline.schedule, p, pipeline.num_virtual_stages)
    scale = 1.0 / (shape.num_parts * (1 if shape.placement == "both_ways" else pipeline.num_virtual_stages))
    ends = {p - 1, count - 1} if shape.placement == "both_ways" else {count - 1}
    weights = _weight_seconds(pipeline) if shape.splits_backward else (0.0,) * p
    forwards, backwards, weight_gradients = [], [], []
    for position in range(count):
        rank = rank_of(position, p, shape.placement)
        there = None if position in ends else position + 1
        back = None if position == 0 or position - 1 in ends else position - 1
        weight = weights[rank] * scale
        backward = pipeline.backward_seconds[rank] * scale - weight
        forwards.append(_node(pipeline, pipeline.forward_seconds[rank] * scale, back is not None, rank, there, 0))
        backwards.append(_node(pipeline, backward, there is not None, rank, back, count))
        weight_gradients.append(_node(pipeline, weight, False, rank, None, 0))
    return _on_a_grid(forwards + backwards + weight_gradients, pipeline.num_microbatches * shape.num_parts)


def _on_a_grid(nodes: list[Node], num_units: int) -> list[Node]:
    """The same, rounded to 2^-52 of a bound on the makespan; as they are where some are infinite or unknown.

    The bound leaves room for delays, so that the same work falls on the same grid with and without them.
    """
    work, whole = sum(node.seconds for node in nodes), _whole_seconds(nodes)
    if not math.isfinite(whole):
        return nodes
    most_seconds = num_units * max(ROOM_RATIO * work, whole)
    grid_seconds = math.ldexp(1.0, math.frexp(most_seconds)[1] - MANTISSA_BITS)
    return [
        Node(
            round(seconds / grid_seconds) * grid_seconds,
            waits,
            target,
            rank,
            round(delay / grid_seconds) * grid_seconds if delay else 0.0,
            round(transfer / grid_seconds) * grid_seconds if transfer else 0.0,
            link,
        )
        for seconds, waits, target, rank, delay, transfer, link in nodes
    ]


def _whole_seconds(nodes: list[Node]) -> float:
    """Of one unit, with all its ways."""
    return sum(node.seconds for node in nodes) + sum(node.delay_seconds + node.transfer_seconds for node in nodes)


def _node(pipeline: Pipeline, seconds: float, waits: bool, rank: int, to: int | None, first_node: int) -> Node:
    """A node on `rank` whose result goes to position `to`, whose nodes of this kind begin at `first_node`."""
    if to is None:
        return Node(seconds, waits, None, rank, 0.0, 0.0, None)
    shape = traits(pipeline.schedule)
    there = rank_of(to, len(pipeline.forward_seconds), shape.placement)
    delay, transfer, link = _hop(pipeline, rank, there, is_backward=first_node > 0)
    return Node(seconds, waits, first_node + to, there, delay, transfer / shape.num_parts, link)


def _hop(pipeline: Pipeline, rank: int, there: int, *, is_backward: bool) -> tuple[float, float, str | None]:
    """Delay, transfer and link from one rank to another; in a loop, p - 1 and 0 are neighbours, too."""
    if rank == there:
        return 0.0, 0.0, None  # virtual stages of one rank hand over in place
    if traits(pipeline.schedule).placement == "loop":
        return pipeline.boundaries[there if is_backward else rank].way(is_forward=not is_backward)
    return pipeline.boundaries[min(rank, there)].way(is_forward=there > rank)


def _events(pipeline: Pipeline, done: list[tuple[int, float, float]]) -> list[Event]:
    named = _names(pipeline)
    return [Event(*named(task), start, end) for task, start, end in done]


def _messages(pipeline: Pipeline, sent: Sent) -> tuple[Message, ...]:
    named, nodes = _names(pipeline), _nodes(pipeline)
    num_units = pipeline.num_microbatches * traits(pipeline.schedule).num_parts
    messages = []
    for task, start, left, arrival in sent:
        (rank, action), node = named(task), nodes[task // num_units]
        messages.append(Message(rank, node.target_rank, node.link, action, start, left, arrival))
    return tuple(messages)


def _names(pipeline: Pipeline) -> Callable[[int], tuple[int, Action]]:
    """(rank, action) of a task."""
    p, shape = len(pipeline.forward_seconds), traits(pipeline.schedule)
    count, num_parts = _num_positions(pipeline.schedule, p, pipeline.num_virtual_stages), shape.num_parts
    num_units = pipeline.num_microbatches * num_parts
    of_node = [
        (rank_of(position, p, shape.placement), kind, position // p) for kind in KINDS for position in range(count)
    ]

    def named(task: int) -> tuple[int, Action]:
        node, unit = divmod(task, num_units)
        rank, kind, virtual_stage = of_node[node]
        return rank, Action(kind, unit // num_parts, virtual_stage, unit % num_parts)

    return named
