"""Whether a run that died is started again, and when: not for ever, and slower each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryBudget:
    """How often, and how soon. Chosen: a node that restarts is back within the longest wait."""

    most_per_hour: int = 4
    most_without_progress: int = 3
    """Attempts in a row that trained nothing which was saved: what fails at once fails again."""
    first_wait_seconds: float = 10.0
    factor: float = 2.0
    longest_wait_seconds: float = 600.0
    longest_outage_seconds: float = 3600.0
    """Until an attempt could be started at all: nodes that are lost may come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from a death."""

    wait_seconds: float | None
    """Until the next attempt; None: there is none."""
    reason: str
    """One sentence, with the numbers."""


def decision(
    budget: RecoveryBudget,
    *,
    recovered_seconds: Sequence[float],
    resumed_steps: Sequence[int | None],
    now_seconds: float,
) -> Decision:
    """Whether to try again.

    `recovered_seconds`: when it was recovered before. `resumed_steps`: the step from which each attempt that was
    started went on, the newest last; None where it did not get so far.
    """
    recent = [at for at in recovered_seconds if now_seconds - at < HOUR_SECONDS]
    if len(recent) >= budget.most_per_hour:
        message = f"It was recovered {len(recent)} times within an hour, and {budget.most_per_hour} is the most."
        return Decision(wait_seconds=None, reason=message)
    stuck = attempts_without_progress(resumed_steps)
    if stuck >= budget.most_without_progress:
        step = resumed_steps[-1] or 0
        message = f"{stuck} attempts in a row went on from step {step} and saved nothing beyond it."
        return Decision(wait_seconds=None, reason=message)
    wait_seconds = min(budget.first_wait_seconds * budget.factor ** len(recent), budget.longest_wait_seconds)
    message = f"Recovery {len(recent) + 1} of at most {budget.most_per_hour} within an hour, in {wait_seconds:g} s."
    return Decision(wait_seconds=wait_seconds, reason=message)


def patience(budget: RecoveryBudget, *, died_seconds: float, now_seconds: float) -> Decision:
    """Whether to try again to start what has not been started since it died: twice as long after as before."""
    gone_seconds = now_seconds - died_seconds
    if gone_seconds >= budget.longest_outage_seconds:
        most = f"{budget.longest_outage_seconds:g} s is the most"
        message = f"For {gone_seconds:.0f} s no attempt could be started, and {most}."
        return Decision(wait_seconds=None, reason=message)
    wait_seconds = min(max(gone_seconds, budget.first_wait_seconds), budget.longest_wait_seconds)
    return Decision(wait_seconds=wait_seconds, reason=f"The next attempt comes in {wait_seconds:g} s.")


def attempts_without_progress(resumed_steps: Sequence[int | None]) -> int:
    """Newest attempts in a row that began no later than the one before them; 1 where the newest did get further."""
    best, stuck = -1, 0
    for step in resumed_steps:
        if step is not None and step > best:
            best, stuck = step, 1
        else:
            stuck += 1
    return stuck
