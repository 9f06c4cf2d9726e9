"""Gradients summed once per zone: inside the zone, across zones, and back to the ranks of the zone.

Every zone has as many *carriers* as the smallest zone has ranks. A zone adds up its gradients so that each carrier has
one part of them, the carriers of one part add it up across zones, and each gives its part to the ranks of its zone. So
a link carries (Z-1)/Z of the gradients twice, as `crosszone.cost.traffic` has it, whatever the ranks of a zone are.

Every rank ends with the same bits: a part is added up in one group, and what comes out is copied from there.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import distributed

from crosszone.runtime.sync.flat import Hook
from crosszone.runtime.sync.packing import sum_across

Run = Callable[[Callable[[], torch.Tensor], torch.device], torch.futures.Future[torch.Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneGroups:
    """The groups of one rank."""

    inside: distributed.ProcessGroup
    """Ranks of its zone."""
    num_inside: int
    carriers: tuple[int, ...]
    """Ranks of the run that carry a part each in this zone."""
    part: int | None
    """What this rank carries; None: nothing."""
    across: distributed.ProcessGroup | None
    """Ranks that carry the same part, one of each zone; None where this one carries nothing."""


def zone_groups(rank_zones: Sequence[int], *, limit: datetime.timedelta) -> ZoneGroups:
    """The groups of this rank, where rank r of the run is in zone `rank_zones[r]`. All ranks call it at once.

    `limit` is that of each collective.
    """
    rank = distributed.get_rank()
    zones: dict[int, list[int]] = {}
    for member, zone in enumerate(rank_zones):
        zones.setdefault(zone, []).append(member)
    num_parts = min(len(members) for members in zones.values())
    inside = {zone: distributed.new_group(members, timeout=limit) for zone, members in zones.items()}
    across = [
        distributed.new_group([members[part] for members in zones.values()], timeout=limit) for part in range(num_parts)
    ]
    own = zones[rank_zones[rank]]
    part = own.index(rank) if own.index(rank) < num_parts else None
    return ZoneGroups(
        inside=inside[rank_zones[rank]],
        num_inside=len(own),
        carriers=tuple(own[:num_parts]),
        part=part,
        across=None if part is None else across[part],
    )


def zone_sum(groups: ZoneGroups, *, dtype: torch.dtype, codec: str | None, num_ranks: int) -> Hook:
    """A hook for DDP that averages over `num_ranks` ranks: added up in `dtype`, sent between zones as `codec`.

    Buckets follow each other, in the order in which DDP has them ready on every rank, beside the rest of the backward:
    collectives that overtake each other would meet those of another bucket.
    """
    run = in_turn()

    def hook(state, bucket):  # type: ignore[no-untyped-def]  # DDP refuses annotations that are strings
        wide: torch.Tensor = bucket.buffer()

        def mean() -> torch.Tensor:
            wide.copy_(add_up(wide.to(dtype).div_(num_ranks), groups, codec=codec))
            return wide

        return run(mean, wide.device)

    return hook


def add_up(values: torch.Tensor, groups: ZoneGroups, *, codec: str | None) -> torch.Tensor:
    """The sum over all ranks of the one-dimensional `values`, which it overwrites; between zones as `codec`."""
    num_parts, size = len(groups.carriers), values.numel()
    whole = torch.nn.functional.pad(values, (0, -size % num_parts))
    parts = list(whole.chunk(num_parts))
    own = _collect(parts, groups)
    if own is not None:
        assert groups.across is not None, "who carries a part has peers"
        sum_across(own, groups.across, codec=codec)
    hand_out(parts, own, groups)
    return whole[:size]


def hand_out(parts: list[torch.Tensor], own: torch.Tensor | None, groups: ZoneGroups) -> None:
    """Fill `parts` with those of the zone's carriers, of which this rank has `own`."""
    if own is not None and groups.num_inside == len(parts):
        distributed.all_gather(parts, own, group=groups.inside)
        return
    for part, carrier in zip(parts, groups.carriers, strict=True):
        distributed.broadcast(part, carrier, group=groups.inside)


def in_turn() -> Run:
    """Runs what it is given one after the other, beside its caller: on a stream of its own, or on a thread."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zone-sum")
    streams: dict[torch.device, torch.cuda.Stream] = {}

    def on_stream(work: Callable[[], torch.Tensor], device: torch.device) -> torch.futures.Future[torch.Tensor]:
        future = torch.futures.Future[torch.Tensor](devices=[device])
        stream = streams.setdefault(device, torch.cuda.Stream(device))  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):  # collectives of NCCL return at once; the future keeps this stream's place
            future.set_result(work())
        return future

    def on_thread(work: Callable[[], torch.Tensor]) -> torch.futures.Future[torch.Tensor]:
        future = torch.futures.Future[torch.Tensor]()

        def settle() -> None:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again where DDP waits
                future.set_exception(error)  # type: ignore[arg-type]  # torch's own annotation is of a result

        thread.submit(settle)
        return future

    return lambda work, device: on_stream(work, device) if device.type == "cuda" else on_thread(work)


def _collect(parts: list[torch.Tensor], groups: ZoneGroups) -> torch.Tensor | None:
    """The zone's sum of the part that this rank carries."""
    if groups.num_inside == len(parts):
        own = torch.empty_like(parts[0])
        distributed.reduce_scatter(own, parts, group=groups.inside)
        return own
    for part, carrier in zip(parts, groups.carriers, strict=True):  # no collective scatters to some of its ranks
        distributed.reduce(part, carrier, group=groups.inside)
    return None if groups.part is None else parts[groups.part]
