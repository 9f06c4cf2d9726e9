"""Keys that are read and kept, but change no predicted number yet. A row goes when its effect comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from crosszone.spec.reporting import Report
from crosszone.spec.yaml_source import Path, place

DEPLOYMENT = "It will shape the deployment; no predicted number depends on it."
LATER = {
    "cluster.zones[].nodes[].cpus": DEPLOYMENT,
}
"""Why each of them has no effect, by place; `[]` is any index."""
DEPLOYED = {
    "plan.rank_order": "It decides which frameworks can run the plan; numbers are of the framework's own order."
}
"""What keys do that have an effect on deployments, but on no predicted number."""
LATER_VALUES: dict[tuple[str, str | bool], str] = {
    ("workload.trainable", "lora"): "The prediction is for training all weights.",
    ("plan.offload", "parameters"): "Only offload: optimizer is predicted.",
}
"""The same for single values of keys that have an effect otherwise."""

_INDEX = re.compile(r"\[\d+\]")


def warn_of_later_keys(value: dict[str, Any], report: Report) -> None:
    """A warning for each key or value of the job file that has no effect yet, or none on what is predicted."""
    for path, written in _walk(value, ()):
        where = _INDEX.sub("[]", place(path))
        if written in (None, [], {}):
            continue
        if where in DEPLOYED:
            report.warn(path, f"{path[-1]} changes deployments, but no predicted number. {DEPLOYED[where]}")
        reason = LATER.get(where) or (LATER_VALUES.get((where, written)) if isinstance(written, str | bool) else None)
        if reason is not None:
            key = path[-1] if where in LATER else f"{path[-1]}: {str(written).lower()}"
            report.warn(path, f"{key} is read, but has no effect yet. {reason}")


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _walk(item, (*path, key))
