"""Formats in which streams cross zones, one file each, found by this folder.

A codec module has
- `NAME`, as a job file writes it; where `PARAMETER` is not None a number follows: `powersgd_rank_4`;
- `STREAMS`, what it may be used on (of `core.plan.STREAMS`);
- `IS_SUMMABLE`: packed messages are added on their way, as an all-reduce does; else each goes to everyone;
- `NUM_ROUNDS`: exchanges that follow each other;
- `encoded(content, parameter) -> Encoded`: what it sends, computes and keeps;
- `EFFECT`, `SOURCE`: what is known of its effect on convergence, and where from. Only `none` changes nothing.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from dataclasses import dataclass
from types import ModuleType

from crosszone.cost.codecs.content import Content, Encoded

SHARED = ("content", "matrices")
"""The files of the folder that are no codecs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One codec with its number, as `powersgd_rank_4`."""

    name: str
    module: ModuleType
    parameter: int | None

    @property
    def family(self) -> str:
        """Its name without the number."""
        return str(self.module.NAME)

    @property
    def changes_mathematics(self) -> bool:
        """Whether what arrives differs from what was sent."""
        return self.family != "none"

    @property
    def is_summable(self) -> bool:
        """Whether messages are added on their way."""
        return bool(self.module.IS_SUMMABLE)

    @property
    def num_rounds(self) -> int:
        """Exchanges that follow each other."""
        return int(self.module.NUM_ROUNDS)

    @property
    def streams(self) -> tuple[str, ...]:
        """What it may be used on."""
        return tuple(self.module.STREAMS)

    @property
    def effect(self) -> str:
        """What is known of its effect on convergence."""
        return str(self.module.EFFECT)

    @property
    def source(self) -> str:
        """Where that is from."""
        return str(self.module.SOURCE)

    def encoded(self, content: Content) -> Encoded:
        """What it sends, computes and keeps of `content`."""
        found: Encoded = self.module.encoded(content, self.parameter)
        return found


@functools.cache
def families() -> dict[str, ModuleType]:
    """Every codec's module by its name without a number."""
    names = (info.name for info in pkgutil.iter_modules(__path__) if info.name not in SHARED)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return {module.NAME: module for module in modules}


def codec_names() -> tuple[str, ...]:
    """How a job file may name them, sorted; those with a number by an example."""
    named = ((name, module.PARAMETER) for name, module in families().items())
    return tuple(sorted(name if number is None else f"{name}_{number}" for name, number in named))


@functools.cache
def codec(name: str) -> Codec | None:
    """The codec called `name`; None where there is none."""
    module = families().get(name)
    if module is not None:
        return Codec(name=name, module=module, parameter=module.PARAMETER)
    match = re.fullmatch(r"(.+)_([1-9]\d{0,5})", name)
    module = families().get(match[1]) if match else None
    if match is None or module is None or module.PARAMETER is None:
        return None
    return Codec(name=name, module=module, parameter=int(match[2]))
