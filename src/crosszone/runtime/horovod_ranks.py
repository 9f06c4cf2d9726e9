"""How ranks that Horovod started find each other; no trainer is needed for it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from crosszone.errors import PreflightFailed


def take_ranks() -> None:
    """Meet by Horovod, and name this process as torchrun would, so that torch's groups have the same ranks.

    Horovod moves gradients alone. Checkpoints, losses and comparisons of replicas go through torch, which meets at
    MASTER_ADDR and MASTER_PORT, and talks over the device that horovodrun found (HOROVOD_GLOO_IFACE).
    """
    horovod = horovod_torch()
    horovod.init()
    names = {"RANK": horovod.rank(), "WORLD_SIZE": horovod.size(), "LOCAL_RANK": horovod.local_rank()}
    if "MASTER_ADDR" in os.environ:
        for name, value in names.items():
            os.environ.setdefault(name, str(value))
    if "HOROVOD_GLOO_IFACE" in os.environ:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", os.environ["HOROVOD_GLOO_IFACE"])


def horovod_torch() -> Any:
    """Its module. PreflightFailed where it is not installed."""
    try:
        return importlib.import_module("horovod.torch")
    except ImportError as error:
        raise PreflightFailed.of(
            f"framework horovod is not installed here: {error}.",
            where="framework",
            hint="Run the bundle's scripts/setup_horovod.sh on every node, or take ddp, which does the same.",
            code="no_horovod",
        ) from None
