"""The trainer: `python -m crosszone.runtime.train CONFIG.json`, alone or once for each rank under torchrun."""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import distributed

from crosszone.checkpoints import check_continues, read_config, run_state
from crosszone.core.checkpoint import Manifest, checkpoint_format
from crosszone.core.train import LOCAL_FRAMEWORKS, TrainConfig, learning_rate
from crosszone.cost.flop import model_flop
from crosszone.errors import CrossZoneError
from crosszone.runtime.checkpoint import (
    newest_checkpoint,
    random_state,
    save_checkpoint,
    saved_keys,
    set_random_state,
)
from crosszone.runtime.data import microbatch, open_samples, rank_positions
from crosszone.runtime.identity import check_identity, check_zones
from crosszone.runtime.sync.local import LocalSteps
from crosszone.runtime.telemetry import StepRecord, Telemetry, measured_memory, problem
from crosszone.runtime.world import World, limit_collectives, open_world

STOPPED_EXIT_CODE = 128 + signal.SIGTERM
"""As a shell reports a program that SIGTERM ended; the state is saved."""


class Engine(Protocol):
    """What DDP, FSDP2, DeepSpeed and Horovod have in common."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def num_parameters(self) -> int: ...
    def backward(self, inputs: torch.Tensor, labels: torch.Tensor, *, scale: float, is_last: bool) -> torch.Tensor: ...
    def update(self, learning_rate: float) -> tuple[float, bool]: ...
    def named_parameters(self) -> Iterable[tuple[str, torch.Tensor]]: ...
    def save(self, folder: Path, extra: dict[str, Any]) -> None: ...
    def load(self, folder: Path, extra: dict[str, Any]) -> dict[str, Any]: ...


def main(arguments: list[str] | None = None) -> int:
    """Train as a file says; the exit code. What is wrong goes to standard error, once for the same thing."""
    parser = argparse.ArgumentParser(prog="python -m crosszone.runtime.train", description=__doc__)
    parser.add_argument("config", type=Path, metavar="CONFIG.json")
    path = parser.parse_args(arguments).config
    rank = os.environ.get("RANK", "0")
    try:
        config = read_config(path)
    except CrossZoneError as error:
        if rank == "0":
            sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    try:
        is_done = train(config, folder=path.parent)
    except CrossZoneError as error:
        sys.stderr.write(f"error on rank {rank}: {error}\n")
        return error.exit_code
    return 0 if is_done else STOPPED_EXIT_CODE


def train(config: TrainConfig, *, folder: Path) -> bool:
    """Train from the newest whole checkpoint, or from the start, to `num_steps`; whether it got there.

    False after SIGTERM to any rank: all end the same step, save and leave; zones that step by themselves at the next
    exchange. Paths of `config` are relative to `folder`.

    Errors: CrossZoneError for what a person can mend; RuntimeError where a collective fails, as when a rank dies.
    """
    with open_world(config) as world, Telemetry(folder / config.log_folder, rank=world.rank) as telemetry:
        return _Run(config.as_of_rank(world.rank), world, telemetry, folder).train()


class _Run:
    """One start of one rank."""

    def __init__(self, config: TrainConfig, world: World, telemetry: Telemetry, folder: Path) -> None:
        self.config, self.world, self.telemetry = config, world, telemetry
        self._checkpoints = None if config.checkpoint is None else folder / config.checkpoint.folder
        self._arm(config.timeouts.first_step_seconds)
        self._engine, self._local = _engine(config, world, folder)
        self._samples = open_samples(
            config.data,
            folder=folder,
            sequence_length=config.sequence_length,
            vocab_size=self._engine.vocab_size,
            seed=config.seed,
        )
        self._state = run_state(config, folder)
        self._is_stopping = False
        self._step_tokens = world.step_sequences * config.sequence_length

    def train(self) -> bool:
        first, limits = self._resume(), self.config.timeouts
        self._start_event(first)
        before = signal.signal(signal.SIGTERM, self._stop)
        try:
            for step in range(first, self.config.num_steps):
                is_stopping = self._step(step)
                if step == first:
                    limit_collectives(self.world, limits.collective_seconds)
                self._arm(limits.watchdog_seconds)
                self._keep(step + 1, is_last=is_stopping or step + 1 == self.config.num_steps)
                if is_stopping and step + 1 < self.config.num_steps:
                    self.telemetry.event("stopped", step=step + 1)
                    return False
                self._arm(limits.step_deadline_seconds)
        finally:
            signal.signal(signal.SIGTERM, before)
            faulthandler.cancel_dump_traceback_later()
        self.telemetry.event("end", step=max(first, self.config.num_steps))
        return True

    def _step(self, step: int) -> bool:
        """Train one step and log it; whether any rank was asked to stop."""
        config, started, data_seconds = self.config, time.perf_counter(), 0.0
        sums = torch.zeros(2, dtype=torch.float64, device=self.world.device)
        parts = list(
            rank_positions(
                step,
                rank_sequences=self.world.rank_sequences,
                rank=self.world.replica,
                microbatch_size=config.microbatch_size,
            )
        )
        for part in parts:
            waiting = time.perf_counter()
            tokens = microbatch(self._samples, part, seed=config.seed)
            data_seconds += time.perf_counter() - waiting
            inputs, labels = (each.to(self.world.device, non_blocking=True) for each in tokens)
            sums[0] += self._engine.backward(inputs, labels, scale=1.0 / self._step_tokens, is_last=part is parts[-1])
        sums[1] = float(self._is_stopping)
        # Beside the update, which does not need it; of zones that step by themselves, no one waits for another's.
        summing = distributed.all_reduce(sums, group=self.world.group, async_op=True)
        rate = learning_rate(config.optimizer, step)
        norm, is_skipped = self._engine.update(rate)
        assert summing is not None
        summing.wait()
        loss_sum, num_stopping = sums.tolist()
        exchange_seconds = None
        if self._local is not None:
            exchanging = time.perf_counter()
            num_stopping = self._agree(self._local, step + 1, loss_sum, is_stopping=bool(num_stopping))
            exchange_seconds = time.perf_counter() - exchanging
        step_seconds = time.perf_counter() - started
        self.telemetry.step(
            StepRecord(
                step=step + 1,
                step_seconds=step_seconds,
                data_seconds=data_seconds,
                exchange_seconds=exchange_seconds,
                loss=loss_sum / self._step_tokens,
                gradient_norm=norm,
                is_skipped=is_skipped,
                learning_rate=rate,
                consumed_tokens=(step + 1) * config.global_batch_tokens,
                memory=measured_memory(self.world.device),
                **self._rates(step_seconds),
            )
        )
        return bool(num_stopping)

    def _agree(self, local: LocalSteps, num_done: int, loss_sum: float, *, is_stopping: bool) -> float:
        """Exchange with other zones what is due; of how many ranks all zones know that they are asked to stop."""
        is_last = num_done == self.config.num_steps
        heard = local.after_step(
            num_done, loss_sum=loss_sum, num_tokens=self._step_tokens, is_stopping=is_stopping, is_last=is_last
        )
        if heard is None:
            return 0.0
        num_stopping, losses, num_tokens = heard
        if num_tokens:
            self.telemetry.event("exchange", step=num_done, loss=losses / num_tokens)
        if self.config.identity_every_steps is not None and (local.is_agreed or is_last):
            check_zones(self._engine.named_parameters(), self.world, step=num_done)
        return num_stopping

    def _rates(self, step_seconds: float) -> dict[str, Any]:
        config, num_ranks = self.config, self.world.num_ranks
        tokens_per_second = config.global_batch_tokens / step_seconds
        flop_per_second = None
        if config.model is not None:
            step_flop = model_flop(config.model, config.sequence_length) * config.global_batch_size
            flop_per_second = step_flop / step_seconds / num_ranks
        return {
            "tokens_per_second": tokens_per_second,
            "tokens_per_second_per_gpu": tokens_per_second / num_ranks,
            "model_flop_per_second_per_gpu": flop_per_second,
        }

    def _keep(self, num_done: int, *, is_last: bool) -> None:
        """Compare replicas and save, each when its time has come; what is saved has been compared."""
        config = self.config
        is_saved = config.checkpoint is not None and (is_last or num_done % config.checkpoint.every_steps == 0)
        every = config.identity_every_steps
        if every is not None and (is_saved or num_done % every == 0):
            check_identity(self._engine.named_parameters(), self.world, step=num_done)
        if is_saved:
            self._save(num_done)

    def _save(self, num_done: int) -> None:
        assert self._checkpoints is not None, "is_saved says so"
        assert self.config.checkpoint is not None, "is_saved says so"
        started = time.perf_counter()
        manifest = Manifest(
            format=checkpoint_format(self.config),
            step=num_done,
            consumed_samples=num_done * self.config.global_batch_size,
            num_ranks=self.world.num_ranks,
            state_fields=self._state,
            files=(),
        )
        try:
            path = save_checkpoint(
                self._checkpoints,
                self.world,
                manifest,
                write=lambda aside: self._engine.save(self._part(aside), self._beside()),
                num_kept=self.config.checkpoint.num_kept,
            )
        except BaseException as error:  # torch's CheckpointException is no Exception
            self.telemetry.event("unsaved", step=num_done, reason=problem(error))
            raise
        seconds = time.perf_counter() - started
        self.telemetry.event("checkpoint", step=num_done, path=path.name, checkpoint_seconds=seconds)

    def _resume(self) -> int:
        """Steps that are done."""
        found = None if self._checkpoints is None else newest_checkpoint(self._checkpoints, self.world)
        if found is None:
            return 0
        path, manifest = found
        check_continues(manifest, path, self.config, state=self._state, num_ranks=self.world.num_ranks)
        part = self._part(path)
        if self._local is not None:
            self._local.expect(saved_keys(part))
        is_same_world = manifest.num_ranks == self.world.num_ranks  # else no rank's random state is its own
        loaded = self._engine.load(part, self._beside() if is_same_world else {})
        if is_same_world:
            set_random_state(loaded, self.world)
        return manifest.step

    def _part(self, checkpoint: Path) -> Path:
        """Where the ranks that take every step together save."""
        if self._local is None:
            return checkpoint
        return checkpoint / f"zone-{self.config.zone_ranks.index(self.world.together)}"

    def _beside(self) -> dict[str, Any]:
        """What is saved beside the engine's state."""
        return random_state(self.world) | ({} if self._local is None else {"local": self._local.state()})

    def _start_event(self, num_done: int) -> None:
        config, world = self.config, self.world
        self.telemetry.event(
            "start",
            fingerprint=config.fingerprint,
            framework=config.framework,
            num_gpus=world.num_ranks,
            num_parameters=self._engine.num_parameters,
            num_microbatches=max(world.rank_microbatches),
            global_batch_tokens=config.global_batch_tokens,
            first_step=num_done + 1,
            saves=self._checkpoints is not None,
            exchange_every_steps=None if config.local is None else config.local.every,
            attempt=world.attempt,
            device=torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else "cpu",
            torch_version=torch.__version__,
            started_seconds=time.time(),
        )

    def _stop(self, number: int, frame: object) -> None:
        self._is_stopping = True

    def _arm(self, seconds: float) -> None:
        """End this process, showing where each thread is, unless it is armed again within so long."""
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or 2)


