"""TOML by an emitter: tables of numbers, texts and lists, so that no text can become a key."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
DELETE = "\x7f"
"""The one character that TOML forbids in texts and JSON does not escape (TOML 1.0, "String")."""


def toml_text(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables, in order. Values are bool, int, finite float, str, or lists of these; what is None is left out."""
    return "\n".join(_table(name, values) for name, values in tables.items())


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"{_key(key)} = {_value(value)}\n" for key, value in values.items() if value is not None]
    return f"[{'.'.join(_key(part) for part in name.split('.'))}]\n" + "".join(lines)


def _key(name: str) -> str:
    assert BARE_KEY.fullmatch(name), name
    return name


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace(DELETE, "\\u007f")
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(each) for each in value)}]"
    assert isinstance(value, int) or math.isfinite(value), value
    return repr(value)
