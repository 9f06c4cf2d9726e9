"""Achievable shares of the peaks, by GPU generation, and by part where a part is limited by its power."""

import functools
import tomllib
from importlib import resources
from typing import Any

from crosszone.core.cluster import Gpu
from crosszone.core.efficiency import Efficiency


def efficiency(gpu: Gpu) -> Efficiency:
    """Shares for this GPU: its generation's, with what its own table says otherwise.

    A generation that was not studied gets the default table, marked assumed.
    """
    tables = _tables()
    generation = gpu.generation.split("(")[0].strip().lower().replace(" ", "-")
    known = generation in tables
    shares = tables[generation if known else "default"] | tables.get(gpu.name, {})
    return Efficiency(generation=generation, is_assumed=not known, **shares)


@functools.cache
def _tables() -> dict[str, dict[str, Any]]:
    text = resources.files("crosszone.catalog").joinpath("data/efficiency.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
