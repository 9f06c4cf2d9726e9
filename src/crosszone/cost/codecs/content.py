"""What a codec is given, and what it makes of it. Numbers or arrays that broadcast."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats, Numeric

BLOCK_ELEMENTS = 256
"""Elements that share one scale. Blocks of 64 (Dettmers et al. 2023, QLoRA) to 2048 (Dettmers et al. 2022, 8-bit
optimizers) are in use."""
SCALE_BYTES = 4.0
"""fp32."""
ERROR_BYTES = 4.0
"""Per element of what a lossy codec left out, kept in fp32 and added next time (error feedback)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A stream before it is packed."""

    num_elements: Numeric
    element_bytes: float
    """Of one element as it travels without a codec."""
    matrices: tuple[tuple[float, float, float], ...] = ()
    """(rows, columns, how many) of the model's matrices; elements beyond them are vectors."""
    num_slices: Numeric = 1.0
    """Ranks that each hold a part of every matrix's columns and pack it for themselves: tp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The same packed. One value per plan, all ranks together."""

    wire_bytes: Floats
    """Of one member's message."""
    traffic_bytes: Floats
    """Read and written in memory to pack and unpack."""
    product_flop: Floats
    """Of matrix products on top."""
    state_bytes: Floats
    """Kept from one exchange to the next, such as what was left out."""


def cast(content: Content, element_bytes: float) -> Encoded:
    """Each element in `element_bytes`, read and written once to pack and once to unpack; nothing if that is wider."""
    elements = np.asarray(content.num_elements, dtype=float)
    narrow = min(element_bytes, content.element_bytes)
    passes = 0.0 if narrow == content.element_bytes else 2.0
    return Encoded(
        wire_bytes=elements * narrow,
        traffic_bytes=passes * elements * (content.element_bytes + narrow),
        product_flop=0.0 * elements,
        state_bytes=0.0 * elements,
    )


def quantized(content: Content, element_bytes: float) -> Encoded:
    """Elements of `element_bytes` and a scale for each block; nothing if that is wider.

    Sums travel packed: whoever adds unpacks, adds in fp32 and packs again, which is a third pass beside packing and
    unpacking.
    """
    elements = np.asarray(content.num_elements, dtype=float)
    narrow = min(element_bytes + SCALE_BYTES / BLOCK_ELEMENTS, content.element_bytes)
    passes = 0.0 if narrow == content.element_bytes else 3.0
    return Encoded(
        wire_bytes=elements * narrow,
        traffic_bytes=passes * elements * (content.element_bytes + narrow),
        product_flop=0.0 * elements,
        state_bytes=0.0 * elements,
    )
