"""DistributedDataParallel and FSDP2: forward, backward and update of one step, and its state."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from crosszone.core.train import TrainConfig, TrainOptimizer
from crosszone.runtime.model import build_model, decoder_layers, initialise, move_buffers
from crosszone.runtime.sync.flat import narrow_sum
from crosszone.runtime.sync.hierarchical import zone_sum
from crosszone.runtime.world import World

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BYTES_PER_BUCKET_UNIT = 2**20
"""DDP takes its bucket size in MiB."""


class NativeEngine:
    """A model under DDP or FSDP2 and its AdamW."""

    def __init__(self, config: TrainConfig, world: World, *, folder: Path) -> None:
        self.config, self.world = config, world
        path = None if config.model_config is None else folder / config.model_config
        self.model = build_model(
            config.model,
            path,
            attention=config.attention,
            recompute=config.recompute,
            recomputed_layers=config.recomputed_layers,
            dtype=DTYPES[config.dtypes.master_weights or config.dtypes.weights],
        )
        self._forward = self._sharded() if config.framework == "fsdp" else self._replicated()
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, config.optimizer),
            lr=config.optimizer.learning_rate,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            eps=config.optimizer.epsilon,
            fused=world.device.type == "cuda" and config.offload == "none",
        )
        self._scaler = torch.amp.GradScaler(world.device.type, enabled=config.dtypes.compute == "fp16")

    @property
    def vocab_size(self) -> int:
        """Tokens that the model knows."""
        return int(self.model.config.vocab_size)  # type: ignore[union-attr, arg-type]

    @property
    def num_parameters(self) -> int:
        """Of the whole model; a tied table counts once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def backward(self, inputs: torch.Tensor, labels: torch.Tensor, *, scale: float, is_last: bool) -> torch.Tensor:
        """Add one microbatch to the gradients; the sum of its tokens' losses, detached.

        `scale` is 1 / tokens of the step, of all ranks that take it together, so that gradients are those of its mean
        whatever ranks hold. Both DDP and FSDP divide by ranks, which is multiplied back in. The last microbatch agrees
        with other replicas.
        """
        with self._agreement(is_last), self._precision():
            loss = token_loss(self._forward(input_ids=inputs).logits, labels)
            self._scaler.scale(loss * (scale * len(self.world.together))).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def update(self, learning_rate: float) -> tuple[float, bool]:
        """Clip, step, forget the gradients: (their norm before, whether fp16 overflowed and nothing was done)."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self._scaler.unscale_(self.optimizer)
        norm = self._clip(self.config.optimizer.max_gradient_norm)
        before = self._scaler.get_scale()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad()
        return norm, self._scaler.get_scale() < before

    def named_parameters(self) -> Iterable[tuple[str, torch.Tensor]]:
        """Parameters that replicas must agree on, each rank's own part."""
        return self.model.named_parameters()

    def save(self, folder: Path, extra: dict[str, Any]) -> None:
        """Write weights, optimizer, loss scale and `extra`, whose keys name their rank."""
        from torch.distributed.checkpoint.filesystem import FileSystemWriter
        from torch.distributed.checkpoint.state_dict_saver import save

        writer = FileSystemWriter(folder, sync_files=True)
        save(self._state() | extra, storage_writer=writer, process_group=self.world.group)

    def load(self, folder: Path, extra: dict[str, Any]) -> dict[str, Any]:
        """Read what `save` wrote, by any number of ranks; `extra` has the keys and kinds that are wanted back."""
        from torch.distributed.checkpoint.filesystem import FileSystemReader
        from torch.distributed.checkpoint.state_dict_loader import load

        state = self._state() | extra
        load(state, storage_reader=FileSystemReader(folder), process_group=self.world.group)
        set_state_dict(
            self.model,
            self.optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
        )
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])
        return {key: state[key] for key in extra}

    def _state(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer, "scaler": self._scaler.state_dict()}

    def _replicated(self) -> nn.Module:
        config, device = self.config, self.world.device
        initialise(self.model, seed=config.seed, device=device)
        if len(self.world.together) == 1:
            return self.model
        bucket_bytes = config.bucket_bytes
        with warnings.catch_warnings():
            # Buffers are the same everywhere, and the option's new name is not in every version that is supported.
            warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
            module = DistributedDataParallel(
                self.model,
                device_ids=[device.index] if device.type == "cuda" else None,
                process_group=self.world.replicas,
                bucket_cap_mb=None if bucket_bytes is None else bucket_bytes / BYTES_PER_BUCKET_UNIT,
                gradient_as_bucket_view=True,
                broadcast_buffers=False,
            )
        self._sum_gradients(module)
        return module

    def _sum_gradients(self, module: DistributedDataParallel) -> None:
        """Have replicas add up gradients as the configuration says; DDP's own way is one sum in their own format."""
        config, world, dtype = self.config, self.world, DTYPES[self.config.dtypes.gradient_reduction]
        if world.zones is not None and config.local is None:
            hook = zone_sum(world.zones, dtype=dtype, codec=config.zone_codec, num_ranks=world.num_ranks)
            module.register_comm_hook(None, hook)
        elif dtype != next(self.model.parameters()).dtype:
            module.register_comm_hook(world.replicas, narrow_sum(dtype))

    def _sharded(self) -> nn.Module:
        config, mesh = self.config, self.world.mesh
        replicates = len(self.world.replica_ranks) > 1
        policy = MixedPrecisionPolicy(
            param_dtype=DTYPES[config.dtypes.compute], reduce_dtype=DTYPES[config.dtypes.gradient_reduction]
        )
        offloads = config.offload == "parameters" and self.world.device.type != "cpu"  # a CPU has nowhere else
        offload = CPUOffloadPolicy() if offloads else OffloadPolicy()
        options: dict[str, Any] = {
            "mesh": mesh if replicates else mesh["dp_shard"],
            "reshard_after_forward": config.shard == "parameters",
            "mp_policy": policy,
            "offload_policy": offload,
        }
        layers = decoder_layers(self.model)
        for layer in layers:
            fully_shard(layer, **options)
        fully_shard(self.model, **options)
        if config.prefetch is not None:
            _prefetch(layers, config.prefetch)
        device = torch.device("cpu") if offloads else self.world.device
        initialise(self.model, seed=config.seed, device=device)
        move_buffers(self.model, self.world.device)
        return self.model

    @contextlib.contextmanager
    def _agreement(self, is_last: bool) -> Iterator[None]:
        """Ranks of a shard group add up gradients in every microbatch, replicas only in the last one."""
        if isinstance(self._forward, DistributedDataParallel) and not is_last:
            with self._forward.no_sync():
                yield
            return
        if isinstance(self._forward, FSDPModule):
            self._forward.set_requires_all_reduce(is_last)
            self._forward.set_is_last_backward(is_last)
        yield

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        """Replicas compute in 16 bits under autocast; FSDP casts what it gathers."""
        dtype = DTYPES[self.config.dtypes.compute]
        is_narrow = self.config.framework != "fsdp" and dtype != torch.float32
        return torch.autocast(self.world.device.type, dtype=dtype, enabled=is_narrow)

    def _clip(self, max_norm: float | None) -> float:
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
            if len(self.world.replica_ranks) > 1:
                # Shard groups may add up in another order; replicas that clip by another factor drift apart.
                distributed.all_reduce(norm, op=distributed.ReduceOp.MAX, group=self.world.replicas)
        if max_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), max_norm, norm)
        return float(norm)


def parameter_groups(model: nn.Module, optimizer: TrainOptimizer) -> list[dict[str, Any]]:
    """Matrices, which decay, and vectors, which do not. DeepSpeed leaves a weight that it split its `ds_shape`."""
    matrices, vectors = list[nn.Parameter](), list[nn.Parameter]()
    for parameter in model.parameters():
        shape = getattr(parameter, "ds_shape", parameter.shape)
        (matrices if len(shape) >= 2 else vectors).append(parameter)
    groups: tuple[dict[str, Any], ...] = (
        {"params": matrices, "weight_decay": optimizer.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    )
    return [group for group in groups if group["params"]]


def token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum over tokens of the cross-entropy, in fp32; logits are (batch, sequence, vocabulary)."""
    return nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="sum")


def _prefetch(layers: list[nn.Module], num_ahead: int) -> None:
    shards: list[FSDPModule] = [layer for layer in layers if isinstance(layer, FSDPModule)]
    for index, layer in enumerate(shards):
        layer.set_modules_to_forward_prefetch(shards[index + 1 : index + 1 + num_ahead])
        layer.set_modules_to_backward_prefetch(shards[max(index - num_ahead, 0) : index][::-1])
