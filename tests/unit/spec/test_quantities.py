"""Values of a job file one by one: what each type takes, and its bounds."""

from __future__ import annotations

import jsonschema
import pytest

from crosszone.spec.quantities import Count, Number, OneOf, Order, Quantity, Rails, Refusal, Switch, Words

RTT = Quantity("seconds", 0, 60, "28.6 ms", low_is_legal=True)
BANDWIDTH = Quantity("bytes_per_second", 0, 1e15, "10 Gbit/s")
TOKENS = Quantity("count", 0, 1e18, "1T")
DEGREE = Count(1, 1000, "8")


@pytest.mark.parametrize(
    ("reader", "written", "read"),
    [
        (RTT, "28.6 ms", 0.0286),
        (RTT, "0 s", 0.0),
        (RTT, "60 s", 60.0),
        (BANDWIDTH, "10 Gbit/s", 1.25e9),
        (TOKENS, "1T", 1e12),
        (TOKENS, 300e9, 300e9),
        (DEGREE, 8, 8),
        (DEGREE, 8.0, 8),
        (DEGREE, "1k", 1000),
        (DEGREE, "8", 8),
        (Number(-90, 90, "39.9"), -12, -12.0),
        (Rails(), "4x200 Gbit/s", (4, 100e9)),
        (Rails(), "200 Gbit/s", (1, 25e9)),
        (OneOf(("flat", "diloco"), "way"), "flat", "flat"),
        (Words(5), "北京A", "北京A"),
        (Switch(), False, False),
        (Order(("tp", "pp")), ["pp", "tp"], ("pp", "tp")),
    ],
)
def test_read(reader, written, read):
    assert reader.read(written) == read
    assert type(reader.read(written)) is type(read)
    assert jsonschema.Draft202012Validator(reader.schema()).is_valid(written) or isinstance(written, float)


@pytest.mark.parametrize(
    ("reader", "written"),
    [
        (RTT, "61 s"),
        (RTT, "-1 s"),
        (RTT, 28),
        (RTT, None),
        (RTT, ["1 s"]),
        (RTT, "1 s" + " " * 100),
        (BANDWIDTH, "0 bit/s"),
        (BANDWIDTH, "1e9 GB/s"),
        (TOKENS, 0),
        (TOKENS, float("nan")),
        (TOKENS, True),
        (DEGREE, 0),
        (DEGREE, 1001),
        (DEGREE, 1.5),
        (DEGREE, "1.5"),
        (DEGREE, float("inf")),
        (DEGREE, "eight"),
        (DEGREE, None),
        (Number(-90, 90, "39.9"), 91),
        (Number(-90, 90, "39.9"), float("nan")),
        (Number(-90, 90, "39.9"), "39.9"),
        (Rails(), "0x200 Gbit/s"),
        (Rails(), "65x200 Gbit/s"),
        (Rails(), 200),
        (OneOf(("flat",), "way"), "Flat"),
        (OneOf(("flat",), "way"), ["flat"]),
        (Words(5), "123456"),
        (Words(5), " a"),
        (Words(5), "a\nb"),
        (Words(5), ""),
        (Switch(), 1),
        (Switch(), "true"),
        (Order(("tp", "pp")), ["pp", "pp"]),
        (Order(("tp", "pp")), "tp"),
    ],
)
def test_refuse(reader, written):
    with pytest.raises(ValueError) as caught:
        reader.read(written, "key")
    (finding,) = caught.value.findings
    assert finding.hint


@pytest.mark.parametrize(
    ("quantity", "text", "hint"),
    [
        (RTT, "2 min", "It should be at least 0 s and at most 60 s."),
        (Quantity("seconds", 0, 100 * 365.25 * 86400, "30 d"), "0 d", "It should be above 0 s and at most 36525 d."),
        (BANDWIDTH, "0 bit/s", "It should be above 0 bit/s and at most 8 Pbit/s."),
        (TOKENS, "0", "It should be above 0 and at most 1e+18."),
    ],
)
def test_bounds_are_told_as_a_person_writes_them(quantity: Quantity, text: str, hint: str):
    with pytest.raises(Refusal) as caught:
        quantity.read(text, "key")
    (finding,) = caught.value.findings
    assert finding.message == f'key "{text}" is out of range.'
    assert finding.hint == hint


def test_long_values_are_quoted_in_part():
    with pytest.raises(Refusal) as caught:
        Words(5).read("x" * 1000)
    assert len(caught.value.findings[0].message) < 120
