"""DeepSpeed's pipeline engine, with ZeRO 0 or 1, behind the same verbs as the others.

Read in DeepSpeed 0.19.8. runtime/pipe/engine.py: one `train_batch` runs the schedule of a whole step, the update in it;
ours runs the passes with the last microbatch, and the update when its learning rate is known. runtime/pipe/module.py
splits layers by their kind, so that one `Stage` goes to each rank, whatever it holds, and the ends take table and head.
runtime/utils.py: `clip_grad_norm_` counts the first stage alone, but for parameters that are called model parallel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from crosszone.core.train import TrainConfig
from crosszone.runtime.model import build_model
from crosszone.runtime.native import parameter_groups, token_loss
from crosszone.runtime.stages import Cut, Head, Stage, Table, tied_logits
from crosszone.runtime.world import World
from crosszone.runtime.zero import ZeroEngine, import_deepspeed, read_deepspeed_config

TIED = "table"


class ZeroPipelineEngine(ZeroEngine):
    """One stage of a model in DeepSpeed's pipeline engine."""

    def __init__(self, config: TrainConfig, world: World, *, folder: Path) -> None:
        deepspeed = import_deepspeed(config.device)
        assert config.deepspeed_config is not None, "train_problems holds that deepspeed has one"
        keys = read_deepspeed_config(folder / config.deepspeed_config, config, num_ranks=world.num_replicas)
        self.config, self.world = config, world
        self._stage = int(keys.get("zero_optimization", {}).get("stage", 0))
        self._num_microbatches = int(keys["gradient_accumulation_steps"])
        path = None if config.model_config is None else folder / config.model_config
        model = build_model(
            config.model,
            path,
            attention=config.attention,
            recompute=config.recompute,
            recomputed_layers=config.recomputed_layers,
        )
        self.num_parameters = sum(parameter.numel() for parameter in model.parameters())
        self.vocab_size = int(model.config.vocab_size)  # type: ignore[union-attr, arg-type]
        cut = Cut(model, config.stage_layers, seed=config.seed, device=world.device)
        deepspeed.init_distributed(dist_backend=config.backend, auto_mpi_discovery=False)  # takes the groups that exist
        module = deepspeed.PipelineModule(
            layers=_specs(deepspeed.pipe, cut),
            num_stages=cut.num_stages,
            loss_fn=self._scaled_loss,
            partition_method=f"type:^{Stage.__name__}$",
        )
        for parameter in module.parameters():
            parameter.model_parallel = not parameter.ds_pipe_replicated
        self._engine, *_ = deepspeed.initialize(
            model=module,
            model_parameters=parameter_groups(module, config.optimizer),
            config=keys,
            dist_init_required=False,
        )
        self._is_plain = isinstance(self._engine.optimizer, torch.optim.Optimizer)
        self._microbatches: list[tuple[torch.Tensor, torch.Tensor]] = []

    def backward(self, inputs: torch.Tensor, labels: torch.Tensor, *, scale: float, is_last: bool) -> torch.Tensor:
        """Keep one microbatch; with the last one, run all through the pipeline.

        The sum of their tokens' losses, of the last stage; 0 before, and on other stages.
        """
        self._microbatches.append((inputs, labels))
        nothing = torch.zeros((), device=self.world.device)
        if not is_last:
            return nothing
        engine = self._engine
        engine.module.train()
        engine.total_loss, engine._compute_loss = None, True
        engine.set_dataiterator(iter(self._microbatches))
        engine._exec_schedule(_Passes(engine._train_schedule()))
        self._microbatches = []
        return nothing if engine.total_loss is None else engine.total_loss.detach() / self._factor(scale)

    def _scaled_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return token_loss(logits, labels) * self._factor(1.0 / self.config.global_batch_tokens)

    def _factor(self, scale: float) -> float:
        """DeepSpeed divides by microbatches and replicas."""
        return scale * self.world.num_replicas * self._num_microbatches

    def _apply(self) -> None:
        self._engine._exec_optimizer_step()

    def _norm(self) -> float:
        """Of the whole model; a tied table counts once."""
        total = torch.zeros((), dtype=torch.float64, device=self.world.device)
        for parameter in self._engine.module.parameters():
            if parameter.grad is not None and not parameter.ds_pipe_replicated:
                total += parameter.grad.double().square().sum()
        distributed.all_reduce(total, group=self.world.stages)
        return math.sqrt(float(total))


class _Passes:
    """A schedule of DeepSpeed's without the update: forward and backward passes, and the sum of gradients."""

    def __init__(self, schedule: Any) -> None:
        self._schedule = schedule

    def num_pipe_buffers(self) -> int:
        return int(self._schedule.num_pipe_buffers())

    def __iter__(self) -> Iterator[list[Any]]:
        for commands in self._schedule.steps():
            yield [each for each in commands if type(each).__name__ != "OptimizerStep"]


def _specs(pipe: Any, cut: Cut) -> list[Any]:
    """What PipelineModule builds: each rank its own part alone."""
    stages = [pipe.LayerSpec(Stage, cut, index) for index in range(cut.num_stages)]
    if not cut.is_tied:
        return [pipe.LayerSpec(Table, cut), *stages, pipe.LayerSpec(Head, cut)]
    first = pipe.TiedLayerSpec(TIED, Table, cut, tied_weight_attr="rows.weight")
    last = pipe.TiedLayerSpec(TIED, Table, cut, forward_fn=tied_logits, tied_weight_attr="rows.weight")
    return [first, *stages, last]
