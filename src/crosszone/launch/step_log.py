"""The steps that ranks log in `rank-N.jsonl`, read as they come; the names in them are those of `runtime.telemetry`."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosszone.core.measurement import MeasuredPeak, Measurement, RankMeasurement

STEP_LOG = re.compile(r"rank-(\d+)\.jsonl")
LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95


@dataclass(slots=True)
class RankSteps:
    """What one rank logged since the run began; `read` takes in what is new."""

    path: Path
    position: int
    """Bytes that are read."""
    start: dict[str, Any] = field(default_factory=dict)
    """Its newest start event."""
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number, each as it was logged last: a restart repeats some."""
    first_steps: set[int] = field(default_factory=set)
    """The first one after each start."""

    def read(self) -> None:
        """Take in the lines that were added; half a line waits for its rest."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                data = file.read()
        except FileNotFoundError:
            return
        whole, newline, _ = data.rpartition(b"\n")
        self.position += len(whole) + len(newline)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except ValueError:  # a rank that was killed while it wrote
            return
        if not isinstance(record, dict):
            return
        if record.get("event") == "start":
            self.start = record
            self.first_steps.add(record["first_step"])
        elif record.get("event") == "step":
            self.steps[record["step"]] = record

    @property
    def newest(self) -> dict[str, Any] | None:
        """The record of the newest step."""
        return self.steps[max(self.steps)] if self.steps else None

    def counted(self) -> tuple[dict[str, Any], ...]:
        """Steps that tell how fast the run is, in order; the first ones after a start, where there are no others."""
        later = [record for step, record in sorted(self.steps.items()) if step not in self.first_steps]
        return tuple(later or [record for _, record in sorted(self.steps.items())])

    @property
    def step_seconds(self) -> float | None:
        """Median of the steps that count."""
        counted = self.counted()
        return statistics.median(record["step_seconds"] for record in counted) if counted else None


def log_sizes(logs: Path) -> tuple[tuple[str, int], ...]:
    """(file, bytes) of the step logs that are there: what an earlier run left."""
    return tuple(sorted((path.name, path.stat().st_size) for path in logs.glob("rank-*.jsonl")))


def rank_steps(logs: Path, sizes: Iterable[tuple[str, int]]) -> dict[int, RankSteps]:
    """The step logs of all ranks that write one, from where they were when the run began; read."""
    positions = dict(sizes)
    found = {}
    for path in logs.glob("rank-*.jsonl"):
        if match := STEP_LOG.fullmatch(path.name):
            position = positions.get(path.name, 0)
            # Shorter than before: somebody took the old one away.
            steps = RankSteps(path=path, position=position if path.stat().st_size >= position else 0)
            steps.read()
            found[int(match[1])] = steps
    return dict(sorted(found.items()))


def measurement(ranks: Mapping[int, RankSteps]) -> Measurement | None:
    """What a run measured; None where no step was logged.

    A step ends when all ranks have agreed on its gradients, so that its time is that of its slowest rank.
    """
    ranks = {rank: each for rank, each in ranks.items() if each.steps}
    if not ranks:
        return None
    lowest = next(iter(ranks.values()))
    seconds = _slowest(ranks.values())
    step_seconds = statistics.median(seconds)
    start, first, last = lowest.start, lowest.steps[min(lowest.steps)], lowest.newest
    assert last is not None, "it has steps"
    # A rate times the time of its own step is what a step holds, whatever the rank: tokens, FLOP.
    tokens, flop = (_held(first, name) for name in ("tokens_per_second", "model_flop_per_second_per_gpu"))
    num_gpus = int(start.get("num_gpus", len(ranks)))
    memories = [record["memory"] for each in ranks.values() for record in each.steps.values()]
    capacities = [memory["capacity_bytes"] for memory in memories if memory["capacity_bytes"] is not None]
    return Measurement(
        fingerprint=str(start.get("fingerprint", "")),
        framework=str(start.get("framework", "")),
        num_gpus=num_gpus,
        device=str(start.get("device", "")),
        num_parameters=start.get("num_parameters"),
        num_microbatches=start.get("num_microbatches"),
        global_batch_tokens=start.get("global_batch_tokens"),
        num_steps=len(seconds),
        step_seconds=step_seconds,
        low_seconds=quantile(seconds, LOW_QUANTILE),
        high_seconds=quantile(seconds, HIGH_QUANTILE),
        tokens_per_second=None if tokens is None else tokens / step_seconds,
        tokens_per_second_per_gpu=None if tokens is None else tokens / step_seconds / num_gpus,
        model_flop_per_second_per_gpu=None if flop is None else flop / step_seconds,
        memory=MeasuredPeak(
            peak_bytes=max(memory["peak_bytes"] for memory in memories),
            capacity_bytes=min(capacities) if capacities else None,
        ),
        first_loss=first["loss"],
        last_loss=last["loss"],
        ranks=tuple(_rank(rank, each) for rank, each in ranks.items()),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that a `share` of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _slowest(ranks: Iterable[RankSteps]) -> list[float]:
    """Seconds of each step that counts, on its slowest rank."""
    found: dict[int, float] = {}
    for each in ranks:
        for record in each.counted():
            found[record["step"]] = max(record["step_seconds"], found.get(record["step"], 0.0))
    return [found[step] for step in sorted(found)]


def _held(record: Mapping[str, Any], rate: str) -> float | None:
    per_second = record[rate]
    return None if per_second is None else per_second * record["step_seconds"]


def _rank(rank: int, steps: RankSteps) -> RankMeasurement:
    counted = steps.counted()
    return RankMeasurement(
        rank=rank,
        step_seconds=statistics.median(record["step_seconds"] for record in counted),
        data_seconds=statistics.median(record["data_seconds"] for record in counted),
        peak_bytes=max(record["memory"]["peak_bytes"] for record in steps.steps.values()),
    )
