"""The bundle's training with other numbers from the command line, without rendering it again.

`torchrun ... scripts/distributed_train.py [--model_name config.json] [--batch_size N] ...`: what is not given is as
`configs/train.json` has it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from crosszone.core.train import TrainConfig, train_problems
from crosszone.errors import CrossZoneError, SpecError
from crosszone.runtime.train import STOPPED_EXIT_CODE, read_config, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with the numbers of the command line; the exit code as of `crosszone.runtime.train`."""
    given = _parser().parse_args(arguments)
    try:
        config = changed(read_config(given.config), given)
        is_done = train(config, folder=given.config.parent)
    except CrossZoneError as error:
        sys.stderr.write(f"error on rank {os.environ.get('RANK', '0')}: {error}\n")
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
    problems = tuple(train_problems(found))
    if problems:
        raise SpecError(*problems)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="distributed_train.py", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/train.json"))
    parser.add_argument("--model_name", type=Path, metavar="CONFIG.json", help="a Hugging Face config.json on disk")
    parser.add_argument("--deepspeed_config", type=Path, metavar="FILE.json")
    parser.add_argument("--batch_size", type=int, metavar="N", help="sequences of one microbatch on one rank")
    parser.add_argument("--gradient_accumulation_steps", type=int, metavar="N", help="microbatches of a rank in a step")
    parser.add_argument("--num_steps", type=int, metavar="N")
    return parser


def _beside(path: Path | None, folder: Path) -> str | None:
    """A path from the folder of this process, as one from the folder of the configuration."""
    return None if path is None else os.path.relpath(path, folder)


if __name__ == "__main__":
    sys.exit(main())
