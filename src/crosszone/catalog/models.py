"""Models of the catalog: one file each in `data/models`, read when it is named.

A file's keys are the fields of `core.Model`, and:

    num_published_parameters       what the authors print
    published_tolerance_fraction   how far the count of this shape may be from that: rounding, or what `note` says
    aliases                        other names, as a Hugging Face id
    source, retrieved, note        citation, when it was read, and what to beware of
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from crosszone import units
from crosszone.core.model import Model
from crosszone.errors import SpecError, UnknownName

PRESETS: Final[tuple[tuple[str, int], ...]] = (
    ("gpt3-small", 125_226_240),
    ("gpt3-medium", 355_871_744),
    ("gpt3-large", 760_300_032),
    ("tinyllama-1.1b", 1_100_048_384),
    ("gpt3-1.3b", 1_315_723_264),
    ("gpt3-2.7b", 2_651_553_280),
    ("megatron-sc21-3.6b", 3_562_168_320),
    ("llama-2-7b", 6_738_415_616),
    ("llama-3.1-8b", 8_030_261_248),
    ("llama-2-13b", 13_015_864_320),
    ("megatron-sc21-18b", 18_449_756_160),
    ("gpt-neox-20b", 20_554_567_680),
    ("llama-33b", 32_528_943_616),
    ("megatron-sc21-39b", 39_096_041_472),
    ("llama-65b", 65_285_660_672),
    ("llama-2-70b", 68_976_648_192),
    ("megatron-sc21-145b", 145_622_261_760),
    ("gpt3-175b", 174_604_259_328),
    ("megatron-sc21-310b", 310_130_540_544),
    ("llama-3.1-405b", 405_853_388_800),
    ("megatron-sc21-530b", 529_600_819_200),
    ("megatron-sc21-1t", 1_008_038_758_400),
)
"""Dense shapes that stand for a size, with their parameter counts: Llama where one was published near it, else GPT."""

MAX_SIZE_RATIO: Final = 2.0
"""A shape that is further from a size than this says little of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSheet:
    """A model and what its file says about it."""

    model: Model
    aliases: tuple[str, ...]
    published_tolerance_fraction: float
    """How far the parameter count of the shape may be from the published one."""
    retrieved: str
    """When the source was read, ISO 8601."""
    note: str
    """What to beware of; may be empty."""


@cache
def model_names() -> tuple[str, ...]:
    """Names of all models, sorted."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _files()))


def model(name: str) -> Model:
    """The model called `name`, or one of whose aliases `name` is.

    Case, and `_`, `.` or a space in place of `-`, make no difference: `LLaMA_65B` is `llama-65b`.

    Errors: UnknownName with the nearest names.
    """
    return model_sheet(name).model


def model_sheet(name: str) -> ModelSheet:
    """Everything that the file of the model called `name` says; names as for `model`.

    A model's own name reads one file. An alias looks through the folder for the text, and parses what has it.

    Errors: UnknownName with the nearest names.
    """
    sheet = _sheet(_folded(name))
    if sheet is None:
        raise UnknownName.among(name, model_names(), kind="model")
    return sheet


def nearest_shape(num_parameters: float) -> Model:
    """The preset whose parameter count is nearest to `num_parameters` by ratio: what "13B" stands for.

    Nobody stated the shape: whoever calls this marks it assumed.

    Errors: SpecError where the count is not a positive, finite number, or where no preset is within
    `MAX_SIZE_RATIO` of it; then with the nearest two.
    """
    if not (0.0 < num_parameters < math.inf):
        raise SpecError.of(
            f"a model of {num_parameters:g} parameters has no shape.", hint="Write a positive count, as 13B."
        )
    near = sorted(PRESETS, key=lambda preset: abs(math.log(preset[1] / num_parameters)))
    name, count = near[0]
    if max(count / num_parameters, num_parameters / count) > MAX_SIZE_RATIO:
        listed = " and ".join(f"{name} ({units.format_count(count)})" for name, count in near[:2])
        raise SpecError.of(
            f"no known shape has about {units.format_count(num_parameters)} parameters; the nearest are {listed}.",
            code="no_such_size",
            hint="Write one of these names, or the model's own fields (num_layers, hidden_size, ...).",
        )
    return model(name)


@cache
def _sheet(folded: str) -> ModelSheet | None:
    by_folded = {_folded(name): name for name in model_names()}
    if folded in by_folded:
        return _parse(by_folded[folded], _folder().joinpath(f"{by_folded[folded]}.toml").read_text(encoding="utf-8"))
    for file in _files():
        text = file.read_text(encoding="utf-8")
        if f'"{folded}"' in _folded(text):
            sheet = _parse(file.name.removesuffix(".toml"), text)
            if folded in map(_folded, sheet.aliases):
                return sheet
    return None


def _parse(name: str, text: str) -> ModelSheet:
    fields: dict[str, Any] = tomllib.loads(text)
    aliases = tuple(fields.pop("aliases", ()))
    tolerance = fields.pop("published_tolerance_fraction")
    retrieved, note = str(fields.pop("retrieved")), fields.pop("note", "")
    # TOML has lists where the noun has tuples.
    shape: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return ModelSheet(
        model=Model(name=name, **shape),
        aliases=aliases,
        published_tolerance_fraction=tolerance,
        retrieved=retrieved,
        note=note,
    )


def _files() -> list[Traversable]:
    return [file for file in _folder().iterdir() if file.name.endswith(".toml")]


def _folder() -> Traversable:
    return resources.files("crosszone.catalog").joinpath("data", "models")


def _folded(text: str) -> str:
    return text.strip().casefold().translate(str.maketrans("_. ", "---"))
