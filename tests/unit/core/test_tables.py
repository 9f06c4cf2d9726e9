"""Rows of child tables: selected by any kind of index, reduced to their parents to the last digit of `reduceat`."""

from typing import Any

import numpy as np
import pytest

from crosszone.core.tables import MOST_CHILDREN, ReplicaTable, Segments, unique

RANDOM = np.random.default_rng(7)


def table(size: int) -> ReplicaTable:
    return ReplicaTable(plan=np.arange(size), num_replicas=np.arange(size) + 10, num_microbatches=np.arange(size) * 2)


@pytest.mark.parametrize(
    "rows", [slice(1, 4), np.array([3, 0, 3]), np.array([True, False, True, False, True]), np.zeros(0, dtype=np.int64)]
)
def test_rows_are_taken_by_slice_index_or_mask(rows: slice | np.ndarray) -> None:
    found = table(5).take(rows)
    assert found.plan.tolist() == np.arange(5)[rows].tolist()
    assert found.num_replicas.tolist() == (np.arange(5) + 10)[rows].tolist()


@pytest.mark.parametrize("function", [np.add, np.maximum, np.minimum])
@pytest.mark.parametrize("most", [1, 3, MOST_CHILDREN, MOST_CHILDREN + 1, 40])
def test_reductions_are_those_of_reduceat(function: np.ufunc, most: int) -> None:
    for _ in range(20):
        sizes = RANDOM.integers(1, most + 1, size=30)
        parents = np.repeat(np.arange(30), sizes)
        values = RANDOM.normal(size=len(parents)) * 10.0 ** RANDOM.integers(-12, 12, size=len(parents))
        starts = np.cumsum(sizes) - sizes
        found = Segments.of(parents, 30)
        assert found.starts.tolist() == starts.tolist()
        assert found.reduced(function, values).tolist() == function.reduceat(values, starts).tolist()


def test_what_is_no_number_stays_so_and_values_are_left_as_they_are() -> None:
    values = np.array([1.0, np.nan, 3.0, 2.0])
    found = Segments.of(np.array([0, 0, 1, 1]), 2).reduced(np.maximum, values)
    assert np.isnan(found[0])
    assert found[1] == 3.0
    assert values.tolist()[2:] == [3.0, 2.0]


def test_a_table_without_rows_has_no_segments() -> None:
    assert len(Segments.of(np.zeros(0, dtype=np.int64), 0).starts) == 0


@pytest.mark.parametrize("values", [[3, 1, 3, 2, 1], [5], [], [-1, -1], [True, False, True]])
def test_unique_values_are_numpys(values: list[int]) -> None:
    column: Any = np.array(values, dtype=np.bool_ if bool in map(type, values) else np.int64)
    assert unique(column).tolist() == np.unique(column).tolist()
    assert unique(column).dtype == column.dtype
