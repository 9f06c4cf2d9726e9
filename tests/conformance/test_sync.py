"""Every way to agree: what it says of itself, and laws that none may break."""

import itertools
from types import ModuleType

import numpy as np
import pytest

from crosszone.core.plan import STREAMS, SYNC_METHODS
from crosszone.cost.sync import sync_method, sync_methods
from crosszone.cost.sync.exchange import Exchange, State, SyncCost

WORDS = (None, "local_sgd", "async", "batch_change")
STEP = 2.0
"""Seconds of an inner step's own work."""


def exchange(*, transfer: float = 4.0, latency: float = 0.1, every: int = 1, **more: float) -> Exchange:
    numbers = {
        "codec_seconds": 0.0,
        "outer_seconds": 0.0,
        "link_bytes": 4e9,
        "window_seconds": 0.5,
        "last_seconds": 0.2,
    }
    numbers |= {"compute_seconds": STEP, "num_fragments": 1, "num_delay_steps": 0, **more}
    return Exchange(transfer_seconds=transfer, latency_seconds=latency, every=every, **numbers)  # type: ignore[arg-type]


@pytest.fixture(params=sorted(sync_methods()))
def way(request: pytest.FixtureRequest) -> ModuleType:
    return sync_method(request.param)


def exposed(cost: SyncCost) -> float:
    return float(cost.exposed_seconds)


def grid() -> list[Exchange]:
    """Fast and slow links, short and long ways, many and few steps between."""
    axes = ((0.01, 1.0, 40.0, 3000.0), (0.0, 0.05, 3.0), (1, 4, 100), (1, 3, 8), (0, 1, 5))
    return [
        exchange(transfer=transfer, latency=latency, every=every, num_fragments=parts, num_delay_steps=delay)
        for transfer, latency, every, parts, delay in itertools.product(*axes)
    ]


def test_the_plan_s_ways_are_those_of_the_folder() -> None:
    assert sorted(sync_methods()) == sorted(SYNC_METHODS)


def test_an_unknown_way_has_no_module() -> None:
    with pytest.raises(KeyError):
        sync_method("by_post")


def test_it_says_what_it_does(way: ModuleType) -> None:
    assert way.__doc__
    assert way.STREAM in STREAMS
    assert way.ALLOWS in WORDS
    assert way.IS_LOCAL == (way.STREAM == "pseudogradients") == (way.ALLOWS == "local_sgd")
    assert way.FORMULA
    assert way.SOURCE
    assert way.EFFECT_SOURCE


def test_it_says_what_it_does_to_the_mathematics(way: ModuleType) -> None:
    effect = way.effect(2, 1)
    assert effect.startswith("none") == (way.ALLOWS is None)
    assert way.effect(2, 10)
    assert not way.effect(2, 10).startswith("none")


def test_exposed_is_never_more_than_all(way: ModuleType) -> None:
    for one in grid():
        cost = way.cost(one)
        assert 0.0 <= exposed(cost) <= float(cost.total_seconds) * (1 + 1e-12)


def test_more_bandwidth_and_less_latency_are_never_slower(way: ModuleType) -> None:
    for every, parts, delay in itertools.product((1, 10), (1, 4), (0, 1, 5)):
        shape = {"every": every, "num_fragments": parts, "num_delay_steps": delay}
        slow = [exposed(way.cost(exchange(transfer=seconds, **shape))) for seconds in (0.1, 1.0, 5.0, 30.0, 500.0)]
        late = [exposed(way.cost(exchange(latency=seconds, **shape))) for seconds in (0.0, 0.1, 1.0, 10.0)]
        assert slow == sorted(slow)
        assert late == sorted(late)


def test_agreeing_less_often_moves_fewer_bytes_and_exposes_less(way: ModuleType) -> None:
    costs = [way.cost(exchange(every=every)) for every in (1, 2, 10, 100)]
    moved = [float(cost.link_bytes) for cost in costs]
    assert moved == [4e9 / every for every in (1, 2, 10, 100)]
    seconds = [exposed(cost) for cost in costs]
    assert seconds == sorted(seconds, reverse=True)


def test_packing_is_never_hidden(way: ModuleType) -> None:
    for one in grid():
        free = exposed(way.cost(exchange(every=one.every, transfer=1e-3, latency=0.0, last_seconds=0.0)))
        packed = exposed(
            way.cost(exchange(every=one.every, transfer=1e-3, latency=0.0, last_seconds=0.0, codec_seconds=0.7))
        )
        assert packed - free == pytest.approx(0.7 / one.every)


def test_no_exchange_costs_nothing(way: ModuleType) -> None:
    cost = way.cost(exchange(transfer=0.0, latency=0.0, link_bytes=0.0, last_seconds=0.0))
    assert exposed(cost) == 0.0
    assert float(cost.total_seconds) == 0.0
    assert float(cost.peak_bytes_per_second) == 0.0


def test_the_peak_is_no_less_than_the_mean(way: ModuleType) -> None:
    for one in grid():
        cost = way.cost(one)
        mean = float(cost.link_bytes) / (STEP + exposed(cost))
        assert float(cost.peak_bytes_per_second) >= mean * (1 - 1e-9)


def test_arrays_give_what_numbers_give(way: ModuleType) -> None:
    transfers = np.array([0.1, 2.0, 40.0])
    together = way.cost(exchange(transfer=transfers, every=4, num_delay_steps=1))  # type: ignore[arg-type]
    alone = [exposed(way.cost(exchange(transfer=float(one), every=4, num_delay_steps=1))) for one in transfers]
    assert together.exposed_seconds.tolist() == pytest.approx(alone)


def test_what_it_keeps_is_not_negative(way: ModuleType) -> None:
    held = way.held(State(weight_bytes=4.0, gradient_bytes=4.0, reduction_bytes=2.0, num_fragments=4))
    assert min(held.state, held.host, held.passing) >= 0.0
    assert (held.state + held.host + held.passing > 0.0) == (way.ALLOWS is not None)
