"""A long pipeline in a regular order, whose middle is the same round of work again and again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crosszone.core.schedules.action import KINDS
from crosszone.timeline.node import Node

Tasks = Sequence[Sequence[int]]
"""Of each rank in its order: node * m + microbatch (see `node.Node`)."""


class Edge(NamedTuple):
    """Who waits for a node, whatever that takes."""

    waits: bool
    """It needs a message before it can start."""
    target: int | None
    """Node that its result goes to."""
    target_rank: int
    link: str | None
    """What its result queues for."""


class Way(NamedTuple):
    """What a node takes."""

    work_seconds: float
    transfer_seconds: float
    """Of its result, during which that takes its link."""
    delay_seconds: float
    """From then to its arrival."""


def edges(nodes: Sequence[Node]) -> tuple[Edge, ...]:
    """Of each node."""
    return tuple([Edge(node.waits, node.target, node.target_rank, node.link) for node in nodes])


def ways(nodes: Sequence[Node], *, early: bool) -> list[Way]:
    """Of each node. Where messages do not travel `early`, each leaves when its receiver begins what it is for."""
    if early:
        return [Way(node.seconds, node.transfer_seconds, node.delay_seconds) for node in nodes]
    work = [node.seconds for node in nodes]
    for node in nodes:
        if node.target is not None:
            work[node.target] += node.transfer_seconds + node.delay_seconds
    return [Way(seconds, 0.0, 0.0) for seconds in work]


class _Step(NamedTuple):
    """One task: its node, and places in a list of times."""

    node: int
    rank: int
    """When the rank is free."""
    message: int
    """When what it waits for is there."""
    result: int
    """When its result is there."""
    link: int
    """When its link is free; 0: its result queues for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """The steps of a pipeline of few microbatches, with a round in the middle that may be repeated.

    No rank chooses: it does its own tasks in order, and a link carries what one rank sends another, in order. A task
    begins at the later of two times, of its rank and of its message, and whatever is computed first finds the same.
    After a round everything is as before it, some microbatches later.
    """

    num_ranks: int
    num_times: int
    shift: int
    """Microbatches of a round."""
    start: tuple[_Step, ...]
    middle: tuple[_Step, ...]
    rest: tuple[_Step, ...]
    state: tuple[int, ...]
    """Places of all times that what comes after a round depends on. The first is a rank's."""
    state_after: tuple[int, ...]
    """Where the round leaves them."""

    def makespan_seconds(self, ways: Sequence[Way], num_rounds: int) -> float:
        """The end of the last task, with `num_rounds` more rounds than are written.

        Where all times are as they were some rounds before, but for T seconds, so many rounds take T every time. Times
        must add up without rounding (see `simulate._on_a_grid`): then nothing is approximate.
        """
        times, done = [0.0] * self.num_times, 0
        _pass(self.start, ways, times)
        state = [times[place] for place in self.state]
        seen: dict[tuple[float, ...], tuple[int, float]] = {}
        while done < num_rounds:
            now = state[0]
            before, then = seen.setdefault(tuple([time - now for time in state]), (done, now))
            if before < done:
                turns, left = divmod(num_rounds - done, done - before)
                later = turns * (now - then)
                state, done, seen = [time + later for time in state], num_rounds - left, {}
                continue
            for place, time in zip(self.state, state, strict=True):
                times[place] = time
            _pass(self.middle, ways, times)
            state, done = [times[place] for place in self.state_after], done + 1
        for place, time in zip(self.state, state, strict=True):
            times[place] = time
        _pass(self.rest, ways, times)
        return max(times[: self.num_ranks])


def _pass(steps: Sequence[_Step], ways: Sequence[Way], times: list[float]) -> None:
    """Do each step: when its rank, its result and its link have done theirs."""
    for node, rank, message, result, link in steps:
        work, transfer, delay = ways[node]
        end, arrival = times[rank], times[message]
        if arrival > end:
            end = arrival
        end += work
        times[rank] = end
        if link:  # it takes one message at a time
            free = times[link]
            if free > end:
                end = free
            times[link] = end + transfer
        times[result] = end + transfer + delay


