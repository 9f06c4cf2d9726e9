"""YAML text to plain values, with the line of each of them.

The text is read as a flat stream of events, so that depth and size are bounded before anything is built. Plain
scalars follow the core schema of YAML 1.2 (`yes` is text, `0x10` is a number); tags and merge keys are not taken.
JSON is YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from crosszone.errors import SpecError

Path = tuple[str | int, ...]
"""Keys and indices from the top of a file to a value."""

MAX_BYTES = 2**20
"""Longest job file; a large one has some ten thousand bytes."""
MAX_DEPTH = 24
"""Deepest nesting; a job file needs 7."""
MAX_VALUES = 50_000
"""Most values in a file, those that aliases repeat counted each time."""
MAX_SCALAR_CHARACTERS = 2000
MAX_NUMBER_CHARACTERS = 300
MAX_NUMBER_BITS = 1000

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_PREFIXED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file as plain values."""

    value: dict[str, Any]
    lines: Mapping[Path, int]
    """Line of each key and list item, counted from 1; empty where the values did not come from text."""
    duplicates: Mapping[Path, tuple[int, int]]
    """Keys that are there twice, with both lines; the later value is taken."""
    text: str = ""
    """What the values were read from; empty where they did not come from text."""


def read_yaml(text: str) -> Source:
    """The mapping that `text` holds.

    Raises SpecError, with one finding, for broken YAML and for a text that is empty, no mapping, too large or too deep.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    num_bytes = len(text.encode("utf-8", errors="replace"))
    if num_bytes > MAX_BYTES:
        _fail(f"the job file has {num_bytes} bytes; at most {MAX_BYTES} are read", "too_large")
    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except YAMLError as error:
        _fail_on_syntax(error)
    except ValueError as error:  # ruamel converts escapes and version numbers without a check of its own
        _fail(f"the job file is not valid YAML: {error}", "yaml")
    if builder.is_empty:
        _fail("the job file is empty", "empty", hint="`crosszone init` writes a first one.")
    if not isinstance(builder.top, dict):
        kind = "a list" if isinstance(builder.top, list) else "one value"
        hint = 'Write keys such as "model:", "workload:" and "cluster:".'
        _fail(f"the job file is {kind}, not a mapping", "wrong_type", hint=hint)
    return Source(value=builder.top, lines=builder.lines, duplicates=builder.duplicates, text=text)


def read_mapping(value: dict[Any, Any]) -> Source:
    """A mapping that did not come from text, copied, within the same limits. Raises SpecError as `read_yaml`."""
    num_values = 0

    def copied(item: Any, path: Path) -> Any:
        nonlocal num_values
        num_values += 1
        if num_values > MAX_VALUES:
            _fail(f"the job has more than {MAX_VALUES} values", "too_large")
        if len(path) > MAX_DEPTH:
            _fail(f"values are nested more than {MAX_DEPTH} deep", "too_deep", where=place(path[:3]))
        if isinstance(item, str) and len(item) > MAX_SCALAR_CHARACTERS:
            message = f"a value has {len(item)} characters; at most {MAX_SCALAR_CHARACTERS} are read"
            _fail(message, "too_large", where=place(path))
        if isinstance(item, int) and item.bit_length() > MAX_NUMBER_BITS:
            _fail(f"a number has more than {MAX_NUMBER_BITS} bits", "too_large", where=place(path))
        if isinstance(item, dict):
            return {str(key): copied(below, (*path, str(key))) for key, below in item.items()}
        if isinstance(item, list | tuple):
            return [copied(below, (*path, index)) for index, below in enumerate(item)]
        return item

    return Source(value=copied(value, ()), lines={}, duplicates={})


def read_value(text: str) -> Any:
    """The value of `text`, as it would stand after the colon of a key. SpecError."""
    if text[:1] in ("[", "{", "'", '"'):
        return read_yaml(f"value: {text}").value["value"]
    return _plain_value(text)


def place(path: Path) -> str:
    """How a person finds `path`: `cluster.zones[1].nodes[0].gpu`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _fail(message: str, code: str, *, where: str = "", hint: str = "") -> NoReturn:
    raise SpecError.of(f"{message}.", where=where, hint=hint, code=code)


def _fail_on_syntax(error: Exception) -> NoReturn:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).split("\n", 1)[0]
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = f"line {mark.line + 1}: " if mark is not None else ""
    hint = "Indent with spaces, not tabs." if "'\\t'" in problem else ""
    if not hint and ("mapping values are not allowed" in problem or "expected <block end>" in problem):
        hint = 'Check the indentation, and the space after each ":".'
    _fail(f"{line}the job file is not valid YAML: {problem}", "yaml", hint=hint)


