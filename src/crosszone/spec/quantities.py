"""Types of the values in a job file: text with a unit becomes a number in its base unit, within sane bounds.

Each type is `Annotated[what it becomes, reader]`; the reader turns a value down with a `Refusal`.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from crosszone import units
from crosszone.core.plan import RANK_ORDER, RECOMPUTES, SCHEDULES, SHARDS, SYNC_METHODS, ZONE_ALGORITHMS
from crosszone.core.workload import DTYPE_BYTES, OPTIMIZER_MOMENTS
from crosszone.cost.codecs import codec, codec_names
from crosszone.errors import Finding, nearest_hint

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "fp8", "fp4")
"""Formats that matrix units compute in."""
FABRIC_KINDS = ("nvlink", "xgmi", "hccs", "pcie")
CONGESTION_CONTROLS = ("reno", "cubic", "bbr")
AUTO = "auto"
BOUND_TEXTS: Mapping[units.Dimension, Callable[..., str]] = {
    "seconds": units.format_seconds,
    "bytes": units.format_bytes,
    "bytes_per_second": units.format_bytes_per_second,
    "meters": units.format_meters,
}
"""How a bound is written that would be long in base units."""
BOUND_DIGITS = 5
"""Enough for 36525 d, the longest time."""
MAX_BYTES_PER_SECOND = 1e15
MAX_RAILS = 64
MAX_QUANTITY_CHARACTERS = 60
_YEAR_SECONDS = 365.25 * 86400


class Refusal(ValueError):
    """A value that a reader turns down; pydantic collects it and `shape` takes the finding out again."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.findings = (Finding(code=code, message=message, hint=hint),)


class Reader(ABC):
    """Reads one value as a person wrote it. Pydantic calls it through the annotation."""

    @abstractmethod
    def read(self, value: object, name: str = "") -> object:
        """What `value` of the key `name` means. Raises Refusal or UnitError, both ValueErrors with findings."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema of what may be written."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(partial(self.read, name=handler.field_name or ""))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.schema()


@dataclass(frozen=True, slots=True)
class Quantity(Reader):
    """A quantity between two bounds in base units; the lower one itself is legal only if that is said."""

    dimension: units.Dimension
    low: float
    high: float
    example: str
    low_is_legal: bool = False

    @property
    def needs_unit(self) -> bool:
        """Whether a bare number is an error."""
        return self.dimension not in ("count", "ratio")

    def read(self, value: object, name: str = "") -> float:
        """The number in its base unit."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refusal(
                "wrong_type", f"{named(name, value)} is not a quantity.", f'Write text such as "{self.example}".'
            )
        _check_characters(value, name)
        number = units.parse(value, self.dimension, name=name)
        if number > self.high or number < self.low or (number == self.low and not self.low_is_legal):
            bound = "at least" if self.low_is_legal else "above"
            hint = f"It should be {bound} {self._text(self.low)} and at most {self._text(self.high)}."
            raise Refusal("out_of_range", f"{named(name, value)} is out of range.", hint)
        return number

    def _text(self, bound: float) -> str:
        """As a person would write it, exactly."""
        if self.dimension in BOUND_TEXTS:
            return BOUND_TEXTS[self.dimension](bound, digits=BOUND_DIGITS)
        return f"{bound:g} {self.dimension.replace('_', ' ')}" if self.needs_unit else f"{bound:g}"

    def schema(self) -> dict[str, Any]:
        """Text, or a number too where there is no dimension."""
        if self.needs_unit:
            return {"type": "string", "examples": [self.example], "x-dimension": self.dimension}
        return {"type": ["number", "string"], "examples": [self.example], "x-dimension": self.dimension}


@dataclass(frozen=True, slots=True)
class Choosable(Quantity):
    """A quantity, or `auto` where it is to be chosen by what it costs."""

    def read(self, value: object, name: str = "") -> float | None:  # type: ignore[override]
        """The number in its base unit; None for auto."""
        return None if value == AUTO else Quantity.read(self, value, name)


