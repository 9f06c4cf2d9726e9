"""DeepSpeed's ZeRO 0 to 3 behind the same verbs as DDP and FSDP2.

Read in DeepSpeed 0.19.8: without `deepspeed.zero.Init` an engine of stage 3 moves the whole model to each GPU before it
splits it (runtime/engine.py, `_configure_distributed_model`). `Init(module=...)` splits weights that exist, skips those
that it has split, leaves buffers where they are, and casts nothing (runtime/zero/partition_parameters.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crosszone.core.deepspeed_config import key_problems
from crosszone.core.train import TrainConfig
from crosszone.errors import Finding, PreflightFailed, SpecError
from crosszone.runtime.model import build_model, initialise, initialise_by_part, move_buffers
from crosszone.runtime.native import DTYPES, parameter_groups, token_loss
from crosszone.runtime.world import World

TAG = "state"
SHARED_MEMORY_OPS = "deepspeed_shm_comm"
PARAMETERS_SHARDED = 3
"""ZeRO stage whose ranks hold no copies to compare."""


class ZeroEngine:
    """A model in a DeepSpeed engine that `ds_config.json` describes."""

    def __init__(self, config: TrainConfig, world: World, *, folder: Path) -> None:
        deepspeed = import_deepspeed(config.device)
        assert config.deepspeed_config is not None, "train_problems holds that deepspeed has one"
        keys = read_deepspeed_config(folder / config.deepspeed_config, config, num_ranks=world.num_ranks)
        self.config, self.world = config, world
        self._stage = int(keys.get("zero_optimization", {}).get("stage", 0))
        path = None if config.model_config is None else folder / config.model_config
        is_split = self._stage == PARAMETERS_SHARDED
        dtype = DTYPES[config.dtypes.compute] if is_split else torch.float32
        model = build_model(
            config.model,
            path,
            attention=config.attention,
            recompute=config.recompute,
            recomputed_layers=config.recomputed_layers,
            dtype=dtype,
        )
        self.num_parameters = sum(parameter.numel() for parameter in model.parameters())
        deepspeed.init_distributed(dist_backend=config.backend, auto_mpi_discovery=False)  # takes the groups that exist
        if is_split:
            _initialise_split(deepspeed, model, keys, seed=config.seed, device=world.device)
        else:
            initialise(model, seed=config.seed, device=world.device)
        self.vocab_size = int(model.config.vocab_size)  # type: ignore[union-attr, arg-type]
        self._num_microbatches = int(keys["gradient_accumulation_steps"])
        self._engine, *_ = deepspeed.initialize(
            model=model,
            model_parameters=parameter_groups(model, config.optimizer),
            config=keys,
            dist_init_required=False,
        )
        # Without ZeRO and in fp32 there is torch's own optimizer, which knows no norm.
        self._is_plain = isinstance(self._engine.optimizer, torch.optim.Optimizer)

    def backward(self, inputs: torch.Tensor, labels: torch.Tensor, *, scale: float, is_last: bool) -> torch.Tensor:
        """Add one microbatch; the sum of its tokens' losses, detached. DeepSpeed divides by microbatches and ranks.

        Its step counts microbatches by itself and updates after the last one, with the rate of the step before:
        so the update waits for `update`.
        """
        loss = token_loss(self._engine(input_ids=inputs).logits, labels)
        self._engine.backward(loss * (scale * self.world.num_ranks * self._num_microbatches))
        if not is_last:
            self._engine.step()
        return loss.detach()

    def update(self, learning_rate: float) -> tuple[float, bool]:
        """Clip, step, forget the gradients: (their norm before, whether fp16 overflowed and nothing was done)."""
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        own_norm = self._norm() if self._is_plain else None
        self._apply()
        norm = self._engine.get_global_grad_norm() if own_norm is None else own_norm
        return (float("nan") if norm is None else float(norm)), not self._engine.was_step_applied()

    def _apply(self) -> None:
        self._engine.step()

    def _norm(self) -> float:
        """Of the gradients that all ranks have agreed on."""
        gradients = [parameter.grad for parameter in self._engine.module.parameters() if parameter.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def named_parameters(self) -> Iterable[tuple[str, torch.Tensor]]:
        """Parameters that replicas must agree on; none where each rank holds its own part."""
        return () if self._stage == PARAMETERS_SHARDED else self._engine.module.named_parameters()

    def save(self, folder: Path, extra: dict[str, Any]) -> None:
        """Write DeepSpeed's checkpoint, and `extra` of this rank beside it."""
        self._engine.save_checkpoint(str(folder), tag=TAG)
        torch.save(extra, folder / f"rank-{self.world.rank}.pt")

    def load(self, folder: Path, extra: dict[str, Any]) -> dict[str, Any]:
        """Read what `save` wrote with as many ranks."""
        self._engine.load_checkpoint(str(folder), tag=TAG)
        saved: dict[str, Any] = torch.load(folder / f"rank-{self.world.rank}.pt", weights_only=True)
        return {key: saved[key] for key in extra}


def _initialise_split(
    deepspeed: Any, model: nn.Module, keys: dict[str, Any], *, seed: int, device: torch.device
) -> None:
    """First values, drawn on the CPU, of a model that no process ever holds whole: each layer is split at once."""

    def split(part: nn.Module) -> None:
        deepspeed.zero.Init(module=part, config_dict_or_path=keys)

    initialise_by_part(model, seed=seed, device=torch.device("cpu"), split=split)
    move_buffers(model, device)


def read_deepspeed_config(path: Path, config: TrainConfig, *, num_ranks: int) -> dict[str, Any]:
    """The keys of `ds_config.json`, whose batch must be this configuration's.

    Errors: SpecError with every key that is missing, unknown to DeepSpeed, "auto" or another number.
    """
    try:
        keys: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError.unreadable("DeepSpeed configuration", str(path), error) from None
    except json.JSONDecodeError as error:
        raise SpecError.of(f"is no JSON: {error}.", where=str(path)) from None
    wanted = {
        "train_batch_size": config.global_batch_size,
        "train_micro_batch_size_per_gpu": config.microbatch_size,
        "gradient_accumulation_steps": config.num_microbatches // num_ranks,
    }
    findings = [
        Finding(
            code="wrong_batch",
            where=f"{path.name}: {key}",
            message=f"{json.dumps(keys.get(key))} is not {number}, which the run's configuration says.",
            hint="Render the bundle again; DeepSpeed itself reads no other file.",
        )
        for key, number in wanted.items()
        if keys.get(key) != number
    ]
    findings += key_problems(keys)
    if findings:
        raise SpecError(*findings)
    return keys


def import_deepspeed(device: str) -> Any:
    """The package, for cpu or cuda. Errors: PreflightFailed where it is not installed."""
    import importlib

    try:
        deepspeed = importlib.import_module("deepspeed")
    except ImportError as error:
        raise PreflightFailed.of(
            f"framework deepspeed is not installed here: {error}.",
            where="framework",
            hint="Install deepspeed on every node, or take fsdp, which shards as much.",
            code="no_deepspeed",
        ) from None
    if device == "cpu":  # else it would compile operations over shared memory first, which only inference uses
        deepspeed.ops.__compatible_ops__[SHARED_MEMORY_OPS] = False
    return deepspeed
