"""For a training program of one's own: what ranks must tell each other so that replicas stay one model.

A bundle offers it as `utils/communication.py`. Every function here is called by all ranks of the group at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import distributed, nn

from crosszone.runtime.identity import ReplicasDiffer, digest, outliers

__all__ = ["broadcast_model", "check_replicas", "mean_over_ranks", "sum_gradients"]

BUCKET_BYTES = 25 * 2**20
"""Of gradients that are summed together; DDP's own default (torch 2.13, nn/parallel/distributed.py, bucket_cap_mb)."""


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
    the step's mean, however many tokens each rank had. A rank whose loss did not use a parameter adds zeros; one that
    no rank used keeps its gradient None, as in one process.
    """
    for bucket in _buckets(_used_anywhere(model)):
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in bucket]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        if scale != 1.0:
            flat.mul_(scale)
        parts = torch.split(flat, [each.numel() for each in bucket])
        for parameter, gradient, part in zip(bucket, gradients, parts, strict=True):
            parameter.grad = gradient.copy_(part.view_as(gradient))


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


def _used_anywhere(model: nn.Module) -> list[nn.Parameter]:
    """Parameters with a gradient on any rank: the same list on all, so that all take part in the same sums."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        return []
    has_gradient = torch.tensor([float(each.grad is not None) for each in parameters], device=parameters[0].device)
    distributed.all_reduce(has_gradient)
    return [parameter for parameter, used in zip(parameters, has_gradient.tolist(), strict=True) if used]


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Neighbours of one type and device, whose gradients travel as one message of about `BUCKET_BYTES`."""
    bucket: list[nn.Parameter] = []
    num_bytes = 0
    for parameter in parameters:
        own_bytes = parameter.numel() * parameter.element_size()
        is_alike = bucket and (bucket[0].dtype, bucket[0].device) == (parameter.dtype, parameter.device)
        if bucket and (not is_alike or num_bytes + own_bytes > BUCKET_BYTES):
            yield bucket
            bucket, num_bytes = [], 0
        bucket.append(parameter)
        num_bytes += own_bytes
    if bucket:
        yield bucket


def _tensors(model: nn.Module) -> Iterable[torch.Tensor]:
    yield from model.parameters()
    yield from (buffer for buffer in model.buffers() if not buffer.dtype.is_complex)
