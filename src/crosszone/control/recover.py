"""After a death that is proved: whether to go on, when, on which nodes, and from the last checkpoint.

Which checkpoint that is, the ranks find out themselves: they verify the newest one and pass over what is damaged
(`runtime.checkpoint`). All attempts of a task share one folder of checkpoints.
"""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa

from crosszone.control import attempts
from crosszone.control.ending import finish
from crosszone.control.evidence import Look, Verdict
from crosszone.control.ledger import saved_run
from crosszone.control.prepare import caused, folder_of, keep, preflight_fault, render
from crosszone.control.recovery import Decision, decision
from crosszone.control.session import Session
from crosszone.core.environment import FAULTY, UNREACHABLE, Environment, main_environment
from crosszone.core.environment import STOPPED as OFF
from crosszone.core.task import (
    FAILED,
    NODE,
    PENDING,
    RANK,
    RECOVERING,
    STARTING,
    STOPPED,
    TASK,
    Attempt,
    Cause,
    Task,
    follows,
)
from crosszone.errors import CrossZoneError
from crosszone.store import environments, queue, records, tasks

logger = logging.getLogger(__name__)

LOST_NODE = "lost_node"


def died(session: Session, attempt: Attempt, look: Look, found: Verdict) -> float | None:
    """End a dead attempt, and let its task recover, or fail where it did so too often."""
    task, _ = session.newest()
    next_try = _decision(session)
    proofs = " and ".join(found.proofs)
    text = f"{found.reason} It is over by two proofs: {proofs}. {next_try.reason}".strip()
    with session.writing() as connection:
        _mark_what_failed(connection, session, attempt, look)
    if next_try.wait_seconds is None:
        return finish(session, FAILED, Cause(code="not_recovered", text=text), parts_state=STOPPED)
    cause, run = Cause(code="died", text=text), saved_run(task, attempt, now_seconds=session.now_seconds)
    with session.writing() as connection:
        session.move_attempt(connection, FAILED, cause, parts_state=STOPPED)
        session.move(connection, RECOVERING, cause)
        queue.put_off(connection, task.id, session.now_seconds + next_try.wait_seconds)
        if run is not None:
            records.add_run(connection, run)
    return next_try.wait_seconds


def recover(session: Session, task: Task, attempt: Attempt | None) -> float | None:
    """Try again, once its time has come: stop what is left, choose nodes, render, look at them, start."""
    assert attempt is not None, "what died had an attempt"
    with session.place.state.reading() as connection:
        left_seconds = queue.not_before_seconds(connection, task.id) - session.now_seconds
    if left_seconds > 0.0:
        return left_seconds
    if attempt.state != PENDING:
        return _begin_again(session, task, attempt)
    try:
        bundle = render(session, task, attempt)
    except CrossZoneError as error:
        return _not_yet(session, caused(error, "not_deployed"))
    cause = preflight_fault(session, attempt)
    if cause is not None:
        return _not_yet(session, cause)
    with session.writing() as connection:
        made = keep(connection, session, task, bundle)
        cause = Cause(code="recovered", text=f"Attempt {attempt.number} starts from the newest whole checkpoint.")
        session.move_attempt(connection, STARTING, cause)
        session.move(connection, STARTING, cause, deployment_id=made.id)
    return 0.0


def _begin_again(session: Session, task: Task, attempt: Attempt) -> float | None:
    """A new attempt on the nodes that are left, under a main one that is among them."""
    hands, folder = session.place.hands, folder_of(attempt)
    try:
        hands.stop(folder, is_forced=True)
    except (CrossZoneError, OSError) as error:  # of a node that is lost; it is left out below
        logger.warning("not all of %s could be cleared away: %s", attempt.id, error)
    unseen = {int(name.rpartition("-")[2]) for name in hands.look(folder).unseen_nodes}
    with session.place.state.reading() as connection:
        nodes = attempts.nodes_of(connection, attempt)
        lost = {node for index, node in enumerate(nodes) if index in unseen}
        ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
        known = environments.known(connection, ids)
    left = [each for each in known if each.id not in lost and not _is_off(each)]
    if ids and not left:
        return _not_yet(session, Cause(code=LOST_NODE, text=f"None of its {len(ids)} nodes answers."))
    chosen = _main_first(left, task)
    gone = [each.name for each in known if each not in left]
    text = f"On {len(chosen)} of {len(ids)} nodes" + (f", without {', '.join(gone)}." if gone else ".")
    with session.writing() as connection:
        attempts.begin(
            connection,
            task,
            chosen,
            root=session.place.root,
            lease=session.lease,
            cause=Cause(code=LOST_NODE if gone else "again", text=text),
            actor=session.place.name,
            now_seconds=session.now_seconds,
        )
    return 0.0


def _main_first(left: list[Environment], task: Task) -> tuple[str, ...]:
    """The main node stays who it was, as long as it is left."""
    if not left:
        return ()
    order = [node.environment_id for node in task.nodes]
    left = sorted(left, key=lambda each: order.index(each.id))
    main = next((each for each in left if each.id == task.main_node), None) or main_environment(left)
    return tuple(each.id for each in sorted(left, key=lambda each: each.id != main.id))


def _is_off(environment: Environment) -> bool:
    return environment.status in (OFF, UNREACHABLE) or environment.health == FAULTY


def _not_yet(session: Session, cause: Cause) -> float | None:
    """The attempt could not even be started: it counts as one, and the next comes later."""
    next_try = _decision(session)
    text = f"{cause.text} {next_try.reason}"
    if next_try.wait_seconds is None:
        return finish(session, FAILED, Cause(code=cause.code, text=text))
    with session.writing() as connection:
        session.move_attempt(connection, FAILED, Cause(code=cause.code, text=text))
        queue.put_off(connection, session.task_id, session.now_seconds + next_try.wait_seconds)
    return next_try.wait_seconds


def _decision(session: Session) -> Decision:
    with session.place.state.reading() as connection:
        steps = tasks.history(connection, session.task_id)
        tried = tasks.attempts_of(connection, session.task_id)
    return decision(
        session.place.budget,
        recovered_seconds=[step.seconds for step in steps if (step.level, step.to_state) == (TASK, RECOVERING)],
        resumed_steps=[each.resumed_step for each in tried],
        now_seconds=session.now_seconds,
    )


def _mark_what_failed(connection: sa.Connection, session: Session, attempt: Attempt, look: Look) -> None:
    """The rank that failed first, and nodes that do not answer, before all others are only stopped."""
    failure = None if look.run is None else look.run.failure
    causes: dict[tuple[str, str], Cause] = {}
    if failure is not None and failure.rank is not None:
        text = f"It ended with {failure.exit_code}, before all others."
        causes[RANK, str(failure.rank)] = Cause(code="failed_first", text=text)
    nodes = attempts.nodes_of(connection, attempt)
    for name in look.unseen_nodes:
        index = int(name.rpartition("-")[2])
        if index < len(nodes):
            causes[NODE, nodes[index]] = Cause(code=LOST_NODE, text="It does not answer.")
    for part in tasks.parts_of(connection, attempt.id):
        cause = causes.get((part.level, part.name))
        if cause is not None and follows(part.level, part.state, FAILED):
            who: dict[str, Any] = {"actor": session.place.name, "now_seconds": session.now_seconds}
            tasks.move_part(connection, attempt, part, FAILED, cause, **who)
