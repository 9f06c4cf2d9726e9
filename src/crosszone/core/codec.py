"""Nouns to JSON values and back, and the fingerprint that ties a result to its input."""

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from typing import Any, TypeVar

from crosszone.errors import Finding, SpecError, nearest_hint

Noun = TypeVar("Noun")

PAIRED_FIELDS = frozenset(
    {"peak_flop_per_second", "codecs", "environment", "log_sizes", "package_versions", "state_fields"}
)
"""Fields that hold (key, value) pairs, because a frozen noun holds no dict; in JSON they are objects."""
_PLAIN = frozenset({str, int, bool, type(None)})
"""What is in JSON as it is."""


def to_json(value: Any) -> Any:
    """JSON value of a noun: dataclasses and `PAIRED_FIELDS` become objects, tuples lists, NaN and infinity null."""
    kind: Any = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in _PLAIN:
        return value
    names = _field_names(kind)
    if names is not None:
        return {name: _field_json(name, getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return to_json(value.item()) if hasattr(value, "item") else value


def from_json(kind: type[Noun], value: Any, *, where: str = "") -> Noun:
    """The noun of class `kind` that `value` is the JSON of: the inverse of `to_json`, strict in both directions.

    Objects become dataclasses, lists tuples. `where` is the place of `value`, for messages. Nothing is converted but
    whole numbers to float, so that "auto" or "1e-4" in place of a number is an error.

    Errors: SpecError with all that is wrong: unknown and missing keys, values of another type.
    """
    findings: list[Finding] = []
    noun = _read(kind, value, where, findings)
    if findings:
        raise SpecError(*findings)
    return typing.cast(Noun, noun)


def fingerprint(*values: Any) -> str:
    """Sixteen hex digits that change when any of `values` changes."""
    text = json.dumps([to_json(value) for value in values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _field_names(kind: type) -> tuple[str, ...] | None:
    """The fields of a noun's class; None: it is no noun. Remembered: answers hold thousands of nouns of few classes."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def _field_json(name: str, value: Any) -> Any:
    return to_json(dict(value) if name in PAIRED_FIELDS else value)


def _read(kind: Any, value: Any, where: str, findings: list[Finding]) -> Any:
    """`value` as `kind`; None, and a finding more, where it is not one."""
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(next(each for each in arguments if each is not type(None)), value, where, findings)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _read_noun(kind, value, where, findings)
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        repeated = arguments[-1] is Ellipsis
        if repeated or len(arguments) == len(value):
            kinds = [arguments[0]] * len(value) if repeated else arguments
            return tuple(
                _read(each, item, f"{where}[{index}]", findings)
                for index, (each, item) in enumerate(zip(kinds, value, strict=True))
            )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and not dataclasses.is_dataclass(kind) and type(value) is kind:
        return value
    findings.append(Finding(code="wrong_type", where=where, message=f"{json.dumps(value)} is not {_called(kind)}."))
    return None


def _read_noun(kind: Any, value: dict[str, Any], where: str, findings: list[Finding]) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    num_before = len(findings)
    for key in value.keys() - fields.keys():
        place, hint = f"{where}.{key}".lstrip("."), nearest_hint(key, fields)
        findings.append(Finding(code="unknown_key", where=place, message="there is no such key.", hint=hint))
    given = {}
    for name, field in fields.items():
        place = f"{where}.{name}".lstrip(".")
        if name in value:
            item = value[name]
            if name in PAIRED_FIELDS and isinstance(item, dict):
                item = [list(pair) for pair in item.items()]
            given[name] = _read(hints[name], item, place, findings)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            findings.append(
                Finding(code="missing", where=place, message="is missing.", hint=f"Write {_called(hints[name])}.")
            )
    return kind(**given) if len(findings) == num_before else None


def _called(kind: Any) -> str:
    """What a person calls a type."""
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if isinstance(kind, types.UnionType):
        return " or ".join("null" if each is type(None) else _called(each) for each in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "a list"
    return "an object" if dataclasses.is_dataclass(kind) else words.get(kind, "of the right type")
