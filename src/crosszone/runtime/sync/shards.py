"""What a rank holds of a parameter that ranks of its zone may share, and the whole of it."""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.distributed.tensor._dtensor_spec import DTensorSpec, TensorMeta
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset


def own_part(parameter: torch.Tensor) -> torch.Tensor:
    """What this rank holds, without its history; writing to it writes to the parameter."""
    values = parameter.detach()
    return values.to_local() if isinstance(values, DTensor) else values


def as_shared(values: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """`values`, of the shape of `own_part`, shared by ranks as `parameter` is; both name the same memory."""
    if not isinstance(parameter, DTensor):
        return values
    meta = TensorMeta(shape=parameter.shape, stride=parameter.stride(), dtype=values.dtype)
    # `DTensor.from_local` would move what waits in host memory.
    spec = DTensorSpec(parameter.device_mesh, parameter.placements, meta)
    return DTensor(values, spec, requires_grad=False)  # type: ignore[no-untyped-call]


def whole(values: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """All of what ranks hold `values` of, flat; they call it at once."""
    if isinstance(parameter, DTensor):
        shared = as_shared(values.to(parameter.device_mesh.device_type), parameter)
        assert isinstance(shared, DTensor), "as the parameter is"
        return shared.full_tensor().flatten()
    return values.flatten()


def part_of(flat: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Of a flat whole, what this rank holds; nobody is asked."""
    values = flat.view(parameter.shape)
    if not isinstance(parameter, DTensor):
        return values
    return distribute_tensor(values, parameter.device_mesh, parameter.placements, src_data_rank=None).to_local()


def first_place(parameter: torch.Tensor) -> int:
    """Index in the flat whole of the first element that this rank holds; parameters are shared by rows."""
    if not isinstance(parameter, DTensor):
        return 0
    assert all(not each.is_shard() or each == Shard(0) for each in parameter.placements), "fully_shard cuts rows"
    _, offsets = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)
    return int(offsets[0] * parameter.stride()[0]) if offsets else 0
