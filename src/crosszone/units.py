"""Quantities as people write them, and back: the only place where a unit has a prefix.

`parse("10 Gbit/s", "bytes_per_second")` is 1.25e9; `format_bytes_per_second(1.25e9)` is "10 Gbit/s". Inside the
program every quantity is a number in its base unit: bytes, seconds, FLOP, dollars, meters, or a ratio of these.

The rules of reading:
- k, M, G, T, P, E are powers of 1000 and Ki, Mi, Gi, Ti, Pi powers of 1024: GB is 10^9 bytes, GiB is 2^30.
- `B` is bytes and `b` or `bit` is bits: 1 GB/s is 8 Gb/s. `Gbps` is Gbit/s.
- A unit in other letter cases is taken where it can mean one thing only: "10 gbit/s" is, "10 gb/s" is not.
- A quantity with a dimension needs its unit; counts and ratios may be bare numbers.
- The decimal sign is a point; there is no thousands separator. Nothing is negative, infinite or not a number.

`web/src/format.ts` is the twin of this file; both pass the cases of `tests/unit/units_cases.json`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NoReturn

from crosszone.errors import UnitError

Dimension = Literal[
    "bytes",
    "bytes_per_second",
    "seconds",
    "dollars",
    "dollars_per_second",
    "dollars_per_byte",
    "count",
    "flop",
    "flop_per_second",
    "meters",
    "hertz",
    "watts",
    "ratio",
]

SECONDS_PER_HOUR = 3600
BITS_PER_BYTE = 8

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_BYTE_PREFIXES = {**_DECIMAL, "K": 10**3, **_BINARY}  # KB is as common as kB

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_RAILS = re.compile(r"(\d+)\s*[xX×]\s*(.*)", re.ASCII)
_COMMA = re.compile(r"[+-]?\d[\d.]*(,\d+)+", re.ASCII)


def _prefixed(symbol: str, prefixes: Mapping[str, int], scale: Fraction = Fraction(1)) -> dict[str, Fraction]:
    return {prefix + symbol: factor * scale for prefix, factor in prefixes.items()}


_BIT = Fraction(1, BITS_PER_BYTE)
_TIMES = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # U+00B5, the micro sign
    "μs": Fraction(1, 10**6),  # U+03BC, the Greek letter
    "ms": Fraction(1, 10**3),
    "s": Fraction(1),
    **{name: Fraction(1) for name in ("second", "seconds")},
    **{name: Fraction(60) for name in ("min", "minute", "minutes")},
    **{name: Fraction(SECONDS_PER_HOUR) for name in ("h", "hour", "hours")},
    **{name: Fraction(24 * SECONDS_PER_HOUR) for name in ("d", "day", "days")},
    **{name: Fraction(7 * 24 * SECONDS_PER_HOUR) for name in ("week", "weeks")},
}
_DOLLARS = {"USD": Fraction(1), "$": Fraction(1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dimension:
    noun: str
    """What to call a value of unknown name, as in "bandwidth 10 has no unit"."""
    meaning: str
    """What its quantities are, as in "is a number of bytes, not a bandwidth"."""
    example: str
    """The unit that a hint proposes."""
    units: Mapping[str, Fraction]
    """Base units in one of each unit; "" is there where a bare number is allowed."""


_DIMENSIONS: Mapping[str, _Dimension] = {
    "bytes": _Dimension(noun="size", meaning="a number of bytes", example="GB", units=_prefixed("B", _BYTE_PREFIXES)),
    "bytes_per_second": _Dimension(
        noun="bandwidth",
        meaning="a bandwidth",
        example="Gbit/s",
        units={
            **_prefixed("B/s", _BYTE_PREFIXES),
            **_prefixed("Bps", _BYTE_PREFIXES),
            **_prefixed("bit/s", _BYTE_PREFIXES, _BIT),
            **_prefixed("b/s", _BYTE_PREFIXES, _BIT),
            **_prefixed("bps", _BYTE_PREFIXES, _BIT),
            # By custom "bps" is bits in any case of its prefix, and lower case is how it is often written.
            **{f"{prefix.lower()}bps": factor * _BIT for prefix, factor in _DECIMAL.items()},
        },
    ),
    "seconds": _Dimension(noun="time", meaning="a time", example="s", units=_TIMES),
    "dollars": _Dimension(noun="amount", meaning="an amount of dollars", example="USD", units=_DOLLARS),
    "dollars_per_second": _Dimension(
        noun="price",
        meaning="a price per time",
        example="USD/h",
        units={f"{money}/{time}": 1 / factor for money in _DOLLARS for time, factor in _TIMES.items()},
    ),
    "dollars_per_byte": _Dimension(
        noun="price",
        meaning="a price per byte",
        example="USD/GB",
        units={
            f"{money}/{size}": 1 / factor
            for money in _DOLLARS
            for size, factor in _prefixed("B", _BYTE_PREFIXES).items()
        },
    ),
    "count": _Dimension(
        noun="count",
        meaning="a count",
        example="B",
        units={
            "": Fraction(1),
            "k": Fraction(10**3),
            "K": Fraction(10**3),
            "M": Fraction(10**6),
            "B": Fraction(10**9),
            "T": Fraction(10**12),
        },
    ),
    "flop": _Dimension(
        noun="work",
        meaning="a number of FLOP",
        example="TFLOP",
        units=_prefixed("FLOP", {**_DECIMAL, "Z": 10**21, "Y": 10**24}),
    ),
    "flop_per_second": _Dimension(
        noun="speed",
        meaning="a number of FLOP per second",
        example="TFLOP/s",
        units={**_prefixed("FLOP/s", _DECIMAL), **_prefixed("FLOPS", _DECIMAL)},
    ),
    "meters": _Dimension(noun="distance", meaning="a distance", example="km", units=_prefixed("m", {"": 1, "k": 1000})),
    "hertz": _Dimension(
        noun="frequency",
        meaning="a frequency",
        example="MHz",
        units={**_prefixed("Hz", _DECIMAL), "mHz": Fraction(1, 1000)},
    ),
    "watts": _Dimension(
        noun="power", meaning="a power", example="W", units={**_prefixed("W", _DECIMAL), "mW": Fraction(1, 1000)}
    ),
    "ratio": _Dimension(noun="ratio", meaning="a ratio", example="%", units={"": Fraction(1), "%": Fraction(1, 100)}),
}

# Units that we know and never take, so that 80 Gb of memory is an error and not 80 GB.
_REFUSED: Mapping[str, str] = {
    **{unit: "a number of bits" for symbol in ("b", "bit") for unit in _prefixed(symbol, _BYTE_PREFIXES)},
    **{f"{money}/{unit}": "a price per bit" for money in _DOLLARS for unit in _prefixed("b", _BYTE_PREFIXES)},
    **dict.fromkeys(("CNY", "RMB", "EUR", "¥", "€"), "an amount in another currency"),
}


def parse(text: object, dimension: Dimension, *, name: str = "") -> float:
    """The quantity that `text` says, in the base unit that `dimension` names.

    `text` is what a person wrote: text with its unit, or where the dimension is count or ratio also a number.
    `name` is what the quantity is called in messages, as "bandwidth"; the place in the file is the caller's to add.

    The result is the float nearest to the exact value. Raises UnitError, with one finding, for everything else.
    """
    known = _DIMENSIONS[dimension]
    name = name or known.noun
    shown = _quoted(text)
    number, unit = _split(text, known, f"{name} {shown}")
    try:
        factor = known.units[unit]
    except KeyError:
        factor = _other_case(number, unit, known, f"{name} {shown}")
    return _scaled(number, factor, f"{name} {shown}")


def parse_rails(text: object, *, name: str = "network") -> tuple[int, float]:
    """(number of rails, bytes per second of each): "4x200 Gbit/s" is (4, 25e9), "200 Gbit/s" is one rail.

    Raises UnitError.
    """
    match = _RAILS.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return 1, parse(text, "bytes_per_second", name=name)
    num_rails = int(match[1])
    if num_rails == 0:
        _fail(f"{name} {_quoted(text)} has no rail.", 'Write "4x200 Gbit/s" for 4 rails of 200 Gbit/s each.')
    return num_rails, parse(match[2], "bytes_per_second", name=name)


def format_bytes(num_bytes: float | None, *, digits: int = 3) -> str:
    """ "1.5 GB", in powers of 1000."""
    return _with_prefix(num_bytes, "B", digits)


def format_bytes_per_second(bytes_per_second: float | None, *, digits: int = 3) -> str:
    """ "10 Gbit/s": networks are sold and measured in bits."""
    return _with_prefix(None if bytes_per_second is None else bytes_per_second * BITS_PER_BYTE, "bit/s", digits)


def format_seconds(seconds: float | None, *, digits: int = 3) -> str:
    """ "28.6 ms", "73 s", "2.4 h", "30 d": seconds up to 120, minutes up to 120, hours up to 48."""
    scales = (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86400.0))
    starts = {"ns": 0.0, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 120.0, "h": 7200.0, "d": 172800.0}
    if seconds is None or not math.isfinite(seconds):
        return _not_finite(seconds)
    if seconds == 0:
        return "0 s"
    rounded = float(f"{abs(seconds):.{digits}g}")
    unit, scale = next((unit, scale) for unit, scale in reversed(scales) if rounded >= starts[unit])
    return f"{_digits(seconds / scale, digits)} {unit}"


def format_count(count: float | None, *, digits: int = 3) -> str:
    """ "70.6B", "1.5T"; whole numbers below 10000 in full, as "8192"."""
    if count is None or not math.isfinite(count):
        return _not_finite(count)
    if abs(count) < 10_000 and count == int(count):
        return str(int(count))
    return _with_prefix(count, "", digits, {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}, space="")


def format_flop_per_second(flop_per_second: float | None, *, digits: int = 3) -> str:
    """ "312 TFLOP/s"."""
    return _with_prefix(flop_per_second, "FLOP/s", digits)


def format_dollars(dollars: float | None) -> str:
    """ "50000 USD" from 1000 on, "12.30 USD" from 1, three digits below: "0.0123 USD"."""
    return f"{_money(dollars)} USD" if _is_known(dollars) else _not_finite(dollars)


def format_dollars_per_second(dollars_per_second: float | None) -> str:
    """ "2.10 USD/h": the price of a GPU or of traffic over time, per hour as price lists give it."""
    if dollars_per_second is None or not math.isfinite(dollars_per_second):
        return _not_finite(dollars_per_second)
    return f"{_money(dollars_per_second * SECONDS_PER_HOUR)} USD/h"


def format_dollars_per_byte(dollars_per_byte: float | None) -> str:
    """ "0.02 USD/GB": the price of egress."""
    if dollars_per_byte is None or not math.isfinite(dollars_per_byte):
        return _not_finite(dollars_per_byte)
    return f"{_digits(dollars_per_byte * 1e9, 3)} USD/GB"


def format_fraction(fraction: float | None, *, digits: int = 3) -> str:
    """ "45.7 %"."""
    if fraction is None or not math.isfinite(fraction):
        return _not_finite(fraction)
    return f"{_digits(fraction * 100, digits)} %"


def format_meters(meters: float | None, *, digits: int = 3) -> str:
    """ "1070 km", "12 m"."""
    return _with_prefix(meters, "m", digits, {"": 1, "k": 1000})


def format_hertz(hertz: float | None, *, digits: int = 4) -> str:
    """ "1.98 GHz"."""
    return _with_prefix(hertz, "Hz", digits)


def format_watts(watts: float | None, *, digits: int = 3) -> str:
    """ "700 W"."""
    return _with_prefix(watts, "W", digits)


def format_joules(joules: float | None, *, digits: int = 3) -> str:
    """ "10.4 MWh": energy is bought by the watt-hour."""
    return _with_prefix(None if joules is None else joules / SECONDS_PER_HOUR, "Wh", digits)


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _fail(message: str, hint: str = "", code: str = "") -> NoReturn:
    raise UnitError.of(message, hint=hint, code=code)


def _split(value: object, known: _Dimension, subject: str) -> tuple[str, str]:
    """The number and the unit, both as text; the unit is "" where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        _fail(f"{subject} is not a quantity.", f'Write text such as "10{_spaced(known.example)}".')
    text = value.strip(" \t") if isinstance(value, str) else repr(value)
    odd = next((character for character in text if _is_odd_space(character)), None)
    if odd is not None:
        label = f"U+{ord(odd):04X} ({unicodedata.name(odd, 'unnamed')})"
        _fail(f"{subject} contains the character {label}.", "Write an ordinary space in its place.")
    if _COMMA.match(text):
        _fail(f"{subject} has a comma in its number.", _comma_hint(text), "decimal_comma")
    match = _NUMBER.match(text)
    if match is None:
        _fail(f"{subject} does not start with a number.", f'Write text such as "10{_spaced(known.example)}".')
    return match[0], text[match.end() :].strip(" \t")


