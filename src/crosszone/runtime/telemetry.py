"""What a run measures, one JSON object per line, under the names that a prediction has."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import torch

from crosszone.core.codec import to_json

SCHEMA_VERSION = 1
UNITS_PER_RSS = {"linux": 1024, "darwin": 1}
"""Bytes of one unit of `ru_maxrss` (getrusage(2) of each system)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredMemory:
    """Of one rank; None where the device does not say."""

    peak_bytes: float
    """As torch's allocator counts tensors on a GPU; the process on a CPU."""
    allocated_bytes: float | None
    reserved_bytes: float | None
    device_bytes: float | None
    """In use on the whole GPU, contexts and other processes among it."""
    capacity_bytes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step, as one rank saw it."""

    step: int
    """1 is the first of the run."""
    step_seconds: float
    tokens_per_second: float
    """Of all ranks."""
    tokens_per_second_per_gpu: float
    model_flop_per_second_per_gpu: float | None
    """None where the shape is not known."""
    data_seconds: float
    """Of `step_seconds`, waiting for tokens."""
    exchange_seconds: float | None = None
    """Of `step_seconds`, agreeing with other zones on the weights; None where zones step together."""
    loss: float
    """Mean over all tokens of the step, of the ranks that take it together."""
    gradient_norm: float
    """Before clipping."""
    is_skipped: bool
    """fp16 overflowed, and the weights stayed."""
    learning_rate: float
    consumed_tokens: int
    """By all ranks since the run began."""
    memory: MeasuredMemory


class Telemetry:
    """Writes `rank-N.jsonl` in a folder; rank 0 writes on standard output too.

    A start appends a line with `"event": "start"`, so that restarts can be told apart; steps that a restart repeats
    are there again after it.
    """

    def __init__(self, folder: Path, *, rank: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"rank-{rank}.jsonl").open("a", encoding="utf-8")
        self._files: tuple[TextIO, ...] = (self._file, sys.stdout) if rank == 0 else (self._file,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def event(self, name: str, **values: Any) -> None:
        """Something that is no step: start, resume, checkpoint, end."""
        self._write({"event": name, **values})

    def step(self, record: StepRecord) -> None:
        """One step."""
        self._write({"event": "step", **asdict(record)})

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(to_json({"schema_version": SCHEMA_VERSION, **line}))
        for file in self._files:
            print(text, file=file, flush=True)


def problem(error: BaseException) -> str:
    """Why saving failed, in one line; of what torch gathered from ranks (CheckpointException), the first rank's."""
    for first, _ in getattr(error, "failures", {}).values():
        error = first
        break
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def measured_memory(device: torch.device, *, restarts: bool = True) -> MeasuredMemory:
    """The peak since the last call, which starts the next one unless told not to; on a CPU, since the process began."""
    if device.type != "cuda":
        used_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNITS_PER_RSS.get(sys.platform, 1024)
        return MeasuredMemory(
            peak_bytes=float(used_bytes),
            allocated_bytes=None,
            reserved_bytes=None,
            device_bytes=None,
            capacity_bytes=None,
        )
    free_bytes, capacity_bytes = torch.cuda.mem_get_info(device)
    allocated_bytes = float(torch.cuda.max_memory_allocated(device))
    reserved_bytes = float(torch.cuda.max_memory_reserved(device))
    if restarts:
        torch.cuda.reset_peak_memory_stats(device)
    return MeasuredMemory(
        peak_bytes=allocated_bytes,
        allocated_bytes=allocated_bytes,
        reserved_bytes=reserved_bytes,
        device_bytes=float(capacity_bytes - free_bytes),
        capacity_bytes=float(capacity_bytes),
    )
