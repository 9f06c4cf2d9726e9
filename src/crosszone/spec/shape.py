"""Checks keys and values one by one: what people wrote against the fields of `job`.

A value that is wrong is taken out, or replaced by a stand-in where the job cannot be without it, and noted as lost;
so the rest of the file can be read and all that is wrong in it told at once.
"""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from crosszone.errors import Finding, nearest, nearest_hint
from crosszone.spec.job import Job
from crosszone.spec.quantities import shown
from crosszone.spec.reporting import Report
from crosszone.spec.schema import keys_at, nearest_places
from crosszone.spec.yaml_source import Path

LOST_NAME = "?"
"""Name that stands in for one that could not be read."""

UNKNOWN_KEY = "extra_forbidden"
"""What pydantic calls it."""

_NODE_GROUP = {"count": 1, "gpu": LOST_NAME, "gpus_per_node": 1}
_ZONE = {"name": LOST_NAME, "nodes": [_NODE_GROUP]}
_STAND_INS: dict[str, Any] = {
    **_NODE_GROUP,
    **_ZONE,
    "sequence_length": 1,
    "global_batch_size": 1,
    "model": LOST_NAME,
    "workload": {"sequence_length": 1, "global_batch_size": 1},
    "cluster": {"zones": [_ZONE]},
    "zones": [_ZONE],
}
_NUM_ROUNDS = 6
"""Each round mends what it finds; deeper errors show in the next one. The nesting of a job bounds them."""
_TYPE_NAMES = {
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
}


def read_shape(value: dict[str, Any], report: Report) -> Job | None:
    """The job that `value` writes down, with stand-ins at `report.lost`; None where too little of it can be read."""
    mended = copy.deepcopy(value)
    for _ in range(_NUM_ROUNDS):
        try:
            return Job.model_validate(mended)
        except ValidationError as error:
            problems = [(_path(problem["loc"]), problem) for problem in error.errors(include_url=False)]
        paths = {path for path, _ in problems}
        # Where items were turned down, pydantic adds that a list is too short.
        problems = [
            (path, problem)
            for path, problem in problems
            if not (
                problem["type"] == "too_short" and any(len(p) > len(path) and p[: len(path)] == path for p in paths)
            )
        ]
        # Unknown keys first: a key that is missing because its name is misspelt is told once.
        problems.sort(key=lambda pair: pair[1]["type"] != UNKNOWN_KEY)
        for path, problem in problems:
            if not report.has_lost(path):
                for finding in _findings(path, problem):
                    report.add(path, finding)
            _lose(path, problem["type"], report)
        for path, problem in problems:
            _mend(mended, path, problem["type"])
    return None


def _path(loc: tuple[str | int, ...]) -> Path:
    """Place in the file: without the word by which pydantic tells the ways to write a model apart."""
    return ("model", *loc[2:]) if loc[:1] == ("model",) else loc


def _findings(path: Path, problem: Any) -> tuple[Finding, ...]:
    kind, written = problem["type"], problem["input"]
    key = _key(path)
    if kind == "value_error":
        return tuple(problem["ctx"]["error"].findings)
    if kind == UNKNOWN_KEY:
        return (_unknown_key(path),)
    if kind == "missing" and isinstance(path[-1], int):
        return (Finding(code="invalid", message=f"{path[-2]} has only {path[-1]} of its items."),)
    if kind == "missing":
        return (Finding(code="missing_key", message=f"{key} is missing.", hint=_example(path)),)
    if kind in ("too_short", "too_long"):
        limits = problem["ctx"]
        bound = f"at least {limits['min_length']}" if kind == "too_short" else f"at most {limits['max_length']}"
        message = f"{key} has {limits['actual_length'] if limits['actual_length'] is not None else 'too many'} items."
        return (Finding(code="invalid", message=message, hint=f"Write {bound}."),)
    expected = _TYPE_NAMES.get(kind, "something else")
    return (Finding(code="wrong_type", message=f"{key} {shown(written)} is not {expected}.", hint=_example(path)),)


def _key(path: Path) -> str:
    """What stands at `path`, in words: an item of a list by the list's name."""
    if not path:
        return "the job file"
    return f"item {path[-1]} of {path[-2]}" if isinstance(path[-1], int) and len(path) > 1 else str(path[-1])


def _unknown_key(path: Path) -> Finding:
    key, known = str(path[-1]), keys_at(path[:-1])
    elsewhere = nearest_places(key)
    if not nearest(key, known) and elsewhere:
        hint = f"It belongs in {' or '.join(elsewhere[:3])}."
    else:
        hint = nearest_hint(key, known, max_listed=25)
    return Finding(code="unknown_key", message=f"unknown key {shown(key)}.", hint=hint)


def _example(path: Path) -> str:
    examples = {
        "model": 'Write a name such as "model: llama-3.1-70b".',
        "sequence_length": 'Write "sequence_length: 8192".',
        "global_batch_size": 'Write "global_batch_size: 768".',
        "gpu": 'Write a name such as "gpu: h100-sxm5-80gb".',
        "count": 'Write the number of nodes, as "count: 4".',
        "gpus_per_node": 'Write "gpus_per_node: 8".',
        "framework": 'Write "framework: {name: megatron}".',
    }
    return examples.get(str(path[-1]) if path else "", "")


def _lose(path: Path, kind: str, report: Report) -> None:
    """Remember what cannot be read; of an unknown key, the key that was meant."""
    if kind == UNKNOWN_KEY:
        meant = nearest(str(path[-1]), keys_at(path[:-1]), limit=1)
        report.lost.update((*path[:-1], name) for name in meant)
    else:
        report.lost.add(path)


def _mend(mended: dict[str, Any], path: Path, kind: str) -> None:
    """Take out, or replace, what is wrong at `path`."""
    if kind == UNKNOWN_KEY and path[:1] != ("model",):
        _delete(mended, path)
        return
    target = _removable(path)
    if target and target[-1] in _STAND_INS and target[0] not in ("plan", "constraints"):
        _replace(mended, target, copy.deepcopy(_STAND_INS[str(target[-1])]))
    elif target and isinstance(target[-1], int) and target[-2] in ("zones", "nodes"):
        _replace(mended, target, copy.deepcopy(_STAND_INS[str(target[-2])][0]))
    else:
        _delete(mended, target)


def _removable(path: Path) -> Path:
    """The least part around `path` that a job can be without, or that has a stand-in."""
    if path[:1] == ("model",):
        return path[:1]
    if path[:1] == ("plan",):
        return path[:2]
    if path[:1] == ("framework",):
        return path[:1]
    while path and isinstance(path[-1], int) and path[-2] not in ("zones", "nodes", "links"):
        path = path[:-1]
    return path


def _replace(mended: dict[str, Any], path: Path, value: Any) -> None:
    parent = _parent(mended, path)
    if parent is not None:
        parent[path[-1]] = value


def _delete(mended: dict[str, Any], path: Path) -> None:
    parent = _parent(mended, path)
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif isinstance(parent, list) and isinstance(path[-1], int) and path[-1] < len(parent):
        # An empty item keeps the indices of those after it.
        parent[path[-1]] = {}


def _parent(mended: Any, path: Path) -> Any:
    """The mapping or list that holds `path`; None where it is gone already."""
    value = mended
    for part in path[:-1]:
        holds = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if not holds:
            return None
        value = value[part]
    return value if path and isinstance(value, dict | list) else None
