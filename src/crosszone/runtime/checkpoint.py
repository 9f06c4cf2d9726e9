"""Checkpoints that are whole or not there: written aside, made durable, then renamed with a manifest inside.

FOLDER/step-00000100/manifest.json     what it is, and every file with its size and hash
FOLDER/step-00000100/...               torch.distributed.checkpoint, or DeepSpeed's own files
FOLDER/.writing-step-00000200/         in the making, or left over from a run that died: never read
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import distributed

from crosszone.core.codec import from_json, to_json
from crosszone.errors import CrossZoneError, SpecError
from crosszone.runtime.world import World

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
NAME = re.compile(r"step-(\d{8,})")
WRITING = ".writing-"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFile:
    """One file of a checkpoint."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a whole checkpoint says of itself."""

    schema_version: int
    format: str
    """dcp: any number of ranks, ddp or fsdp, can go on from it; deepspeed: as many ranks as wrote it."""
    step: int
    """Steps that are done."""
    consumed_samples: int
    num_ranks: int
    state_fingerprint: str
    """Of what another run must share to go on from it."""
    files: tuple[SavedFile, ...]


def save_checkpoint(
    folder: Path, world: World, manifest: Manifest, *, write: Callable[[Path], None], num_kept: int
) -> Path:
    """Save by `write`, which all ranks call with a folder of its own; keep the `num_kept` newest.

    `manifest` comes without files. Whatever dies whenever, what `whole_checkpoints` lists is whole: the name appears
    after all files, their hashes and the folder itself are on disk.
    """
    target = folder / f"step-{manifest.step:08d}"
    aside = folder / f"{WRITING}{target.name}"
    if world.rank == 0:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    distributed.barrier()
    write(aside)
    distributed.barrier()
    gathered: list[list[SavedFile]] = [[] for _ in range(world.num_ranks)]
    distributed.all_gather_object(gathered, _own_files(aside, world))
    if world.rank == 0:
        files = sorted((file for own in gathered for file in own), key=lambda file: file.path)
        _write_durably(aside / MANIFEST, json.dumps(to_json(manifest) | {"files": to_json(files)}, indent=1))
        shutil.rmtree(target, ignore_errors=True)  # a damaged one of the same step
        os.rename(aside, target)
        _sync(folder)
        for old in whole_checkpoints(folder)[num_kept:]:
            shutil.rmtree(old)
    distributed.barrier()
    return target


def whole_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints whose manifest is there, newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and (path / MANIFEST).is_file()]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]), reverse=True)


def newest_checkpoint(folder: Path, world: World) -> tuple[Path, Manifest] | None:
    """The newest checkpoint whose files are as its manifest says; damaged ones are passed over with a warning.

    All ranks call it and get the same; each verifies a part of the files.
    """
    for path in whole_checkpoints(folder):
        manifest = read_manifest(path)
        own = manifest.files[world.rank :: world.num_ranks]
        damaged = [file.path for file in own if not _is_as_saved(path / file.path, file)]
        gathered: list[list[str]] = [[] for _ in range(world.num_ranks)]
        distributed.all_gather_object(gathered, damaged)
        bad = [name for names in gathered for name in names]
        if not bad:
            return path, manifest
        if world.rank == 0:
            logger.warning("%s is damaged (%s); trying an older one.", path, ", ".join(bad))
    return None


def read_manifest(path: Path) -> Manifest:
    """The manifest of the checkpoint at `path`.

    Errors: SpecError where it is none.
    """
    try:
        return from_json(Manifest, json.loads((path / MANIFEST).read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError.unreadable("checkpoint", str(path / MANIFEST), error) from None
    except json.JSONDecodeError as error:
        raise SpecError.of(f"is no JSON: {error}.", where=str(path / MANIFEST)) from None


def check_continues(manifest: Manifest, path: Path, *, state_fingerprint: str, format_: str, num_ranks: int) -> None:
    """Errors: CrossZoneError where this run cannot go on from that checkpoint."""
    hint = "Take another checkpoint.folder, or the configuration that wrote it."
    if manifest.state_fingerprint != state_fingerprint:
        raise CrossZoneError.of(
            "the checkpoint is of another model, seed, data or batch than this run.", where=str(path), hint=hint
        )
    if manifest.format != format_:
        raise CrossZoneError.of(
            f"the checkpoint is in format {manifest.format}, and this run reads {format_}.", where=str(path), hint=hint
        )
    if format_.startswith("deepspeed") and manifest.num_ranks != num_ranks:
        raise CrossZoneError.of(
            f"DeepSpeed's checkpoint was written by {manifest.num_ranks} ranks, but {num_ranks} run.",
            where=str(path),
            hint=hint,
        )


def _own_files(aside: Path, world: World) -> list[SavedFile]:
    """Every file in the folder, dealt to ranks: each makes its share durable and hashes it."""
    paths = sorted(path for path in aside.rglob("*") if path.is_file())
    return [_saved(path, aside) for path in paths[world.rank :: world.num_ranks]]


def _saved(path: Path, aside: Path) -> SavedFile:
    _sync(path)
    return SavedFile(path=path.relative_to(aside).as_posix(), size_bytes=path.stat().st_size, sha256=_hash(path))


def _is_as_saved(path: Path, file: SavedFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size_bytes and _hash(path) == file.sha256


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    for folder in (path.parent, *(each for each in path.parent.rglob("*") if each.is_dir())):
        _sync(folder)


def _sync(path: Path) -> None:
    with _descriptor(path) as descriptor:
        os.fsync(descriptor)


@contextlib.contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def random_state(world: World) -> dict[str, Any]:
    """State of this rank's random sources, under a key of its own."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    if world.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(world.device)
    return {f"random-{world.rank}": states}


def set_random_state(saved: dict[str, Any], world: World) -> None:
    """Go on with what `random_state` gave."""
    import torch

    states = saved[f"random-{world.rank}"]
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), world.device)
