"""Quantities: the shared table of cases, the shape of the messages, and parse∘format is the identity.

`units_cases.json` is language-neutral on purpose: the formatter of the web user interface passes the same rows.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosszone import units
from crosszone.errors import SpecError, UnitError

CASES = json.loads((Path(__file__).parent / "units_cases.json").read_text(encoding="utf-8"))


def _label(case: dict[str, object]) -> str:
    return " ".join(str(value) for value in list(case.values())[:2])


@pytest.mark.parametrize("case", CASES["parse"], ids=_label)
def test_reads(case):
    assert units.parse(case["text"], case["dimension"]) == pytest.approx(case["value"], rel=1e-15)


@pytest.mark.parametrize("case", CASES["errors"], ids=_label)
def test_refuses(case):
    with pytest.raises(UnitError) as caught:
        units.parse(case["text"], case["dimension"])
    (finding,) = caught.value.findings
    assert (finding.code, finding.where) == (case["code"], "")
    assert case["message"] in str(caught.value)


@pytest.mark.parametrize("case", CASES["rails"], ids=_label)
def test_reads_rails(case):
    assert units.parse_rails(case["text"]) == (case["num_rails"], case["bytes_per_second"])


@pytest.mark.parametrize("case", CASES["format"], ids=_label)
def test_writes(case):
    assert getattr(units, f"format_{case['quantity']}")(case["value"]) == case["text"]


def test_every_dimension_is_in_the_table():
    assert {case["dimension"] for case in CASES["parse"]} == set(units.Dimension.__args__)


def test_the_result_is_the_nearest_float():
    assert units.parse("28.6 ms", "seconds") == 0.0286  # 28.6 * 1e-3 is 0.028600000000000004
    assert units.parse("2.1 USD/h", "dollars_per_second") == 2.1 / 3600


def test_a_bare_number_names_its_quantity_and_repeats_itself():
    with pytest.raises(UnitError) as caught:
        units.parse(10, "bytes_per_second", name="per_flow")
    assert str(caught.value) == 'per_flow 10 has no unit. Write "10 Gbit/s".'


@pytest.mark.parametrize(("value", "expected"), [(8192, 8192.0), (1e12, 1e12), (0.5, 0.5)])
def test_counts_and_ratios_may_be_numbers(value, expected):
    assert units.parse(value, "count") == expected
    assert units.parse(value, "ratio") == expected


@pytest.mark.parametrize("value", [True, None, [1], {"a": 1}, math.nan, math.inf, -1])
def test_what_is_no_quantity_is_refused(value):
    for dimension in ("count", "ratio", "bytes"):
        with pytest.raises(UnitError):
            units.parse(value, dimension)


@pytest.mark.parametrize(
    "text", ["0x200 Gbit/s", "4x", "4x200", "x200 Gbit/s", "4.5x200 Gbit/s", "4x200 GB", 200, None]
)
def test_rails_are_a_count_times_a_bandwidth(text):
    with pytest.raises(UnitError, match="network"):
        units.parse_rails(text)


def test_a_unit_error_is_a_spec_error_and_a_value_error():
    with pytest.raises(SpecError):
        units.parse("10", "bytes")
    with pytest.raises(ValueError, match="no unit"):
        units.parse("10", "bytes")


@pytest.mark.parametrize("name", [name for name in dir(units) if name.startswith("format_")])
def test_unknown_is_never_a_number(name):
    write = getattr(units, name)
    assert write(None) == write(math.nan) == "unknown"
    assert write(math.inf) == "infinite"
    assert write(-math.inf) == "-infinite"


positive = st.floats(min_value=1e-6, max_value=1e24)


@given(positive)
@pytest.mark.parametrize(
    ("write", "dimension"),
    [
        (units.format_bytes, "bytes"),
        (units.format_bytes_per_second, "bytes_per_second"),
        (units.format_seconds, "seconds"),
        (units.format_count, "count"),
        (units.format_flop_per_second, "flop_per_second"),
        (units.format_fraction, "ratio"),
        (units.format_meters, "meters"),
        (units.format_hertz, "hertz"),
        (units.format_watts, "watts"),
        (units.format_dollars_per_byte, "dollars_per_byte"),
    ],
)
def test_parse_of_format_is_the_identity_within_three_digits(write, dimension, value):
    assert units.parse(write(value), dimension) == pytest.approx(value, rel=0.005)


@given(st.floats(min_value=1.0, max_value=1e12))
def test_parse_of_formatted_dollars_is_within_half_a_cent_or_half_a_dollar(dollars):
    tolerance = 0.50001 if dollars >= 999.99 else 0.00501
    assert units.parse(units.format_dollars(dollars), "dollars") == pytest.approx(dollars, abs=tolerance, rel=0)
    per_second = units.parse(units.format_dollars_per_second(dollars / 3600), "dollars_per_second")
    assert per_second * 3600 == pytest.approx(dollars, abs=tolerance, rel=0)


@given(st.floats(min_value=1e-9, max_value=1e18), st.integers(min_value=3, max_value=9))
def test_more_digits_are_closer(value, digits):
    text = units.format_bytes(value, digits=digits)
    assert units.parse(text, "bytes") == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) * 1.001)


@given(st.text(max_size=30), st.sampled_from(sorted(units.Dimension.__args__)))
def test_any_text_is_a_finite_number_or_a_unit_error(text, dimension):
    try:
        value = units.parse(text, dimension)
    except UnitError:
        return
    assert math.isfinite(value)
    assert value >= 0


@given(positive, positive)
def test_a_larger_quantity_never_reads_as_smaller(first, second):
    low, high = sorted((first, second))
    assert units.parse(units.format_seconds(low), "seconds") <= units.parse(units.format_seconds(high), "seconds")


@pytest.mark.parametrize(
    ("text", "dimension", "hint"),
    [
        ("-1", "seconds", 'Write "1 s".'),
        ("-3x", "count", 'Write text such as "3B".'),
        ("-1,5 s", "seconds", 'Write "1.5 s".'),
    ],
)
def test_only_what_would_be_taken_is_proposed(text, dimension, hint):
    with pytest.raises(UnitError) as caught:
        units.parse(text, dimension)
    assert caught.value.findings[0].hint == hint
