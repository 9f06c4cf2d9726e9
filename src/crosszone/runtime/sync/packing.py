"""Formats in which sums cross zones: what `crosszone.cost.codecs` costs, run.

Elements of 8 or 4 bits have one scale for each block. They are added in fp32, so that messages travel twice: each
member gets everyone's part of what it adds up, and the sum, packed once more, goes to all. That is (Z-1)/Z of a packed
message each way among Z members, as a ring would send.
"""

from __future__ import annotations

import torch
from torch import distributed

from crosszone.cost.codecs.content import BLOCK_ELEMENTS

CASTS = {"fp16": torch.float16, "bf16": torch.bfloat16}
MOST = {"int8_block": 127, "int4": 7}
"""The largest whole number that stands for an element; its negative is the least."""
SCALE = torch.float32


def sum_across(values: torch.Tensor, group: distributed.ProcessGroup, *, codec: str | None) -> None:
    """Replace the one-dimensional `values` by their sum over `group`, sent as `codec` (None: as they are).

    All members end with the same bits.
    """
    if codec in MOST:
        values.copy_(_packed_sum(values.float(), group, codec))
        return
    sent = values if codec is None else values.to(CASTS[codec])
    distributed.all_reduce(sent, group=group)
    if sent is not values:
        values.copy_(sent)


def packed(values: torch.Tensor, codec: str) -> torch.Tensor:
    """(blocks, bytes of one): elements, then the scale; `values` fill whole blocks."""
    blocks = values.view(-1, BLOCK_ELEMENTS)
    scale = blocks.abs().amax(dim=1, keepdim=True).to(SCALE) / MOST[codec]
    whole = torch.where(scale > 0.0, blocks / scale, 0.0).round().to(torch.int8)
    return torch.cat([_narrowed(whole, codec).view(torch.uint8), scale.view(torch.uint8)], dim=1)


def unpacked(message: torch.Tensor, codec: str) -> torch.Tensor:
    """The fp32 values of what `packed` gave."""
    scale = message[:, -SCALE.itemsize :].contiguous().view(SCALE)
    return (_widened(message[:, : -SCALE.itemsize].contiguous(), codec).to(SCALE) * scale).flatten()


def _narrowed(whole: torch.Tensor, codec: str) -> torch.Tensor:
    """Two elements of 4 bits in a byte, the first in its lower half."""
    if codec != "int4":
        return whole
    halves = whole.view(torch.uint8) & 0xF
    return halves[:, ::2] | (halves[:, 1::2] << 4)


def _widened(content: torch.Tensor, codec: str) -> torch.Tensor:
    if codec != "int4":
        return content.view(torch.int8)
    halves = torch.stack([content << 4, content & 0xF0], dim=2).flatten(1)
    return halves.view(torch.int8) >> 4  # which keeps the sign


def _packed_sum(values: torch.Tensor, group: distributed.ProcessGroup, codec: str) -> torch.Tensor:
    num_members, size = group.size(), values.numel()
    message = packed(torch.nn.functional.pad(values, (0, -size % (num_members * BLOCK_ELEMENTS))), codec)
    received = torch.empty_like(message)
    distributed.all_to_all_single(received, message, group=group)
    part = packed(unpacked(received, codec).view(num_members, -1).sum(dim=0), codec)
    distributed.all_gather(list(message.chunk(num_members)), part, group=group)
    return unpacked(message, codec)[:size]
