"""Horovod: gradients averaged by its DistributedOptimizer; all else, checkpoints among it, as with DDP.

Read in Horovod 0.28.1, horovod/torch/optimizer.py: hooks start an asynchronous all-reduce of each gradient in the last
of `backward_passes_per_step` passes, and `synchronize` waits for them, which clipping needs before the step.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crosszone.core.train import TrainConfig
from crosszone.errors import PreflightFailed
from crosszone.runtime.model import initialise
from crosszone.runtime.native import NativeEngine
from crosszone.runtime.world import World


class HorovodEngine(NativeEngine):
    """A replica whose optimizer is Horovod's."""

    def __init__(self, config: TrainConfig, world: World, *, folder: Path) -> None:
        super().__init__(config, world, folder=folder)
        horovod = _horovod()
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


def take_ranks() -> None:
    """Meet by Horovod, and name this process as torchrun would, so that torch's groups have the same ranks.

    Horovod moves gradients alone. Checkpoints, losses and comparisons of replicas go through torch, which meets at
    MASTER_ADDR and MASTER_PORT, and talks over the device that horovodrun found (HOROVOD_GLOO_IFACE).
    """
    horovod = _horovod()
    horovod.init()
    names = {"RANK": horovod.rank(), "WORLD_SIZE": horovod.size(), "LOCAL_RANK": horovod.local_rank()}
    if "MASTER_ADDR" in os.environ:
        for name, value in names.items():
            os.environ.setdefault(name, str(value))
    if "HOROVOD_GLOO_IFACE" in os.environ:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", os.environ["HOROVOD_GLOO_IFACE"])


def _horovod() -> Any:
    try:
        return importlib.import_module("horovod.torch")
    except ImportError as error:
        raise PreflightFailed.of(
            f"framework horovod is not installed here: {error}.",
            where="framework",
            hint="Run the bundle's scripts/setup_horovod.sh on every node, or take ddp, which does the same.",
            code="no_horovod",
        ) from None
