"""A job as the text of a job file: what a form has changed goes into the text that a person wrote, comments and all."""

from __future__ import annotations

import io
import re
from typing import Any

from crosszone.spec.yaml_source import read_value, read_yaml

MOST_COLUMNS = 110
"""Of a list or mapping that is written on one line, as `{count: 4, gpu: a100-sxm4-80gb}`."""


_PLAIN = re.compile(r"\w([\w ./+%-]*\w)?", re.ASCII)
"""Text that means itself without quotes, wherever it stands."""


def write_job(value: dict[str, Any], *, like: str = "") -> str:
    """The YAML text of a job with the keys of `value`.

    `like` is a text that it takes the place of: what is the same in it stays as it is written there, with its comments.
    SpecError where that is no YAML that we read.
    """
    if not like:
        return _dumped(_new(value))
    known = read_yaml(like).value  # refuses what is too large or deep before anything is built of it
    if known == value:
        return like
    written = _yaml().load(like)
    _change(written, value)
    text = _dumped(written)
    # An alias stands in two places, and only one of them may have changed.
    return text if read_yaml(text).value == value else _dumped(_new(value))


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = MOST_COLUMNS + 10
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(value: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(value, stream)
    return stream.getvalue()


def _change(written: Any, value: Any) -> None:
    """Make the collection `written` equal to `value`, touching only what differs."""
    if isinstance(written, dict):
        for key in [key for key in written if key not in value]:
            del written[key]
        entries = list(value.items())
    else:
        del written[len(value) :]
        entries = list(enumerate(value))
    for key, new in entries:
        is_there = key in written if isinstance(written, dict) else key < len(written)
        old = written[key] if is_there else None
        if any(isinstance(old, kind) and isinstance(new, kind) for kind in (dict, list)):
            _change(old, new)
        elif not is_there and isinstance(written, list):
            written.append(_new(new))
        elif not is_there or type(old) is not type(new) or old != new:
            written[_quoted(key) if isinstance(key, str) else key] = _new(new)


def _new(value: Any) -> Any:
    """As YAML writes it: short collections of plain values on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, dict | list):
        return value
    made: Any
    if isinstance(value, dict):
        made = CommentedMap({_quoted(key): _new(each) for key, each in value.items()})
    else:
        made = CommentedSeq([_new(each) for each in value])
    if not any(_is_deep(each) for each in _values(value)) and len(str(value)) <= MOST_COLUMNS:
        made.fa.set_flow_style()
    return made


def _quoted(text: str) -> str:
    """The text, in quotes where it would mean something else without."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    is_plain = _PLAIN.fullmatch(text) is not None and read_value(text) == text
    return text if is_plain else DoubleQuotedScalarString(text)


def _is_deep(value: Any) -> bool:
    """Whether it is more than one value or a list of such."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict | list) for each in value))


def _values(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
