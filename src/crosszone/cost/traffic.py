"""Bytes between zones, per step and link."""

import numpy as np

from crosszone.core.tables import Bools, Floats, Numeric


def boundary_bytes(microbatch_size: Numeric, sequence_length: int, hidden_size: int, element_bytes: float) -> Floats:
    """Hidden states of one microbatch at a stage boundary: b*s*h elements; the gradients on the way back are as many.

    Source: Narayanan et al. 2021, sec. 3.2.
    """
    return np.asarray(microbatch_size, dtype=float) * sequence_length * hidden_size * element_bytes


def ring_link_bytes(
    *,
    num_zones: Numeric,
    num_ranks: Numeric,
    is_flat: Bools,
    all_reduce_bytes: Numeric,
    half_bytes: Numeric,
) -> Floats:
    """Bytes on each directed link of a ring of Z zones, all groups together.

    `all_reduce_bytes` are reduced and given back: two rounds of the ring. `half_bytes` are only gathered or only
    scattered: one round. Once per zone (hierarchical) a round moves (Z-1)/Z of the message over each link; a flat
    ring of n ranks that crosses each link once moves (n-1)/n of it. Source: Thakur et al. 2005, sec. 4.4;
    hierarchical form as in NeMo's multi-data-centre training (reduce-scatter in the zone, exchange, all-gather in the
    zone).
    """
    members = np.where(is_flat, num_ranks, num_zones).astype(float)
    share = np.where(np.asarray(num_zones) > 1, (members - 1.0) / np.maximum(members, 1.0), 0.0)
    return np.asarray(share * (2.0 * np.asarray(all_reduce_bytes) + half_bytes))
