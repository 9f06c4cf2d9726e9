"""For a training program of one's own: this process among the ranks that a launcher started.

A bundle offers it as `utils/distributed_utils.py`.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import distributed

from crosszone.errors import PreflightFailed
from crosszone.runtime.leaving import leave

__all__ = ["Ranks", "joined", "seed_all"]

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""As torchrun sets them."""
MEETING_SECONDS = 1800.0
"""How long ranks wait for each other; torch's own default for Gloo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process, and how many there are."""

    rank: int
    local_rank: int
    """Among the processes of this node: the GPU that is its own."""
    num_ranks: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0


@contextlib.contextmanager
def joined(*, device: str = "cuda", timeout_seconds: float = MEETING_SECONDS) -> Iterator[Ranks]:
    """Meet all other ranks, and leave in order; `device` is cuda or cpu.

    Errors: PreflightFailed where no launcher set the variables of a rank, or there is no GPU for it.
    """
    lacking = [name for name in VARIABLES if name not in os.environ]
    if lacking:
        raise PreflightFailed.of(
            f"{', '.join(lacking)} not set: no launcher started this process.",
            where="environment",
            hint="Start it through the bundle's launch files, or with torchrun.",
            code="no_launcher",
        )
    local_rank = int(os.environ["LOCAL_RANK"])
    own = own_device(device, local_rank=local_rank)
    limit = datetime.timedelta(seconds=timeout_seconds)
    backend = "gloo" if own.type == "cpu" else "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=limit, device_id=None if own.type == "cpu" else own)
    try:
        yield Ranks(
            rank=distributed.get_rank(), local_rank=local_rank, num_ranks=distributed.get_world_size(), device=own
        )
    finally:
        leave()


def own_device(kind: str, *, local_rank: int) -> torch.device:
    """What this process computes on; `kind` is cuda or cpu.

    Errors: PreflightFailed where this process of its node has no GPU.
    """
    if kind == "cpu":
        return torch.device("cpu")
    num_gpus = torch.cuda.device_count()
    if local_rank >= num_gpus:
        raise PreflightFailed.of(
            f"local rank {local_rank} has no GPU: torch {torch.__version__} sees {num_gpus}.",
            where="device",
            hint="Start as many processes on a node as it has GPUs, with a torch built for them.",
            code="no_gpu",
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def seed_all(seed: int, *, rank: int = 0) -> None:
    """Seed Python's and torch's random numbers, differently on each `rank` (0 on all: alike)."""
    random.seed(seed + rank)
    torch.manual_seed(seed + rank)
