"""How tasks that are driven get on: the newest attempt beside its prediction, what its ranks say, orphans."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.core.path_watch import PathLook
from crosszone.core.task import ATTEMPT, FINAL_STATES, Attempt, Task, following
from crosszone.errors import CrossZoneError, Finding, NotThere

if TYPE_CHECKING:
    from crosszone.control.orphans import Orphan
    from crosszone.core.run import RunStatus
    from crosszone.store.opened import Store
    from crosszone.store.paths import PathSample
    from crosszone.store.telemetry import Line, Sample


COMPARED = ("step_seconds", "tokens_per_second", "tokens_per_second_per_gpu", "model_flop_per_second_per_gpu")
PEAK = "peak_bytes"
NUM_NEWEST = 100
"""Steps that tell how fast a run is while it goes on. Chosen: as many as a person looks back on."""
CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """One figure of a task, predicted and measured."""

    name: str
    """As of a prediction: step_seconds, tokens_per_second, ..."""
    predicted: float
    measured: float | None
    """Of the newest attempt; None: not yet."""
    ratio: float | None
    """Measured by predicted; None: not yet, or measured on other hardware than was predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """How a task stands now. None is not yet, or cannot be seen."""

    schema_version: int = 1
    task_id: str
    state: str
    waits_for: tuple[Finding, ...]
    """What must change before it can start; none where it only waits for a worker, or has begun."""
    attempt: Attempt | None
    """The newest."""
    run: RunStatus | None
    """Its steps so far, and `predicted` beside them."""
    unseen: str
    """Why its run cannot be seen; empty where it can."""
    compared: tuple[ComparedFigure, ...]
    """None where nothing is predicted. Measured are the newest steps, and all of them once a run is over."""
    spent_dollars: float | None
    """By all attempts until now; None where a price is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLink:
    """The path from one environment of a run to another, as it was looked at while the run went on."""

    from_environment: str
    to_environment: str
    level: str
    """fine | warning | critical: of its alarm."""
    newest: PathLook
    """With what was planned."""
    seconds: tuple[float, ...]
    """Of every look, since 1970, UTC; the oldest first, as below."""
    rtt_seconds: tuple[float | None, ...]
    bytes_per_second: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLines:
    """Some of what the ranks of an attempt said."""

    lines: tuple[Line, ...]
    is_ended: bool
    """Whether nothing more will come."""


def task_progress(store: Store, key: str) -> TaskProgress:
    """How the task with this id stands. NotThere."""
    from crosszone.control.admission import spent_dollars
    from crosszone.control.claim import why_waiting
    from crosszone.store import environments, tasks

    with store.state.reading() as connection:
        task, tried = tasks.one(connection, key), tasks.attempts_of(connection, key)
        waits_for = why_waiting(connection, task)
        ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
        known = {each.id: each for each in environments.by_id(connection, ids)}
    attempt = tried[-1] if tried else None
    run, unseen = _seen(task, attempt)
    return TaskProgress(
        task_id=key,
        state=task.state,
        waits_for=waits_for,
        attempt=attempt,
        run=run,
        unseen=unseen,
        compared=compared_figures(task.prediction, run, newest=_newest_figures(store, attempt, run)),
        spent_dollars=spent_dollars(task, known, tried, now_seconds=time.time()),
    )


def compared_figures(
    prediction: Mapping[str, Any] | None, run: RunStatus | None, *, newest: Mapping[str, float]
) -> tuple[ComparedFigure, ...]:
    """What was predicted of a task beside what its run measured, or `newest` of it, by name, while it goes on.

    Nothing where nothing is predicted.
    """
    from crosszone.launch.bundle_folder import predicted_run

    if prediction is None:
        return ()
    held = predicted_run(prediction)
    predicted: dict[str, float] = {name: getattr(held, name) for name in (*COMPARED, PEAK)}
    measurement = None if run is None else run.measurement
    measured: dict[str, float | None] = dict(newest)
    if measurement is not None:
        measured = {name: getattr(measurement, name) for name in COMPARED}
        measured[PEAK] = measurement.memory.peak_bytes
    is_alike = run is not None and run.device == CUDA
    return tuple(
        ComparedFigure(
            name=name,
            predicted=value,
            measured=(found := measured.get(name)),
            ratio=found / value if is_alike and found is not None and value else None,
        )
        for name, value in predicted.items()
    )


def task_lines(
    store: Store, key: str, number: int, *, attempt: int | None = None, rank: int | None = None
) -> TaskLines:
    """What an attempt of a task said behind the line with this number: all of it, or one rank. None: the newest.

    NotThere of the task or the attempt.
    """
    from crosszone.store import telemetry

    attempt_id, is_over = _attempt(store, key, attempt)
    with store.telemetry.reading() as connection:
        found = telemetry.lines_after(connection, attempt_id, number, rank=rank)
    return TaskLines(lines=found, is_ended=is_over and len(found) < telemetry.MOST_LINES)


def task_samples(
    store: Store, key: str, name: str, *, attempt: int | None = None, after_step: int = -1, rank: int | None = None
) -> tuple[Sample, ...]:
    """Figures of that name of an attempt of a task, by step and rank. NotThere of the task or the attempt."""
    from crosszone.store import telemetry

    attempt_id, _ = _attempt(store, key, attempt)
    with store.telemetry.reading() as connection:
        return telemetry.samples_of(connection, attempt_id, name, after_step=after_step, rank=rank)


def task_links(store: Store, key: str, *, attempt: int | None = None) -> tuple[TaskLink, ...]:
    """The paths between the nodes of an attempt, as they were looked at. NotThere of the task or the attempt."""
    from crosszone.control.link_watch import LINK_ALARM
    from crosszone.core.path_watch import FINE
    from crosszone.store import journal, paths, tasks

    attempt_id, _ = _attempt(store, key, attempt)
    with store.telemetry.reading() as connection:
        samples = paths.of_attempt(connection, attempt_id)
    with store.state.reading() as connection:
        number = next(each.number for each in tasks.attempts_of(connection, key) if each.id == attempt_id)
        told = journal.events_of_kind(connection, LINK_ALARM, key)
    levels = {
        (each.body["from_environment"], each.body["to_environment"]): each.body["level"]
        for each in told
        if each.body["attempt"] == number
    }
    by_pair: dict[tuple[str, str], list[PathSample]] = {}
    for each in samples:
        by_pair.setdefault((each.from_environment, each.to_environment), []).append(each)
    return tuple(
        TaskLink(
            from_environment=pair[0],
            to_environment=pair[1],
            level=levels.get(pair, FINE),
            newest=found[-1].look,
            seconds=tuple(each.seconds for each in found),
            rtt_seconds=tuple(each.look.rtt_seconds for each in found),
            bytes_per_second=tuple(each.look.bytes_per_second for each in found),
        )
        for pair, found in by_pair.items()
    )


def task_orphans(store: Store, folder: str | Path | None = None) -> tuple[Orphan, ...]:
    """Runs of this machine that belong to no task, and tasks whose run is gone; nothing is done about them."""
    from crosszone.control.hands import LocalHands
    from crosszone.control.orphans import orphans
    from crosszone.service.control import task_folder

    def never(*asked: Any) -> Any:
        raise AssertionError("who looks renders nothing")

    hands = LocalHands(never, never, never)
    return orphans(store.state, task_folder(store, folder), hands, now_seconds=time.time())


def _newest_figures(store: Store, attempt: Attempt | None, run: RunStatus | None) -> dict[str, float]:
    """Medians of its newest steps, as far as they are stored, each as on its slowest rank; of `PEAK` the highest.

    None of a run that is measured as a whole: nobody would look at them.
    """
    from crosszone.store import telemetry

    if attempt is None or run is None or run.step is None or run.measurement is not None:
        return {}
    found = {}
    with store.telemetry.reading() as connection:
        for name in (*COMPARED, PEAK):
            by_step: dict[int, float] = {}
            for each in telemetry.samples_of(connection, attempt.id, name, after_step=run.step - NUM_NEWEST):
                by_step[each.step] = max(each.value, by_step.get(each.step, -math.inf))
            if by_step:
                found[name] = (max if name == PEAK else statistics.median)(by_step.values())
    return found


def _seen(task: Task, attempt: Attempt | None) -> tuple[RunStatus | None, str]:
    """(the run of an attempt, or why it cannot be seen)"""
    from crosszone.core.bundle import MANIFEST_PATH
    from crosszone.launch.status import status

    if attempt is None or attempt.folder is None:
        return None, ""
    folder = Path(attempt.folder)
    if task.deployment_id is None and not (folder / MANIFEST_PATH).exists():
        return None, "It is not rendered yet." if following(ATTEMPT, attempt.state) else "It was never rendered."
    try:
        return status(folder), ""
    except (CrossZoneError, OSError) as error:
        return None, str(error)


def _attempt(store: Store, key: str, number: int | None) -> tuple[str, bool]:
    """(id, whether nothing more comes of it)"""
    from crosszone.store import tasks

    with store.state.reading() as connection:
        task, tried = tasks.one(connection, key), tasks.attempts_of(connection, key)
    found = [each for each in tried if number in (None, each.number)]
    if not found:
        which = "no attempt yet" if number is None else f"no attempt {number}"
        raise NotThere.of(f"the task has {which}.", where=key)
    return found[-1].id, task.state in FINAL_STATES or not following(ATTEMPT, found[-1].state)
