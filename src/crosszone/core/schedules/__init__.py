"""Orders of work in a pipeline, one file each, found by this folder.

A schedule module has `NAME`; `order(stage, num_stages, num_microbatches, num_virtual_stages)`, the actions of one
pipeline rank in the order it does them; and `in_flight(stage, num_stages, num_microbatches, num_virtual_stages)`, the
most microbatches whose activations a rank holds at once (numbers or arrays; a fraction where it holds single virtual
stages).
"""

import functools
import importlib
import pkgutil
from types import ModuleType


@functools.cache
def schedules() -> dict[str, ModuleType]:
    """Every schedule by name."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def schedule(name: str) -> ModuleType:
    """The schedule called `name`; KeyError where there is none."""
    return schedules()[name]
