"""Microbatches by speed: exact, whole, and never slower than any other way to share them."""

import itertools

import pytest

from crosszone.planner.shares import Shares, equal_shares, fastest_shares


def slowest(totals: tuple[int, ...], counts: tuple[int, ...], seconds: tuple[float, ...]) -> float:
    return max(-(-total // count) * each for total, count, each in zip(totals, counts, seconds, strict=True))


@pytest.mark.parametrize("total", [5, 8, 12, 17])
@pytest.mark.parametrize("counts", [(1, 1), (2, 3), (4, 1)])
@pytest.mark.parametrize("seconds", [(1.0, 1.0), (1.0, 2.5), (3.0, 0.7)])
def test_no_other_way_to_share_is_done_sooner(total: int, counts: tuple[int, ...], seconds: tuple[float, ...]) -> None:
    found = fastest_shares(total, counts, seconds, 1)
    assert found is not None
    each = max(share * own for share, own in zip(found.most, seconds, strict=True))
    others = ((first, total - first) for first in range(counts[0], total - counts[1] + 1))
    assert each == pytest.approx(min(slowest(other, counts, seconds) for other in others))


def test_parts_add_up_to_the_batch_and_keep_units_together() -> None:
    groups = (("a", 4), ("b", 8))
    found = fastest_shares(30, [4, 8], [1.0, 3.0], 2)
    assert found is not None
    parts = found.parts(groups)
    assert sum(num * each for own in parts for num, each in own) == 30
    assert [sum(num for num, _ in own) for own in parts] == [4, 8]
    assert all(num % 2 == 0 for own in parts for num, _ in own)
    assert found.fewest(groups) >= 1


def test_what_does_not_come_out_whole_is_refused() -> None:
    assert fastest_shares(9, [2, 2], [1.0, 1.0], 2) is None
    assert fastest_shares(8, [3, 2], [1.0, 1.0], 2) is None
    assert fastest_shares(3, [2, 2], [1.0, 1.0], 1) is None


def test_equal_shares_are_equal_or_none() -> None:
    assert equal_shares(12, [2, 4]) == Shares.alike(2, 2)
    assert equal_shares(13, [2, 4]) is None
    assert equal_shares(4, [2, 4]) is None
    assert fastest_shares(12, [2, 4], [1.0, 1.0], 1) == Shares.alike(2, 2)


def test_replicas_of_equal_shares_are_all_alike() -> None:
    groups = (("a", 4), ("b", 6))
    assert Shares.alike(3, 2).parts(groups) == [[(4, 3)], [(6, 3)]]
    assert Shares.alike(3, 2).fewest(groups) == 3
    assert list(itertools.chain(*Shares((2, 1), 1, (6, 6)).parts(groups))) == [(2, 2), (2, 1), (6, 1)]