@dataclass(slots=True)
class _Collection:
    """A mapping or list while it is being read."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    num_values: int = 1
    key: str | None = None
    """Key that waits for its value."""


@dataclass(slots=True)
class _Builder:
    """Takes events one by one and keeps what they build."""

    top: Any = None
    is_empty: bool = True
    lines: dict[Path, int] = field(default_factory=dict)
    duplicates: dict[Path, tuple[int, int]] = field(default_factory=dict)
    open: list[_Collection] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """Value of each anchor, and how many values it holds."""
    num_documents: int = 0

    def take(self, event: Any) -> None:
        """Build on with the next event. SpecError where the limits of a job file are passed."""
        kind = type(event).__name__
        line = event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self.num_documents += 1
            if self.num_documents > 1:
                _fail(f"line {line}: a second document starts here", "yaml", hint="Write one job in a file.")
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._refuse_tag(event, line)
            self._start(event, line, {} if kind == "MappingStartEvent" else [])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end(line)
        elif kind == "ScalarEvent":
            self._refuse_tag(event, line)
            self._scalar(event, line)
        elif kind == "AliasEvent":
            self._alias(event, line)

    def _start(self, event: Any, line: int, value: dict[str, Any] | list[Any]) -> None:
        if len(self.open) >= MAX_DEPTH:
            _fail(f"line {line}: values are nested more than {MAX_DEPTH} deep", "too_deep", where=self._place())
        parent = self.open[-1] if self.open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            _fail(f"line {line}: a key is a {'list' if isinstance(value, list) else 'mapping'}", "yaml")
        path = self._next_path()
        self.lines.setdefault(path, line)
        self.open.append(_Collection(value=value, path=path, anchor=event.anchor))

    def _end(self, line: int) -> None:
        done = self.open.pop()
        self._put(done.value, line, done.num_values, done.anchor)

    def _scalar(self, event: Any, line: int) -> None:
        if len(event.value) > MAX_SCALAR_CHARACTERS:
            message = (
                f"line {line}: a value has {len(event.value)} characters; at most {MAX_SCALAR_CHARACTERS} are read"
            )
            _fail(message, "too_large", where=self._place())
        if self._expects_key():
            self._key(event.value, line)
        else:
            is_plain = event.style in (None, "")
            self.lines.setdefault(self._next_path(), line)
            self._put(_plain_value(event.value) if is_plain else event.value, line, 1, event.anchor)

    def _key(self, key: str, line: int) -> None:
        parent = self.open[-1]
        assert isinstance(parent.value, dict)
        path = (*parent.path, key)
        if key in parent.value:
            self.duplicates[path] = (self.lines[path], line)
        parent.key = key
        self.lines[path] = line

    def _alias(self, event: Any, line: int) -> None:
        if event.anchor not in self.anchors:
            _fail(f'line {line}: "*{event.anchor}" has no anchor "&{event.anchor}" before it', "yaml")
        if self._expects_key():
            _fail(f'line {line}: the key "*{event.anchor}" is an alias', "yaml")
        value, num_values = self.anchors[event.anchor]
        self.lines.setdefault(self._next_path(), line)
        self._put(value, line, num_values, None)

    def _put(self, value: Any, line: int, num_values: int, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, num_values)
        if not self.open:
            self.top = value
            self.is_empty = value is None
            return
        parent = self.open[-1]
        parent.num_values += num_values
        if parent.num_values > MAX_VALUES:
            _fail(f"line {line}: the job file has more than {MAX_VALUES} values", "too_large")
        if isinstance(parent.value, list):
            parent.value.append(value)
        else:
            assert parent.key is not None
            parent.value[parent.key] = value
            parent.key = None

    def _refuse_tag(self, event: Any, line: int) -> None:
        # The tag "!" only says that a scalar is text, which a quoted one is anyway.
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in ("", "!", "None"):
            _fail(f'line {line}: the tag "{str(tag)[:60]}" is not taken', "yaml", hint="Delete it.")

    def _expects_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.open[-1].key is None

    def _next_path(self) -> Path:
        if not self.open:
            return ()
        parent = self.open[-1]
        return (*parent.path, len(parent.value) if isinstance(parent.value, list) else str(parent.key))

    def _place(self) -> str:
        return place(self.open[-1].path) if self.open else ""


def _plain_value(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    # int() refuses more digits than this, and no count has as many; float() turns such numbers into infinity.
    if len(text) > MAX_NUMBER_CHARACTERS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _PREFIXED_INTEGER.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text
