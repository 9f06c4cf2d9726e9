"""Achievable shares of the peaks, by GPU generation."""

import functools
import tomllib
from importlib import resources
from typing import Any

from crosszone.core.cluster import Gpu
from crosszone.core.efficiency import Efficiency


def efficiency(gpu: Gpu) -> Efficiency:
    """Shares for this GPU's generation; the default table's, marked assumed, where the generation was not studied."""
    tables = _tables()
    generation = gpu.generation.split("(")[0].strip().lower().replace(" ", "-")
    known = generation in tables
    return Efficiency(generation=generation, is_assumed=not known, **tables[generation if known else "default"])


@functools.cache
def _tables() -> dict[str, dict[str, Any]]:
    text = resources.files("crosszone.catalog").joinpath("data/efficiency.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
