"""What a checkpoint says of itself: its files, and which run can go on from it."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crosszone.core.codec import to_json
from crosszone.core.train import TrainConfig

SCHEMA_VERSION = 2
LABELS = ("name", "family", "num_published_parameters", "source", "assumed")
"""Fields of a model that no number of a training follows from."""
ABSENT = "nothing"
"""Stands for a field that one of two states does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFile:
    """One file of a checkpoint."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a whole checkpoint says of itself."""

    schema_version: int = SCHEMA_VERSION
    format: str
    """As `checkpoint_format` has it."""
    step: int
    """Steps that are done."""
    consumed_samples: int
    num_ranks: int
    state_fields: tuple[tuple[str, str], ...]
    """(place, JSON value) of all that another run must share to go on from it."""
    files: tuple[SavedFile, ...]


def checkpoint_format(config: TrainConfig) -> str:
    """dcp: any number of ranks, ddp or fsdp, can go on from it; dcp-zones-2-3: as many ranks of each zone as wrote it,
    ddp or fsdp; deepspeed...: as many ranks and stages as wrote it.
    """
    if config.local is not None:
        return "-".join(("dcp-zones", *(str(len(ranks)) for ranks in config.zone_ranks)))
    if config.framework != "deepspeed":
        return "dcp"
    return "-".join(("deepspeed", *(("stages", *map(str, config.stage_layers)) if config.stage_layers else ())))


def state_fields(config: TrainConfig, *, model_config: str | None, tokens: str | None) -> tuple[tuple[str, str], ...]:
    """(place, JSON value) of whatever makes the state of another run useless for this one: model, order of the data.

    `model_config` and `tokens` stand for what the files of these names hold, wherever they are; None without a file.
    """
    model = to_json(config.model)
    if model is not None:
        model = {name: value for name, value in model.items() if name not in LABELS}
    values = {
        "model": model,
        "model_config": model_config,
        "seed": config.seed,
        "data": to_json(dataclasses.replace(config.data, path=tokens)),
        "sequence_length": config.sequence_length,
        "global_batch_size": config.global_batch_size,
        **({} if config.local is None else {"local": to_json(config.local)}),
    }
    return tuple(sorted(_leaves(values, "")))


def differing_fields(
    saved: tuple[tuple[str, str], ...], own: tuple[tuple[str, str], ...]
) -> Iterator[tuple[str, str, str]]:
    """(place, saved value, own value) of each field in which two states differ."""
    before, now = dict(saved), dict(own)
    for place in sorted(before.keys() | now.keys()):
        values = before.get(place, ABSENT), now.get(place, ABSENT)
        if values[0] != values[1]:
            yield place, *values


def _leaves(value: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, f"{where}{name}.")
        else:
            yield f"{where}{name}", json.dumps(item)
