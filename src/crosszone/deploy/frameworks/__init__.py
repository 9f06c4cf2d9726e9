"""How a plan is told to a framework: one file each, found by its folder.

A file holds `program(problem, plan, prediction, request) -> Program` (what each rank runs), `files(problem, plan,
prediction, request, launch) -> {path: text}` and `REQUIREMENTS`; its name is that of the framework's facts in
`crosszone.frameworks`. It may hold `LAUNCHER`, where that is not torchrun. What it needs beyond pip's list is in its
`Program`: Debian's `packages`, an `image` to start from, programs among its files that `setup` a node once; so is what
a person should know: `assumed`, `warnings`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

from crosszone.errors import InfeasiblePlan, UnknownName
from crosszone.frameworks import framework_names


@functools.cache
def rendered_frameworks() -> tuple[str, ...]:
    """Frameworks that have a renderer, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def framework_renderer(name: str) -> ModuleType:
    """The renderer of a framework.

    Errors: UnknownName where there is no such framework, InfeasiblePlan where it has no renderer yet.
    """
    if name not in framework_names():
        raise UnknownName.among(name, framework_names(), kind="framework", where="--framework")
    if name not in rendered_frameworks():
        raise InfeasiblePlan.of(
            f"there is no renderer for {name} yet.",
            where="--framework",
            hint=f"Take {' or '.join(rendered_frameworks())}.",
            code="no_renderer",
        )
    return importlib.import_module(f"{__name__}.{name}")
