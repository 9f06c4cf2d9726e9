"""How often a dead run is tried again, and how soon."""

from __future__ import annotations

import pytest

from crosszone.control.recovery import RecoveryBudget, attempts_without_progress, decision, patience

BUDGET = RecoveryBudget(
    most_per_hour=3, first_wait_seconds=10.0, longest_wait_seconds=60.0, longest_outage_seconds=900.0
)


def decide(recovered=(), resumed=(0,), now=10_000.0):
    return decision(BUDGET, recovered_seconds=recovered, resumed_steps=resumed, now_seconds=now)


def test_waits_grow_by_the_factor_up_to_the_longest():
    long = RecoveryBudget(most_per_hour=9, first_wait_seconds=10.0, longest_wait_seconds=60.0)
    waits = [
        decision(long, recovered_seconds=[9_999.0] * number, resumed_steps=[0], now_seconds=10_000.0).wait_seconds
        for number in range(5)
    ]
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_only_the_last_hour_counts():
    assert decide([6_399.0, 6_400.0, 6_401.0]).wait_seconds == 20.0
    assert decide([6_401.0, 7_000.0, 9_000.0]).wait_seconds is None


@pytest.mark.parametrize(
    ("resumed", "stuck"),
    [
        ([0], 1),
        ([0, 4], 1),
        ([0, 4, 4], 2),
        ([0, 4, None, 4], 3),
        ([None, None], 2),
        ([0, 4, 3], 2),  # a damaged checkpoint: an older one
        ([0, 0, 0, 8], 1),
    ],
)
def test_progress_is_a_later_checkpoint_than_ever_before(resumed, stuck):
    assert attempts_without_progress(resumed) == stuck
    assert (decide(resumed=resumed).wait_seconds is None) == (stuck >= 3)


def test_lost_nodes_are_waited_for_twice_as_long_each_time_and_not_for_ever():
    found, now = [], 0.0
    while (wait := patience(BUDGET, died_seconds=0.0, now_seconds=now).wait_seconds) is not None:
        found.append(wait)
        now += wait
    assert found[:5] == [10.0, 10.0, 20.0, 40.0, 60.0]
    assert 900.0 <= now <= 960.0
