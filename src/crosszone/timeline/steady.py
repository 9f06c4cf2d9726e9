"""When a long pipeline repeats itself, and how to leave out what it would only repeat."""

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from crosszone.core.schedules.action import KINDS


@dataclass(slots=True)
class State:
    """All that the rest of a simulation depends on besides its orders. Tasks are numbers (see `node.Node`)."""

    current: list[int]
    """What each rank is at work on or stands for; -1: it has ended."""
    upcoming: list[Iterator[int]]
    """Of each rank, after that."""
    running: list[tuple[float, int]] = field(default_factory=list)
    """A heap of (end, rank) of what is at work."""
    arrived: dict[int, float] = field(default_factory=dict)
    """When the message was or will be there that a task waits for, of those that have not begun."""
    free: dict[str | None, float] = field(default_factory=dict)
    """When each link is."""


class TooLong(Exception):
    """A simulation cannot end in time."""


class Steady:
    """Looks at a simulation whenever a microbatch is done, until it is where it was some microbatches before.

    A rank's order fixes what it does next, and the rest of `State`, taken from now, when. Where all of it is as it was
    s microbatches and T seconds earlier, and the orders go on as they went, the next s microbatches take T as well, and
    so on up to where an order ends or changes: k such turns are left out by moving every task by k s and every time by
    k T. What lies in the past binds nobody: a link that is free, or a message that is there, counts as so from now.
    Times must add up without rounding (see `simulate._on_a_grid`): then equal means equal, and nothing is approximate.
    Where some rank has more work left than `most_seconds` leave time for, it raises TooLong.
    """

    def __init__(self, most_seconds: float = math.inf) -> None:
        self._most_seconds = most_seconds
        self._seen: dict[_Look, _Seen] = {}

    def watch(self, state: State, tasks: Sequence[tuple[int, ...]], seconds: Sequence[float], num_units: int) -> range:
        """Begin with a simulation of `num_units` microbatches or parts of one: after which tasks to look.

        Those are the backwards of the first position, with which a microbatch is done.
        """
        self._state, self._tasks, self._seconds = state, tasks, seconds
        self._after = _work_after(tasks, seconds) if math.isfinite(self._most_seconds) else []
        num_tasks = len(seconds) // len(KINDS)
        return range(num_tasks, num_tasks + num_units)

    def goes_on(self, now: float, unit: int) -> bool:
        """Whether to look again, now that microbatch `unit` is done; turns are left out where that can be."""
        if min(self._state.current) < 0:
            return False
        seen = _Seen(
            now=now,
            unit=unit,
            places=[
                len(own) - operator.length_hint(left) - 1
                for own, left in zip(self._tasks, self._state.upcoming, strict=True)
            ],
        )
        left = map(operator.length_hint, self._state.upcoming)
        if any(now + work[num_tasks] > self._most_seconds for work, num_tasks in zip(self._after, left, strict=False)):
            raise TooLong
        before = self._seen.setdefault(self._looks_like(now, unit), seen)
        if before is seen:
            return True
        self._leave_out(before, seen)
        return False

    def _looks_like(self, now: float, unit: int) -> "_Look":
        """All that decides what comes: tasks counted from `unit`, times from `now`."""
        state = self._state
        running = sorted((rank, end - now) for end, rank in state.running)
        arrived = sorted(state.arrived.items())
        tasks = (
            len(running),
            *(task - unit for task in state.current),
            *(rank for rank, _ in running),
            *(task - unit for task, _ in arrived),
        )
        times = (
            *(left for _, left in running),
            *(max(time - now, 0.0) for _, time in arrived),
            *(max(time - now, 0.0) for time in state.free.values()),
        )
        return tasks, times

    def _leave_out(self, before: "_Seen", seen: "_Seen") -> None:
        """As many turns as the orders of all ranks allow."""
        state, units, lasts = self._state, seen.unit - before.unit, seen.now - before.now
        lengths = [end - start for start, end in zip(before.places, seen.places, strict=True)]
        if units <= 0 or min(lengths) <= 0:
            return
        count = min(
            self._num_turns(own, place, length, units)
            for own, place, length in zip(self._tasks, before.places, lengths, strict=True)
        )
        later, further = count * lasts, count * units
        for rank, own in enumerate(self._tasks):
            place = seen.places[rank] + count * lengths[rank]
            state.current[rank], state.upcoming[rank] = own[place], iter(own[place + 1 :])
        state.running[:] = [(end + later, rank) for end, rank in state.running]
        arrived = {task + further: time + later for task, time in state.arrived.items()}
        state.arrived.clear()
        state.arrived.update(arrived)
        for link in state.free:
            state.free[link] += later

    def _num_turns(self, own: tuple[int, ...], place: int, length: int, units: int) -> int:
        """Turns of `length` tasks from `place` on, less one, in which a rank's order moves by `units` each."""
        seconds, alike = self._seconds, 0
        for task, after in zip(own[place:], own[place + length :], strict=False):
            if after != task + units or seconds[after] != seconds[task]:
                break
            alike += 1
        return max(alike - 1, 0) // length


def _work_after(tasks: Sequence[tuple[int, ...]], seconds: Sequence[float]) -> list[list[float]]:
    """Of each rank the time of its last n tasks, for every n."""
    return [list(itertools.accumulate((seconds[task] for task in reversed(own)), initial=0.0)) for own in tasks]


_Look = tuple[tuple[int, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """When a state was seen, and where all ranks were."""

    now: float
    unit: int
    places: list[int]
    """Of each rank's current task in its order."""
