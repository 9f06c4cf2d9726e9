"""Nouns to JSON values and back, and the fingerprint that ties a result to its input."""

import dataclasses
import hashlib
import json
import math
from typing import Any

PAIRED_FIELDS = frozenset({"peak_flop_per_second", "codecs"})
"""Fields that hold (key, value) pairs, because a frozen noun holds no dict; in JSON they are objects."""


def to_json(value: Any) -> Any:
    """JSON value of a noun: dataclasses and `PAIRED_FIELDS` become objects, tuples lists, NaN and infinity null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _field_json(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def fingerprint(*values: Any) -> str:
    """Sixteen hex digits that change when any of `values` changes."""
    text = json.dumps([to_json(value) for value in values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _field_json(name: str, value: Any) -> Any:
    return to_json(dict(value) if name in PAIRED_FIELDS else value)
