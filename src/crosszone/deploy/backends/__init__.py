"""How a job is started: one file each, found by its folder.

A file holds `render(launch) -> {path: text}` (pure; the programs of `launch.started`), `TITLE`, `ADDRESSES_FROM` (from
so many nodes on all of them need an address; None: never), `problems(launch)` (why it cannot start this launch) and
`STEPS` (what a person does, in English and Chinese). It may hold `missing(launch)` (what it must know and the job file
does not say) and `addressed(launch) -> launch` (agents under addresses that it gives to their nodes).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

from crosszone.errors import InfeasiblePlan, UnknownName

LATER: tuple[str, ...] = ()
"""Backends that have no renderer yet."""


@functools.cache
def backend_names() -> tuple[str, ...]:
    """Backends that have a renderer, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def backend(name: str) -> ModuleType:
    """The renderer of a backend.

    Errors: UnknownName where there is no such backend, InfeasiblePlan where it has no renderer yet.
    """
    if name in LATER:
        hint = f"Take {', '.join(backend_names())}."
        raise InfeasiblePlan.of(
            f"there is no renderer for {name} yet.", where="--backend", hint=hint, code="no_renderer"
        )
    if name not in backend_names():
        raise UnknownName.among(name, (*backend_names(), *LATER), kind="backend", where="--backend")
    return importlib.import_module(f"{__name__}.{name}")
