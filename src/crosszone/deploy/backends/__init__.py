"""How a job is started: one file each, found by its folder.

A file holds `render(launch) -> {path: text}` (pure; the programs of `launch.started`), `TITLE`, `LAUNCHERS` (those of
frameworks that it starts or stands in for), `ADDRESSES_FROM` (from so many nodes on all of them need an address; None:
never) and `STEPS` (what a person does, in English and Chinese). It may hold `PIECE_STEPS` (what more, where the bundle
is one zone's piece), `unfit(problem, request)` (why it can start no plan of this problem, as far as that needs no
plan), `lacking(zone, group_index, where, request)` (what it must know of a zone and node group that work, and the job
file does not say; `where` is the zone), `problems(launch)` (why it cannot start this launch), `missing(launch)` (what
else it must know) and `addressed(launch) -> launch` (agents under addresses that it gives to their nodes).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

from crosszone.errors import UnknownName


@functools.cache
def backend_names() -> tuple[str, ...]:
    """All backends, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def backend(name: str) -> ModuleType:
    """The renderer of a backend. Errors: UnknownName where there is no such backend."""
    if name not in backend_names():
        raise UnknownName.among(name, backend_names(), kind="backend", where="--backend")
    return importlib.import_module(f"{__name__}.{name}")
