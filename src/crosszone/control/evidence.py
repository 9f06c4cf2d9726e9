"""What is believed of a run from what can be seen of it. Unknown is not dead: an end takes two proofs.

The proofs do not come from the same place: what the supervisor wrote as its last words, what the process tables of the
nodes say, and how old the newest step is that a rank logged. Each may be wrong alone: a supervisor is killed, a node
cannot be asked, a step is long.
"""

from __future__ import annotations

from dataclasses import dataclass

from crosszone.core.run import ENDED, FAILED, NEVER_STARTED, STOPPED, UNSAVED, Run, RunStatus
from crosszone.launch.scheduler import CANCELLED, RUNS, SchedulerLook

RECORDED, FINISHED, GONE, PARTED, SILENT = "recorded", "finished", "gone", "parted", "silent"
TOLD = "told"
"""Who followed the ranks wrote how they ended; they logged the last step; no process is left anywhere; a node says that
its ranks failed, and without them no step is done; no step has come for long. Told: where nobody followed them, their
scheduler says how they ended."""
PROOFS_NEEDED = 2
OVER = (ENDED, FAILED, STOPPED, UNSAVED)
"""Last words of a supervisor."""
UNBORN, ALIVE, UNKNOWN, DONE, HALTED, DEAD = "unborn", "alive", "unknown", "done", "halted", "dead"
"""Never started; runs; nothing can be said; ended well; ended because it was asked to; ended otherwise."""
SILENCE_FACTOR = 4.0
"""Chosen: ranks end themselves when a step takes 1.5 times the time of grace, and their launcher after four times
(`core.timeouts`); who is silent for longer has nobody left who could speak."""
NODE_RUNS, NODE_UNSEEN = "runs", "unseen"
"""What a node says of its launcher, besides how it ended; or that it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What could be seen of a run at one moment."""

    status: RunStatus | None
    """None: not even its folder could be read."""
    reason: str = ""
    """Why not."""
    num_processes: int | None = None
    """Of it on this machine, its supervisor among them; None where they could not be counted, or where none of its
    ranks are here, so that they prove nothing."""
    nodes: tuple[tuple[str, str], ...] | None = None
    """(address, `runs`, `unseen` or how it ended) of each launcher; None where nobody was asked."""
    scheduler: SchedulerLook | None = None
    """None where none that can be asked has it, or nobody needed to ask."""
    grown_seconds: float | None = None
    """When a rank last logged something, since 1970."""

    @property
    def run(self) -> Run | None:
        """Its record."""
        return None if self.status is None else self.status.run

    @property
    def unseen_nodes(self) -> tuple[str, ...]:
        """Addresses that do not answer."""
        return tuple(address for address, state in self.nodes or () if state == NODE_UNSEEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is believed, and why."""

    belief: str
    """unborn | alive | unknown | done | halted | dead"""
    proofs: tuple[str, ...] = ()
    """That it is over."""
    reason: str = ""
    """One sentence."""


def verdict(look: Look, *, now_seconds: float) -> Verdict:
    """What to believe of a run."""
    status, run = look.status, look.run
    if status is None:
        return Verdict(belief=UNKNOWN, reason=look.reason)
    if run is None:
        belief = UNBORN if status.state == NEVER_STARTED else UNKNOWN
        return Verdict(belief=belief, reason=status.reason)
    if _is_seen_alive(look):
        return Verdict(belief=ALIVE, reason=status.reason)
    proofs = tuple(_proofs(look, run, now_seconds))
    if len(proofs) < PROOFS_NEEDED:
        said = status.reason or f"The record says {run.state}."
        return Verdict(belief=UNKNOWN, proofs=proofs, reason=f"{said} That alone does not prove that it is over.")
    return Verdict(belief=_ending(look, run, status), proofs=proofs, reason=status.reason)


def _is_seen_alive(look: Look) -> bool:
    """Something of it lives, whatever the record says."""
    is_scheduled = look.scheduler is not None and (look.scheduler.state == RUNS or bool(look.scheduler.num_alive))
    return bool(look.num_processes) or NODE_RUNS in {state for _, state in look.nodes or ()} or is_scheduled


def _proofs(look: Look, run: Run, now_seconds: float) -> list[str]:
    found = []
    if run.state in OVER or (look.nodes and all(state.isdigit() for _, state in look.nodes)):
        found.append(RECORDED)
    elif look.scheduler is not None and look.scheduler.is_over:  # whose word a record of it would only repeat
        found.append(TOLD)
    if _is_finished(look, run):
        found.append(FINISHED)
    if _is_seen_gone(look):
        found.append(GONE)
    elif any(state.isdigit() and state != "0" for _, state in look.nodes or ()):
        found.append(PARTED)
    newest_seconds = max(run.started_seconds, look.grown_seconds or 0.0)
    if look.grown_seconds is not None and now_seconds - newest_seconds > SILENCE_FACTOR * run.grace_seconds:
        found.append(SILENT)
    return found


def _is_seen_gone(look: Look) -> bool:
    """All places where something of it could be were asked, and have nothing."""
    if look.scheduler is not None and look.scheduler.num_alive is not None:
        return look.scheduler.num_alive == 0
    if look.nodes:
        return look.num_processes in (0, None) and not look.unseen_nodes
    return look.num_processes == 0


def _is_finished(look: Look, run: Run) -> bool:
    step = None if look.status is None else look.status.step
    return step is not None and run.num_steps is not None and step >= run.num_steps


def _ending(look: Look, run: Run, status: RunStatus) -> str:
    said = None if look.scheduler is None else look.scheduler.state
    if status.state in (STOPPED, UNSAVED) or CANCELLED in (said, (run.job_state or "").lower()):
        return HALTED
    if said in (ENDED, FAILED):
        return DONE if said == ENDED else DEAD
    is_told = status.state in (ENDED, FAILED)
    return DONE if status.state == ENDED or (not is_told and _is_finished(look, run)) else DEAD