def _is_odd_space(character: str) -> bool:
    return unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf") and character not in " \t"


def _comma_hint(text: str) -> str:
    match = _COMMA.match(text)
    assert match is not None
    rest, number = text[match.end() :], match[0].lstrip("+-")
    without = number.replace(",", "")
    fraction = number.replace(",", ".")
    if match[0].count(",") > 1 or "." in match[0]:
        return f'Write "{without}{rest}".'
    if len(match[1]) != len(",000"):
        return f'Write "{fraction}{rest}".'
    return f'Write "{fraction}{rest}" for a fraction or "{without}{rest}" for thousands.'


def _spaced(unit: str) -> str:
    return unit if unit in ("B", "%") else f" {unit}"


def _other_case(number: str, unit: str, known: _Dimension, subject: str) -> Fraction:
    """The factor of a unit that is not written exactly as we know it, if only one thing can be meant."""
    number = number.lstrip("+-")  # only what would be taken is proposed
    example = f'"{number}{_spaced(known.example)}"'
    if not unit:
        _fail(f"{subject} has no unit.", f"Write {example}.", "no_unit")
    other = _foreign_meaning(unit)
    if other:
        _fail(f"{subject} is {other}, not {known.meaning}.", f"Write text such as {example}.", "wrong_unit")
    meant = {spelling: factor for spelling, factor in known.units.items() if spelling.casefold() == unit.casefold()}
    if len(set(meant.values())) == 1:
        return next(iter(meant.values()))
    if meant:
        choices = " or ".join(f'"{number} {spelling}"' for spelling in meant)
        legend = " (B is bytes, b is bits)" if "b" in unit.casefold() else ""
        _fail(f"{subject} can mean more than one thing.", f"Write {choices}{legend}.", "unclear_unit")
    _fail(f'{subject} has the unknown unit "{unit}".', f"Write text such as {example}.", "unknown_unit")


