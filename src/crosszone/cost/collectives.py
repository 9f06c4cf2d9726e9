"""Time of a collective over two levels: GPUs that share a fabric, and nodes that share a network.

Legend: n ranks = r ranks in each fabric domain x q domains. `message_bytes` is what every rank holds in full before a
reduce-scatter or after an all-gather. All arguments are numbers or arrays and broadcast.
"""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats, Numeric


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What a rank of the group can use. `network_bytes_per_second` is its own share of the node's network."""

    fabric_bytes_per_second: Numeric
    network_bytes_per_second: Numeric
    fabric_latency_seconds: Numeric
    network_latency_seconds: Numeric


def all_gather_seconds(num_ranks: Numeric, ranks_per_domain: Numeric, message_bytes: Numeric, path: Path) -> Floats:
    """Time until every rank holds all `message_bytes`; a reduce-scatter takes the same.

    Each rank receives (n-1)/n of the message over its fabric port. Across q domains, the r ranks of a domain each carry
    1/r of the traffic over their own network share, and both levels are pipelined, as rings over all rails do:
        T = max((n-1)/n * S / fabric, [q > 1] (n-1)/n * S / r / network) + log2(r) * a_fabric + (q-1) * a_network

    Assumes: equal ranks per domain; reduction is free; a ring between domains, one latency per hop.
    Source: Thakur, Rabenseifner, Gropp 2005, sec. 4; multi-rail rings: NCCL (Jeaugey 2019).
    """
    n, r, q = _levels(num_ranks, ranks_per_domain)
    latency = _fabric_latency(r, path) + (q - 1.0) * path.network_latency_seconds
    return np.where(n > 1.0, _moved_seconds(n, r, q, message_bytes, path) + latency, 0.0)


def all_reduce_seconds(num_ranks: Numeric, ranks_per_domain: Numeric, message_bytes: Numeric, path: Path) -> Floats:
    """Reduce-scatter, then all-gather, with the latency of a tree between domains where that has fewer rounds:

        T = 2 * (bandwidth part of all_gather_seconds + log2(r) * a_fabric + ceil(log2 q) * a_network)

    Source: Thakur et al. 2005, sec. 4.4; double binary trees: Sanders, Speck, Traeff 2009 (NCCL since 2.4).
    """
    n, r, q = _levels(num_ranks, ranks_per_domain)
    latency = _fabric_latency(r, path) + np.ceil(np.log2(q)) * path.network_latency_seconds
    return np.where(n > 1.0, 2.0 * (_moved_seconds(n, r, q, message_bytes, path) + latency), 0.0)


def all_to_all_seconds(
    num_ranks: Numeric, ranks_per_domain: Numeric, message_bytes: Numeric, path: Path, *, num_copies: Numeric = 1
) -> Floats:
    """Time to exchange `message_bytes` per rank, equal parts to each of the n ranks.

    (r-1)/n of it stays in the domain, (n-r)/n leaves through the rank's network share; both at once:
        T = max((r-1)/n * S / fabric, (n-r)/n * S / network) + latencies
    Where the message is k = `num_copies` copies of each token that may go to the same domain, only one of them crosses
    to it and is copied there: q (1 - (1 - 1/q)^k) / k of the copies leave, for choices that are even and independent.
    Source: pairwise exchange, Thakur et al. 2005, sec. 4.3; one copy per node: DeepSeek-V3 report (2024), sec. 3.2.2.
    """
    n, r, q = _levels(num_ranks, ranks_per_domain)
    k = np.asarray(num_copies, dtype=float)
    distinct = q * (1.0 - (1.0 - 1.0 / q) ** k) / k
    inside = (r - 1.0) / n * message_bytes / path.fabric_bytes_per_second
    across = np.where(q > 1.0, (n - r) / n * distinct * message_bytes / path.network_bytes_per_second, 0.0)
    latency = np.where(q > 1.0, path.network_latency_seconds, path.fabric_latency_seconds)
    return np.where(n > 1.0, np.maximum(inside, across) + latency, 0.0)


def _levels(num_ranks: Numeric, ranks_per_domain: Numeric) -> tuple[Floats, Floats, Floats]:
    """n, r and q = n / r as arrays."""
    n = np.asarray(num_ranks, dtype=float)
    r = np.maximum(np.minimum(np.asarray(ranks_per_domain, dtype=float), n), 1.0)
    return n, r, np.maximum(n / r, 1.0)


def _moved_seconds(n: Floats, r: Floats, q: Floats, message_bytes: Numeric, path: Path) -> Floats:
    moved = (n - 1.0) / np.maximum(n, 1.0) * message_bytes
    inside = np.where(r > 1.0, moved / path.fabric_bytes_per_second, 0.0)
    across = np.where(q > 1.0, moved / r / path.network_bytes_per_second, 0.0)
    return np.maximum(inside, across)


def _fabric_latency(r: Floats, path: Path) -> Floats:
    """One round per doubling: inside a domain libraries switch to trees or direct exchange for small messages."""
    return np.asarray(np.ceil(np.log2(r)) * path.fabric_latency_seconds)
