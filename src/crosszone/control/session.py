"""A task in the hands of one worker: what is read of it, and how what was done to it is written down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosszone.control import attempts
from crosszone.control.claim import Claim
from crosszone.control.evidence import Look
from crosszone.control.hands import Hands
from crosszone.control.link_watch import LinkWatch, Start, in_thread
from crosszone.control.recovery import RecoveryBudget
from crosszone.control.stream import Progress, Stream
from crosszone.core.task import ATTEMPT, TASK, Attempt, Cause, Task, follows
from crosszone.errors import CrossZoneError
from crosszone.launch.bundle_folder import open_bundle
from crosszone.store import leases, tasks
from crosszone.store.database import Connection, Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a worker works with."""

    name: str
    """Of the worker: who did it, in the histories of tasks."""
    state: Database
    telemetry: Database
    root: Path
    """Folder of all tasks' bundles, checkpoints and logs."""
    hands: Hands
    clock: Callable[[], float]
    """Seconds since 1970, UTC."""
    budget: RecoveryBudget = field(default_factory=RecoveryBudget)
    beside: Start = in_thread
    """How something is done that nothing waits for."""


class Session:
    """One task under one lease. Errors of all that writes: Stale where the lease is another's by now."""

    def __init__(self, place: Place, claim: Claim) -> None:
        self.place, self.task_id, self.lease = place, claim.task_id, claim.lease
        self.links = LinkWatch(self, start=place.beside)
        self._stream: tuple[str, Stream] | None = None

    @property
    def now_seconds(self) -> float:
        """By the worker's clock."""
        return self.place.clock()

    def newest(self) -> tuple[Task, Attempt | None]:
        """The task, and its newest attempt."""
        with self.place.state.reading() as connection:
            task, found = tasks.one(connection, self.task_id), tasks.attempts_of(connection, self.task_id)
        return task, found[-1] if found else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, as long as the lease is ours."""
        with self.place.state.writing() as connection:
            leases.check(connection, self.lease)
            yield connection

    def move(self, connection: Connection, to_state: str, cause: Cause, **changed: Any) -> Task:
        """Let the task go on. It is read again: a person may have changed it meanwhile."""
        task = tasks.one(connection, self.task_id)
        who: dict[str, Any] = {"actor": self.place.name, "now_seconds": self.now_seconds}
        return tasks.move(connection, task, to_state, cause, **who, **changed)

    def move_attempt(
        self,
        connection: Connection,
        to_state: str,
        cause: Cause,
        *,
        parts_state: str | None = None,
        **changed: Any,
    ) -> Attempt | None:
        """Let the newest attempt go on with its parts, where it may; these to `parts_state`, where it differs."""
        found = tasks.attempts_of(connection, self.task_id)
        if not found or not follows(ATTEMPT, found[-1].state, to_state):
            return None
        who: dict[str, Any] = {"actor": self.place.name, "now_seconds": self.now_seconds}
        attempts.move_parts(connection, found[-1], parts_state or to_state, cause, **who)
        return tasks.move_attempt(connection, found[-1], to_state, cause, **who, **changed)

    def progress(self, attempt: Attempt, look: Look) -> Progress:
        """How far the run of an attempt is; what it says goes into the relaxed store on the way.

        Nothing that goes wrong with what a run logs may touch the run.
        """
        run = look.run
        if run is None or attempt.folder is None:
            return Progress()
        try:
            if self._stream is None or self._stream[0] != attempt.id:
                bundle = open_bundle(Path(attempt.folder))
                self._stream = attempt.id, Stream(attempt.id, bundle, run, self.place.telemetry)
            return self._stream[1].read(now_seconds=self.now_seconds)
        except (CrossZoneError, OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("cannot read the logs of %s: %s: %s", attempt.id, type(error).__name__, error)
            return Progress()


def may(task: Task, to_state: str) -> bool:
    """Whether a task may go to a state."""
    return follows(TASK, task.state, to_state)
