"""Uneven shares against every possible one."""

import itertools

import numpy as np
import pytest

from crosszone.planner.split import exact_shares, split_layers, split_microbatches


def split(num_layers: int, counts: list[int], seconds: list[float], extra: list[float]) -> list[int]:
    found = split_layers(num_layers, np.array([counts]), np.array([seconds]), np.array([extra]))
    return [int(value) for value in found[0]]


def busiest_seconds(layers: list[int], counts: list[int], seconds: list[float], extra: list[float]) -> float:
    """Of the fullest stage of each run, its layers spread evenly."""
    rows = zip(layers, counts, seconds, extra, strict=True)
    return max(-(-total // count) * second + more for total, count, second, more in rows if count)


def least_busiest_seconds(num_layers: int, counts: list[int], seconds: list[float], extra: list[float]) -> float:
    """By trying every way to give each run at least one layer a stage."""
    ranges = [range(count, num_layers + 1) if count else range(1) for count in counts]
    ways = (list(way) for way in itertools.product(*ranges) if sum(way) == num_layers)
    return min(busiest_seconds(way, counts, seconds, extra) for way in ways)


@pytest.mark.parametrize(
    ("num_layers", "counts", "seconds", "extra"),
    [
        (8, [1, 2, 1], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
        (9, [1, 1, 1], [1.0, 1.0, 1.0], [0.0, 0.0, 2.5]),
        (12, [1, 0, 1], [1.0, 1.0, 2.0], [0.0, 0.0, 0.5]),
        (12, [1, 3, 2], [1.0, 3.0, 2.0], [0.0, 0.0, 0.0]),
        (10, [2, 1, 1], [0.7, 1.3, 1.9], [0.0, 0.4, 6.0]),
        (5, [1, 3, 1], [1.0, 1.0, 9.0], [0.0, 0.0, 0.0]),
        (7, [1, 1, 2], [0.1, 5.0, 0.3], [0.0, 0.0, 0.2]),
    ],
)
def test_no_other_split_has_a_less_busy_fullest_stage(
    num_layers: int, counts: list[int], seconds: list[float], extra: list[float]
) -> None:
    layers = split(num_layers, counts, seconds, extra)
    assert sum(layers) == num_layers
    assert all(total >= count for total, count in zip(layers, counts, strict=True))
    best = least_busiest_seconds(num_layers, counts, seconds, extra)
    assert busiest_seconds(layers, counts, seconds, extra) == pytest.approx(best)


def test_a_heavy_head_takes_layers_from_the_last_stage() -> None:
    assert split(16, [1, 2, 1], [1.0] * 3, [0.0, 0.0, 3.0])[-1] < 4


def test_a_stage_twice_as_fast_holds_twice_the_layers() -> None:
    assert split(12, [1, 1], [1.0, 2.0], [0.0, 0.0]) == [8, 4]


def test_what_rounding_leaves_goes_to_later_stages() -> None:
    # Earlier stages hold the activations of more microbatches.
    assert split(10, [1, 1, 1], [1.0] * 3, [0.0] * 3) == [2, 4, 4]


def test_every_stage_keeps_a_layer_even_where_the_head_alone_is_the_bottleneck() -> None:
    assert split(4, [1, 2, 1], [1.0] * 3, [0.0, 0.0, 100.0])[-1] == 1


def test_plans_are_split_one_by_one() -> None:
    counts, seconds = np.array([[1, 1], [1, 3]]), np.ones((2, 2))
    assert split_layers(8, counts, seconds, np.zeros((2, 2))).tolist() == [[4, 4], [2, 6]]


@pytest.mark.parametrize("total", [7, 8, 61, 1])
@pytest.mark.parametrize("speed", [[1.0, 1.0], [1.0, 3.0], [2.5, 1.0]])
def test_microbatches_cover_the_batch_with_less_than_one_too_many_each(total: int, speed: list[float]) -> None:
    replicas = np.array([[2, 3]])
    shares = split_microbatches(np.array([total]), replicas, np.array([speed]))
    taken = int((shares * replicas).sum())
    assert (shares >= 1).all()
    assert total <= taken
    assert taken < total + 5 or (shares == 1).any()


def test_a_faster_replica_takes_more_microbatches() -> None:
    shares = split_microbatches(np.array([12]), np.array([[1, 1]]), np.array([[1.0, 2.0]]))
    assert shares.tolist() == [[4, 8]]


@pytest.mark.parametrize(
    ("total", "replicas", "shares", "expected"),
    [
        (12, [2, 2], [3, 3], [6, 6]),  # nothing to give back
        (11, [2, 2], [3, 3], [5, 6]),
        (9, [2, 2], [3, 3], [4, 5]),
        (5, [1, 4], [9, 1], [1, 4]),  # only the first has any to give
    ],
)
def test_chains_give_back_what_rounding_gave_too_much(
    total: int, replicas: list[int], shares: list[int], expected: list[int]
) -> None:
    assert exact_shares(np.array([total]), np.array([replicas]), np.array([shares]))[0].tolist() == expected


def test_every_replica_keeps_a_microbatch() -> None:
    totals = exact_shares(np.array([7, 30]), np.array([[3, 4], [3, 4]]), np.array([[5, 5], [5, 5]]))
    assert totals.sum(axis=1).tolist() == [7, 30]
    assert (totals >= [3, 4]).all()
