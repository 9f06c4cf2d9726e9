"""The difference of two predictions, number by number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from crosszone.core.prediction import Prediction
from crosszone.core.whatif import Change

HIGHER_IS_BETTER = frozenset(
    {
        "tokens_per_second",
        "tokens_per_second_per_gpu",
        "model_flop_per_second_per_gpu",
        "mfu",
        "hfu",
        "compute_fraction",
        "goodput_fraction",
        "bytes_per_second",
        "fits",
    }
)
NEITHER = frozenset(
    {
        "num_gpus",
        "num_parameters",
        "num_active_parameters",
        "num_microbatches",
        "global_batch_tokens",
        "num_layers",
        "capacity_bytes",
        "level",
        "overlapped_seconds",
    }
)
"""Numbers of which neither more nor less is better by itself."""
LABELS = {"terms": ("name",), "links": ("from_zone", "to_zone"), "groups": ("group",), "stages": ("stage",)}
"""What items of a list are known by."""
LEFT_OUT = frozenset({"inputs", "stage", "schema_version"})
"""Numbers that went into a term (the term itself says what they do), and by which an item is known."""


def changes(base: Prediction, changed: Prediction) -> tuple[Change, ...]:
    """Every number of either prediction, in the order of its fields; truth values count as 0 and 1."""
    before, after = dict(_numbers(base, "")), dict(_numbers(changed, ""))
    names = [*before, *(name for name in after if name not in before)]
    return tuple(_change(name, before.get(name), after.get(name)) for name in names)


def _numbers(noun: Any, prefix: str) -> Iterator[tuple[str, float | None]]:
    for field in dataclasses.fields(noun):
        name, value = field.name, getattr(noun, field.name)
        if name in LEFT_OUT:
            continue
        if dataclasses.is_dataclass(value):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if dataclasses.is_dataclass(item):
                    yield from _numbers(item, f"{prefix}{name}[{_label(name, item, index)}].")
        elif value is None or isinstance(value, int | float):
            yield f"{prefix}{name}", None if value is None or math.isnan(value) else float(value)


def _label(name: str, item: Any, index: int) -> str:
    fields = LABELS.get(name, ())
    return ",".join(str(getattr(item, field)) for field in fields) if fields else str(index)


def _change(name: str, base: float | None, changed: float | None) -> Change:
    is_known = base is not None and changed is not None
    difference = changed - base if base is not None and changed is not None else None
    ratio = changed / base if base and changed is not None else None
    last = name.rpartition(".")[2]
    is_gain = None
    if is_known and difference and last not in NEITHER:
        is_gain = (difference > 0.0) == (last in HIGHER_IS_BETTER)
    return Change(name=name, base=base, changed=changed, difference=difference, ratio=ratio, is_gain=is_gain)
