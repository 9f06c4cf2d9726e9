"""After a death that is proved: whether to go on, when, on which nodes, and from the last checkpoint.

Which checkpoint that is, the ranks find out themselves: they verify the newest one and pass over what is damaged
(`crosszone.checkpoints`). All attempts of a task share one folder of checkpoints.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosszone.control import attempts
from crosszone.control.ending import finish
from crosszone.control.evidence import Look, Verdict
from crosszone.control.ledger import saved_run
from crosszone.control.prepare import caused, folder_of, keep, look_at_nodes, render
from crosszone.control.recovery import Decision, decision, patience
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
from crosszone.spec.clusters import node_groups
from crosszone.store import environments, paths, queue, records, tasks
from crosszone.store.database import Connection

logger = logging.getLogger(__name__)

LOST_NODE = "lost_node"
PATHS_SECONDS = 3600.0
"""For so long it is remembered that one node did not reach another."""


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
    fault, again = look_at_nodes(session, task, attempt)
    if fault is not None:
        return _not_yet(session, fault)
    with session.writing() as connection:
        made = keep(connection, session, task, again or bundle)
        cause = Cause(code="recovered", text=f"Attempt {attempt.number} starts from the newest whole checkpoint.")
        session.move_attempt(connection, STARTING, cause)
        session.move(connection, STARTING, cause, deployment_id=made.id)
    return 0.0


def _begin_again(session: Session, task: Task, attempt: Attempt) -> float | None:
    """A new attempt on the nodes that are left, under a main one that is among them."""
    with session.place.state.reading() as connection:
        started = _newest_started(connection, task)
        nodes = attempts.nodes_of(connection, started)
        ids = [node.environment_id for node in task.nodes if node.environment_id is not None]
        known = environments.by_id(connection, ids)
    unseen = _unseen(session, folder_of(started))
    lost = {each.id for each in known if unseen & set(each.addresses)}
    # Nodes that an earlier attempt went on without are tried again, once.
    meant = set(ids if attempt.id == started.id else nodes) - lost
    left = [each for each in known if each.id in meant and not _is_off(each)]
    if ids and not left:
        return _not_yet(session, Cause(code=LOST_NODE, text=f"None of its {len(nodes)} nodes answers."))
    gone = [each.name for each in known if each not in left]
    with session.place.telemetry.reading() as connection:
        since_seconds = session.now_seconds - PATHS_SECONDS
        unreachable = paths.unreachable(connection, [each.id for each in left], since_seconds=since_seconds)
    text = f"On {len(left)} of {len(ids)} nodes" + (f", without {', '.join(gone)}." if gone else ".")
    with session.writing() as connection:
        attempts.begin(
            connection,
            task,
            _main_first(left, task, unreachable),
            root=session.place.root,
            lease=session.lease,
            cause=Cause(code=LOST_NODE if gone else "again", text=text),
            actor=session.place.name,
            now_seconds=session.now_seconds,
        )
    return 0.0


def _newest_started(connection: Connection, task: Task) -> Attempt:
    """What is left on nodes is of this one."""
    begun = {each.subject_id for each in tasks.history(connection, task.id) if each.to_state == STARTING}
    return [each for each in tasks.attempts_of(connection, task.id) if each.id in begun][-1]


def _unseen(session: Session, folder: Path) -> set[str]:
    """End what is left of a dead attempt; the addresses that do not answer."""
    try:
        session.place.hands.stop(folder, is_forced=True)
    except (CrossZoneError, OSError) as error:  # of a node that does not answer, which is left out
        logger.warning("not all of %s could be cleared away: %s", folder, error)
    return set(session.place.hands.look(folder).unseen_nodes)


def _main_first(left: Sequence[Environment], task: Task, unreachable: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """In the order of their ranks; the main node stays who it was, as long as it is left."""
    if not left:
        return ()
    order = [node.environment_id for node in task.nodes]
    main = next((each for each in left if each.id == task.main_node), None) or main_environment(left, unreachable)
    chosen = sorted(left, key=lambda each: (each.id != main.id, order.index(each.id)))
    return tuple(each.id for group in node_groups(chosen) for each in group)


def _is_off(environment: Environment) -> bool:
    return environment.status in (OFF, UNREACHABLE) or environment.health == FAULTY


def _not_yet(session: Session, cause: Cause) -> float | None:
    """No attempt could be started; the next one is tried later."""
    with session.place.state.reading() as connection:
        died_seconds = _recovered_seconds(connection, session.task_id)[-1]
    next_try = patience(session.place.budget, died_seconds=died_seconds, now_seconds=session.now_seconds)
    cause = Cause(code=cause.code, text=f"{cause.text} {next_try.reason}")
    if next_try.wait_seconds is None:
        return finish(session, FAILED, cause)
    with session.writing() as connection:
        session.move_attempt(connection, FAILED, cause)
        queue.put_off(connection, session.task_id, session.now_seconds + next_try.wait_seconds)
    return next_try.wait_seconds


def _decision(session: Session) -> Decision:
    with session.place.state.reading() as connection:
        begun = {each.subject_id for each in tasks.history(connection, session.task_id) if each.to_state == STARTING}
        tried = tasks.attempts_of(connection, session.task_id)
        recovered_seconds = _recovered_seconds(connection, session.task_id)
    return decision(
        session.place.budget,
        recovered_seconds=recovered_seconds,
        resumed_steps=[each.resumed_step for each in tried if each.id in begun],
        now_seconds=session.now_seconds,
    )


def _recovered_seconds(connection: Connection, task_id: str) -> list[float]:
    """When the task began to recover, each time."""
    steps = tasks.history(connection, task_id)
    return [step.seconds for step in steps if (step.level, step.to_state) == (TASK, RECOVERING)]


def _mark_what_failed(connection: Connection, session: Session, attempt: Attempt, look: Look) -> None:
    """The rank that failed first, and nodes that do not answer, before all others are only stopped."""
    failure = None if look.run is None else look.run.failure
    causes: dict[tuple[str, str], Cause] = {}
    if failure is not None and failure.rank is not None:
        text = f"It ended with {failure.exit_code}, before all others."
        causes[RANK, str(failure.rank)] = Cause(code="failed_first", text=text)
    for each in environments.by_id(connection, attempts.nodes_of(connection, attempt)):
        if set(look.unseen_nodes) & set(each.addresses):
            causes[NODE, each.id] = Cause(code=LOST_NODE, text="It does not answer.")
    for part in tasks.parts_of(connection, attempt.id):
        cause = causes.get((part.level, part.name))
        if cause is not None and follows(part.level, part.state, FAILED):
            who: dict[str, Any] = {"actor": session.place.name, "now_seconds": session.now_seconds}
            tasks.move_part(connection, attempt, part, FAILED, cause, **who)
