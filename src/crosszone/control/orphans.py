"""Runs that belong to no task that is alive, and tasks whose run is gone: found and told, never touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crosszone.control.evidence import ALIVE, UNKNOWN, verdict
from crosszone.control.hands import Hands
from crosszone.core.task import ATTEMPT, FINAL_STATES, PENDING, following
from crosszone.errors import NotThere
from crosszone.store import queue, tasks
from crosszone.store.database import Database

ATTEMPT_FOLDERS = "*/attempt-*"
RUN_WITHOUT_TASK, TASK_WITHOUT_RUN = "run_without_task", "task_without_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """One run, or one task, that has lost the other."""

    kind: str
    """run_without_task | task_without_run"""
    task_id: str
    folder: str
    reason: str
    """One sentence; what to do is a person's decision."""


def orphans(database: Database, root: Path, hands: Hands, *, now_seconds: float) -> tuple[Orphan, ...]:
    """All of them, by folder. A run of which nothing can be said counts as one that is alive."""
    found = [*_runs(database, root, hands, now_seconds), *_tasks(database)]
    return tuple(sorted(found, key=lambda each: (each.folder, each.kind)))


def _runs(database: Database, root: Path, hands: Hands, now_seconds: float) -> Iterator[Orphan]:
    for folder in sorted(root.glob(ATTEMPT_FOLDERS)):
        task_id = folder.parent.name
        reason = _why_nobody_drives(database, task_id, str(folder))
        if reason and verdict(hands.look(folder), now_seconds=now_seconds).belief in (ALIVE, UNKNOWN):
            hint = f"`crosszone status {folder}` shows it, `crosszone stop` ends it."
            yield Orphan(kind=RUN_WITHOUT_TASK, task_id=task_id, folder=str(folder), reason=f"{reason} {hint}")


def _why_nobody_drives(database: Database, task_id: str, folder: str) -> str:
    """Empty where somebody does."""
    with database.reading() as connection:
        try:
            task = tasks.one(connection, task_id)
        except NotThere:
            return "There is no such task."
        tried = tasks.attempts_of(connection, task_id)
    if task.state in FINAL_STATES:
        return f"Its task is {task.state}."
    attempt = next((each for each in tried if each.folder == folder), None)
    if attempt is None:
        return "Its task knows no such attempt."
    return "" if following(ATTEMPT, attempt.state) else f"Its attempt is {attempt.state}."


def _tasks(database: Database) -> Iterator[Orphan]:
    with database.reading() as connection:
        begun = [(task, tasks.attempts_of(connection, task.id)[-1]) for task in queue.begun(connection)]
    for task, attempt in begun:
        folder = attempt.folder or ""
        if attempt.state != PENDING and not Path(folder).is_dir():
            reason = (
                f"Attempt {attempt.number} is {attempt.state}, and its folder is not there: nothing can be seen of it."
            )
            yield Orphan(kind=TASK_WITHOUT_RUN, task_id=task.id, folder=folder, reason=reason)
