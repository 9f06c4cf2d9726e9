"""Which pools work together: the skeleton of a placement, before degrees are chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`chains` are pipelines: the pools that one replica's stages pass through, in order, as pool indices.

    Several chains are replicas that are placed differently; each may be replicated further inside its pools.
    """

    chains: tuple[tuple[int, ...], ...]
    ring: tuple[int, ...]
    """Zones that agree on gradients, as zone indices in ring order; one zone or none: nothing crosses."""
    crosses_pp: bool
