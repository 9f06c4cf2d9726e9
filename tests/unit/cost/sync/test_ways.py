"""The ways to agree against published runs, and against what their formulas say by hand."""

from types import ModuleType

import numpy as np
import pytest

from crosszone.cost.sync import delayed, diloco, flat, hierarchical, local_sgd, streaming_diloco
from crosszone.cost.sync.exchange import Exchange, State

STATE = State(weight_bytes=4.0, gradient_bytes=4.0, reduction_bytes=2.0, num_fragments=8)


def exchange(seconds: float, *, every: int = 1, compute: float = 1.0, **more: float) -> Exchange:
    numbers = {"latency_seconds": 0.0, "codec_seconds": 0.0, "outer_seconds": 0.0, "link_bytes": 8e9, **more}
    numbers = {"window_seconds": 0.0, "last_seconds": 0.0, **numbers}
    return Exchange(transfer_seconds=seconds, compute_seconds=compute, every=every, **numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize(("all_reduce_seconds", "share"), [(103.0, 0.957), (382.0, 0.856), (469.0, 0.829)])
def test_intellect_1_computed_as_much_of_the_time(all_reduce_seconds: float, share: float) -> None:
    """38 minutes of 100 inner steps, then a blocking exchange: INTELLECT-1 (arXiv 2412.01152), table 2 (82.9 is 83.0
    there)."""
    step = 38 * 60 / 100
    cost = diloco.cost(exchange(all_reduce_seconds, every=100, compute=step))
    assert step / (step + float(cost.exposed_seconds)) == pytest.approx(share, abs=6e-4)


def test_covenant_computed_as_much_of_the_time() -> None:
    """30 inner steps of 20 minutes together, 70 s to exchange, 94.5 % computing: Covenant-72B."""
    cost = diloco.cost(exchange(70.0, every=30, compute=20 * 60 / 30))
    assert 40.0 / (40.0 + float(cost.exposed_seconds)) == pytest.approx(0.945, abs=5e-4)


def test_gradients_hide_behind_the_backward_but_for_the_last_bucket() -> None:
    for way in (flat, hierarchical):
        assert way.cost(exchange(3.0, window_seconds=1.0, last_seconds=0.1)).exposed_seconds == pytest.approx(2.0)
        assert way.cost(exchange(3.0, window_seconds=9.0, last_seconds=0.1)).exposed_seconds == pytest.approx(0.1)
        assert way.cost(exchange(3.0, window_seconds=1.0, every=4)).exposed_seconds == pytest.approx(0.5)


def test_one_step_late_exposes_what_exceeds_the_step() -> None:
    assert delayed.cost(exchange(3.0, num_delay_steps=1)).exposed_seconds == pytest.approx(2.0)
    assert delayed.cost(exchange(0.9, num_delay_steps=1)).exposed_seconds == 0.0


def test_a_longer_delay_hides_latency_but_no_bytes() -> None:
    late = delayed.cost(exchange(0.5, latency_seconds=1.5, num_delay_steps=2))
    assert late.exposed_seconds == 0.0
    assert delayed.cost(exchange(0.5, latency_seconds=1.5, num_delay_steps=1)).exposed_seconds == pytest.approx(1.0)
    assert delayed.cost(exchange(3.0, num_delay_steps=8)).exposed_seconds == pytest.approx(2.0)


def test_local_steps_share_one_exchange() -> None:
    for way in (local_sgd, diloco):
        assert way.cost(exchange(50.0, every=100)).exposed_seconds == pytest.approx(0.5)
        assert way.cost(exchange(50.0, every=100, num_delay_steps=40)).exposed_seconds == pytest.approx(0.1)
        assert way.cost(exchange(50.0, every=100, num_delay_steps=500)).exposed_seconds == 0.0
    assert diloco.cost(exchange(0.0, every=10, outer_seconds=2.0)).exposed_seconds == pytest.approx(0.2)


def test_a_fragment_in_time_exposes_nothing() -> None:
    """8 fragments of 1 s each fit in the 2 inner steps that each may take; of 3 s each they are 1 s late, 8 times."""
    shape = {"every": 100, "num_fragments": 8, "num_delay_steps": 2}
    assert streaming_diloco.cost(exchange(8.0, **shape)).exposed_seconds == 0.0
    assert streaming_diloco.cost(exchange(24.0, **shape)).exposed_seconds == pytest.approx(8.0 / 100)


def test_fragments_cannot_outrun_the_link() -> None:
    """However long each may take, all of them must pass the link between two agreements."""
    cost = streaming_diloco.cost(exchange(15.0, every=10, num_fragments=8, num_delay_steps=10))
    assert cost.exposed_seconds == pytest.approx(0.5)


def test_streaming_lowers_the_peak_not_the_mean() -> None:
    whole = diloco.cost(exchange(4.0, every=100))
    parts = streaming_diloco.cost(exchange(4.0, every=100, num_fragments=8, num_delay_steps=5))
    assert parts.link_bytes == whole.link_bytes == 8e7
    assert whole.peak_bytes_per_second == pytest.approx(2e9)
    assert parts.peak_bytes_per_second == pytest.approx(8e9 / 8 / 5)


def test_what_each_keeps() -> None:
    assert diloco.held(STATE).state == 8.0
    streamed = streaming_diloco.held(STATE)
    assert streamed.host == 8.0
    assert streamed.state == pytest.approx(12.0 / 8)
    assert local_sgd.held(STATE).state == 4.0
    assert delayed.held(STATE).state == 2.0
    narrow = State(weight_bytes=2.0, gradient_bytes=2.0, reduction_bytes=2.0)
    assert diloco.held(narrow).passing == local_sgd.held(narrow).passing == 2.0


def test_the_loss_that_groups_cost() -> None:
    """The joint fit of Charles et al. 2025."""
    assert diloco.loss_ratio(1) == 1.0
    assert diloco.loss_ratio(2) == pytest.approx(1.008, abs=1e-3)
    assert "0.8 %" in diloco.effect(2, 30)


@pytest.mark.parametrize("way", [diloco, local_sgd, streaming_diloco])
def test_a_period_of_one_step_is_told_as_one(way: ModuleType) -> None:
    assert "1 step" in way.effect(2, 1)
    assert "1 steps" not in way.effect(2, 1)
    assert "30 steps" in way.effect(2, 30)


def test_plans_side_by_side() -> None:
    cost = diloco.cost(exchange(np.array([10.0, 20.0]), every=10))  # type: ignore[arg-type]
    assert cost.exposed_seconds.tolist() == [1.0, 2.0]
