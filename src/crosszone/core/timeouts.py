"""How long each layer of a running job waits before it gives up: an inner layer always before the one around it."""

import itertools
import math
from dataclasses import dataclass, fields

from crosszone.errors import Finding

LADDER = (
    "heartbeat_seconds",
    "collective_seconds",
    "step_deadline_seconds",
    "quorum_seconds",
    "watchdog_seconds",
    "launcher_seconds",
)
"""From the inside out; each must be longer than the one before, so that the layer that knows the cause reports it."""

RTTS_PER_HEARTBEAT = 5.0
HEARTBEAT_FLOOR_SECONDS = 5.0
STEPS_PER_COLLECTIVE = 3.0
STEP_FACTOR, QUORUM_FACTOR, WATCHDOG_FACTOR, LAUNCHER_FACTOR = 1.5, 2.0, 3.0, 4.0
"""Of the collective time-out. Chosen: room for one restart of the layer inside."""
COLLECTIVE_FLOOR_SECONDS = 60.0
"""Chosen: a garbage collection or a slow file system is no failure."""
RENDEZVOUS_SECONDS = 900.0
"""Chosen: nodes of several zones, each in its own queue, rarely start within ten minutes of each other."""
FIRST_STEP_SECONDS = 1800.0
"""Chosen: kernels are compiled, communicators made and a checkpoint read before it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The ladder, and two that stand beside it."""

    heartbeat_seconds: float
    """A peer that has been silent so long is suspected."""
    collective_seconds: float
    """One collective operation."""
    step_deadline_seconds: float
    """A rank whose step takes longer shows where it hangs, and ends."""
    quorum_seconds: float
    """Zones wait for each other so long before they go on with fewer."""
    watchdog_seconds: float
    """A rank that saves a checkpoint, or is between steps, ends after so long without progress."""
    launcher_seconds: float
    """The launcher ends the job after so long without progress."""
    rendezvous_seconds: float = RENDEZVOUS_SECONDS
    """Until all ranks have met."""
    first_step_seconds: float = FIRST_STEP_SECONDS
    """The first step after a start, in place of `collective_seconds` and `step_deadline_seconds`."""

    @property
    def grace_seconds(self) -> int:
        """That ranks which are asked to end get for their step and a checkpoint: three slow steps hold both."""
        return math.ceil(self.collective_seconds)


def timeouts(*, rtt_seconds: float, p99_step_seconds: float, checkpoint_stall_seconds: float) -> Timeouts:
    """The ladder for a job whose longest round trip, slow step and checkpoint are these.

    heartbeat >= 5 rtt + 5 s; collective >= 3 p99 step + checkpoint stall; each next one longer by a factor.
    """
    heartbeat_seconds = RTTS_PER_HEARTBEAT * rtt_seconds + HEARTBEAT_FLOOR_SECONDS
    collective_seconds = max(
        STEPS_PER_COLLECTIVE * p99_step_seconds + checkpoint_stall_seconds,
        2.0 * heartbeat_seconds,
        COLLECTIVE_FLOOR_SECONDS,
    )
    return Timeouts(
        heartbeat_seconds=heartbeat_seconds,
        collective_seconds=collective_seconds,
        step_deadline_seconds=STEP_FACTOR * collective_seconds,
        quorum_seconds=QUORUM_FACTOR * collective_seconds,
        watchdog_seconds=WATCHDOG_FACTOR * collective_seconds,
        launcher_seconds=LAUNCHER_FACTOR * collective_seconds,
        first_step_seconds=max(FIRST_STEP_SECONDS, STEP_FACTOR * collective_seconds),
    )


def timeout_problems(limits: Timeouts, *, where: str = "timeouts") -> tuple[Finding, ...]:
    """Every rung that is not longer than the one inside it, and every one that is not positive."""
    found = [
        Finding(
            code="bad_timeout",
            where=f"{where}.{field.name}",
            message=f"{getattr(limits, field.name):g} s is no time to wait.",
            hint="Write a number above 0.",
        )
        for field in fields(limits)
        if not getattr(limits, field.name) > 0.0
    ]
    for inner, outer in itertools.pairwise(LADDER):
        inner_seconds, outer_seconds = getattr(limits, inner), getattr(limits, outer)
        if not inner_seconds < outer_seconds:
            found.append(
                Finding(
                    code="timeout_order",
                    where=f"{where}.{outer}",
                    message=f"{outer_seconds:g} s is not longer than {inner} = {inner_seconds:g} s.",
                    hint="Let the inner layer give up first: it knows the cause.",
                )
            )
    return tuple(found)
