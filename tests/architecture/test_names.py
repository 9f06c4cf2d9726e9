"""No identifier has a prefixed unit: Python names, dictionary, JSON, TOML and YAML keys, CSV headers.

Names with prefixes go stale, and a reader cannot tell 10^9 from 2^30. Prefixes exist in text only.
"""

from __future__ import annotations

import ast
import csv
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

PREFIXED_UNITS = frozenset(
    (
        "kb mb gb tb pb kib mib gib tib pib kbit mbit gbit tbit kbps mbps gbps tbps bps "
        "mflop gflop tflop pflop eflop flops mflops gflops tflops pflops eflops "
        "khz mhz ghz kwh pct percent kilometers "
        "milliseconds microseconds nanoseconds millis micros nanos minutes hours days weeks"
    ).split(" ")
)
"""Words that are in no identifier, at no place."""

AFTER_THE_FIRST_WORD = frozenset({"ms", "us", "ns", "kw", "mw", "km"})
"""Units that are words of their own too ("us" is a country, `kw_only` is Python's): refused after the first only."""

FOREIGN = frozenset(
    {"bucket_cap_mb", "idle_minutes", "mfu_pct", "hfu_pct", "tflops_per_gpu", "tflops_kind", "tflops_formula"}
    | {"intra_bw_gbps", "inter_bw_gbps", "inter_latency_ms", "gbps_mean", "ping_ms_mean"}
)
"""Names that another program gives its options, which we only write into its files or calls, and columns of tables that
others publish, which `validate` only reads."""

WORD = re.compile(r"[A-Z]+\d*(?![a-z])|[A-Z]?[a-z]+\d*|\d+")  # a number belongs to the word before it: gb200


def prefixed_unit(name: str) -> str | None:
    """The prefixed unit in an identifier, if there is one."""
    words = [word.lower() for part in re.split(r"[_\W]+", name) for word in WORD.findall(part)]
    if name in FOREIGN:
        return None
    found = [word for word in words if word in PREFIXED_UNITS]
    found += [word for word in words[1:] if word in AFTER_THE_FIRST_WORD]
    return found[0] if found else None


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of everything that a file names, and of its dictionary keys and subscripts."""
    for node in ast.walk(tree):
        yield from ((getattr(node, "lineno", 0), name) for name in names_of(node))


def names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.Name(id=name) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.keyword(arg=str(name)):
            yield name
        case ast.Dict(keys=keys):
            yield from (key.value for key in keys if isinstance(key, ast.Constant) and is_name(key.value))
        case ast.Subscript(slice=ast.Constant(value=str(key))) if is_name(key):
            yield key
        case ast.alias(asname=str(name)):
            yield name


def is_name(value: object) -> bool:
    return isinstance(value, str) and "_" in value and value.isidentifier()


def keys_in(value: Any) -> Iterator[str]:
    """All keys of a document of tables and lists."""
    if isinstance(value, dict):
        yield from (key for key in value if isinstance(key, str))
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from keys_in(item)


def data_keys(path) -> Iterator[str]:
    if path.suffix == ".toml":
        yield from keys_in(tomllib.loads(path.read_text(encoding="utf-8")))
    elif path.suffix == ".json":
        yield from keys_in(json.loads(path.read_text(encoding="utf-8")))
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(line for line in file if not line.startswith("#"))
            yield from next(rows, [])
    elif path.suffix in (".yaml", ".yml"):
        yield from re.findall(r"^[\s\-]*([A-Za-z_]\w*)\s*:", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_no_identifier_has_a_prefixed_unit(source_trees):
    faults = [
        f"{path}:{line}: {name}"
        for path, tree in source_trees.items()
        for line, name in identifiers(tree)
        if prefixed_unit(name)
    ]
    assert not faults, "use base units, the unit as the last word:\n" + "\n".join(faults)


def test_no_data_key_has_a_prefixed_unit(project_files, root):
    faults = [
        f"{path}: {key}"
        for path in project_files
        if path.suffix in (".toml", ".json", ".csv", ".yaml", ".yml") and path.name != "pyproject.toml"
        for key in data_keys(root / path)
        if is_name(key) and prefixed_unit(key)
    ]
    assert not faults, "use base units, the unit as the last word:\n" + "\n".join(faults)


@pytest.mark.parametrize(
    "name",
    [
        "memory_gb",
        "MEMORY_GIB",
        "step_ms",
        "latency_us",
        "gbps_per_link",
        "peak_tflops",
        "peakTflops",
        "bus_bw_gbit",
        "load_pct",
        "train_hours",
        "distance_km",
        "gb_per_second",
    ],
)
def test_the_rule_refuses(name):
    assert prefixed_unit(name)


@pytest.mark.parametrize(
    "name",
    [
        "memory_bytes",
        "step_seconds",
        "dollars_per_hour",
        "SECONDS_PER_HOUR",
        "num_gpus",
        "us_east",
        "gb200",
        "gb200_nvl72",
        "bucket_cap_mb",
        "min_bytes",
        "items",
        "params",
    ],
)
def test_the_rule_allows(name):
    assert prefixed_unit(name) is None
