"""Time of a product: tiles, waves, alignment and memory, by hand.

The GPU has 100 multiprocessors and 100 TFLOP/s, so that each does 1 TFLOP/s and memory is out of the way.
"""

import numpy as np
import pytest

from crosszone.cost.gemm import ALIGNMENT, MISALIGNED_FACTOR, TILES, gemm_seconds

RATE = 100e12
SMS = 100
ROWS, COLUMNS, _ = TILES[0]


def seconds(m: float, n: float, k: float, **changes: float) -> float:
    numbers = {
        "flop_per_second": RATE,
        "num_sms": SMS,
        "overhead_depth": 0.0,
        "memory_bytes_per_second": 1e18,
        "element_bytes": 2.0,
        **changes,
    }
    return float(gemm_seconds(m, n, k, **numbers))


def test_the_largest_tile_runs_at_the_full_rate() -> None:
    assert TILES[0][2] == 1.0
    assert all(rate <= 1.0 for _, _, rate in TILES)


def test_a_full_wave_takes_its_flop_over_the_rate() -> None:
    # 10 x 10 tiles on 100 multiprocessors: one wave, nothing wasted.
    m, n, k = 10 * ROWS, 10 * COLUMNS, 1024
    assert seconds(m, n, k) == pytest.approx(2 * m * n * k / RATE)


def test_many_waves_take_as_many_times_as_long() -> None:
    m, n, k = 100 * ROWS, 30 * COLUMNS, 512
    assert seconds(m, n, k) == pytest.approx(2 * m * n * k / RATE)


def test_one_tile_too_many_costs_another_wave() -> None:
    # A step, not a slope: 110 tiles of the largest size take two waves, unless a smaller tile does better.
    k = 4096
    full = seconds(10 * ROWS, 10 * COLUMNS, k)
    more = seconds(10 * ROWS + 1, 10 * COLUMNS, k)
    assert full < more <= 2 * full
    # The cheapest way for every tile size, by hand.
    m, n = 10 * ROWS + 1, 10 * COLUMNS
    ways = [
        np.ceil(np.ceil(m / rows) * np.ceil(n / columns) / SMS) * rows * columns * 2 * k / (rate * RATE / SMS)
        for rows, columns, rate in TILES
    ]
    assert more == pytest.approx(min(ways))


def test_a_product_smaller_than_the_gpu_leaves_multiprocessors_idle() -> None:
    # One tile of the smallest size on one multiprocessor takes as long as a whole wave of them.
    rows, columns, rate = TILES[-1]
    assert seconds(rows, columns, 256) == pytest.approx(rows * columns * 2 * 256 / (rate * RATE / SMS))
    assert seconds(rows, columns, 256) == seconds(1, columns, 256)


def test_a_deeper_product_hides_the_overhead_of_a_tile() -> None:
    # Overhead of 128 columns of k: k = 128 reaches half of the rate, k = 1152 nine tenths.
    m, n = 10 * ROWS, 10 * COLUMNS
    for k, share in ((128, 1 / 2), (1152, 9 / 10)):
        assert 2 * m * n * k / RATE / seconds(m, n, k, overhead_depth=128) == pytest.approx(share)


def test_misaligned_columns_or_depth_are_padded() -> None:
    m, n, k = 10 * ROWS, 10 * COLUMNS, 1024
    aligned = seconds(m, n, k)
    assert seconds(m, n - 1, k) == pytest.approx(MISALIGNED_FACTOR * aligned)
    assert seconds(m, n, k - 1) == pytest.approx(MISALIGNED_FACTOR * aligned * (k - 1) / k)
    assert seconds(m - 1, n, k) == pytest.approx(aligned)  # rows are tokens: any number of them is contiguous
    assert seconds(m, n - ALIGNMENT, k) == pytest.approx(aligned)


def test_never_faster_than_memory() -> None:
    # A single row: 2 bytes of each weight at 1 TB/s outlast the arithmetic.
    m, n, k = 1, 8192, 8192
    slow = seconds(m, n, k, flop_per_second=10 * RATE, memory_bytes_per_second=1e12)
    assert slow == pytest.approx((m * k + k * n + m * n) * 2 / 1e12)
    assert slow > seconds(m, n, k, flop_per_second=10 * RATE)
    wide = seconds(m, n, k, flop_per_second=10 * RATE, memory_bytes_per_second=1e12, element_bytes=4.0)
    assert wide == pytest.approx(2 * slow)


def test_twice_the_rate_is_half_the_time_until_memory_binds() -> None:
    m, n, k = 10 * ROWS, 10 * COLUMNS, 1024
    assert seconds(m, n, k, flop_per_second=2 * RATE) == pytest.approx(seconds(m, n, k) / 2)


def test_time_grows_with_every_dimension() -> None:
    sizes = np.arange(64, 8192, 192)
    for times in (
        [seconds(size, 4096, 4096) for size in sizes],
        [seconds(4096, 64 * (size // 64), 4096) for size in sizes],
        [seconds(4096, 4096, 64 * (size // 64)) for size in sizes],
    ):
        assert np.all(np.diff(times) >= -1e-15)


def test_columns_broadcast() -> None:
    rows = gemm_seconds(
        np.array([256.0, 512.0]),
        np.array([[128.0], [4096.0]]),
        1024.0,
        flop_per_second=np.array([RATE, RATE]),
        num_sms=SMS,
        overhead_depth=0.0,
        memory_bytes_per_second=1e18,
        element_bytes=2.0,
    )
    assert rows.shape == (2, 2)
    assert rows[1, 0] == seconds(256, 4096, 1024)
