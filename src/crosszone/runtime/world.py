"""The ranks of a run: who this process is, its device, and the groups that share or copy the model."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import distributed
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from crosszone.core.train import TrainConfig, dealt_microbatches
from crosszone.errors import SpecError
from crosszone.runtime.distributed_utils import own_device
from crosszone.runtime.leaving import leave
from crosszone.runtime.sync.hierarchical import ZoneGroups, zone_groups

STAGE, REPLICATE, SHARD = "pp", "dp_replicate", "dp_shard"
"""Dimensions of the mesh; consecutive ranks share one copy. There is no `STAGE` without a pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among all of the run."""

    rank: int
    num_ranks: int
    device: torch.device
    num_stages: int
    """Of the pipeline; ranks of one stage follow each other."""
    rank_microbatches: tuple[int, ...]
    """Of each replica."""
    rank_sequences: tuple[int, ...]
    """Of one step of each replica."""
    mesh: DeviceMesh
    """Of the ranks that take every step together."""
    zones: ZoneGroups | None
    """Groups that add up gradients once per zone, or that agree on weights; None: all replicas are one group."""
    together: tuple[int, ...]
    """Ranks that take every step together: all, or those of a zone that steps by itself."""
    attempt: int
    """Restarts by the launcher before this start."""

    @property
    def group(self) -> distributed.ProcessGroup | None:
        """Of the ranks that take every step together; None: all."""
        if self.zones is None or len(self.together) == self.num_ranks:
            return None
        return self.zones.inside

    @property
    def step_sequences(self) -> int:
        """Of the ranks that take every step together."""
        return sum(self.rank_sequences[rank % self.num_replicas] for rank in self.together) // self.num_stages

    @property
    def num_replicas(self) -> int:
        """Data-parallel ranks."""
        return self.num_ranks // self.num_stages

    @property
    def replica(self) -> int:
        """Which of them this rank belongs to."""
        return self.rank % self.num_replicas

    @property
    def stages(self) -> distributed.ProcessGroup:
        """Ranks that hold the stages of this one's replica."""
        return self.mesh.get_group(STAGE)

    @property
    def replicas(self) -> distributed.ProcessGroup:
        """Ranks that hold the same part of the model as this one."""
        return self.mesh.get_group(REPLICATE)

    @property
    def replica_ranks(self) -> tuple[int, ...]:
        """Of `replicas`, as ranks of the run."""
        return tuple(distributed.get_process_group_ranks(self.replicas))


@contextlib.contextmanager
def open_world(config: TrainConfig) -> Iterator[World]:
    """Meet the other ranks, by the variables that torchrun sets; alone where there are none.

    Errors: SpecError where more or fewer ranks run than the configuration says; PreflightFailed without a GPU.
    """
    if config.framework == "horovod":
        from crosszone.runtime.horovod_ranks import take_ranks

        take_ranks()
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    num_stages = len(config.stage_layers) or 1
    rank_microbatches = dealt_microbatches(config, num_ranks // num_stages if num_ranks % num_stages == 0 else 0)
    dp_shard = _shard_size(config, num_ranks)
    device = own_device(config.device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if config.dtypes.compute == "tf32":
        torch.set_float32_matmul_precision("high")
    is_guest = distributed.is_initialized()  # under a program that has met already, and goes on afterwards
    if not is_guest:
        _meet(config, device)
    try:
        rank, together = distributed.get_rank(), tuple(range(num_ranks))
        if config.local is not None:
            together = next(ranks for ranks in config.zone_ranks if rank in ranks)
            sharing = [_shard_size(config.as_of_rank(ranks[0]), num_ranks) for ranks in config.zone_ranks]
            mesh = zone_mesh(config.zone_ranks, rank, sharing, device)
        else:
            sizes = {REPLICATE: num_ranks // num_stages // dp_shard, SHARD: dp_shard}
            if num_stages > 1:
                sizes = {STAGE: num_stages, **sizes}
            mesh = init_device_mesh(device.type, tuple(sizes.values()), mesh_dim_names=tuple(sizes))
        yield World(
            rank=rank,
            num_ranks=num_ranks,
            device=device,
            num_stages=num_stages,
            rank_microbatches=rank_microbatches,
            rank_sequences=config.rank_sequences(rank_microbatches),
            mesh=mesh,
            zones=_zones(config, num_ranks),
            together=together,
            attempt=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
        )
    except BaseException:
        # NCCL would wait here for ranks that may never come; the process ends anyway.
        if config.backend == "gloo" and not is_guest:
            leave()
        raise
    if not is_guest:
        leave()


def limit_collectives(world: World, seconds: float) -> None:
    """From now on, a collective of any group fails after so long. The first step had its own, longer limit."""
    from torch.distributed.distributed_c10d import _set_pg_timeout, _world

    for group in list(_world.pg_map):  # DeepSpeed makes some of its own, with torch's default
        _set_pg_timeout(datetime.timedelta(seconds=seconds), group)


def zone_mesh(
    zones: Sequence[Sequence[int]], rank: int, shard_sizes: Sequence[int], device: torch.device
) -> DeviceMesh:
    """The mesh of the zone of `rank`, in which so many ranks share a copy.

    All ranks call it at once: a group is made by everyone, members or not.
    """
    meshes = [
        DeviceMesh(device.type, torch.tensor(ranks).view(-1, size), mesh_dim_names=(REPLICATE, SHARD))
        for ranks, size in zip(zones, shard_sizes, strict=True)
    ]
    return next(mesh for mesh, ranks in zip(meshes, zones, strict=True) if rank in ranks)


def _shard_size(config: TrainConfig, num_ranks: int) -> int:
    """Ranks of a shard group; DeepSpeed's are all, and its own business."""
    if config.local is None and num_ranks % config.dp_shard:
        raise SpecError.of(
            f"dp_shard={config.dp_shard} does not divide {num_ranks} ranks.",
            where="dp_shard",
            hint="Start a multiple of it.",
            code="wrong_world_size",
        )
    return config.dp_shard if config.framework == "fsdp" else 1


def _zones(config: TrainConfig, num_ranks: int) -> ZoneGroups | None:
    """As the configuration says; where an elastic run has other ranks than it lists, nobody knows where they are."""
    if len(config.rank_zones) != num_ranks:
        return None
    return zone_groups(config.rank_zones, limit=_first_limit(config))


def _first_limit(config: TrainConfig) -> datetime.timedelta:
    """Of a collective until the first step is done."""
    return datetime.timedelta(seconds=max(config.timeouts.first_step_seconds, config.timeouts.collective_seconds))


def _meet(config: TrainConfig, device: torch.device) -> None:
    # Beside NCCL there is gloo for what lies in host memory: checkpoints, offloaded weights, words between ranks.
    backend = "gloo" if config.backend == "gloo" else "cpu:gloo,cuda:nccl"
    limit = _first_limit(config)
    bound = device if config.backend == "nccl" else None
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group(backend, timeout=limit, device_id=bound)
    else:
        distributed.init_process_group(backend, timeout=limit, store=HashStore(), rank=0, world_size=1, device_id=bound)
