"""What a run is told and what it leaves, as files: for the ranks, and for whoever only asks whether it can go on.

`python -m crosszone.checkpoints CONFIG.json NUM_RANKS` asks, before ranks start: they would fail once for each restart.

FOLDER/step-00000100/manifest.json     what it is, and every file with its size and hash
FOLDER/step-00000100/...               torch.distributed.checkpoint, or DeepSpeed's own files
FOLDER/step-00000100/zone-0/...        torch.distributed.checkpoint of each zone, where zones step by themselves
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path

from crosszone.core.checkpoint import (
    SCHEMA_VERSION,
    Manifest,
    checkpoint_format,
    differing_fields,
    state_fields,
)
from crosszone.core.codec import from_json
from crosszone.core.train import TrainConfig, train_config
from crosszone.errors import SpecError

MANIFEST = "manifest.json"
NAME = re.compile(r"step-(\d{8,})")
HASHED_BYTES = 1 << 20
"""Of the beginning of a file of tokens. Chosen: tells files apart in no time, however large they are."""
OTHER_RUN_HINT = "Take another checkpoint.folder, or the configuration that wrote it."


def read_config(path: Path) -> TrainConfig:
    """The configuration in a file.

    Errors: SpecError with all that is wrong.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError.unreadable("training configuration", str(path), error) from None
    except json.JSONDecodeError as error:
        raise SpecError.of(f"is no JSON: {error}.", where=str(path)) from None
    return train_config(value)


def whole_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints whose manifest is there, newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and (path / MANIFEST).is_file()]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]), reverse=True)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the checkpoint at `path`.

    Errors: SpecError where it is none, or was written by another version.
    """
    where = str(path / MANIFEST)
    try:
        value = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError.unreadable("checkpoint", where, error) from None
    except json.JSONDecodeError as error:
        raise SpecError.of(f"is no JSON: {error}.", where=where) from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION:
        raise SpecError.of(
            f"the checkpoint is of version {version}, but this program reads {SCHEMA_VERSION}.",
            where=where,
            hint="Go on with the bundle that wrote it, or take another checkpoint.folder.",
            code="other_version",
        )
    return from_json(Manifest, value)


def check_training(path: Path, *, num_ranks: int) -> None:
    """What no restart of `num_ranks` ranks that are told the configuration at `path` can mend.

    Errors: SpecError where the configuration is wrong or names a file that cannot be read, or the newest checkpoint is
    of another run.
    """
    config = read_config(path)
    state = run_state(config, path.parent)
    if config.checkpoint is None:
        return
    checkpoints = Path(os.path.normpath(path.parent / config.checkpoint.folder))
    newest = next(iter(whole_checkpoints(checkpoints)), None)
    if newest is not None:
        check_continues(read_manifest(newest), newest, config, state=state, num_ranks=num_ranks)


def run_state(config: TrainConfig, folder: Path) -> tuple[tuple[str, str], ...]:
    """What a checkpoint must share with a run to be its own; paths of `config` are relative to `folder`.

    Errors: SpecError for a file that cannot be read.
    """
    model, tokens = config.model_config, config.data.path
    return state_fields(
        config,
        model_config=None if model is None else _content(folder / model, "model's config.json"),
        tokens=None if tokens is None else _content(folder / tokens, "token file"),
    )


def check_continues(
    manifest: Manifest, path: Path, config: TrainConfig, *, state: tuple[tuple[str, str], ...], num_ranks: int
) -> None:
    """Errors: SpecError where `num_ranks` ranks told `config`, with that `run_state`, cannot go on from it."""
    others = list(differing_fields(manifest.state_fields, state))
    if others:
        told = "; ".join(f"{place} was {saved}, and is {own}" for place, saved, own in others)
        raise SpecError.of(
            f"the checkpoint is of another run: {told}.", where=str(path), hint=OTHER_RUN_HINT, code="other_run"
        )
    own_format = checkpoint_format(config)
    if manifest.format != own_format:
        raise SpecError.of(
            f"the checkpoint is in format {manifest.format}, and this run reads {own_format}.",
            where=str(path),
            hint=OTHER_RUN_HINT,
            code="other_run",
        )
    if own_format != "dcp" and manifest.num_ranks != num_ranks:
        raise SpecError.of(
            f"the checkpoint was written by {manifest.num_ranks} ranks, but {num_ranks} run.",
            where=str(path),
            hint=OTHER_RUN_HINT,
            code="other_run",
        )


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 2 where ranks would fail at every start, with a word why."""
    parser = argparse.ArgumentParser(prog="python -m crosszone.checkpoints", description=check_training.__doc__)
    parser.add_argument("config", type=Path, metavar="CONFIG.json")
    parser.add_argument("num_ranks", type=int, metavar="NUM_RANKS")
    asked = parser.parse_args(arguments)
    try:
        check_training(asked.config, num_ranks=asked.num_ranks)
    except SpecError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _content(path: Path, what: str) -> str:
    """A file by its size and its beginning, so that a copy of it elsewhere is the same."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(HASHED_BYTES)).hexdigest()
            return f"{path.stat().st_size} bytes that begin as SHA-256 {digest[:16]}"
    except OSError as error:
        raise SpecError.unreadable(what, str(path), error) from None


if __name__ == "__main__":
    sys.exit(main())
