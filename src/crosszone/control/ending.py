"""How a task ends: with it its attempt, what it has reserved, and its place in the queue."""

from __future__ import annotations

from crosszone.control.ledger import saved_run
from crosszone.control.session import Session, may
from crosszone.core.task import ENDED, FAILED, RUNNING, STOPPED, SUCCEEDED, Cause
from crosszone.store import leases, queue, records, reservations, tasks

ATTEMPT_STATES = {SUCCEEDED: ENDED, FAILED: FAILED, STOPPED: STOPPED}


def finish(session: Session, to_state: str, cause: Cause, *, parts_state: str | None = None) -> float | None:
    """Bring a task to its end, all of it at once, and let go of it; None, as a step that nothing comes after."""
    task, attempt = session.newest()
    run = None if attempt is None else saved_run(task, attempt, now_seconds=session.now_seconds)
    with session.writing() as connection:
        session.move_attempt(connection, ATTEMPT_STATES[to_state], cause, parts_state=parts_state)
        if not may(tasks.one(connection, task.id), to_state):
            session.move(connection, RUNNING, cause)  # it was over before anybody saw it run
        session.move(connection, to_state, cause)
        if run is not None:
            records.add_run(connection, run)
        for each in tasks.attempts_of(connection, task.id):
            reservations.release(connection, each.id)
        queue.remove(connection, task.id)
        leases.give_back(connection, session.lease)
    return None
