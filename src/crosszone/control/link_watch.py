"""The paths between the nodes of a run, looked at beside it: kept, compared with the plan, told where they get worse.

A look may take long, and nothing of it may hold up who follows the run: it is done in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.core.codec import to_json
from crosszone.core.path_watch import FINE, PathLook, alarm
from crosszone.core.task import Attempt
from crosszone.errors import CrossZoneError
from crosszone.store import environments, journal, paths
from crosszone.store.paths import PathSample

if TYPE_CHECKING:
    from crosszone.control.session import Session

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"""Between two looks. Chosen: routes change by the minute, and a look costs each node a second of Python."""
RATES_EVERY = 10
"""Looks of which one also sends: half a second of traffic on every path between zones."""
LINK_ALARM = "link_alarm"
"""Kind of the event that tells of a level that changed."""

Start = Callable[[Callable[[], None]], None]


def in_thread(work: Callable[[], None]) -> None:
    """Do it beside all else; the program does not wait for it to end."""
    threading.Thread(target=work, name="links", daemon=True).start()


class LinkWatch:
    """Looks at the paths of one task's runs."""

    def __init__(self, session: Session, *, start: Start) -> None:
        self._session, self._start = session, start
        self._next_seconds, self._num_looks = 0.0, 0
        self._is_looking = threading.Lock()

    def poll(self, attempt: Attempt) -> None:
        """Begin a look where it is time for one, and the one before is over."""
        now_seconds = self._session.now_seconds
        if now_seconds < self._next_seconds or not self._is_looking.acquire(blocking=False):
            return
        self._next_seconds = now_seconds + EVERY_SECONDS
        self._start(lambda: self._look(attempt))

    def _look(self, attempt: Attempt) -> None:
        try:
            has_rates = self._num_looks % RATES_EVERY == RATES_EVERY - 1
            self._num_looks += 1
            seen = self._session.place.hands.paths(Path(attempt.folder or ""), has_rates=has_rates)
            if seen:
                self._keep(attempt, seen)
        except (CrossZoneError, OSError, ValueError) as error:  # of a run nothing may depend on it
            logger.warning("the paths of %s could not be looked at: %s", attempt.id, error)
        finally:
            self._is_looking.release()

    def _keep(self, attempt: Attempt, seen: Sequence[PathLook]) -> None:
        place, now_seconds = self._session.place, self._session.now_seconds
        task, _ = self._session.newest()
        ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
        with place.state.reading() as connection:
            known = {address: each.id for each in environments.by_id(connection, ids) for address in each.addresses}
        samples = [
            PathSample(
                from_environment=known[each.from_address],
                to_environment=known[each.to_address],
                attempt_id=attempt.id,
                seconds=now_seconds,
                look=each,
            )
            for each in seen
            if each.from_address in known and each.to_address in known
        ]
        with place.telemetry.writing() as connection:
            before = paths.of_attempt(connection, attempt.id)
            paths.add(connection, samples)
        self._tell(attempt, before, samples)

    def _tell(self, attempt: Attempt, before: Sequence[PathSample], samples: Sequence[PathSample]) -> None:
        """An event for each alarm that rises or falls."""
        levels = alarm_levels(self._session, attempt)
        changed = []
        for each in samples:
            pair = (each.from_environment, each.to_environment)
            looks = [old.look for old in before if (old.from_environment, old.to_environment) == pair]
            was = levels.get(pair, FINE)
            now = alarm(was, [*looks, each.look])
            if now != was:
                changed.append((each, was, now))
        if not changed:
            return
        with self._session.writing() as connection:
            for each, was, now in changed:
                body = alarm_body(each, attempt, was, now)
                journal.tell(connection, LINK_ALARM, attempt.task_id, body, now_seconds=each.seconds)


def alarm_levels(session: Session, attempt: Attempt) -> dict[tuple[str, str], str]:
    """(from, to) and level of each alarm of an attempt that was told: who takes a task over goes on from it."""
    with session.place.state.reading() as connection:
        told = journal.events_of_kind(connection, LINK_ALARM, attempt.task_id)
    return {
        (each.body["from_environment"], each.body["to_environment"]): each.body["level"]
        for each in told
        if each.body["attempt"] == attempt.number
    }


def alarm_body(sample: PathSample, attempt: Attempt, was: str, now: str) -> dict[str, Any]:
    """What an event says of an alarm."""
    ends = {"from_environment": sample.from_environment, "to_environment": sample.to_environment}
    return {"attempt": attempt.number, "level": now, "before": was, **ends, **to_json(sample.look)}
