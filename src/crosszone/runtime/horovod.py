"""Horovod: gradients averaged by its DistributedOptimizer; all else, checkpoints among it, as with DDP.

Read in Horovod 0.28.1, horovod/torch/optimizer.py: hooks start an asynchronous all-reduce of each gradient in the last
of `backward_passes_per_step` passes, and `synchronize` waits for them, which clipping needs before the step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from crosszone.core.train import TrainConfig
from crosszone.runtime.horovod_ranks import horovod_torch
from crosszone.runtime.model import initialise
from crosszone.runtime.native import NativeEngine
from crosszone.runtime.world import World


class HorovodEngine(NativeEngine):
    """A replica whose optimizer is Horovod's."""

    def __init__(self, config: TrainConfig, world: World, *, folder: Path) -> None:
        super().__init__(config, world, folder=folder)
        horovod = horovod_torch()
        is_narrow = config.dtypes.gradient_reduction == "fp16"
        self.optimizer = horovod.DistributedOptimizer(
            self.optimizer,
            named_parameters=self.model.named_parameters(),
            compression=horovod.Compression.fp16 if is_narrow else horovod.Compression.none,
            backward_passes_per_step=max(world.rank_microbatches),
        )
        horovod.broadcast_parameters(self.model.state_dict(), root_rank=0)

    def update(self, learning_rate: float) -> tuple[float, bool]:
        """Wait for the averages; then as `NativeEngine.update`."""
        optimizer: Any = self.optimizer
        optimizer.synchronize()
        with optimizer.skip_synchronize():
            return super().update(learning_rate)

    def load(self, folder: Path, extra: dict[str, Any]) -> dict[str, Any]:
        """As `NativeEngine.load`, into moments that are made here: torch makes them by calls that Horovod lacks."""
        optimizer: Any = self.optimizer
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = 0.0
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        with optimizer.skip_synchronize():
            optimizer.step()
        optimizer.zero_grad()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        return super().load(folder, extra)

    def _replicated(self) -> nn.Module:
        initialise(self.model, seed=self.config.seed, device=self.world.device)
        return self.model
