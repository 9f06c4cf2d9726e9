"""Time of a matrix multiplication by its shape."""

import numpy as np

from crosszone.core.tables import Floats, Numeric, floats

TILES = ((256, 128, 1.0), (128, 128, 0.93), (128, 64, 0.80), (64, 64, 0.60))
"""(rows, columns, rate of the main loop relative to the largest tile) of the output tiles that vendor libraries pick
from. Smaller tiles re-read their operands more often. Rates: fitted to published training runs on A100 and H100."""

ALIGNMENT = 64
MISALIGNED_FACTOR = 1.4
"""Slow-down where a dimension is not a multiple of 64 elements: tensor cores work on padded tiles (NVIDIA, Matrix
Multiplication Background User's Guide, sec. 4). The size is fitted to published runs with such shapes."""


def gemm_seconds(
    m: Numeric,
    n: Numeric,
    k: Numeric,
    *,
    flop_per_second: Numeric,
    num_sms: Numeric,
    overhead_depth: Numeric,
    memory_bytes_per_second: Numeric,
    element_bytes: float,
) -> Floats:
    """Time of one (m x k)(k x n) product; arguments broadcast. `flop_per_second` is what the main loop reaches.

    The output is cut in tiles of t_m x t_n; each multiprocessor works on one tile at a time, so that
    w = ceil(ceil(m/t_m) * ceil(n/t_n) / num_sms) rounds ("waves") are needed, and one round takes
        t_m * t_n * 2 * (k + overhead_depth) / (rate / num_sms).
    The library picks the tile with the least time. Never faster than reading both operands and writing the result:
        T = max(min over tiles of w * round, (m*k + k*n + m*n) * element_bytes / memory_bytes_per_second)

    Assumes: no split of k; operands come from memory once.
    Source: NVIDIA, Matrix Multiplication Background User's Guide (tile and wave quantisation); Williams et al. 2009.
    """
    rates = floats(flop_per_second, num_sms, overhead_depth, memory_bytes_per_second)
    return _seconds(*floats(m, n, k), *rates, size=element_bytes)


def _seconds(
    m: Floats, n: Floats, k: Floats, rate: Floats, sms: Floats, overhead: Floats, memory_rate: Floats, *, size: float
) -> Floats:
    depth = 2.0 * (k + overhead) * sms / rate
    per_tile = [_waves(m, n, rows, columns, sms) * (rows * columns / share) * depth for rows, columns, share in TILES]
    compute = np.minimum.reduce(per_tile) * _alignment_factor(m, n, k)
    return np.asarray(np.maximum(compute, (m * k + k * n + m * n) * size / memory_rate))


def _waves(m: Floats, n: Floats, rows: int, columns: int, num_sms: Floats) -> Floats:
    """Rounds over the multiprocessors. Split-K and stream-K fill a last partial round of several; one is never cut."""
    tiles = np.ceil(m / rows) * np.ceil(n / columns)
    return np.asarray(np.ceil(tiles / num_sms))


def _alignment_factor(m: Floats, n: Floats, k: Floats) -> Floats:
    misaligned = (n % ALIGNMENT != 0) | (k % ALIGNMENT != 0)
    return np.where(misaligned, MISALIGNED_FACTOR, 1.0)
