"""List scheduling with the delays known: what CrossPipe calls greedy. The generated schedules share it.

Source: the idea, Chen et al. 2025 (CrossPipe, 2507.00217), sec. 4; the rules below are this project's own.
"""

import heapq
from collections import deque

from crosszone.core.schedules.action import Action, backward, forward, weight_gradient
from crosszone.core.schedules.placement import position_of, rank_of
from crosszone.core.schedules.work import Orders, Work

FORWARDS, BACKWARDS = 0, 1


def greedy_orders(work: Work, *, num_parts: int = 1, num_reserved: int = 0) -> tuple[Orders, float]:
    """The order of each rank, and when the last of them is done.

    A rank that is free takes, of what has arrived, the oldest backward; else a forward, of the deepest virtual stage
    first, while it may hold more; else a weight gradient that waits; else it stands until something arrives. A forward
    of the first virtual stage leaves room for `num_reserved` later ones, without which those could never come back.
    """
    plan = _Planner(work, num_parts, num_reserved)
    plan.run()
    assert all(len(order) == 3 * plan.num_units * work.num_virtual_stages for order in plan.orders), "it stands still"
    return tuple(tuple(order) for order in plan.orders), plan.last_end


class _Rank:
    """What one rank has before it."""

    def __init__(self) -> None:
        self.forwards: list[tuple[int, int]] = []
        """Heap of (- virtual stage, unit)."""
        self.backwards: list[tuple[int, int]] = []
        """Heap of (unit, virtual stage)."""
        self.weights: deque[tuple[int, int]] = deque()
        self.num_held = 0
        self.is_busy = False


class _Planner:
    """One pass over time. A unit is a part of a microbatch."""

    def __init__(self, work: Work, num_parts: int, num_reserved: int) -> None:
        self.num_units = work.num_microbatches * num_parts
        self.orders: list[list[Action]] = [[] for _ in range(work.num_stages)]
        self.last_end = 0.0
        self._work, self._num_parts = work, num_parts
        self._p, self._v = work.num_stages, work.num_virtual_stages
        self._scale = 1.0 / (self._v * num_parts)
        most = max(1, int(work.most_in_flight * self._v * num_parts + 1e-9))
        self._most = [most - (num_reserved if chunk < self._v - 1 else 0) for chunk in range(self._v)]
        self._ranks = [_Rank() for _ in range(self._p)]
        self._free = {(rank, way): 0.0 for rank in range(self._p) for way in (FORWARDS, BACKWARDS)}
        self._events: list[tuple[float, int, int, int, int]] = []
        """(when, rank, position or -1 where the rank is free again, direction, unit)."""

    def run(self) -> None:
        """Until nothing is on its way."""
        self._ranks[0].forwards = [(0, unit) for unit in range(self.num_units)]
        self._begin(0, 0.0)
        while self._events:
            now, touched = self._events[0][0], set()
            while self._events and self._events[0][0] <= now + 1e-12:
                _, rank, position, way, unit = heapq.heappop(self._events)
                touched.add(rank)
                if position < 0:
                    self._ranks[rank].is_busy = False
                else:
                    self._arrive(rank, position // self._p, way, unit)
            for rank in sorted(touched):
                if not self._ranks[rank].is_busy:
                    self._begin(rank, now)

    def _arrive(self, rank: int, chunk: int, way: int, unit: int) -> None:
        state = self._ranks[rank]
        if way == FORWARDS:
            heapq.heappush(state.forwards, (-chunk, unit))
        else:
            heapq.heappush(state.backwards, (unit, chunk))

    def _begin(self, rank: int, now: float) -> None:
        """The next piece of work of a free rank, if there is any."""
        state, work = self._ranks[rank], self._work
        if state.backwards:
            unit, chunk = heapq.heappop(state.backwards)
            state.weights.append((unit, chunk))
            end = self._do(rank, backward(*self._named(unit, chunk)), now, work.backward_seconds[rank])
            self._send(rank, chunk, BACKWARDS, unit, end)
        elif state.forwards and state.num_held < self._most[-state.forwards[0][0]]:
            negative, unit = heapq.heappop(state.forwards)
            state.num_held += 1
            end = self._do(rank, forward(*self._named(unit, -negative)), now, work.forward_seconds[rank])
            self._send(rank, -negative, FORWARDS, unit, end)
        elif state.weights:
            unit, chunk = state.weights.popleft()
            state.num_held -= 1
            self._do(rank, weight_gradient(*self._named(unit, chunk)), now, work.weight_seconds[rank])

    def _named(self, unit: int, chunk: int) -> tuple[int, int, int]:
        microbatch, part = divmod(unit, self._num_parts)
        return microbatch, chunk, part

    def _do(self, rank: int, action: Action, now: float, seconds: float) -> float:
        """Write the action down; when it ends."""
        end = now + seconds * self._scale
        self.orders[rank].append(action)
        self.last_end = max(self.last_end, end)
        self._ranks[rank].is_busy = True
        heapq.heappush(self._events, (end, rank, -1, 0, 0))
        return end

    def _send(self, rank: int, chunk: int, way: int, unit: int, end: float) -> None:
        """Hand the result on; the last forward turns round in place."""
        position = position_of(rank, chunk, self._p, "v")
        if way == FORWARDS and position == self._p * self._v - 1:
            heapq.heappush(self._events, (end, rank, position, BACKWARDS, unit))
            return
        to = position + (1 if way == FORWARDS else -1)
        if to < 0:
            return
        there, arrival = rank_of(to, self._p, "v"), end
        if there != rank:
            hop, upward = min(rank, there), FORWARDS if there > rank else BACKWARDS
            sent = max(end, self._free[hop, upward]) + self._work.transfer_seconds[hop] / self._num_parts
            self._free[hop, upward] = sent
            arrival = sent + self._work.delay_seconds[hop]
        heapq.heappush(self._events, (arrival, there, to, way, unit))
