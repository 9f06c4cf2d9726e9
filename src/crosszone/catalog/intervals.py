"""Errors of measured runs by how far they are from what was studied: `data/intervals.toml`."""

import functools
import tomllib
from importlib import resources

from crosszone.core.closeness import Closeness, ErrorClass, ErrorLedger


@functools.cache
def error_ledger() -> ErrorLedger:
    """The ledger that ships with the catalog; `benchmarks/accuracy/report.py --write` learns it anew."""
    return read_ledger(resources.files("crosszone.catalog").joinpath("data/intervals.toml").read_text("utf-8"))


def read_ledger(text: str) -> ErrorLedger:
    """The ledger in the TOML `text`."""
    data = tomllib.loads(text)
    classes = tuple(
        ErrorClass(
            closeness=Closeness(knowledge=row["knowledge"], layout=row["layout"]),
            log_ratios=tuple(row["log_ratios"]),
            num_runs=row["num_runs"],
            num_sources=row["num_sources"],
            is_stand_in=row["is_stand_in"],
        )
        for row in data["class"]
    )
    return ErrorLedger(
        levels=tuple(data["levels"]),
        gpu_generations=tuple(data["gpu_generations"]),
        frameworks=tuple(data["frameworks"]),
        classes=classes,
        source=data["source"],
        date=data["date"],
    )
