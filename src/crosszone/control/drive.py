"""One task, seen to its end: each step looks at what is, does one thing, and writes down that it did.

Between any two of these the program may die. What is written comes after what was done, and all that is done may be
done twice; so whoever takes the task next goes on from what is stored and from what the run's folder says. Every write
carries the lease under which it is made: a worker that was slow, and whose task is another's by now, is turned away.
"""

from __future__ import annotations

from collections.abc import Callable

from crosszone.control.follow import follow
from crosszone.control.prepare import check, deploy, preflight
from crosszone.control.recover import recover
from crosszone.control.session import Session
from crosszone.control.stop import stop
from crosszone.core.task import (
    DEPLOYED,
    FINAL_STATES,
    PREFLIGHT,
    RECOVERING,
    RUNNING,
    STARTING,
    VALIDATED,
    Attempt,
    Task,
)

Step = Callable[[Session, Task, Attempt | None], float | None]
STEPS: dict[str, Step] = {
    VALIDATED: deploy,
    DEPLOYED: check,
    PREFLIGHT: preflight,
    STARTING: follow,
    RUNNING: follow,
    RECOVERING: recover,
}
"""What is done next with a task in each state."""


def step(session: Session) -> float | None:
    """Take one step; seconds until the next one may be taken, None where there is none.

    Stale where the lease is another's by now; the errors of the database.
    """
    task, attempt = session.newest()
    if task.state in FINAL_STATES:
        return None
    if task.is_stop_asked:
        return stop(session, task, attempt)
    return STEPS[task.state](session, task, attempt)