def _foreign_meaning(unit: str) -> str:
    """What quantities in a unit of another dimension are; "" if nobody knows the unit."""
    meanings = (dimension.meaning for dimension in _DIMENSIONS.values() if unit in dimension.units)
    return _REFUSED.get(unit) or next(meanings, "")


def _scaled(number: str, factor: Fraction, subject: str) -> float:
    value = float(number)
    if value < 0:
        _fail(f"{subject} is negative.", "Write a number that is zero or more.", "negative")
    if not re.split("[eE]", number)[0].strip("+-0."):
        return 0.0
    # Guards the exact arithmetic below from numbers like 1e999999999, which would take all memory.
    if not 1e-100 < value < 1e100:
        _fail(f"{subject} is not a number that fits.", "Write a number between 1e-100 and 1e100.", "out_of_range")
    return float(Fraction(number) * factor)


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _not_finite(value: float | None) -> str:
    """What is shown for a quantity that has no number: unknown is never zero."""
    if value is None or math.isnan(value):
        return "unknown"
    return "infinite" if value > 0 else "-infinite"


def _with_prefix(
    value: float | None, symbol: str, digits: int, prefixes: Mapping[str, int] = _DECIMAL, space: str = " "
) -> str:
    if value is None or not math.isfinite(value):
        return _not_finite(value)
    rounded = float(f"{abs(value):.{digits}g}")  # 999.9 becomes 1000 first, then "1 k"
    prefix = max((prefix for prefix in prefixes if rounded >= prefixes[prefix]), key=prefixes.__getitem__, default="")
    return f"{_digits(value / prefixes[prefix], digits)}{space}{prefix}{symbol}"


def _digits(value: float, digits: int) -> str:
    """`value` with so many significant digits, without trailing zeros and as far as possible without an exponent."""
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-6 <= abs(value) < 1e15:
        return f"{float(text):.0f}" if abs(value) >= 1 else f"{float(text):.12f}".rstrip("0")
    return text


def _money(dollars: float | None) -> str:
    assert dollars is not None
    if abs(dollars) >= 999.995:
        return f"{dollars:.0f}"
    return f"{dollars:.2f}" if abs(dollars) >= 0.995 or dollars == 0 else _digits(dollars, 3)
