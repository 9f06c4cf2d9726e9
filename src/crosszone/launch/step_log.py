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

AGENT_LOGS = "agent-*.log"
"""What the launchers of nodes said."""
STEP_LOG = re.compile(r"rank-(\d+)\.jsonl")
LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95
MOST_STEPS = 20_000
"""The newest of a rank that are kept. Chosen: their median is known to a hundredth of their spread."""
RECENT_BYTES = 1 << 24
"""Of the end of a log, where only what is new matters. Chosen: more lines than `MOST_STEPS`, read in no time."""


@dataclass(slots=True)
class RankSteps:
    """What one rank logged since the run began; `read` takes in what is new."""

    path: Path
    position: int
    """Bytes that are read."""
    start: dict[str, Any] = field(default_factory=dict)
    """Its newest start event."""
    first: dict[str, Any] | None = None
    """The record of the first step that was logged."""
    newest: dict[str, Any] | None = None
    """That of the newest; a restart goes back some."""
    peak_bytes: float = 0.0
    """Highest of all steps."""
    seconds: dict[int, tuple[float, float]] = field(default_factory=dict)
    """(step, of it waiting for tokens) by number, each as it was logged last: a restart repeats some."""
    exchange_seconds: dict[int, float] = field(default_factory=dict)
    """Of the same steps, agreeing with zones that step by themselves."""
    first_steps: set[int] = field(default_factory=set)
    """The first one after each start."""
    last_step: int = 0
    """The newest that is done since its newest start."""
    saved_step: int = 0
    """The newest that a checkpoint holds, as far as it told since then."""
    num_lost_steps: int = 0
    """That a restart went back, so that they were trained again."""
    problem: str = ""
    """Why it could not save."""

    def read(self) -> None:
        """Take in the lines that were added; half a line waits for its rest."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self.position += len(line)
                    self._take(line)
        except FileNotFoundError:
            return

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except ValueError:  # a rank that was killed while it wrote
            return
        if not isinstance(record, dict):
            return
        event = record.get("event")
        if event == "start":
            self.start = record
            self.first_steps.add(record["first_step"])
            self.num_lost_steps += max(self.last_step - (record["first_step"] - 1), 0)
            self.last_step = self.saved_step = record["first_step"] - 1
            self.problem = ""
        elif event == "step":
            self._take_step(record)
        elif event == "checkpoint":
            self.saved_step = record.get("step", self.saved_step)  # a program of one's own may say it otherwise
        elif event == "unsaved":
            self.problem = str(record.get("reason", ""))

    def _take_step(self, record: dict[str, Any]) -> None:
        step = record["step"]
        self.first = self.first or record
        self.newest = record
        self.last_step = step
        self.peak_bytes = max(self.peak_bytes, record["memory"]["peak_bytes"])
        self.seconds.pop(step, None)  # so that the order is that of the log
        self.seconds[step] = record["step_seconds"], record["data_seconds"]
        self.exchange_seconds[step] = record.get("exchange_seconds") or 0.0
        if len(self.seconds) > MOST_STEPS:
            oldest = next(iter(self.seconds))
            del self.seconds[oldest], self.exchange_seconds[oldest]

    def counted(self) -> dict[int, tuple[float, float]]:
        """Steps that tell how fast the run is; the first ones after a start, where there are no others.

        An exchange of zones that step by themselves in between counts as a part of each of their steps, as in a
        prediction.
        """
        later = {step: seconds for step, seconds in self.seconds.items() if step not in self.first_steps}
        later = later or dict(self.seconds)
        each = self._mean_exchange_seconds(list(later))
        return {step: (all_of - self.exchange_seconds[step] + each, data) for step, (all_of, data) in later.items()}

    def _mean_exchange_seconds(self, steps: Sequence[int]) -> float:
        """Over the newest whole rounds of `steps`; over all, where there is none."""
        every = self.start.get("exchange_every_steps")
        if every is None or not steps:
            return 0.0
        newest = steps[-(len(steps) // every * every) :]
        return statistics.fmean(self.exchange_seconds[step] for step in newest)

    @property
    def num_restarts(self) -> int | None:
        """By the launcher, before the newest start; None where the program does not tell."""
        attempt = self.start.get("attempt")
        return None if attempt is None else int(attempt)

    @property
    def step_seconds(self) -> float | None:
        """Median of the steps that count."""
        counted = self.counted()
        return statistics.median(seconds for seconds, _ in counted.values()) if counted else None


def log_sizes(logs: Path) -> tuple[tuple[str, int], ...]:
    """(file, bytes) of the logs that are there, and that a run appends to: what an earlier one left."""
    paths = (*logs.glob("rank-*.jsonl"), *logs.glob(AGENT_LOGS))
    return tuple(sorted((path.name, path.stat().st_size) for path in paths))


def rank_steps(logs: Path, sizes: Iterable[tuple[str, int]]) -> dict[int, RankSteps]:
    """The step logs of all ranks that wrote since the run began, when they were of these `sizes`; read."""
    found = _unread(logs, sizes)
    for steps in found.values():
        steps.read()
    return found


def recent_steps(logs: Path, sizes: Iterable[tuple[str, int]]) -> RankSteps | None:
    """The newest steps of the lowest of these ranks: all ranks end a step together."""
    steps = next(iter(_unread(logs, sizes).values()), None)
    if steps is not None:
        # In the middle of a line, which is then passed over.
        steps.position = max(steps.position, steps.path.stat().st_size - RECENT_BYTES)
        steps.read()
    return steps


def measurement(ranks: Mapping[int, RankSteps]) -> Measurement | None:
    """What a run measured; None where no step was logged.

    A step ends when all ranks have agreed on its gradients, so that its time is that of its slowest rank.
    """
    ranks = {rank: each for rank, each in ranks.items() if each.seconds}
    lowest = next(iter(ranks.values()), None)
    if lowest is None:
        return None
    start, first, last = lowest.start, lowest.first, lowest.newest
    assert first is not None, "it has steps"
    assert last is not None, "it has steps"
    seconds = _slowest(ranks.values())
    step_seconds = statistics.median(seconds)
    # A rate times the time of its own step is what a step holds, whatever the rank: tokens, FLOP.
    tokens, flop = (_held(first, name) for name in ("tokens_per_second", "model_flop_per_second_per_gpu"))
    num_gpus = int(start.get("num_gpus", len(ranks)))
    fullest = max(ranks.values(), key=lambda each: each.peak_bytes)
    assert fullest.newest is not None, "it has steps"
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
        memory=MeasuredPeak(peak_bytes=fullest.peak_bytes, capacity_bytes=fullest.newest["memory"]["capacity_bytes"]),
        first_loss=first["loss"],
        last_loss=last["loss"],
        ranks=tuple(_rank(rank, each) for rank, each in ranks.items()),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that a `share` of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _unread(logs: Path, sizes: Iterable[tuple[str, int]]) -> dict[int, RankSteps]:
    """By rank; only those to which something was added."""
    before = dict(sizes)
    found = {}
    for path in logs.glob("rank-*.jsonl"):
        match = STEP_LOG.fullmatch(path.name)
        position, size = before.get(path.name, 0), path.stat().st_size
        if match is not None and size != position:
            # Shorter than before: somebody took the old one away.
            found[int(match[1])] = RankSteps(path=path, position=position if size > position else 0)
    return dict(sorted(found.items()))


def _slowest(ranks: Iterable[RankSteps]) -> list[float]:
    """Seconds of each step that counts, on its slowest rank."""
    found: dict[int, float] = {}
    for each in ranks:
        for step, (seconds, _) in each.counted().items():
            found[step] = max(seconds, found.get(step, 0.0))
    return [found[step] for step in sorted(found)]


def _held(record: Mapping[str, Any], rate: str) -> float | None:
    per_second = record[rate]
    return None if per_second is None else per_second * record["step_seconds"]


def _rank(rank: int, steps: RankSteps) -> RankMeasurement:
    counted = steps.counted().values()
    return RankMeasurement(
        rank=rank,
        step_seconds=statistics.median(seconds for seconds, _ in counted),
        data_seconds=statistics.median(waiting for _, waiting in counted),
        peak_bytes=steps.peak_bytes,
    )