@dataclass(frozen=True, slots=True)
class Count(Reader):
    """A whole number, written as one or as text such as "300B"."""

    low: int
    high: int
    example: str

    def read(self, value: object, name: str = "") -> int:
        """The number."""
        number = _whole(value, name)
        if number is None:
            raise Refusal(
                "wrong_type", f"{named(name, value)} is not a whole number.", f"Write one such as {self.example}."
            )
        if not self.low <= number <= self.high:
            hint = f"It should be a whole number from {self.low} to {self.high}."
            raise Refusal("out_of_range", f"{named(name, value)} is out of range.", hint)
        return number

    def schema(self) -> dict[str, Any]:
        """An integer within the bounds, or text."""
        written = [
            {"type": "integer", "minimum": self.low, "maximum": self.high},
            {"type": "string", "pattern": r"^\s*[0-9.]+\s*[kKMBT]?\s*$"},
        ]
        return {"anyOf": written, "examples": [int(self.example)]}


@dataclass(frozen=True, slots=True)
class Rails(Reader):
    """A bandwidth with its number of rails: "4x200 Gbit/s"."""

    def read(self, value: object, name: str = "") -> tuple[int, float]:
        """(number of rails, bytes per second of all rails together)."""
        _check_characters(value, name)
        num_rails, rail_bytes_per_second = units.parse_rails(value, name=name)
        if not (0 < rail_bytes_per_second * num_rails <= MAX_BYTES_PER_SECOND and num_rails <= MAX_RAILS):
            hint = (
                f"Write at most {MAX_RAILS} rails with above 0 and at most {MAX_BYTES_PER_SECOND:g} bytes per second."
            )
            raise Refusal("out_of_range", f"{named(name, value)} is out of range.", hint)
        return num_rails, num_rails * rail_bytes_per_second

    def schema(self) -> dict[str, Any]:
        """Text."""
        return {"type": "string", "examples": ["4x200 Gbit/s"], "x-dimension": "bytes_per_second"}


@dataclass(frozen=True, slots=True)
class Version(Reader):
    """The version of the format."""

    def read(self, value: object, name: str = "") -> int:
        """The version that we read: 1."""
        if value != 1 or isinstance(value, bool):
            hint = "Write schema_version: 1, or take a newer crosszone."
            raise Refusal("schema_version", f"this version reads schema version 1, not {shown(value)}.", hint)
        return 1

    def schema(self) -> dict[str, Any]:
        """The constant 1."""
        return {"const": 1}


@dataclass(frozen=True, slots=True)
class Number(Reader):
    """A bare number, such as a coordinate in degrees."""

    low: float
    high: float
    example: str

    def read(self, value: object, name: str = "") -> float:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal("wrong_type", f"{named(name, value)} is not a number.", f"Write one such as {self.example}.")
        if not self.low <= value <= self.high:
            hint = f"It should be from {self.low:g} to {self.high:g}."
            raise Refusal("out_of_range", f"{named(name, value)} is out of range.", hint)
        return float(value)

    def schema(self) -> dict[str, Any]:
        """A number within the bounds."""
        return {"type": "number", "minimum": self.low, "maximum": self.high, "examples": [float(self.example)]}


@dataclass(frozen=True, slots=True)
class OneOf(Reader):
    """A name out of a few."""

    choices: tuple[str, ...]
    kind: str

    def read(self, value: object, name: str = "") -> str:
        """The name as it was written."""
        if isinstance(value, str) and value in self.choices:
            return value
        close = nearest_hint(value, self.choices, max_listed=0) if isinstance(value, str) else ""
        all_of_them = f"Write one of {', '.join(self.choices)}."
        raise Refusal("unknown_name", f"{named(name, value)} is not a {self.kind}.", f"{close} {all_of_them}".lstrip())

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class CodecName(Reader):
    """A codec that may be used on one stream; some take a number, as powersgd_rank_4."""

    stream: str

    def read(self, value: object, name: str = "") -> str:
        """The name as it was written."""
        found = codec(value) if isinstance(value, str) else None
        if found is not None and self.stream in found.streams:
            return found.name
        legal = [each for each in codec_names() if self.stream in (codec(each) or found).streams]  # type: ignore[union-attr]
        close = nearest_hint(value, legal, max_listed=0) if isinstance(value, str) and found is None else ""
        what = "no known codec" if found is None else f"no codec for {self.stream}"
        hint = f"{close} Write one of {', '.join(legal)}; the number is yours."
        raise Refusal("unknown_name", f"{named(name, value)} is {what}.", hint.lstrip())

    def schema(self) -> dict[str, Any]:
        """The names, with any number where one is taken."""
        names = [found for found in map(codec, codec_names()) if found is not None and self.stream in found.streams]
        forms = [found.name if found.parameter is None else rf"{found.family}(_[1-9][0-9]{{0,5}})?" for found in names]
        return {"type": "string", "pattern": f"^({'|'.join(forms)})$", "examples": [names[0].name]}


