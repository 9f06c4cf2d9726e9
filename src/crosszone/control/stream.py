"""What a run logs, brought into the relaxed store as it comes; reading it again adds nothing twice.

A figure replaces itself. A line does not, so that how far each log is read is a figure of the run, too, written in the
same transaction.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosszone.core.run import Run
from crosszone.errors import CrossZoneError
from crosszone.launch.backends import OUTPUT_FILE, launchers
from crosszone.launch.bundle_folder import BundleFolder
from crosszone.launch.step_log import STEP_LOG
from crosszone.store import telemetry
from crosszone.store.database import Database
from crosszone.store.telemetry import Sample

logger = logging.getLogger(__name__)

OF_RUN = ("step_seconds", "loss", "tokens_per_second", "tokens_per_second_per_gpu", "model_flop_per_second_per_gpu")
"""Kept of the lowest rank, which speaks for all."""
OF_RANK = ("step_seconds",)
"""Kept of every other one: which is slow."""
PEAK = "peak_bytes"
CHECKPOINT = "checkpoint_seconds"
"""For so long saving held the run up, by the step that was saved; of the lowest rank."""
LOG_BYTES = "log_bytes"
"""How much of a log is read; in place of the rank, the number of the log."""
MOST_BYTES = 1 << 22
"""That are read of one file at once. Chosen: a minute's worth of the largest logs, stored in well under a second."""
MOST_WAITING = 100_000
"""Figures that are kept while the database takes none; then the oldest are lost."""
RANK_PREFIX = re.compile(r"\[rank (\d+)\] ")
"""As the supervisor has torchrun begin each line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Ranks that their launcher started again within an attempt."""

    first_step: int
    last_step: int
    """What was done before: the steps from the first to this are trained again."""


@dataclass(slots=True)
class Progress:
    """How far the lowest rank is."""

    first_step: int | None = None
    """Of its newest start; None: it has not started."""
    last_step: int | None = None
    """The newest that is done since."""
    saved_step: int | None = None
    """That a checkpoint holds."""
    restarts: list[Restart] = field(default_factory=list)
    """Since it was asked last."""
    has_more: bool = False
    """Whether there is more to read at once, as far as the database takes it: of a log, `MOST_BYTES` were new."""


class Stream:
    """The logs of one attempt."""

    def __init__(self, attempt_id: str, bundle: BundleFolder, run: Run, database: Database) -> None:
        self._attempt_id, self._bundle, self._run, self._database = attempt_id, bundle, run, database
        self._steps = dict(run.log_sizes)
        self._progress = Progress()
        self._waiting: list[Sample] = []
        with database.reading() as connection:
            known = telemetry.samples_of(connection, attempt_id, LOG_BYTES)
        self._read = {each.rank: int(each.value) for each in known}

    def read(self, *, now_seconds: float) -> Progress:
        """Store what is new, and say how far the run is.

        A database that takes nothing is told in the log, and asked again: no run depends on what is kept of it.
        """
        self._progress.restarts, self._progress.has_more = [], False
        self._waiting += self._samples(now_seconds)
        lines, read = self._lines()
        positions = [self._figure(LOG_BYTES, log, 0, float(size), now_seconds) for log, size in read.items()]
        if self._waiting or read != self._read:
            try:
                with self._database.writing() as connection:
                    telemetry.add_samples(connection, [*self._waiting, *positions])
                    for rank, texts in lines:
                        telemetry.add_lines(connection, self._attempt_id, texts, rank=rank, now_seconds=now_seconds)
            except CrossZoneError as error:
                logger.warning("figures of %s wait: %s", self._attempt_id, error)
                self._waiting, self._progress.has_more = self._waiting[-MOST_WAITING:], False
            else:
                self._waiting, self._read = [], read
        return self._progress

    def _samples(self, now_seconds: float) -> Iterator[Sample]:
        found = [(int(match[1]), path) for path in self._logs() if (match := STEP_LOG.fullmatch(path.name))]
        for number, (rank, path) in enumerate(sorted(found)):
            text, self._steps[path.name] = self._new_text(path, self._steps.get(path.name, 0))
            for record in _records(text):
                if number == 0:
                    self._take(record)
                    yield from self._saved(rank, record, now_seconds)
                yield from self._figures(rank, record, OF_RUN if number == 0 else OF_RANK, now_seconds)

    def _logs(self) -> list[Path]:
        return list(self._bundle.logs.iterdir()) if self._bundle.logs.is_dir() else []

    def _take(self, record: dict[str, Any]) -> None:
        progress, event = self._progress, record.get("event")
        if event == "start":
            first = int(record["first_step"])
            if progress.last_step is not None:
                progress.restarts.append(Restart(first_step=first, last_step=progress.last_step))
            progress.first_step, progress.last_step = first, None
        elif event == "step":
            progress.last_step = int(record["step"])
        elif event == "checkpoint":
            progress.saved_step = record.get("step", progress.saved_step)

    def _figures(
        self, rank: int, record: dict[str, Any], names: tuple[str, ...], now_seconds: float
    ) -> Iterator[Sample]:
        if record.get("event") != "step":
            return
        values = {name: record.get(name) for name in names} | {PEAK: record["memory"]["peak_bytes"]}
        for name, value in values.items():
            if value is not None:
                yield self._figure(name, rank, record["step"], float(value), now_seconds)

    def _saved(self, rank: int, record: dict[str, Any], now_seconds: float) -> Iterator[Sample]:
        held_up = record.get(CHECKPOINT)  # a program of one's own may not say it
        if record.get("event") == "checkpoint" and held_up is not None:
            yield self._figure(CHECKPOINT, rank, int(record["step"]), float(held_up), now_seconds)

    def _figure(self, name: str, rank: int, step: int, value: float, now_seconds: float) -> Sample:
        return Sample(run_id=self._attempt_id, name=name, rank=rank, step=step, seconds=now_seconds, value=value)

    def _lines(self) -> tuple[list[tuple[int | None, list[str]]], dict[int, int]]:
        """(rank, its lines), in order; and how far each log is read with them."""
        logs = [self._bundle.folder / self._run.log_folder / OUTPUT_FILE]
        logs += [each.log for each in launchers(self._bundle, self._run) if each.log not in logs]
        found: list[tuple[int | None, list[str]]] = []
        read = dict(self._read)
        for number, path in enumerate(logs):
            text, read[number] = self._new_text(path, read.get(number, 0))
            for line in text.splitlines():
                match = RANK_PREFIX.match(line)
                rank = None if match is None else int(match[1])
                if not found or found[-1][0] != rank:
                    found.append((rank, []))
                found[-1][1].append(line if match is None else line[match.end() :])
        return found, read

    def _new_text(self, path: Path, position: int) -> tuple[str, int]:
        """Whole lines behind `position`, and where the next ones begin; a file that became shorter was begun anew.

        A line that is longer than `MOST_BYTES` is cut: nothing behind it would ever be read.
        """
        try:
            with path.open("rb") as file:
                if file.seek(0, 2) < position:
                    position = 0
                file.seek(position)
                data = file.read(MOST_BYTES)
        except FileNotFoundError:
            return "", position
        is_full = len(data) == MOST_BYTES
        self._progress.has_more |= is_full
        whole = data[: data.rfind(b"\n") + 1] or (data if is_full else b"")
        return whole.decode("utf-8", errors="replace"), position + len(whole)


def _records(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # a rank that was killed while it wrote
            continue
        if isinstance(record, dict):
            yield record