def rounds(tasks: Tasks, shape: Sequence[Edge], num_microbatches: int) -> Rounds | None:
    """A pipeline of so many microbatches, in rounds once the first of them is done.

    None where the ranks' orders do not repeat themselves from there, or where several send over one link: they take it
    in the order in which they happen to be done.
    """
    if _is_shared(tasks, shape, num_microbatches):
        return None
    writer = _Writer(tasks, shape, num_microbatches)
    start = writer.steps(last=len(shape) // len(KINDS) * num_microbatches)
    places, held = writer.places, writer.results
    for shift in (1, len(tasks)):
        after = [place + len(own) // num_microbatches * shift for own, place in zip(tasks, places, strict=True)]
        if all(_repeats(*each, shift) for each in zip(tasks, places, after, strict=True)):
            break
    else:
        return None
    middle = writer.steps(ends=after)
    left = writer.results
    if writer.places != after or left.keys() != {task + shift for task in held}:
        return None
    writer.places, writer.results = places, held
    rest = writer.steps()
    assert writer.places == [len(own) for own in tasks], "the schedule waits for itself"
    own_times = range(writer.num_own_times)
    return Rounds(
        num_ranks=len(tasks), num_times=writer.num_times, shift=shift, start=start, middle=middle, rest=rest,
        state=(*own_times, *held.values()), state_after=(*own_times, *(left[task + shift] for task in held)),
    )  # fmt: skip


def _is_shared(tasks: Tasks, shape: Sequence[Edge], num_microbatches: int) -> bool:
    """Whether a link carries what more than one rank sends, or more than one gets."""
    ends: dict[str, tuple[int, int]] = {}
    for rank, own in enumerate(tasks):
        for edge in (shape[node] for node in {task // num_microbatches for task in own}):
            way = rank, edge.target_rank
            if edge.link is not None and ends.setdefault(edge.link, way) != way:
                return True
    return False


def _repeats(own: Sequence[int], place: int, after: int, shift: int) -> bool:
    """Whether a rank does from `after` on what it did from `place` up to there, of later microbatches."""
    return list(own[after : 2 * after - place]) == [task + shift for task in own[place:after]]


class _Writer:
    """Writes down the steps of all ranks, senders before receivers."""

    def __init__(self, tasks: Tasks, shape: Sequence[Edge], num_microbatches: int) -> None:
        self._tasks, self._shape, self._num_microbatches = tasks, shape, num_microbatches
        links = dict.fromkeys(edge.link for edge in shape if edge.link is not None)
        self._links: dict[str | None, int] = {None: 0} | {link: len(tasks) + at for at, link in enumerate(links)}
        self.num_own_times = len(tasks) + len(links)
        """Of ranks and links."""
        self._origin, self._nowhere = self.num_own_times, self.num_own_times + 1
        self.num_times = self.num_own_times + 2
        self.places = [0] * len(tasks)
        """Of each rank's next task in its order."""
        self.results: dict[int, int] = {}
        """Of each task that is to come, and whose message is made: where the time is at which that is there."""

    def steps(self, *, ends: Sequence[int] | None = None, last: int | None = None) -> tuple[_Step, ...]:
        """Those that can be done before each rank has come to its end, up to the `last` task."""
        self.places, self.results = places, results = list(self.places), dict(self.results)
        found: list[_Step] = []
        tasks, shape, links, m = self._tasks, self._shape, self._links, self._num_microbatches
        ready = list(range(len(tasks)))
        while ready:
            rank = ready.pop()
            for task in tasks[rank][places[rank] : None if ends is None else ends[rank]]:
                node = task // m
                waits, target, target_rank, link = shape[node]
                message = results.pop(task, None) if waits else self._origin
                if message is None:
                    break
                places[rank] += 1
                result = self._nowhere
                if target is not None:
                    sent = task + (target - node) * m
                    result = results[sent] = self.num_times
                    self.num_times += 1
                    if target_rank != rank and tasks[target_rank][places[target_rank]] == sent:  # it stood for this one
                        ready.append(target_rank)
                found.append(_Step(node, rank, message, result, links[link]))
                if task == last:
                    return tuple(found)
        return tuple(found)
