"""Time of a collective over two levels: GPUs that share a fabric, and nodes that share a network.

Legend: n ranks = r ranks in each fabric domain x q domains. `message_bytes` is what every rank holds in full before a
reduce-scatter or after an all-gather. All arguments are numbers or arrays and broadcast.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crosszone.core.tables import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What a rank of the group can use. `network_bytes_per_second` is its own share of the node's network."""

    fabric_bytes_per_second: ArrayLike
    network_bytes_per_second: ArrayLike
    fabric_latency_seconds: ArrayLike
    network_latency_seconds: ArrayLike


def all_gather_seconds(num_ranks: ArrayLike, ranks_per_domain: ArrayLike, message_bytes: ArrayLike, path: Path) -> Floats:
    """Time until every rank holds all `message_bytes`; a reduce-scatter takes the same.

    Each rank receives (n-1)/n of the message over its fabric port. Across q domains, the r ranks of a domain each carry
    1/r of the traffic over their own network share, and both levels are pipelined (as rings over all rails do):
        T = max((n-1)/n * S / fabric, [q > 1] (n-1)/n * S / r / network) + log2(r) * a_fabric + (q-1 -> log2 q) * a_net
    Latency counts one round per doubling: libraries switch to trees where rounds would dominate.

    Assumes: equal ranks per domain; reduction is free.
    Source: Thakur, Rabenseifner, Gropp 2005, sec. 4; NCCL's multi-rail rings and double binary trees (Jeaugey 2019).
    """
    n = np.asarray(num_ranks, dtype=float)
    r = np.minimum(np.asarray(ranks_per_domain, dtype=float), n)
    q = n / np.maximum(r, 1.0)
    moved = (n - 1.0) / np.maximum(n, 1.0) * message_bytes
    inside = np.where(r > 1.0, moved / path.fabric_bytes_per_second, 0.0)
    across = np.where(q > 1.0, moved / np.maximum(r, 1.0) / path.network_bytes_per_second, 0.0)
    latency = np.ceil(np.log2(np.maximum(r, 1.0))) * path.fabric_latency_seconds
    latency = latency + np.ceil(np.log2(np.maximum(q, 1.0))) * path.network_latency_seconds
    return np.where(n > 1.0, np.maximum(inside, across) + latency, 0.0)


def all_reduce_seconds(num_ranks: ArrayLike, ranks_per_domain: ArrayLike, message_bytes: ArrayLike, path: Path) -> Floats:
    """Reduce-scatter, then all-gather: twice `all_gather_seconds`. Source: Thakur et al. 2005, sec. 4.4."""
    return 2.0 * all_gather_seconds(num_ranks, ranks_per_domain, message_bytes, path)


def all_to_all_seconds(num_ranks: ArrayLike, ranks_per_domain: ArrayLike, message_bytes: ArrayLike, path: Path) -> Floats:
    """Time to exchange `message_bytes` per rank, equal parts to each of the n ranks.

    (r-1)/n of it stays in the domain, (n-r)/n leaves through the rank's network share; both at once:
        T = max((r-1)/n * S / fabric, (n-r)/n * S / network) + latencies
    Source: pairwise exchange, Thakur et al. 2005, sec. 4.3.
    """
    n = np.asarray(num_ranks, dtype=float)
    r = np.minimum(np.asarray(ranks_per_domain, dtype=float), n)
    q = n / np.maximum(r, 1.0)
    inside = (r - 1.0) / n * message_bytes / path.fabric_bytes_per_second
    across = np.where(q > 1.0, (n - r) / n * message_bytes / path.network_bytes_per_second, 0.0)
    latency = np.where(q > 1.0, path.network_latency_seconds, path.fabric_latency_seconds)
    return np.where(n > 1.0, np.maximum(inside, across) + latency, 0.0)


def send_seconds(message_bytes: ArrayLike, bytes_per_second: ArrayLike, latency_seconds: ArrayLike) -> Floats:
    """Point to point: T = latency + bytes / bandwidth."""
    return np.asarray(latency_seconds + np.asarray(message_bytes, dtype=float) / bytes_per_second)