def _engine(config: TrainConfig, world: World, folder: Path) -> tuple[Engine, LocalSteps | None]:
    """What trains, and what agrees with other zones where each steps by itself."""
    if config.framework in LOCAL_FRAMEWORKS:
        from crosszone.runtime.native import NativeEngine

        native = NativeEngine(config, world, folder=folder)
        return native, _local_steps(native.model, config, world)
    return _guest_engine(config, world, folder), None


def _local_steps(model: torch.nn.Module, config: TrainConfig, world: World) -> LocalSteps | None:
    if config.local is None:
        return None
    assert world.zones is not None, "train_problems holds that each rank has a zone"
    share = world.step_sequences / sum(world.rank_sequences)
    return LocalSteps(model, world.zones, config.local, codec=config.zone_codec, token_share=share)


def _guest_engine(config: TrainConfig, world: World, folder: Path) -> Engine:
    """Of a framework that brings its own loop of communication."""
    if config.stage_layers:
        from crosszone.runtime.zero_pipeline import ZeroPipelineEngine

        return ZeroPipelineEngine(config, world, folder=folder)
    if config.framework == "deepspeed":
        from crosszone.runtime.zero import ZeroEngine

        return ZeroEngine(config, world, folder=folder)
    from crosszone.runtime.horovod import HorovodEngine

    return HorovodEngine(config, world, folder=folder)


if __name__ == "__main__":
    sys.exit(main())
