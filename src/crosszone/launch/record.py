"""The record of a bundle's newest run, `logs/run.json`: whole or not there, and changed by one at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crosszone.core.codec import from_json, to_json
from crosszone.core.measurement import Measurement
from crosszone.core.run import Run
from crosszone.errors import CrossZoneError, SpecError

RUN_FILE, LOCK_FILE, MEASUREMENT_FILE = "run.json", "run.lock", "measurement.json"


@contextmanager
def only_one(logs: Path) -> Iterator[None]:
    """While it lasts, nobody else starts or stops a run of this folder."""
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / LOCK_FILE).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_run(logs: Path) -> Run | None:
    """The newest run; None where there has been none. Errors: CrossZoneError where the record is damaged."""
    found: Run | None = _read(Run, logs / RUN_FILE)
    return found


def read_measurement(logs: Path) -> Measurement | None:
    """What the newest run measured, once it is over. Errors: CrossZoneError where the file is damaged."""
    found: Measurement | None = _read(Measurement, logs / MEASUREMENT_FILE)
    return found


def write_run(logs: Path, run: Run) -> None:
    """In place of the record that is there."""
    _write(logs / RUN_FILE, run)


def write_measurement(logs: Path, measurement: Measurement | None) -> None:
    """In place of the file that is there; None: there is none for this run."""
    if measurement is None:
        (logs / MEASUREMENT_FILE).unlink(missing_ok=True)
    else:
        _write(logs / MEASUREMENT_FILE, measurement)


def _read(kind: type[Any], path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return from_json(kind, json.loads(text))
    except (ValueError, SpecError) as error:
        message = f"it was damaged, or written by another version: {error}"
        hint = "Move it away; then `crosszone status` knows of no run here."
        raise CrossZoneError.of(message, where=str(path), hint=hint, code="damaged") from None


def _write(path: Path, value: Any) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(to_json(value), file, indent=2, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
