"""The bundle's training with other numbers from the command line, without rendering it again.

`torchrun ... scripts/distributed_train.py [--model_name config.json] [--batch_size N] ...`: what is not given is as
`configs/train.json` has it. Logs and checkpoints have folders of their own, beside those of the bundle's training.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from crosszone.checkpoints import read_config, read_manifest, whole_checkpoints
from crosszone.core.train import TrainConfig, train_problems
from crosszone.errors import CrossZoneError, Finding, SpecError
from crosszone.runtime.train import STOPPED_EXIT_CODE, train

OWN_FOLDER = "distributed_train"
"""Inside the bundle's folders for logs and checkpoints, which all nodes see where they must."""
OPTIONS = {
    "microbatch_size": "batch_size",
    "rank_microbatches": "gradient_accumulation_steps",
    "num_steps": "num_steps",
    "model": "model_name",
    "model_config": "model_name",
    "deepspeed_config": "deepspeed_config",
}
"""What the configuration calls what an option says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with the numbers of the command line; the exit code as of `crosszone.runtime.train`."""
    given = _parser().parse_args(arguments)
    rank = os.environ.get("RANK", "0")
    try:
        config = changed(read_config(given.config), given)
        told = tuple(_start(config, given.config.parent))
    except CrossZoneError as error:
        if rank == "0":  # all say the same
            sys.stderr.write("".join(f"error: {each}\n" for each in _as_options(error, given)))
        return error.exit_code
    if rank == "0":
        sys.stderr.write("".join(f"{line}\n" for line in told))
    try:
        is_done = train(config, folder=given.config.parent)
    except CrossZoneError as error:
        sys.stderr.write("".join(f"error on rank {rank}: {each}\n" for each in _as_options(error, given)))
        return error.exit_code
    return 0 if is_done else STOPPED_EXIT_CODE


def changed(config: TrainConfig, given: argparse.Namespace) -> TrainConfig:
    """`config` with what was given. Errors: SpecError with all that does not go together."""
    steps = given.gradient_accumulation_steps
    folder = given.config.parent
    new = {
        "microbatch_size": given.batch_size,
        "rank_microbatches": None if steps is None else (steps,) * len(config.rank_microbatches),
        "num_steps": given.num_steps,
        "deepspeed_config": _beside(given.deepspeed_config, folder),
        "model_config": _beside(given.model_name, folder),
    }
    found = dataclasses.replace(config, **{key: value for key, value in new.items() if value is not None})
    if given.model_name is not None:
        found = dataclasses.replace(found, model=None)
    found = _with_own_folders(found, _beside(given.output_dir, folder))
    problems = tuple(train_problems(found))
    if problems:
        raise SpecError(*problems)
    return found


def _parser() -> argparse.ArgumentParser:
    bundle = Path(os.path.relpath(Path(__file__).resolve().parents[3]))
    parser = argparse.ArgumentParser(prog="distributed_train.py", description=__doc__)
    parser.add_argument("--config", type=Path, default=bundle / "configs/train.json")
    parser.add_argument("--model_name", type=Path, metavar="CONFIG.json", help="a Hugging Face config.json on disk")
    parser.add_argument("--deepspeed_config", type=Path, metavar="FILE.json")
    parser.add_argument("--batch_size", type=int, metavar="N", help="sequences of one microbatch on one rank")
    parser.add_argument("--gradient_accumulation_steps", type=int, metavar="N", help="microbatches of a rank in a step")
    parser.add_argument("--num_steps", type=int, metavar="N")
    parser.add_argument(
        "--output_dir",
        type=Path,
        metavar="DIR",
        help="for logs and checkpoints; over several nodes one that all see",
    )
    return parser


def _with_own_folders(config: TrainConfig, output: str | None) -> TrainConfig:
    """Not the bundle's: its training is another one, and would be gone on with, or found finished."""
    checkpoint = config.checkpoint
    if checkpoint is not None:
        own = f"{checkpoint.folder}/{OWN_FOLDER}" if output is None else f"{output}/checkpoints"
        checkpoint = dataclasses.replace(checkpoint, folder=own)
    logs = f"{config.log_folder}/{OWN_FOLDER}" if output is None else f"{output}/logs"
    return dataclasses.replace(config, log_folder=logs, checkpoint=checkpoint)


def _start(config: TrainConfig, folder: Path) -> Iterator[str]:
    """Where things go, and from where it starts. Errors: SpecError where nothing is left to train."""
    yield f"logs: {os.path.normpath(folder / config.log_folder)}"
    if config.checkpoint is None:
        yield "checkpoints: none; every start begins anew"
        return
    checkpoints = Path(os.path.normpath(folder / config.checkpoint.folder))
    newest = next(iter(whole_checkpoints(checkpoints)), None)
    if newest is None:
        yield f"checkpoints: {checkpoints}; none is there, it starts from the beginning"
        return
    num_done = read_manifest(newest).step
    if num_done >= config.num_steps:
        raise SpecError.of(
            f"{newest} has {num_done} steps, of {config.num_steps}: nothing is left to train.",
            where="num_steps",
            hint="Ask for more, or name another --output_dir.",
            code="finished",
        )
    yield f"checkpoints: {checkpoints}; it goes on after step {num_done} of {config.num_steps}"


def _as_options(error: CrossZoneError, given: argparse.Namespace) -> tuple[Finding, ...]:
    """What is wrong, with places by the names that were used: options where they were given, the file's keys else."""
    findings = (dataclasses.replace(each, where=_place(each, given)) for each in error.findings)
    return tuple(dict.fromkeys(findings))  # one option may stand for the numbers of all ranks


def _place(finding: Finding, given: argparse.Namespace) -> str:
    key = finding.where.partition("[")[0].partition(".")[0]
    option = OPTIONS.get(key)
    if option is not None and getattr(given, option) is not None:
        return f"--{option}"
    is_key = key in {field.name for field in dataclasses.fields(TrainConfig)}
    return f"{given.config}: {finding.where}" if is_key else finding.where


def _beside(path: Path | None, folder: Path) -> str | None:
    """A path from the folder of this process, as one from the folder of the configuration."""
    return None if path is None else os.path.relpath(path, folder)


if __name__ == "__main__":
    sys.exit(main())