@dataclass(frozen=True, slots=True)
class Words(Reader):
    """Text on one line."""

    max_characters: int

    def read(self, value: object, name: str = "") -> str:
        """The text as it was written."""
        if value is None:
            raise Refusal("missing_key", f"{name or 'it'} is empty.", "Write it, or delete the key.")
        if not isinstance(value, str):
            raise Refusal(
                "wrong_type", f"{named(name, value)} is not text.", f'Write "{shown(value)}", with the quotes.'
            )
        if not value or value != value.strip() or not value.isprintable():
            hint = "Write printable text without spaces around it."
            raise Refusal("invalid", f"{shown(value)} is empty, or has spaces around it or control characters.", hint)
        if len(value) > self.max_characters:
            hint = f"Write {self.max_characters} at most."
            raise Refusal("too_large", f"{shown(value)} has {len(value)} characters.", hint)
        return value

    def schema(self) -> dict[str, Any]:
        """Text of some length."""
        return {"type": "string", "minLength": 1, "maxLength": self.max_characters}


@dataclass(frozen=True, slots=True)
class Switch(Reader):
    """true or false."""

    def read(self, value: object, name: str = "") -> bool:
        """The value itself; words such as yes are not taken."""
        if isinstance(value, bool):
            return value
        raise Refusal("wrong_type", f"{named(name, value)} is neither true nor false.", "Write true or false.")

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Order(Reader):
    """Each of some names once."""

    names: tuple[str, ...]

    def read(self, value: object, name: str = "") -> tuple[str, ...]:
        """The names in the order given."""
        if isinstance(value, list | tuple) and sorted(map(repr, value)) == sorted(map(repr, self.names)):
            return tuple(value)
        listed = ", ".join(self.names)
        raise Refusal("invalid", f"{shown(value)} is not an order of {listed}.", f"Write each of [{listed}] once.")

    def schema(self) -> dict[str, Any]:
        """A list of the names."""
        num_names = len(self.names)
        return {
            "type": "array",
            "items": {"enum": list(self.names)},
            "minItems": num_names,
            "maxItems": num_names,
            "uniqueItems": True,
        }


# Upper bounds are far beyond what exists: they catch slips such as seconds for milliseconds and keep arithmetic finite.
Bandwidth = Annotated[float, Quantity("bytes_per_second", 0, MAX_BYTES_PER_SECOND, "10 Gbit/s")]
Rtt = Annotated[float, Quantity("seconds", 0, 60, "28.6 ms", low_is_legal=True)]
Duration = Annotated[float, Quantity("seconds", 0, 100 * _YEAR_SECONDS, "30 d")]
ChosenDuration = Annotated[float, Choosable("seconds", 0, 100 * _YEAR_SECONDS, "1 h")]
Size = Annotated[float, Quantity("bytes", 0, 1e21, "1 TB")]
BufferSize = Annotated[float, Quantity("bytes", 0, 1e15, "64 MB")]
Dollars = Annotated[float, Quantity("dollars", 0, 1e13, "50000 USD", low_is_legal=True)]
GpuPrice = Annotated[float, Quantity("dollars_per_second", 0, 10, "2.1 USD/h", low_is_legal=True)]
EgressPrice = Annotated[float, Quantity("dollars_per_byte", 0, 1e-6, "0.02 USD/GB", low_is_legal=True)]
StoragePrice = Annotated[float, Quantity("dollars_per_byte", 0, 1e-6, "0.02 USD/GB", low_is_legal=True)]
Distance = Annotated[float, Quantity("meters", 0, 1e8, "1070 km", low_is_legal=True)]
Fraction = Annotated[float, Quantity("ratio", 0, 1, "50%", low_is_legal=True)]
Loss = Annotated[float, Quantity("ratio", 0, 0.5, "0.01%", low_is_legal=True)]
Weight = Annotated[float, Quantity("ratio", 0, 1, "0.25")]
Tokens = Annotated[float, Quantity("count", 0, 1e18, "1T")]
Epochs = Annotated[float, Quantity("count", 0, 1e6, "1")]
Parameters = Annotated[float, Quantity("count", 0, 1e16, "13B")]

