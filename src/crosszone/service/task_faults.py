"""What went wrong with a task that runs and what it cost, and the checkpoints that it can go on from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.core.task import ATTEMPT, FAILED, RANK, RUNNING, UNSEEN, Attempt, Transition

if TYPE_CHECKING:
    from crosszone.store.database import Connection
    from crosszone.store.journal import Event
    from crosszone.store.opened import Store

DIED, RESTARTED, LOST_SIGHT = "died", "restarted", "unseen"
FAULTS = (DIED, RESTARTED, LOST_SIGHT)
"""A run was over before its end; its launcher started the ranks again; it could not be seen for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFault:
    """One thing that went wrong. None is not known, or does not apply."""

    kind: str
    """One of `FAULTS`."""
    attempt: int
    """In which it happened."""
    seconds: float
    """When it was noticed, since 1970, UTC."""
    text: str
    """For people; empty where the figures say it all."""
    ranks: tuple[int, ...]
    """That failed by themselves, and not because another one did."""
    resumed_step: int | None
    """Of the checkpoint from which training went on; 0 is its beginning. None: it has not gone on."""
    num_lost_steps: int | None
    """That were trained again."""
    lost_seconds: float | None
    """That these steps took."""
    down_seconds: float | None
    """Until the next step was done, or until it was seen again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCheckpoint:
    """One state that a task has saved."""

    step: int
    """Steps that are done in it."""
    attempt: int | None
    """Which saved it last; None where that was not told."""
    seconds: float | None
    """When that was known, since 1970, UTC."""
    checkpoint_seconds: float | None
    """For so long saving held the run up."""
    is_kept: bool | None
    """Whether it is still there, and whole; None where its folder cannot be seen from the server."""
    size_bytes: float | None
    """Of its files; None where it is not there."""
    num_resumed: int
    """How often ranks went on from it."""


def task_faults(store: Store, key: str) -> tuple[TaskFault, ...]:
    """Of all attempts of the task with this id, the newest last. NotThere."""
    from crosszone.store import tasks

    with store.state.reading() as connection:
        tasks.one(connection, key)
        tried = tasks.attempts_of(connection, key)
        history = tasks.history(connection, key)
        restarts = {each.id: _restarts(connection, each) for each in tried}
        ranks = {each.id: _failed_ranks(connection, each) for each in tried}
    found: list[TaskFault] = []
    for number, attempt in enumerate(tried):
        own = [each for each in history if each.level == ATTEMPT and each.subject_id == attempt.id]
        later = tried[number + 1] if number + 1 < len(tried) else None
        found += (_restarted(store, attempt, event) for event in restarts[attempt.id])
        found += _of_attempt(store, attempt, own, later=later, history=history, ranks=ranks[attempt.id])
    return tuple(sorted(found, key=lambda each: each.seconds))


def task_checkpoints(store: Store, key: str) -> tuple[TaskCheckpoint, ...]:
    """What the task with this id has saved, the first step first. NotThere."""
    from crosszone.control.stream import CHECKPOINT
    from crosszone.store import tasks, telemetry

    with store.state.reading() as connection:
        tasks.one(connection, key)
        tried = tasks.attempts_of(connection, key)
        restarted = [event.body["first_step"] - 1 for each in tried for event in _restarts(connection, each)]
    resumed = [*restarted, *(each.resumed_step for each in tried if each.resumed_step is not None)]
    with store.telemetry.reading() as connection:
        told = {
            each.step: (attempt.number, each)
            for attempt in tried
            for each in telemetry.samples_of(connection, attempt.id, CHECKPOINT)
        }
    sizes = _kept_bytes(tried)
    found = []
    for step in sorted(told.keys() | (sizes or {}).keys()):
        number, sample = told.get(step, (None, None))
        found.append(
            TaskCheckpoint(
                step=step,
                attempt=number,
                seconds=None if sample is None else sample.seconds,
                checkpoint_seconds=None if sample is None else sample.value,
                is_kept=None if sizes is None else step in sizes,
                size_bytes=None if sizes is None else sizes.get(step),
                num_resumed=resumed.count(step),
            )
        )
    return tuple(found)


def _restarts(connection: Connection, attempt: Attempt) -> tuple[Event, ...]:
    from crosszone.control.follow import RESTARTED as TOLD
    from crosszone.store import journal

    return journal.events_of_kind(connection, TOLD, attempt.id)


def _failed_ranks(connection: Connection, attempt: Attempt) -> tuple[int, ...]:
    from crosszone.store import tasks

    parts = tasks.parts_of(connection, attempt.id)
    return tuple(sorted(int(each.name) for each in parts if each.level == RANK and each.state == FAILED))


def _restarted(store: Store, attempt: Attempt, event: Event) -> TaskFault:
    resumed_step, last_step = event.body["first_step"] - 1, event.body["last_step"]
    return TaskFault(
        kind=RESTARTED,
        attempt=attempt.number,
        seconds=event.seconds,
        text="",
        ranks=(),
        resumed_step=resumed_step,
        num_lost_steps=max(last_step - resumed_step, 0),
        lost_seconds=_trained(store, attempt, resumed_step, last_step)[1],
        down_seconds=None,
    )


def _of_attempt(
    store: Store,
    attempt: Attempt,
    own: Sequence[Transition],
    *,
    later: Attempt | None,
    history: Sequence[Transition],
    ranks: tuple[int, ...],
) -> Iterator[TaskFault]:
    """When it was not seen, and how it died."""
    about: dict[str, Any] = {"attempt": attempt.number, "num_lost_steps": None, "lost_seconds": None}
    for number, each in enumerate(own):
        after = own[number + 1].seconds if number + 1 < len(own) else None
        told = {**about, "seconds": each.seconds, "text": each.cause.text}
        if each.to_state == UNSEEN:
            down_seconds = None if after is None else after - each.seconds
            yield TaskFault(kind=LOST_SIGHT, ranks=(), resumed_step=None, down_seconds=down_seconds, **told)
        elif each.to_state == FAILED:
            resumed_step = None if later is None else later.resumed_step
            if later is not None and resumed_step is not None:
                told["num_lost_steps"] = _trained(store, attempt, resumed_step)[0]
                told["lost_seconds"] = later.lost_seconds
            down_seconds = _down_seconds(each, later, history)
            yield TaskFault(kind=DIED, ranks=ranks, resumed_step=resumed_step, down_seconds=down_seconds, **told)


def _down_seconds(death: Transition, later: Attempt | None, history: Sequence[Transition]) -> float | None:
    runs = (each.seconds for each in history if later and each.subject_id == later.id and each.to_state == RUNNING)
    first = next(runs, None)
    return None if first is None else first - death.seconds


def _trained(store: Store, attempt: Attempt, after_step: int, last_step: int | None = None) -> tuple[int, float]:
    from crosszone.store import telemetry

    with store.telemetry.reading() as connection:
        return telemetry.trained(connection, attempt.id, after_step=after_step, last_step=last_step)


def _kept_bytes(tried: Sequence[Attempt]) -> dict[int, float] | None:
    """Bytes of each whole checkpoint by step; None where nothing is, or was, in the task's own folder."""
    from crosszone.checkpoints import read_manifest, whole_checkpoints
    from crosszone.control.hands import CHECKPOINT_FOLDER
    from crosszone.errors import SpecError

    folders = {Path(each.folder).parent / CHECKPOINT_FOLDER for each in tried if each.folder is not None}
    found: dict[int, float] = {}
    seen = [folder for folder in folders if folder.is_dir()]
    for path in (path for folder in seen for path in whole_checkpoints(folder)):
        try:
            manifest = read_manifest(path)
        except SpecError:  # gone while it was looked at, or of another version
            continue
        found[manifest.step] = float(sum(file.size_bytes for file in manifest.files))
    return found if seen else None
