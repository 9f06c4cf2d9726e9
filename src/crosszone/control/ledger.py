"""Runs that are over, kept with what was predicted of them, and as the table that `crosszone validate` reads."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from crosszone.core.bundle import MANIFEST_PATH
from crosszone.core.codec import to_json
from crosszone.core.measurement import Measurement
from crosszone.core.task import Attempt, Task
from crosszone.errors import CrossZoneError
from crosszone.launch.bundle_folder import open_bundle
from crosszone.launch.record import read_measurement, read_run
from crosszone.launch.step_log import measurement, rank_steps
from crosszone.store.ids import new_id
from crosszone.store.records import SavedRun

logger = logging.getLogger(__name__)

MEASURED = "measured"


def saved_run(task: Task, attempt: Attempt, *, now_seconds: float) -> SavedRun | None:
    """What an attempt measured, beside what was predicted of it; None where it logged no step, or cannot be read."""
    if attempt.folder is None or not Path(attempt.folder, MANIFEST_PATH).is_file():
        return None
    folder = Path(attempt.folder)
    try:
        found = _measured(folder)
        manifest = json.loads((folder / MANIFEST_PATH).read_text(encoding="utf-8"))
    except (CrossZoneError, OSError, ValueError) as error:
        logger.warning("nothing is kept of what %s measured: %s", attempt.id, error)
        return None
    if found is None:
        return None
    return SavedRun(
        id=new_id("run", now_seconds),
        name=f"{task.name}, attempt {attempt.number}",
        kind=MEASURED,
        task_id=task.id,
        attempt_id=attempt.id,
        fingerprint=found.fingerprint or None,
        job=task.job or {},
        plan=manifest["plan"],
        prediction={"problem": manifest["problem"], **manifest["prediction"]},
        measurement=to_json(found),
        owner=task.owner,
        created_seconds=now_seconds,
    )


def _measured(folder: Path) -> Measurement | None:
    """As its supervisor wrote it, else from what ranks logged: a supervisor may have been killed."""
    bundle = open_bundle(folder)
    run = read_run(bundle.logs)
    if run is None:
        return None
    return read_measurement(bundle.logs) or measurement(rank_steps(bundle.logs, run.log_sizes))
