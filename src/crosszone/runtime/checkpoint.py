"""Checkpoints that are whole or not there: written aside, made durable, then renamed with a manifest inside.

`crosszone.checkpoints` says how they lie in FOLDER. FOLDER/.writing-step-00000200/ is one in the making, or left over
from a run that died: never read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import distributed

from crosszone.checkpoints import MANIFEST, read_manifest, whole_checkpoints
from crosszone.core.checkpoint import Manifest, SavedFile
from crosszone.core.codec import to_json
from crosszone.runtime.world import World

logger = logging.getLogger(__name__)

WRITING = ".writing-"


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


def saved_keys(folder: Path) -> list[str]:
    """Of the states beside the engine's that torch.distributed.checkpoint saved in `folder`, without "local."."""
    from torch.distributed.checkpoint.filesystem import FileSystemReader

    keys = FileSystemReader(folder).read_metadata().state_dict_metadata
    return [key.removeprefix("local.") for key in keys if key.startswith("local.")]


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
