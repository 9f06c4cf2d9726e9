"""A job for torchtitan's own trainer: the model by its sizes, our tokens in our order, our record of steps.

torchtitan 0.2.2 reads this module twice: `job.custom_config_module` adds the section `[crosszone]` to its
configuration, `experimental.custom_import` makes the model known under the name "crosszone". `python -m
torchtitan.train --job.config_file configs/torchtitan.toml` then needs neither a tokenizer nor a download.

torchtitan catches no signal. `Records`, which it calls after every step, does: after SIGTERM to any rank the step that
has ended becomes the last of all, and torchtitan saves the last.

Two errors of its gradients are put right in the loss, which it lets a model bring: a pipeline does not divide by the
tokens of the step (its issue 2972), DistributedDataParallel divides by the number of ranks once more (its pull request
2323). Both would scale the gradients before they are clipped.
"""

import atexit
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import distributed, nn
from torchtitan.components.dataloader import BaseDataLoader
from torchtitan.components.loss import build_cross_entropy_loss
from torchtitan.components.lr_scheduler import build_lr_schedulers
from torchtitan.components.metrics import MetricsProcessor
from torchtitan.components.optimizer import build_optimizers
from torchtitan.config import TORCH_DTYPE_MAP
from torchtitan.distributed.pipeline_parallel import pipeline_llm
from torchtitan.distributed.utils import dist_max
from torchtitan.models.llama3 import Transformer, TransformerModelArgs, parallelize_llama
from torchtitan.models.llama3.infra.parallelize import apply_fsdp
from torchtitan.models.llama3.model.args import RoPEScalingArgs
from torchtitan.protocols.train_spec import TrainSpec, register_train_spec
from torchtitan.tools.utils import device_type

from crosszone.core.train import TrainData
from crosszone.errors import InfeasiblePlan
from crosszone.runtime.data import microbatch, open_samples, rank_positions
from crosszone.runtime.leaving import wait_for_workers
from crosszone.runtime.recompute import recompute_whole
from crosszone.runtime.telemetry import StepRecord, Telemetry, measured_memory, problem

NAME = "crosszone"
FLAVOR = "job"
SEED = 0

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Crosszone:
    """The section `[crosszone]`: what torchtitan has no key for."""

    fingerprint: str = ""
    """Of the prediction that the run is compared with."""
    num_layers: int = 0
    hidden_size: int = 0
    ffn_size: int = 0
    num_heads: int = 0
    num_kv_heads: int = 0
    vocab_size: int = 0
    rope_base: float = 0.0
    rope_scaling_factor: float = 1.0
    num_parameters: int = 0
    step_flop: float = 0.0
    """Of the model in one step, all ranks together."""
    token_path: str = ""
    """File of tokens; empty: synthetic tokens."""
    token_bytes: int = 2
    num_samples: int = 1
    """Sequences of one epoch of synthetic tokens."""
    recomputed_layers: list[int] = field(default_factory=list)
    """Layers of the model that are recomputed where torchtitan itself recomputes none."""


@dataclass(frozen=True, kw_only=True)
class JobConfig:
    """What torchtitan merges into its own configuration."""

    crosszone: Crosszone = field(default_factory=Crosszone)


