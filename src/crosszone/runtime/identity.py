"""Replicas that must be bit-identical: a digest of every parameter, compared between the ranks that hold copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import distributed

from crosszone.errors import CrossZoneError
from crosszone.runtime.sync.shards import first_place, own_part
from crosszone.runtime.world import SHARD, World

CHUNK_ELEMENTS = 1 << 22
"""Elements that are digested at a time: 32 MiB of 64-bit integers."""
MULTIPLIER = 6364136223846793005
"""Odd, so that no bit of an element is lost (Knuth's MMIX)."""
INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers as wide as an element of so many bytes."""


class ReplicasDiffer(CrossZoneError):
    """Copies of the model that must be equal are not: something between their gradients and their weights is wrong."""

    default_code = "replicas_differ"


def check_identity(named_parameters: Iterable[tuple[str, torch.Tensor]], world: World, *, step: int) -> None:
    """Compare this rank's parameters, or its part of them, bit by bit with those of its replicas.

    Every rank of `world` calls it at once. Errors: ReplicasDiffer on all of a group, naming the ranks that differ
    from most, or all where no value has a majority, and the first parameter.
    """
    digests = {name: digest(tensor) for name, tensor in named_parameters}
    if not digests:
        return
    names, own = list(digests), torch.stack(list(digests.values()))
    gathered = [torch.empty_like(own) for _ in world.replica_ranks]
    distributed.all_gather(gathered, own, group=world.replicas)
    rows = [tuple(row.tolist()) for row in gathered]
    if len(set(rows)) == 1:
        return
    differing = outliers(rows)
    ranks = [world.replica_ranks[index] for index in differing]
    first = next(index for index in range(len(names)) if len({row[index] for row in rows}) > 1)
    raise ReplicasDiffer.of(
        f"after step {step}, ranks {', '.join(map(str, ranks))} hold other weights than the rest of ranks "
        f"{', '.join(map(str, world.replica_ranks))}, first in {names[first]}.",
        where=f"step {step}",
        hint="Restart from a checkpoint before it, and look at the memory and GPUs of the ranks that are named.",
    )


def check_zones(named_parameters: Iterable[tuple[str, torch.Tensor]], world: World, *, step: int) -> None:
    """Compare the weights of zones, each of which may share them among its ranks in another way.

    Every rank calls it at once. Errors: ReplicasDiffer on the ranks that carry parts, naming the first parameter.
    """
    assert world.zones is not None, "zones that step by themselves have groups"
    digests = {name: digest(tensor, first=first_place(tensor)) for name, tensor in named_parameters}
    names, own = list(digests), torch.stack(list(digests.values()))
    distributed.all_reduce(own, group=world.mesh.get_group(SHARD))  # digests of parts add up to that of the whole
    if world.zones.across is None:
        return
    gathered = [torch.empty_like(own) for _ in range(world.zones.across.size())]
    distributed.all_gather(gathered, own, group=world.zones.across)
    for index, name in enumerate(names):
        if len({int(row[index]) for row in gathered}) > 1:
            raise ReplicasDiffer.of(
                f"after step {step}, zones hold different weights though they have just agreed, first in {name}.",
                where=f"step {step}",
                hint="Restart from a checkpoint before it, and look at the memory and GPUs of all zones.",
            )


def outliers(rows: list[tuple[int, ...]]) -> list[int]:
    """Indices of the rows that are not what more than half of all are; all indices where nothing is."""
    row, count = Counter(rows).most_common(1)[0]
    if 2 * count <= len(rows):
        return list(range(len(rows)))
    return [index for index, each in enumerate(rows) if each != row]


def digest(tensor: torch.Tensor, *, first: int = 0) -> torch.Tensor:
    """A 64-bit number that any flipped bit and any two exchanged elements change; computed where the tensor is.

    Sum over elements i, as integers of their bits, of (bits + 1) * multiplier**2 * (2 i + 1) modulo 2**64, the middle
    bits of each folded down. Elements are counted from `first`: digests of the parts of a tensor add up to its own.
    """
    local = own_part(tensor)
    bits = local.contiguous().view(-1).view(INTEGERS[local.element_size()])
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, bits.numel(), CHUNK_ELEMENTS):
        chunk = bits[start : start + CHUNK_ELEMENTS].to(torch.int64)
        places = torch.arange(first + start, first + start + len(chunk), device=bits.device, dtype=torch.int64) * 2 + 1
        mixed = (chunk + 1) * MULTIPLIER * places
        total += ((mixed ^ (mixed >> 29)) * MULTIPLIER).sum()
    return total
