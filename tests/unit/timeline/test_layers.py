"""Agreement layer by layer, against sums that can be done by hand."""

import pytest

from crosszone.timeline.layers import LayerExchange, layered_wait_seconds, waited_seconds


def wait(**changes: float) -> float:
    asked = {"step_seconds": 3.0, "num_layers": 10, "every": 1, "transfer_seconds": 1.0}
    return layered_wait_seconds(**{**asked, **changes})


def test_what_fits_between_is_not_waited_for() -> None:
    assert waited_seconds([LayerExchange(ready_seconds=1.0, needed_seconds=3.0, transfer_seconds=2.0)]) == 0.0
    assert waited_seconds([LayerExchange(ready_seconds=1.0, needed_seconds=3.0, transfer_seconds=5.0)]) == 3.0


def test_the_link_carries_one_at_a_time() -> None:
    first = LayerExchange(ready_seconds=0.0, needed_seconds=10.0, transfer_seconds=6.0)
    second = LayerExchange(ready_seconds=1.0, needed_seconds=8.0, transfer_seconds=6.0)
    assert waited_seconds([first, second]) == 4.0  # ends at 12, wanted at 8


def test_what_was_waited_for_delays_what_comes_later() -> None:
    first = LayerExchange(ready_seconds=0.0, needed_seconds=1.0, transfer_seconds=4.0)
    second = LayerExchange(ready_seconds=2.0, needed_seconds=3.0, transfer_seconds=2.0)
    assert waited_seconds([first, second]) == 4.0  # 3 before the first; the second starts at 5, ends at 7: 1 more


def test_the_last_layer_is_exposed_however_fast_the_link() -> None:
    assert wait(transfer_seconds=1.0) == pytest.approx(0.1)


def test_a_slow_link_leaves_what_the_backward_does_not_hide() -> None:
    # backward 2 s of 3; the first exchange starts after a tenth of it, the last ends when all have passed
    assert wait(transfer_seconds=5.0) == pytest.approx(5.0 - 0.9 * 2.0)


def test_agreeing_once_in_many_steps_waits_once() -> None:
    assert wait(transfer_seconds=5.0, every=7) == pytest.approx(wait(transfer_seconds=5.0))


def test_a_delay_gives_whole_steps_more() -> None:
    blocking = wait(transfer_seconds=9.0, every=10)
    assert wait(transfer_seconds=9.0, every=10, num_delay_steps=1) == pytest.approx(blocking - 3.0)
    assert wait(transfer_seconds=9.0, every=10, num_delay_steps=3) == 0.0


def test_fragments_have_longer_until_their_layers_are_wanted() -> None:
    whole = wait(transfer_seconds=20.0, every=10)
    parts = wait(transfer_seconds=20.0, every=10, num_fragments=5)
    assert 0.0 < parts < whole


def test_a_link_that_is_always_busy_sets_the_pace() -> None:
    waited = wait(transfer_seconds=100.0, every=10, num_fragments=5, num_delay_steps=1)
    assert waited == pytest.approx(100.0 - 30.0, rel=0.12)  # the rest hides behind the steps that overlap


@pytest.mark.parametrize("num_fragments", [1, 2, 5])
def test_more_bandwidth_never_waits_longer(num_fragments) -> None:
    waits = [wait(transfer_seconds=0.5 * size, every=10, num_fragments=num_fragments) for size in range(1, 60)]
    assert waits == sorted(waits)
