"""When a path that got worse is told, and when it is told no more."""

from __future__ import annotations

import pytest

from crosszone.core.path_watch import CRITICAL, FINE, WARNING, PathLook, alarm, level


def look(rtt=0.030, rate=None, *, planned_rtt=0.030, planned_rate=1e9, is_open=True):
    return PathLook(
        from_address="a",
        to_address="b",
        from_zone="east",
        to_zone="west",
        is_open=is_open,
        rtt_seconds=rtt,
        bytes_per_second=rate,
        planned_rtt_seconds=planned_rtt,
        planned_bytes_per_second=planned_rate,
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (look(), FINE),
        (look(0.0454), FINE),  # half a millisecond is noise
        (look(0.0456), WARNING),
        (look(0.091), CRITICAL),
        (look(rate=0.26e9), FINE),
        (look(rate=0.25e9), WARNING),
        (look(rate=0.1e9), CRITICAL),
        (look(0.0456, 0.1e9), CRITICAL),
        (look(None), FINE),
        (look(0.5, planned_rtt=None), FINE),
        (look(is_open=False), CRITICAL),
    ],
)
def test_a_look_is_as_bad_as_the_worst_of_it(seen, expected):
    assert level(seen) == expected


def after(*rtts, before=FINE):
    """The level after each look."""
    looks, found = [], []
    for rtt in rtts:
        looks.append(look(rtt))
        before = alarm(before, looks)
        found.append(before)
    return found


def test_one_bad_look_is_no_alarm_and_two_are():
    assert after(0.03, 0.06, 0.03, 0.06, 0.06) == [FINE, FINE, FINE, FINE, WARNING]
    assert after(0.06, 0.2) == [FINE, WARNING]
    assert after(0.2, 0.2) == [FINE, CRITICAL]


def test_what_swings_about_a_threshold_is_one_alarm():
    swinging = [0.046, 0.046, 0.044, 0.046, 0.042, 0.046]
    assert after(*swinging) == [FINE, WARNING, WARNING, WARNING, WARNING, WARNING]
    assert after(0.036, before=WARNING) == [FINE]
    assert after(0.080, before=CRITICAL) == [CRITICAL]
    assert after(0.070, before=CRITICAL) == [WARNING]
    assert after(0.030, before=CRITICAL) == [FINE]
