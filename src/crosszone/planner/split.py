"""Uneven shares: layers over stages of different speed, microbatches over replicas of different speed."""

import numpy as np

from crosszone.core.tables import Floats, Ints

BISECTIONS = 40
"""Halvings of the bottleneck's bracket: beyond the resolution of any whole number of layers."""


def split_layers(num_layers: int, counts: Ints, layer_seconds: Floats, extra_seconds: Floats) -> Ints:
    """Layers of each run of stages so that the busiest stage is least busy. Arrays are [plans, runs].

    A stage of run i takes n_i * layer_seconds_i + extra_seconds_i; a run has counts_i stages (0: the run is absent)
    of at least one layer each. The least bottleneck T is found by bisection on sum(counts * floor((T - extra) /
    seconds)) >= L; what the rounding gives too much is taken from the earliest runs, whose memory is fullest.

    Returns the layers of all stages of each run together, [plans, runs]; rows sum to num_layers where
    sum(counts) <= num_layers.
    """
    low = np.zeros(len(counts))
    high = np.max(num_layers * layer_seconds + extra_seconds, axis=1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        enough = np.sum(_capacity(middle, counts, layer_seconds, extra_seconds), axis=1) >= num_layers
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    layers = _capacity(high, counts, layer_seconds, extra_seconds)
    surplus = np.sum(layers, axis=1) - num_layers
    for run in range(counts.shape[1]):
        given = np.clip(surplus, 0, layers[:, run] - counts[:, run])
        layers[:, run] -= given
        surplus = surplus - given
    return layers


def _capacity(bottleneck: Floats, counts: Ints, layer_seconds: Floats, extra_seconds: Floats) -> Ints:
    """Layers that each run can take within `bottleneck` seconds per stage."""
    each = np.floor((bottleneck[:, None] - extra_seconds) / layer_seconds + 1e-9)
    return counts * np.maximum(each, 1.0).astype(np.int64)


def split_microbatches(num_microbatches: Ints, num_replicas: Ints, speed: Floats) -> Ints:
    """Microbatches of one replica of each chain, in proportion to its speed. Arrays are [plans] and [plans, chains].

    Rounded up, so that the replicas together take at least all; the general form takes the excess back one by one.
    """
    share = num_microbatches[:, None] * speed / np.sum(num_replicas * speed, axis=1, keepdims=True)
    return np.asarray(np.maximum(np.ceil(share - 1e-9), 1.0), dtype=np.int64)


def exact_shares(num_microbatches: Ints, num_replicas: Ints, shares: Ints) -> Ints:
    """Microbatches of all replicas of each chain together, [plans, chains], so that they add up to the batch.

    `shares` are those of one replica, rounded up. The first chains give back first, one microbatch of each replica in
    turn as long as each keeps one.
    """
    totals: Ints = num_replicas * shares
    excess = totals.sum(axis=1) - num_microbatches
    rows = np.flatnonzero(excess > 0)
    while len(rows):
        given = np.minimum(num_replicas[rows], totals[rows] - num_replicas[rows])
        given = np.clip(excess[rows, None] - (np.cumsum(given, axis=1) - given), 0, given)
        assert given.any(axis=1).all(), "there are fewer microbatches than replicas"
        totals[rows] -= given
        excess[rows] -= given.sum(axis=1)
        rows = rows[excess[rows] > 0]
    return totals
