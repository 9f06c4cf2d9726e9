"""A run that was started, followed to its end; and what follows from each thing that can be seen of it."""

from __future__ import annotations

from crosszone.control.admission import spent_dollars
from crosszone.control.ending import finish
from crosszone.control.evidence import ALIVE, DONE, HALTED, UNBORN, UNKNOWN, Verdict, verdict
from crosszone.control.prepare import caused, folder_of
from crosszone.control.recover import died
from crosszone.control.session import Session
from crosszone.control.stop import stop
from crosszone.control.stream import Progress, Restart
from crosszone.core.task import FAILED, RUNNING, STARTING, STOPPED, SUCCEEDED, UNSEEN, Attempt, Cause, Task
from crosszone.errors import CrossZoneError, PreflightFailed
from crosszone.store import environments, journal, tasks, telemetry

FOLLOW_SECONDS = 2.0
"""Between two looks. Chosen: a death is known long before the 30 s that it may take."""
UNSEEN_SECONDS = 5.0
"""The same where nothing can be seen."""
RESTARTED = "attempt_restarted"
"""Kind of the event that tells of ranks which their launcher started again."""


def follow(session: Session, task: Task, attempt: Attempt | None) -> float | None:
    """Look once at a run that is starting or running."""
    assert attempt is not None, "what runs has an attempt"
    look = session.place.hands.look(folder_of(attempt))
    found = verdict(look, now_seconds=session.now_seconds)
    if found.belief == UNBORN and task.state == STARTING:
        return _start(session, attempt)
    progress = session.progress(attempt, look)
    if progress.restarts:
        _tell_restarts(session, attempt, progress.restarts)
    if found.belief == ALIVE:
        return _alive(session, task, attempt, progress)
    if found.belief in (UNKNOWN, UNBORN):
        return _unknown(session, attempt, found)
    if progress.has_more:  # in another step, between which a worker holds its leases and hears who asks to stop
        return 0.0
    if progress.last_step is not None:
        _first_step(session, task, attempt, progress)
    if found.belief == DONE:
        return finish(session, SUCCEEDED, Cause(code="trained", text=_done(progress)))
    if found.belief == HALTED:
        return finish(session, STOPPED, Cause(code="stopped_outside", text=found.reason))
    return died(session, attempt, look, found)


def _start(session: Session, attempt: Attempt) -> float | None:
    try:
        session.place.hands.start(folder_of(attempt))
    except PreflightFailed as error:
        if {each.code for each in error.findings} == {"runs_already"}:  # another worker was quicker
            return 0.0
        return finish(session, FAILED, caused(error, "not_started"))
    except CrossZoneError as error:
        return finish(session, FAILED, caused(error, "not_started"))
    return 0.0


def _alive(session: Session, task: Task, attempt: Attempt, progress: Progress) -> float | None:
    if attempt.state == UNSEEN:
        with session.writing() as connection:
            session.move_attempt(connection, task.state, Cause(code="seen", text="It is seen again."))
    session.links.poll(attempt)
    if progress.last_step is not None:
        _first_step(session, task, attempt, progress)
    spent = _spent_dollars(session, task)
    if task.budget_dollars is not None and spent is not None and spent > task.budget_dollars:
        message = f"It has cost {spent:.2f} USD, and its budget is {task.budget_dollars:.2f} USD."
        return stop(session, task, attempt, Cause(code="budget_spent", text=message))
    return FOLLOW_SECONDS


def _unknown(session: Session, attempt: Attempt, found: Verdict) -> float:
    if attempt.state != UNSEEN:
        with session.writing() as connection:
            session.move_attempt(connection, UNSEEN, Cause(code="unseen", text=found.reason))
    return UNSEEN_SECONDS


def _first_step(session: Session, task: Task, attempt: Attempt, progress: Progress) -> None:
    """It trains: say so once, and what had to be done again."""
    if task.state != STARTING or progress.first_step is None:
        return
    resumed_step = progress.first_step - 1
    with session.place.state.reading() as connection:
        before = tasks.attempts_of(connection, task.id)[:-1]
    num_lost, lost_seconds = _lost(session, before[-1] if before else None, resumed_step)
    text = f"Step {progress.first_step} is done."
    if before:
        text += f" It went on from step {resumed_step}; {num_lost} steps, {lost_seconds:.1f} s of work, are done again."
    with session.writing() as connection:
        cause = Cause(code="first_step", text=text)
        session.move(connection, RUNNING, cause)
        lost = lost_seconds if before else None
        session.move_attempt(connection, RUNNING, cause, resumed_step=resumed_step, lost_seconds=lost)


def _lost(session: Session, before: Attempt | None, resumed_step: int) -> tuple[int, float]:
    """(steps, seconds) that an attempt had trained beyond the checkpoint from which the next one went on."""
    if before is None:
        return 0, 0.0
    with session.place.telemetry.reading() as connection:
        return telemetry.trained(connection, before.id, after_step=resumed_step)


def _tell_restarts(session: Session, attempt: Attempt, restarts: list[Restart]) -> None:
    """An event for each that none tells of yet: who takes the task over reads the logs from their beginning."""
    with session.writing() as connection:
        told = journal.events_after(connection, 0, subject_id=attempt.id)
        known = {(each.body["first_step"], each.body["last_step"]) for each in told if each.kind == RESTARTED}
        for each in restarts:
            if (each.first_step, each.last_step) not in known:
                body = {"first_step": each.first_step, "last_step": each.last_step}
                journal.tell(connection, RESTARTED, attempt.id, body, now_seconds=session.now_seconds)


def _spent_dollars(session: Session, task: Task) -> float | None:
    ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
    with session.place.state.reading() as connection:
        known = {each.id: each for each in environments.by_id(connection, ids)}
        tried = tasks.attempts_of(connection, task.id)
    return spent_dollars(task, known, tried, now_seconds=session.now_seconds)


def _done(progress: Progress) -> str:
    return "All ranks ended well." if progress.last_step is None else f"Step {progress.last_step}, the last, is done."
