"""Stopped means stopped: asked, then forced, and over only once that is proved."""

from __future__ import annotations

import logging

from crosszone.control.ending import finish
from crosszone.control.evidence import ALIVE, DONE, UNBORN, UNKNOWN, verdict
from crosszone.control.prepare import folder_of
from crosszone.control.session import Session, may
from crosszone.core.task import ATTEMPT, PENDING, STOPPED, SUCCEEDED, UNSEEN, Attempt, Cause, Task, following
from crosszone.errors import CrossZoneError

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 15.0
ASKED = Cause(code="asked", text="It was asked to stop.")


def stop(session: Session, task: Task, attempt: Attempt | None, cause: Cause = ASKED) -> float | None:
    """End a task. Seconds until this is to be done again, where something of it may run on."""
    if attempt is None or attempt.state == PENDING:
        return finish(session, STOPPED, cause)
    problem = _end(session, attempt)
    if not following(ATTEMPT, attempt.state):  # it was over before, by two proofs
        return finish(session, STOPPED, cause)
    look = session.place.hands.look(folder_of(attempt))
    found = verdict(look, now_seconds=session.now_seconds)
    progress = session.progress(attempt, look)  # its last steps, and what it saved when it was asked
    if found.belief in (ALIVE, UNKNOWN):
        _tell(session, attempt, problem or found.reason or "Something of it runs on.")
        return AGAIN_SECONDS
    if progress.has_more:
        return 0.0
    if found.belief == DONE and may(task, SUCCEEDED):
        return finish(session, SUCCEEDED, Cause(code="trained", text="It had come to its end before it was stopped."))
    said = "" if found.belief == UNBORN else found.reason.removeprefix(cause.text)
    return finish(session, STOPPED, Cause(code=cause.code, text=f"{cause.text} {said.strip()}".strip()))


def _end(session: Session, attempt: Attempt) -> str:
    """Ask it to end, and force it after its time of grace; what went wrong."""
    try:
        session.place.hands.stop(folder_of(attempt), is_forced=False)
    except CrossZoneError as error:
        return str(error)
    except OSError as error:
        return f"{type(error).__name__}: {error}."
    return ""


def _tell(session: Session, attempt: Attempt, problem: str) -> None:
    logger.warning("%s is not stopped: %s", attempt.id, problem)
    if attempt.state != UNSEEN:
        with session.writing() as connection:
            session.move_attempt(connection, UNSEEN, Cause(code="not_stopped", text=problem))
