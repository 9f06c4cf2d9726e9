"""Microbatches of each replica, exactly: alike, or by speed so that the slowest group is done first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Sized = Sequence[tuple[Any, int]]
"""Groups with their numbers of replicas."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Microbatches over groups of replicas; within a group, replicas differ by whole units of them."""

    most: tuple[int, ...]
    """Of the busiest replica of each group."""
    unit: int
    """Replicas that always do the same."""
    totals: tuple[int, ...]
    """Of all replicas of each group; empty: `most` each."""

    @classmethod
    def alike(cls, each: int, num_groups: int) -> "Shares":
        """Every replica does `each`."""
        return cls((each,) * num_groups, 1, ())

    @property
    def is_equal(self) -> bool:
        """Every replica does the same."""
        return not self.totals

    def parts(self, groups: Sized) -> list[list[tuple[int, int]]]:
        """Per group: (replicas, microbatches of each), the busier ones first."""
        if self.is_equal:
            return [[(count, each)] for (_, count), each in zip(groups, self.most, strict=True)]
        found = []
        for (_, count), total in zip(groups, self.totals, strict=True):
            units = count // self.unit
            least, busier = divmod(total // self.unit, units)
            pairs = ((busier * self.unit, least + 1), ((units - busier) * self.unit, least))
            found.append([pair for pair in pairs if pair[0]])
        return found

    def fewest(self, groups: Sized) -> int:
        """Of the replica with fewest."""
        return min(each for parts in self.parts(groups) for _, each in parts)


def equal_shares(num_microbatches: int, counts: Sequence[int]) -> Shares | None:
    """Every replica does the same; None where they cannot."""
    each, rest = divmod(num_microbatches, sum(counts))
    return None if rest or not each else Shares.alike(each, len(counts))


def fastest_shares(num_microbatches: int, counts: Sequence[int], seconds: Sequence[float], unit: int) -> Shares | None:
    """The shares whose slowest replica is done first; `seconds` are those of one microbatch in each group.

    `unit` replicas always do the same, and divide every group. None where the batch does not come out whole.

    Starting with one microbatch each, the next one goes to the group that is done with it first: its exchange for any
    other choice ends later (greedy is optimal for min-max with growing costs; Federgruen and Groenevelt 1986).
    """
    if num_microbatches % unit or any(count % unit for count in counts):
        return None
    units = [count // unit for count in counts]
    left = num_microbatches // unit - sum(units)
    if left < 0:
        return None
    totals = list(units)
    for _ in range(left):
        group = min(range(len(units)), key=lambda one: ((totals[one] // units[one] + 1) * seconds[one], one))
        totals[group] += 1
    most = tuple(-(-total // count) for total, count in zip(totals, units, strict=True))
    if all(total == most[0] * count for total, count in zip(totals, units, strict=True)):
        return Shares.alike(most[0], len(counts))
    return Shares(most, unit, tuple(total * unit for total in totals))
