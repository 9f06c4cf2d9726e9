"""Money, energy and data: numbers that follow with a pencil."""

import math

import numpy as np
import pytest

from crosszone.cost.price import (
    data_wait_ratio,
    dataset_read_bytes,
    rent_dollars,
    storage_dollars,
    training_joules,
)


def test_rent_is_gpus_times_price_times_time() -> None:
    found = rent_dollars(num_gpus=np.array([8, 16]), dollars_per_gpu_second=2.0 / 3600, wall_seconds=7200.0)
    assert found == pytest.approx([32.0, 64.0])
    assert math.isnan(float(rent_dollars(num_gpus=8, dollars_per_gpu_second=math.nan, wall_seconds=1.0)))


def test_storage_is_bytes_times_price_times_time() -> None:
    # 2 TB at 0.02 USD a GB and month, for half a month.
    month = 30 * 86400.0
    price = 0.02e-9 / month
    assert storage_dollars(stored_bytes=2e12, dollars_per_byte_second=price, wall_seconds=month / 2) == pytest.approx(
        20
    )


def test_hardware_draws_three_quarters_of_its_rated_power() -> None:
    assert training_joules(tdp_watts=700.0, wall_seconds=100.0) == pytest.approx(53_200.0)


def test_a_zone_reads_its_tokens_once() -> None:
    assert dataset_read_bytes(token_bytes=4.0, num_tokens=100.0, dataset_bytes=1000.0) == 400.0
    assert dataset_read_bytes(token_bytes=4.0, num_tokens=500.0, dataset_bytes=1000.0) == 1000.0


@pytest.mark.parametrize(("busy", "expected"), [(0.0, 0.0), (0.4, 0.0), (0.75, 0.25), (1.0, 0.5)])
def test_data_wait_where_a_link_has_no_room_left(busy: float, expected: float) -> None:
    # 50 bytes at 10 bytes a second, in steps of 10 seconds: half of the step.
    found = data_wait_ratio(step_bytes=50.0, bytes_per_second=10.0, busy_fraction=busy, step_seconds=10.0)
    assert found == pytest.approx(expected)


def test_a_link_that_is_too_slow_lengthens_the_step_to_what_it_takes() -> None:
    assert data_wait_ratio(step_bytes=300.0, bytes_per_second=10.0, busy_fraction=0.0, step_seconds=10.0) == 2.0
