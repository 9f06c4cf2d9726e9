"""Sets of parallel degrees near to those a person wrote."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosszone.spec.degrees import divisors, legal_degrees, nearest_values, product_text

NUMBERS = st.integers(1, 2000)


@given(NUMBERS)
def test_divisors(number):
    assert divisors(number) == tuple(d for d in range(1, number + 1) if number % d == 0)


@pytest.mark.parametrize(
    ("wanted", "legal", "near"), [(3, (1, 2, 4, 8), (2, 4, 8)), (100, (1, 2), (1, 2)), (5, (), ())]
)
def test_nearest_values(wanted, legal, near):
    assert nearest_values(wanted, legal) == near


def test_product_in_words():
    assert product_text({"dp": 2, "tp": 8, "pp": 4}) == "tp*pp*dp = 8*4*2 = 64"
    assert product_text({"dp": 2}) == "dp = 2"


@given(num_gpus=NUMBERS, tp=NUMBERS, cp=st.integers(1, 8), pp=NUMBERS, heads=NUMBERS, layers=NUMBERS, batch=NUMBERS)
def test_what_is_proposed_is_legal(num_gpus, tp, cp, pp, heads, layers, batch):
    found = legal_degrees(
        {"tp": tp, "cp": cp, "pp": pp},
        num_gpus=num_gpus,
        tp_divides=(8, heads),
        half_sequence=1024,
        num_layers=layers,
        max_replicas=batch,
    )
    assert len(found) <= 3
    for one in found:
        assert math.prod(one.values()) == num_gpus
        assert 8 % one["tp"] == heads % one["tp"] == 1024 % one["cp"] == 0
        assert one["pp"] <= layers
        assert one["dp"] <= batch


def test_a_legal_set_is_its_own_nearest():
    wanted = {"tp": 8, "cp": 2, "pp": 2, "dp": 2}
    found = legal_degrees(wanted, num_gpus=64, tp_divides=(8, 32), half_sequence=2048, num_layers=32, max_replicas=256)
    assert found[0] == wanted
