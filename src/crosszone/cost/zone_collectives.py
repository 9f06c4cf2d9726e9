"""Agreement between zones by ring, tree or direct exchange: bytes on each link, and seconds.

Legend: Z zones; S `all_reduce_bytes`, what every zone holds and all want the sum of; H `half_bytes`, what is only
scattered or only gathered. All links of an exchange are used at once and carry the same bytes. Last axis of arrays of
links: link; plans may come before it.

Once per zone: every zone reduces in itself before and gathers after (`cost.collectives`), and all its ranks send at
once, so that a link carries the bytes of one copy of the model, over as many flows as ranks hold parts of it.
"""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Bools, Floats, Numeric
from crosszone.cost.network import slow_start_seconds, slowest_of_seconds
from crosszone.cost.traffic import ring_link_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeLinks:
    """The directed links that an exchange uses."""

    bytes_per_second: Floats
    """[..., link], while all of them are used at once."""
    latency_seconds: Floats
    """[link], one way."""
    jitter_seconds: Floats
    """[link], standard deviation of the round trip; 0 where not known."""
    num_flows: Numeric
    """On each link, parallel streams counted; a value per plan."""
    num_links: int | None = None
    """Where links that are alike are listed once: how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One value per plan."""

    link_bytes: Floats
    """On each link that is used."""
    transfer_seconds: Floats
    """Moving the bytes, slow start of idle connections included."""
    latency_seconds: Floats
    """Of all rounds, jitter included."""

    @property
    def seconds(self) -> Floats:
        """The whole exchange, nothing hidden."""
        return self.transfer_seconds + self.latency_seconds


def ring_exchange(
    links: ExchangeLinks,
    *,
    num_zones: Numeric,
    num_ranks: Numeric,
    is_flat: Bools,
    all_reduce_bytes: Numeric,
    half_bytes: Numeric = 0.0,
    is_warm: Bools | bool = False,
) -> Exchange:
    """A ring of zones: 2(Z-1) rounds, in which each link carries 2(Z-1)/Z S + (Z-1)/Z H.

        T = bytes / slowest link + 2(Z-1) * (longest latency + jitter of the slowest)

    Flat: a ring of all n = `num_ranks` ranks that crosses each link once, so that n takes the place of Z in the bytes.
    Ranks pass on what has come while more is on its way: of the 2(n-1) hops of a part, no more than 2 Z are between
    zones, and only those are far. Source: Thakur, Rabenseifner, Gropp 2005, sec. 4.4; NCCL's rings keep 8 steps on
    their way (NCCL_STEPS).
    """
    moved = ring_link_bytes(
        num_zones=num_zones,
        num_ranks=num_ranks,
        is_flat=is_flat,
        all_reduce_bytes=all_reduce_bytes,
        half_bytes=half_bytes,
    )
    crossings = np.where(is_flat, np.minimum(np.asarray(num_ranks) - 1, num_zones), np.asarray(num_zones) - 1)
    return _exchange(links, moved, num_rounds=2.0 * crossings, is_warm=is_warm)


def tree_exchange(
    links: ExchangeLinks, *, num_levels: Numeric, all_reduce_bytes: Numeric, is_warm: Bools | bool = False
) -> Exchange:
    """A tree: sums go up and the result comes down, S each way over every edge, in pieces that follow each other.

        T = S / slowest link + 2 * levels * (longest latency + jitter of the slowest)

    The first pieces come down while the last ones still go up: the two directions of an edge carry them side by side.

    `links` are both directions of the edges; a binary tree of Z zones has levels = floor(log2 Z). Trees neither scatter
    nor gather: that takes a ring. Source: Sanders, Speck, Traeff 2009; NCCL uses trees for all-reduce alone.
    """
    moved = np.asarray(all_reduce_bytes, dtype=float)
    return _exchange(links, moved, num_rounds=2.0 * np.asarray(num_levels), is_warm=is_warm)


def direct_exchange(
    links: ExchangeLinks,
    *,
    num_zones: Numeric,
    all_reduce_bytes: Numeric,
    half_bytes: Numeric = 0.0,
    is_warm: Bools | bool = False,
) -> Exchange:
    """Every zone sends each other zone its share, then its sum: (2 S + H) / Z over each of Z(Z-1) links, two rounds.

        T = bytes / slowest link + 2 * (longest latency + jitter of the slowest)

    Source: pairwise exchange and direct gather, Thakur et al. 2005, sec. 4.1 and 4.2.
    """
    moved = (2.0 * np.asarray(all_reduce_bytes) + half_bytes) / np.maximum(num_zones, 1.0)
    return _exchange(links, moved, num_rounds=2.0, is_warm=is_warm)


def _exchange(links: ExchangeLinks, moved: Floats, *, num_rounds: Numeric, is_warm: Bools | bool) -> Exchange:
    """`moved` bytes go over every link; the slowest link counts."""
    num_links = links.num_links or len(links.latency_seconds)
    size = moved[..., np.newaxis]
    start = slow_start_seconds(
        size,
        bytes_per_second=links.bytes_per_second,
        rtt_seconds=2.0 * links.latency_seconds,
        num_flows=np.asarray(links.num_flows)[..., np.newaxis],
    )
    cold = np.where(np.asarray(is_warm)[..., np.newaxis], 0.0, start)
    slowest = (size / links.bytes_per_second + cold).max(axis=-1, initial=0.0)
    # A round trip's spread comes from two ways, independent and alike.
    late = slowest_of_seconds(links.jitter_seconds.max(initial=0.0) / np.sqrt(2.0), num_links)
    return Exchange(
        link_bytes=np.asarray(moved),
        transfer_seconds=np.asarray(slowest),
        latency_seconds=np.asarray(num_rounds * (links.latency_seconds.max(initial=0.0) + late)),
    )


def best_bucket_bytes(message_bytes: Numeric, *, bytes_per_second: Numeric, bucket_seconds: Numeric) -> Floats:
    """Bucket size that leaves least exposed: the last bucket's transfer b/B, and a start of `bucket_seconds` for each.

        b / B + S / b * L  is least at  b = sqrt(S * L * B), and not above S

    L is what the rounds of one bucket take. Assumes: all buckets but the last are hidden, but their latencies are not.
    """
    best = np.sqrt(np.asarray(message_bytes, dtype=float) * bucket_seconds * bytes_per_second)
    return np.minimum(best, message_bytes)
