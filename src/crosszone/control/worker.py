"""A worker: takes tasks, drives each in a thread of its own, and holds their leases as long as it lives.

When it dies, its leases run out and another takes its tasks; the runs themselves do not notice.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from crosszone.control.claim import claim
from crosszone.control.drive import step
from crosszone.control.session import Place, Session
from crosszone.errors import CrossZoneError, Stale
from crosszone.store import journal, leases

logger = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
"""Chosen: a task whose worker died is another's within half of the 30 s in which a lost node is to be known."""
TURN_SECONDS = 0.5
"""Between two looks at the queue."""
AGAIN_SECONDS = 5.0
"""After a step that failed for a reason of ours, or of the database's."""
MOST_WAIT_SECONDS = 5.0
"""Between two steps of a task. Chosen: who asks a task to stop need not wait for long."""
STEP_FAILED = "step_failed"
"""Kind of the event that tells of a mistake of ours, or of a disk that is full: the step is taken again."""
MOST_TASKS = 32
"""That one worker drives at once."""


@dataclass(slots=True)
class _Held:
    """One task that is ours."""

    session: Session
    next_seconds: float
    """When its next step may be taken."""
    stepping: Future[float | None] | None = None
    problem: str = ""
    """Of ours, that its newest step failed with."""


class Worker:
    """Drives tasks until it is asked to end."""

    def __init__(self, place: Place, *, most_tasks: int = MOST_TASKS) -> None:
        self.place, self.most_tasks = place, most_tasks
        self._held: dict[str, _Held] = {}
        self._is_ending = threading.Event()
        self._threads = ThreadPoolExecutor(most_tasks, thread_name_prefix="drive")

    def run(self) -> None:
        """Until `end`: then what was begun is finished, and the tasks are left to others."""
        try:
            while not self._is_ending.is_set():
                try:
                    self.turn()
                except CrossZoneError as error:
                    logger.warning("the database: %s", error)
                self._is_ending.wait(TURN_SECONDS)
        finally:
            self._threads.shutdown(wait=True)
            self._collect()
            self._give_back()

    def end(self) -> None:
        """Ask it to end; from any thread, or from a signal handler."""
        self._is_ending.set()

    def turn(self) -> None:
        """Hold what we have, take what waits, and step what is due."""
        self._collect()
        self._renew()
        self._claim()
        for held in self._held.values():
            if held.stepping is None and held.next_seconds <= self.place.clock():
                held.stepping = self._threads.submit(step, held.session)

    def _collect(self) -> None:
        """What steps came to."""
        for task_id, held in list(self._held.items()):
            if held.stepping is None or not held.stepping.done():
                continue
            done, held.stepping = held.stepping, None
            try:
                wait_seconds = done.result()
            except Stale as error:
                if {each.code for each in error.findings} == {"fenced"}:
                    logger.warning("%s is another worker's by now: %s", task_id, error)
                    del self._held[task_id]
                continue
            except Exception as error:
                logger.exception("a step of %s failed", task_id)
                self._tell(held, f"{type(error).__name__}: {error}")
                wait_seconds = AGAIN_SECONDS
            if wait_seconds is None:
                del self._held[task_id]
            else:
                held.next_seconds = self.place.clock() + min(wait_seconds, MOST_WAIT_SECONDS)

    def _tell(self, held: _Held, problem: str) -> None:
        """An event for who follows the task, once for each thing that keeps it from going on."""
        if problem == held.problem:
            return
        held.problem = problem
        with suppress(CrossZoneError), held.session.writing() as connection:
            body = {"problem": problem, "worker": self.place.name}
            journal.tell(connection, STEP_FAILED, held.session.task_id, body, now_seconds=self.place.clock())

    def _renew(self) -> None:
        """A lease that is another's is let go; its step, should one be in progress, cannot write any more."""
        now_seconds = self.place.clock()
        due = [
            each
            for each in self._held.items()
            if each[1].session.lease.expires_seconds - now_seconds < LEASE_SECONDS / 2
        ]
        if not due:
            return
        with self.place.state.writing() as connection:
            for task_id, held in due:
                try:
                    held.session.lease = leases.renew(
                        connection, held.session.lease, for_seconds=LEASE_SECONDS, now_seconds=now_seconds
                    )
                except Stale as error:
                    if held.stepping is None:
                        logger.warning("%s is another worker's by now: %s", task_id, error)
                        del self._held[task_id]

    def _claim(self) -> None:
        """Take what waits."""
        now_seconds, free = self.place.clock(), self.most_tasks - len(self._held)
        if free <= 0:
            return
        with self.place.state.writing() as connection:
            found = claim(
                connection,
                self.place.name,
                root=self.place.root,
                for_seconds=LEASE_SECONDS,
                now_seconds=now_seconds,
                most=free,
            )
        for each in found:
            self._held[each.task_id] = _Held(session=Session(self.place, each), next_seconds=now_seconds)

    def _give_back(self) -> None:
        for held in self._held.values():
            try:
                with self.place.state.writing() as connection:
                    leases.give_back(connection, held.session.lease)
            except CrossZoneError as error:
                logger.warning("a lease runs out by itself: %s", error)
