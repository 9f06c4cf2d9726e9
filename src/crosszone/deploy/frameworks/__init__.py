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

RELATED = {
    "fairscale": (
        "FairScale is history: its sharding went on as PyTorch's FSDP, and what it has left is kept for reference.",
        "Take fsdp.",
    ),
    "alpa": (
        "Alpa is not actively maintained. It searched for plans, as `crosszone plan` does.",
        "Take megatron or torchtitan.",
    ),
    "colossalai": (
        "there is no renderer for Colossal-AI yet.",
        "Take megatron, deepspeed or torchtitan, which shard and split as it does.",
    ),
}
"""What to say of systems that people know and that are not rendered, and what to do. Sources: the READMEs of
facebookresearch/fairscale (its FSDP "is for historical references") and alpa-projects/alpa."""


@functools.cache
def rendered_frameworks() -> tuple[str, ...]:
    """Frameworks that have a renderer, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def framework_renderer(name: str) -> ModuleType:
    """The renderer of a framework.

    Errors: UnknownName where there is no such framework, InfeasiblePlan where it has no renderer.
    """
    related = RELATED.get(name.casefold().replace("-", ""))
    if related is not None:
        message, hint = related
        raise InfeasiblePlan.of(message, where="--framework", hint=hint, code="no_renderer")
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