@dataclass
class JobArgs(TransformerModelArgs):  # type: ignore[misc]
    """A Llama whose sizes are in the configuration."""

    num_parameters: int = 0

    def update_from_config(self, job_config: Any, **keywords: Any) -> None:
        """Take the sizes. torchtitan has no key for the FFN's width, only a factor and what it is a multiple of."""
        sizes = job_config.crosszone
        self.dim, self.n_layers, self.vocab_size = sizes.hidden_size, sizes.num_layers, sizes.vocab_size
        self.n_heads, self.n_kv_heads = sizes.num_heads, sizes.num_kv_heads
        self.multiple_of = sizes.ffn_size
        self.ffn_dim_multiplier = sizes.ffn_size / (2 * (8 * sizes.hidden_size // 3))  # half of it, then rounded up
        self.rope_theta = sizes.rope_base
        self.rope_scaling_args = RoPEScalingArgs(scaling_factor=sizes.rope_scaling_factor)  # else as Llama 3.1's
        self.num_parameters = sizes.num_parameters
        super().update_from_config(job_config, **keywords)


class Llama(Transformer):  # type: ignore[misc]
    """torchtitan's Llama, as large as was planned.

    Errors: InfeasiblePlan where it is not.
    """

    def __init__(self, arguments: JobArgs) -> None:
        super().__init__(arguments)
        built = sum(parameter.numel() for parameter in self.parameters())
        if built != arguments.num_parameters:
            raise InfeasiblePlan.of(
                f"the plan is for {arguments.num_parameters} parameters, but torchtitan builds {built}.",
                where="crosszone",
                hint="Take the sizes of a Llama model.",
            )


class Batches(BaseDataLoader):  # type: ignore[misc]
    """This rank's sequences, in the order of our own trainer, which restarts and other numbers of ranks keep."""

    def __init__(self, job_config: Any, *, rank: int, num_ranks: int) -> None:
        own, training = job_config.crosszone, job_config.training
        data = TrainData(
            path=own.token_path or None,
            token_bytes=own.token_bytes,
            num_samples=None if own.token_path else own.num_samples,
        )
        self._samples = open_samples(
            data, folder=Path.cwd(), sequence_length=training.seq_len, vocab_size=own.vocab_size, seed=SEED
        )
        self._rank, self._num_ranks, self._batch_size = rank, num_ranks, training.local_batch_size
        self._num_parts = training.global_batch_size // (self._batch_size * num_ranks)
        self._num_done = 0

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        while True:
            step, part = divmod(self._num_done, self._num_parts)
            positions = rank_positions(
                step,
                rank_sequences=(self._num_parts * self._batch_size,) * self._num_ranks,
                rank=self._rank,
                microbatch_size=self._batch_size,
            )
            inputs, labels = microbatch(self._samples, list(positions)[part], seed=SEED)
            self._num_done += 1
            yield {"input": inputs}, labels

    def state_dict(self) -> dict[str, Any]:
        """Sequences that all ranks have consumed: the same on every rank."""
        return {"num_samples": self._num_done * self._batch_size * self._num_ranks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after so many sequences."""
        self._num_done = state_dict["num_samples"] // (self._batch_size * self._num_ranks)


class Records(MetricsProcessor):  # type: ignore[misc]
    """torchtitan's own line for each step, and ours, under the names of a prediction."""

    def __init__(self, job_config: Any, parallel_dims: Any, model_args: JobArgs | None = None) -> None:
        super().__init__(job_config, parallel_dims)
        self._device = torch.device(device_type, int(os.environ["LOCAL_RANK"]))
        self._telemetry = Telemetry(Path(job_config.job.dump_folder), rank=distributed.get_rank())
        self._num_done: int | None = None
        self._num_steps = job_config.training.steps
        self._started_seconds = time.time()
        saved = job_config.checkpoint
        # Of one that is written beside the training, nobody tells when it is whole.
        self._saved_every = saved.interval if saved.enable and saved.async_mode == "disabled" else None
        self._is_stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        sys.excepthook = self._fail
        atexit.register(wait_for_workers)  # after torchtitan has left its groups, before Python ends

    def log(
        self,
        step: int,
        global_avg_loss: float,
        global_max_loss: float,
        grad_norm: float,
        extra_metrics: dict[str, Any] | None = None,
    ) -> None:
        """Write one step down. Its time runs from the end of the step before; that of the first from the start."""
        step_seconds, data_seconds = time.perf_counter() - self.time_last_log, math.fsum(self.data_loading_times)
        memory = measured_memory(self._device, restarts=False)
        if self.parallel_dims.pp_enabled:  # the last stage alone knows it; the others have a number below 0
            loss = torch.tensor(global_avg_loss, device=self._device)
            global_avg_loss = dist_max(loss, self.parallel_dims.get_mesh("pp"))
        super().log(step, global_avg_loss, global_max_loss, grad_norm, extra_metrics)
        if self._num_done is None:
            self._start(first_step=step)
        elif self._saved_every is not None and self._num_done % self._saved_every == 0:
            self._telemetry.event("checkpoint", step=self._num_done)
        self._num_done = step
        training, num_ranks = self.job_config.training, self.parallel_dims.world_size
        step_tokens = training.global_batch_size * training.seq_len
        self._telemetry.step(
            StepRecord(
                step=step,
                step_seconds=step_seconds,
                tokens_per_second=step_tokens / step_seconds,
                tokens_per_second_per_gpu=step_tokens / step_seconds / num_ranks,
                model_flop_per_second_per_gpu=self.job_config.crosszone.step_flop / step_seconds / num_ranks,
                data_seconds=data_seconds,
                loss=global_avg_loss,
                gradient_norm=grad_norm,
                is_skipped=False,
                learning_rate=(extra_metrics or {})["lr"],
                consumed_tokens=step * step_tokens,
                memory=memory,
            )
        )
        if self._is_stopped_anywhere():
            training.steps = step

    def close(self) -> None:
        """Say how the run has ended, unless it failed: torchtitan then closes while it handles the exception."""
        if sys.exc_info()[0] is None and self._num_done == self.job_config.training.steps:
            if self._saved_every is not None:
                self._telemetry.event("checkpoint", step=self._num_done)
            self._telemetry.event("end" if self._num_done == self._num_steps else "stopped", step=self._num_done)
        super().close()

    def _fail(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """torchtitan does not close where a checkpoint fails, which is no Exception."""
        if self._num_done is not None:
            self._telemetry.event("unsaved", step=self._num_done, reason=problem(error))
        sys.__excepthook__(kind, error, trace)

    def _stop(self, number: int, frame: object) -> None:
        self._is_stopping = True

    def _is_stopped_anywhere(self) -> bool:
        """Whether any rank was asked to stop: all learn of it after the same step."""
        told = torch.tensor(self._is_stopping, dtype=torch.int32, device=self._device)
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return bool(told.item())

    def _start(self, *, first_step: int) -> None:
        config = self.job_config
        training, parallelism = config.training, config.parallelism
        num_parts = training.global_batch_size // (training.local_batch_size * self._num_batches())
        num_microbatches = training.local_batch_size // parallelism.pipeline_parallel_microbatch_size
        self._telemetry.event(
            "start",
            fingerprint=config.crosszone.fingerprint,
            framework="torchtitan",
            num_gpus=self.parallel_dims.world_size,
            num_parameters=config.crosszone.num_parameters,
            num_microbatches=num_microbatches if self.parallel_dims.pp_enabled else num_parts,
            global_batch_tokens=training.global_batch_size * training.seq_len,
            first_step=first_step,
            **self._saves(),
            attempt=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
            device=self.device_memory_monitor.device_name,
            torch_version=torch.__version__,
            started_seconds=self._started_seconds,
        )

    def _saves(self) -> dict[str, bool]:
        """Whether there are checkpoints, where their end is told."""
        is_enabled = self.job_config.checkpoint.enable
        return {"saves": is_enabled} if not is_enabled or self._saved_every is not None else {}

    def _num_batches(self) -> int:
        return int(self.parallel_dims.dp_replicate * self.parallel_dims.dp_shard)


def parallelize(model: nn.Module, parallel_dims: Any, job_config: Any) -> nn.Module:
    """torchtitan's own way, with some layers recomputed where the configuration names them, which torchtitan can only
    do for every n-th; and weights as narrow as the configuration says where it would leave them wide.

    It narrows where FSDP gathers weights, or by autocast where nothing is split; with tp or pp and one shard it does
    neither (distributed/utils.py, `maybe_enable_amp`). FSDP over one rank narrows them, and communicates nothing.
    """
    for name, layer in model.get_submodule("layers").named_children():
        if int(name) in job_config.crosszone.recomputed_layers:
            recompute_whole(layer)
    model = parallelize_llama(model, parallel_dims, job_config)
    training, parallelism = job_config.training, job_config.parallelism
    is_split = parallel_dims.tp_enabled or parallel_dims.pp_enabled
    if is_split and not parallel_dims.fsdp_enabled and training.mixed_precision_param != training.dtype:
        parallel_dims.get_optional_mesh("fsdp")  # which makes all of them, though it does not give one of one rank
        apply_fsdp(
            model,
            parallel_dims._meshes["fsdp"],
            param_dtype=TORCH_DTYPE_MAP[training.mixed_precision_param],
            reduce_dtype=TORCH_DTYPE_MAP[training.mixed_precision_reduce],
            pp_enabled=parallel_dims.pp_enabled,
            cpu_offload=training.enable_cpu_offload,
            reshard_after_forward_policy=parallelism.fsdp_reshard_after_forward,
        )
    return model


def build_loss(job_config: Any, *, parallel_dims: Any) -> Loss:
    """torchtitan's sum of cross-entropies, with gradients as of the mean over the step's tokens."""
    loss: Loss = build_cross_entropy_loss(job_config)
    factor = gradient_factor(
        num_tokens=job_config.training.global_batch_size * job_config.training.seq_len,
        has_pipeline=parallel_dims.pp_enabled,
        num_replicas=parallel_dims.dp_replicate,
        is_sharded=parallel_dims.fsdp_enabled,
    )
    if factor == 1.0:
        return loss

    def scaled(predicted: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        value = loss(predicted, labels)
        return value * factor + (value * (1.0 - factor)).detach()

    return scaled


def gradient_factor(*, num_tokens: int, has_pipeline: bool, num_replicas: int, is_sharded: bool) -> float:
    """What torchtitan 0.2.2 leaves out of the gradients.

    It divides by the step's tokens without a pipeline only. FSDP sums over ranks; DistributedDataParallel averages.
    """
    return (1.0 / num_tokens if has_pipeline else 1.0) * (1.0 if is_sharded else num_replicas)


def _build_batches(*, dp_world_size: int, dp_rank: int, tokenizer: object, job_config: Any) -> Batches:
    return Batches(job_config, rank=dp_rank, num_ranks=dp_world_size)


register_train_spec(
    NAME,
    TrainSpec(
        model_cls=Llama,
        model_args={FLAVOR: JobArgs()},
        parallelize_fn=parallelize,
        pipelining_fn=pipeline_llm,
        build_optimizers_fn=build_optimizers,
        build_lr_schedulers_fn=build_lr_schedulers,
        build_dataloader_fn=_build_batches,
        build_tokenizer_fn=None,
        build_loss_fn=build_loss,
        build_metrics_processor_fn=Records,
    ),
)
