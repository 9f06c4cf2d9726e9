"""Puts saved predictions and runs side by side. They are read as JSON, so that those of other versions count too."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isclose, isfinite
from operator import sub, truediv
from typing import Any

from crosszone.core.side_by_side import SECTIONS, ComparedRow, ComparedSide, SideBySide, Value
from crosszone.errors import Finding, SpecError

MOST_SIDES = 20
MOST_DEPTH = 12
"""Of JSON that we write; what is nested deeper is not ours."""
LABELS = (("from_zone", "to_zone"), ("group",), ("name",), ("stage",), ("level",), ("rank",))
"""What items of a list are known by, else by their number: the first of these that an item has all of.

A stage is not known by its zone: the same stage of plans over different zones is to be compared.
"""
SAME_RATIO = 1e-9
"""Numbers this near, relatively, are the same one: sums of thousands of float64 terms in another order differ by about
1e-13, and nothing that is predicted is known to nine digits.
"""
LEFT_OUT = frozenset(
    {"schema_version", "source", "sources", "formula", "inputs", "assumed", "warnings", "checks", "reasons", "verdict"}
)
"""Words about values, and what went into terms."""
OF_SIDE = frozenset({"framework", "fingerprint"})
"""Told of the side itself."""
INPUTS = ("model", "workload", "cluster")
SECTION_OF = {
    **dict.fromkeys(("memory", "host_memory_bytes"), "memory"),
    **dict.fromkeys(("gpu_dollars", "egress_dollars", "energy_joules", "costs"), "cost"),
    **{name: name for name in ("plan", "terms", "links")},
}
"""By the first key of a prediction; what is not named here is of `time`."""


def side_by_side(named: Sequence[tuple[str, dict[str, Any]]], *, least: int = 2) -> SideBySide:
    """Every value of `least` or more (name, JSON): a prediction, with its problem where it was saved, or a run.

    SpecError with everything that cannot be compared.
    """
    if not least <= len(named) <= MOST_SIDES:
        message = f"{len(named)} are given; {least} to {MOST_SIDES} are compared."
        raise SpecError.of(message, hint="Name saved predictions, plans or bundles.")
    findings: list[Finding] = []
    found = [dict(_values(name, value, findings)) for name, value in named]
    if findings:
        raise SpecError(*findings)
    keys = sorted(_in_one_order(found), key=lambda key: SECTIONS.index(key[0]))
    return SideBySide(
        sides=tuple(_side(name, value) for name, value in named),
        rows=tuple(_row(section, name, tuple(each.get((section, name)) for each in found)) for section, name in keys),
    )


def _in_one_order(sides: Iterable[Iterable[tuple[str, str]]]) -> list[tuple[str, str]]:
    """The keys of all sides once: those of the first, and what another has besides after what precedes it there."""
    order: list[tuple[str, str]] = []
    for keys in sides:
        known, before = set(order), None
        added: dict[tuple[str, str] | None, list[tuple[str, str]]] = defaultdict(list)
        for key in keys:
            if key in known:
                before = key
            else:
                added[before].append(key)
        order = [*added[None], *(each for key in order for each in (key, *added[key]))]
    return order


def _side(name: str, value: dict[str, Any]) -> ComparedSide:
    def text(key: str) -> str | None:
        return value[key] if isinstance(value.get(key), str) else None

    is_run = isinstance(value.get("measurement"), dict)
    return ComparedSide(
        name=name,
        kind="run" if is_run else "prediction",
        framework=text("framework"),
        fingerprint=text("fingerprint"),
    )


def _values(name: str, value: dict[str, Any], findings: list[Finding]) -> Iterator[tuple[tuple[str, str], Value]]:
    """((section, place), value) of one side."""
    if not isinstance(value.get("step_seconds"), int | float) and not isinstance(value.get("measurement"), dict):
        hint = "Give what `predict --json`, `plan -o` or `status --json` wrote, or a bundle's folder."
        message = "there is no step_seconds in it: it is no prediction and no run."
        findings.append(Finding(code="no_prediction", message=message, where=name, hint=hint))
        return
    for key, item in value.items():
        if key in OF_SIDE or key in LEFT_OUT:
            continue
        if key == "problem":
            parts = [(part, "inputs", item[part]) for part in INPUTS if isinstance(item, dict) and part in item]
        elif key == "measurement":
            parts = [(key, "measured", item)]
        else:
            parts = [(key, SECTION_OF.get(key, "time"), item)]
        for place, section, part in parts:
            try:
                yield from (((section, where), each) for where, each in _leaves(part, place, 0))
            except _TooDeep:
                message = f"{key} is nested more than {MOST_DEPTH} deep."
                findings.append(Finding(code="no_prediction", message=message, where=name))


class _TooDeep(Exception):
    """JSON that we did not write."""


def _leaves(value: Any, place: str, depth: int) -> Iterator[tuple[str, Value]]:
    if depth > MOST_DEPTH:
        raise _TooDeep
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in LEFT_OUT:
                yield from _leaves(item, f"{place}.{key}", depth + 1)
    elif isinstance(value, list):
        if all(isinstance(item, str | int | float) for item in value):
            yield place, ", ".join(map(str, value))
            return
        seen: Counter[str] = Counter()
        for index, item in enumerate(value):
            keys = _label_keys(item)
            label = ",".join(str(item[key]) for key in keys) or str(index)
            seen[label] += 1
            if seen[label] > 1:  # replicas hold a stage in several zones
                label = f"{label}#{seen[label]}"
            rest = {key: each for key, each in item.items() if key not in keys} if keys else item
            yield from _leaves(rest, f"{place}[{label}]", depth + 1)
    else:
        yield place, value


def _label_keys(item: Any) -> tuple[str, ...]:
    for keys in LABELS:
        if isinstance(item, dict) and all(isinstance(item.get(key), str | int | float) for key in keys):
            return keys
    return ()


def _row(section: str, name: str, values: tuple[Value, ...]) -> ComparedRow:
    known = [value for value in values if value is not None]
    is_number = bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    told = tuple(values[0] if _is_same(value, values[0]) else value for value in values)
    return ComparedRow(
        section=section,
        name=name,
        values=values,
        ratios=tuple(_against(truediv, value, told[0]) for value in told) if is_number else None,
        differences=tuple(_against(sub, value, told[0]) for value in told) if is_number else None,
        is_different=any(value != told[0] for value in told),
    )


def _is_same(value: Value, first: Value) -> bool:
    """Whether they are equal, floats but for rounding; whole numbers are exact."""
    if not (isinstance(value, float) and isinstance(first, float)):
        return value == first
    return isclose(value, first, rel_tol=SAME_RATIO)


def _against(relation: Callable[[float, float], float], value: Value, first: Value) -> float | None:
    """`relation` of two numbers; None where one is unknown, or it has no finite value."""
    if not isinstance(value, int | float) or not isinstance(first, int | float):
        return None
    try:
        found = relation(float(value), float(first))
    except (OverflowError, ZeroDivisionError):  # whole numbers of JSON have no largest
        return None
    return found if isfinite(found) else None
