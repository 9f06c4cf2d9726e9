"""For a training program of one's own: what ranks must tell each other so that replicas stay one model.

A bundle offers it as `utils/communication.py`. Every function here is called by all ranks of the group at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import distributed, nn

from crosszone.runtime.identity import ReplicasDiffer, digest, outliers

__all__ = ["broadcast_model", "check_replicas", "mean_over_ranks", "sum_gradients"]


def mean_over_ranks(total: torch.Tensor | float, count: float, *, device: torch.device | None = None) -> float:
    """The mean over all ranks of what `total` sums up over `count` things, as losses over tokens.

    Ranks with more of them weigh more. It has no part in the gradients: those are summed by `sum_gradients`, DDP or
    FSDP.
    """
    if isinstance(total, torch.Tensor):
        device, total = total.device, float(total.detach())
    sums = torch.tensor([total, count], dtype=torch.float64, device=device)
    distributed.all_reduce(sums)
    return float(sums[0] / sums[1])


def sum_gradients(model: nn.Module, *, scale: float = 1.0) -> None:
    """Add up the gradients of all ranks, times `scale`, without DDP.

    Where every rank has divided its loss by the tokens of the whole step, `scale` is 1 and the sum is the gradient of
    the step's mean, however many tokens each rank had.
    """
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for gradient in gradients:
        distributed.all_reduce(gradient)
        if scale != 1.0:
            gradient.mul_(scale)


def broadcast_model(model: nn.Module, *, source: int = 0) -> None:
    """Give all ranks the parameters and buffers of rank `source`."""
    for tensor in _tensors(model):
        distributed.broadcast(tensor.detach(), source)


def check_replicas(model: nn.Module) -> None:
    """Compare parameters and buffers bit by bit. Errors: ReplicasDiffer on every rank, naming those that differ."""
    own = torch.stack([digest(tensor) for tensor in _tensors(model)])
    gathered = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, own)
    rows = [tuple(row.tolist()) for row in gathered]
    if len(set(rows)) > 1:
        names = ", ".join(str(rank) for rank in outliers(rows))
        raise ReplicasDiffer.of(
            f"ranks {names} hold other weights than the rest of {len(rows)}.",
            where="model",
            hint="Every rank must start from the same weights, and gradients be summed before each update.",
        )


def _tensors(model: nn.Module) -> Iterable[torch.Tensor]:
    yield from model.parameters()
    yield from (buffer for buffer in model.buffers() if not buffer.dtype.is_complex)
