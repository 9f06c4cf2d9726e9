"""Which pairs of nodes are measured, and when, so that no node takes part in two measurements at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crosszone.core.preflight import ProbedNode

STREAM_COUNTS = (1, 4, 8)
ZONE_STREAMS = 8
"""Of each pair where several nodes of a zone send at the same time."""
MOST_NODES_AT_ONCE = 4
BUDGET_SECONDS = 40.0
"""Of all bandwidths. Chosen: with reaching, resolving and clocks, a dozen nodes take less than a minute."""
MOST_FULL_NODES = 64
"""Up to so many, every node tries every other; 64 nodes are 4032 pairs."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Pairs of nodes (from, to) that send at the same time, over as many connections each."""

    pairs: tuple[Pair, ...]
    num_streams: int

    @property
    def nodes(self) -> set[int]:
        """All that take part."""
        return {node for pair in self.pairs for node in pair}


def reach_pairs(nodes: Sequence[ProbedNode]) -> tuple[Pair, ...]:
    """Ordered pairs that try to connect: all, or in a large job those of the first node and those that are measured."""
    indices = [node.index for node in nodes]
    if len(indices) <= MOST_FULL_NODES:
        return tuple(itertools.permutations(indices, 2))
    star = [pair for index in indices[1:] for pair in ((index, indices[0]), (indices[0], index))]
    return tuple(dict.fromkeys([*star, *measured_pairs(nodes), *(pair[::-1] for pair in measured_pairs(nodes))]))


def measured_pairs(nodes: Sequence[ProbedNode]) -> tuple[Pair, ...]:
    """Ordered pairs whose round trip and bandwidth are measured: one per pair of zones, and a ring in each zone."""
    return tuple(dict.fromkeys([*zone_pairs(nodes), *ring_pairs(nodes)]))


def zone_pairs(nodes: Sequence[ProbedNode]) -> tuple[Pair, ...]:
    """(from, to) of the first node of each zone, both directions."""
    first = {node.zone: node.index for node in reversed(nodes)}
    order = [first[zone] for zone in dict.fromkeys(node.zone for node in nodes)]
    return tuple(itertools.permutations(order, 2))


def ring_pairs(nodes: Sequence[ProbedNode]) -> tuple[Pair, ...]:
    """Each node of a zone to the next: each sends once and receives once, so that a slow one shows on both sides."""
    found: list[Pair] = []
    for members in by_zone(nodes).values():
        if len(members) == 2:
            found += [(members[0], members[1]), (members[1], members[0])]
        elif len(members) > 2:
            found += list(zip(members, (*members[1:], members[0]), strict=True))
    return tuple(found)


def zone_trials(nodes: Sequence[ProbedNode]) -> tuple[Trial, ...]:
    """Several nodes of a zone to as many of another: what the zones' path brings, beyond what one node sends."""
    members = by_zone(nodes)
    found = []
    for sending, receiving in itertools.permutations(members, 2):
        count = min(len(members[sending]), len(members[receiving]), MOST_NODES_AT_ONCE)
        if count > 1:
            pairs = tuple(zip(members[sending][:count], members[receiving][:count], strict=True))
            found.append(Trial(pairs=pairs, num_streams=ZONE_STREAMS))
    return tuple(found)


def by_zone(nodes: Iterable[ProbedNode]) -> dict[str, list[int]]:
    """Nodes of each zone, in order."""
    members: dict[str, list[int]] = {}
    for node in nodes:
        members.setdefault(node.zone, []).append(node.index)
    return members


def rounds(trials: Iterable[Trial]) -> tuple[tuple[Trial, ...], ...]:
    """Trials that can run at the same time, round after round: each goes into the first that has room for its nodes."""
    found: list[list[Trial]] = []
    for trial in trials:
        for each in found:
            if not any(trial.nodes & other.nodes for other in each):
                each.append(trial)
                break
        else:
            found.append([trial])
    return tuple(tuple(each) for each in found)


def schedule(nodes: Sequence[ProbedNode], *, trial_seconds: float) -> tuple[tuple[tuple[Trial, ...], ...], list[str]]:
    """(rounds, what is left out and why): the most telling trials that fit into `BUDGET_SECONDS`."""
    across, inside = zone_pairs(nodes), ring_pairs(nodes)

    def single(pairs: Iterable[Pair], num_streams: int) -> list[Trial]:
        return [Trial(pairs=(pair,), num_streams=num_streams) for pair in pairs]

    one, most = STREAM_COUNTS[0], STREAM_COUNTS[-1]
    wanted = [
        ("between zones, 8 streams", single(across, most)),
        ("between zones, 1 stream", single(across, one)),
        ("inside zones, 8 streams", single(inside, most)),
        ("between several nodes of two zones at the same time", list(zone_trials(nodes))),
        *((f"between zones, {num} streams", single(across, num)) for num in STREAM_COUNTS[1:-1]),
    ]
    chosen: list[tuple[Trial, ...]] = []
    left_out = []
    for name, trials in wanted:
        added = rounds(trials)
        room = max(0, int(BUDGET_SECONDS / trial_seconds) - len(chosen))
        chosen += added[:room]
        num_left = sum(len(each) for each in added[room:])
        if num_left:
            left_out.append(f"bandwidth {name}: {num_left} of {len(trials)}, to end within a minute.")
    return tuple(chosen), left_out
