"""How a run stands that was asked to stop: whether what it trained is in a checkpoint."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from crosszone.core.run import LOST, STOPPED, UNSAVED, Run, UnsavedSteps
from crosszone.launch.failure import LOST_PEER
from crosszone.launch.step_log import RankSteps

NO_CHECKPOINTS = "it saves no checkpoints"
FORCED = "it was ended by force, as --force asks"
UNTOLD = (
    "ranks ended, or were ended after {seconds:g} s, before they had saved; `crosszone logs DIR` has their last words"
)


def as_stopped(
    run: Run,
    ranks: Mapping[int, RankSteps],
    *,
    is_forced: bool = False,
    is_seen: bool = True,
    exit_code: int | None = None,
) -> Run:
    """The record of a run that was asked to stop, from what its `ranks` logged.

    `is_forced`: it was given no time to save. `is_seen`: every part of it could be asked, and its logs are here.
    """
    unsaved = unsaved_steps(ranks, is_forced=is_forced, grace_seconds=run.grace_seconds) if is_seen else None
    state = STOPPED if is_seen else LOST
    if unsaved is not None and unsaved.reason not in (NO_CHECKPOINTS, FORCED):
        state = UNSAVED
    return dataclasses.replace(run, state=state, ended_seconds=time.time(), exit_code=exit_code, unsaved=unsaved)


def unsaved_steps(ranks: Mapping[int, RankSteps], *, is_forced: bool, grace_seconds: float) -> UnsavedSteps | None:
    """Steps since the newest checkpoint; None where there are none, or the trainer does not tell when it saves."""
    telling = {rank: each for rank, each in ranks.items() if "saves" in each.start}
    saved = max((each.saved_step for each in telling.values()), default=0)
    last = max((each.last_step for each in telling.values()), default=0)
    if last <= saved:
        return None
    rank, reason = _cause(telling)
    if not reason:
        reason = FORCED if is_forced else UNTOLD.format(seconds=grace_seconds)
    return UnsavedSteps(first_step=saved + 1, last_step=last, rank=rank, reason=reason)


def _cause(ranks: Mapping[int, RankSteps]) -> tuple[int | None, str]:
    """(rank, why it could not save): before all others one that does not speak of a lost peer."""
    if not any(each.start["saves"] for each in ranks.values()):
        return None, NO_CHECKPOINTS
    told = [(bool(LOST_PEER.search(each.problem)), rank, each.problem) for rank, each in ranks.items() if each.problem]
    return min(told)[1:] if told else (None, "")
