"""Replicas that must be bit-identical: a digest of every parameter, compared between the ranks that hold copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from crosszone.errors import CrossZoneError
from crosszone.runtime.world import World

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


def outliers(rows: list[tuple[int, ...]]) -> list[int]:
    """Indices of the rows that are not what more than half of all are; all indices where nothing is."""
    row, count = Counter(rows).most_common(1)[0]
    if 2 * count <= len(rows):
        return list(range(len(rows)))
    return [index for index, each in enumerate(rows) if each != row]


def digest(tensor: torch.Tensor) -> torch.Tensor:
    """A 64-bit number that any flipped bit and any two exchanged elements change; computed where the tensor is.

    Sum over elements i, as integers of their bits, of (bits + 1) * multiplier**2 * (2 i + 1) modulo 2**64, the middle
    bits of each folded down.
    """
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    bits = local.detach().contiguous().view(-1).view(INTEGERS[local.element_size()])
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for first in range(0, bits.numel(), CHUNK_ELEMENTS):
        chunk = bits[first : first + CHUNK_ELEMENTS].to(torch.int64)
        places = torch.arange(first, first + chunk.numel(), device=bits.device, dtype=torch.int64) * 2 + 1
        mixed = (chunk + 1) * MULTIPLIER * places
        total += ((mixed ^ (mixed >> 29)) * MULTIPLIER).sum()
    return total