Oversubscription = Annotated[float, Number(1, 1000, "2")]
Latitude = Annotated[float, Number(-90, 90, "39.9")]
Longitude = Annotated[float, Number(-180, 180, "116.4")]

Degree = Annotated[int, Count(1, 10**6, "8")]
SequenceLength = Annotated[int, Count(1, 10**9, "8192")]
BatchSize = Annotated[int, Count(1, 10**9, "768")]
NumLayers = Annotated[int, Count(1, 10**5, "80")]
Width = Annotated[int, Count(1, 10**8, "8192")]
OptionalWidth = Annotated[int, Count(0, 10**8, "0")]
NumNodes = Annotated[int, Count(1, 10**5, "4")]
GpusPerNode = Annotated[int, Count(1, 1024, "8")]
NumGpus = Annotated[int, Count(1, 10**8, "8")]
SmallCount = Annotated[int, Count(1, 10**6, "4")]
Index = Annotated[int, Count(0, 10**5, "0")]

Precision = Annotated[str, OneOf(PRECISIONS, "precision")]
Dtype = Annotated[str, OneOf(tuple(DTYPE_BYTES), "dtype")]
MasterDtype = Annotated[str, OneOf((*DTYPE_BYTES, "none"), "dtype")]
Optimizer = Annotated[str, OneOf(tuple(OPTIMIZER_MOMENTS), "known optimizer")]
Trainable = Annotated[str, OneOf(("all", "lora"), "choice of what is trained")]
Attention = Annotated[str, OneOf(("flash", "unfused"), "kind of attention")]
FabricKind = Annotated[str, OneOf(FABRIC_KINDS, "kind of fabric")]
CongestionControl = Annotated[str, OneOf(CONGESTION_CONTROLS, "known congestion control")]
Schedule = Annotated[str, OneOf(SCHEDULES, "schedule")]
Shard = Annotated[str, OneOf(SHARDS, "choice of what is sharded")]
Recompute = Annotated[str, OneOf(RECOMPUTES, "kind of recompute")]
Offload = Annotated[str, OneOf(("none", "optimizer", "parameters"), "choice of what is offloaded")]
ZoneAlgorithm = Annotated[str, OneOf(ZONE_ALGORITHMS, "way of a sum between zones")]
GradientCodec = Annotated[str, CodecName("gradients")]
ActivationCodec = Annotated[str, CodecName("activations")]
PseudogradientCodec = Annotated[str, CodecName("pseudogradients")]
SyncMethod = Annotated[str, OneOf(SYNC_METHODS, "way to agree across zones")]
Minimize = Annotated[str, OneOf(("time", "goodput", "cost", "throughput_per_dollar"), "known objective")]
Allowed = Annotated[str, OneOf(("local_sgd", "compression", "async", "batch_change"), "change that can be allowed")]
Norm = Annotated[str, OneOf(("rmsnorm", "layernorm"), "norm")]
QkNorm = Annotated[str, OneOf(("none", "head", "full"), "norm of queries and keys")]
Position = Annotated[str, OneOf(("rope", "learned", "alibi", "none"), "kind of position")]

Name = Annotated[str, Words(63)]
Text = Annotated[str, Words(1000)]
Truth = Annotated[bool, Switch()]
Network = Annotated[tuple[int, float], Rails()]
SchemaVersion = Annotated[int, Version()]
RankOrder = Annotated[tuple[str, ...], Order(RANK_ORDER)]


def shown(value: object) -> str:
    """`value` as a message quotes it, shortened; what YAML has a word for, as that."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f'"{text}"' if isinstance(value, str) else text


def named(name: str, value: object) -> str:
    """`value` with the key that it was written under."""
    return f"{name} {shown(value)}".lstrip()


def _whole(value: object, name: str) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return value
    _check_characters(value, name)
    number = units.parse(value, "count", name=name) if isinstance(value, str) else value
    return int(number) if math.isfinite(number) and number == int(number) else None


def _check_characters(value: object, name: str) -> None:
    """A quantity is short: what is not would fill the screen when it is quoted."""
    if isinstance(value, str) and len(value) > MAX_QUANTITY_CHARACTERS:
        message = f"{named(name, value)} has {len(value)} characters."
        raise Refusal("too_large", message, f"Write {MAX_QUANTITY_CHARACTERS} at most.")
