"""What can be said of a bundle's newest run now, once or for as long as it runs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from crosszone.core.run import (
    ENDED,
    FAILED,
    LOST,
    NEVER_STARTED,
    RUNNING,
    STOPPED,
    SUBMITTED,
    UNFOLLOWED,
    UNSAVED,
    Run,
    RunStatus,
    UnsavedSteps,
)
from crosszone.launch.backends import can_run, fetch_logs, node_states
from crosszone.launch.bundle_folder import BundleFolder, open_bundle
from crosszone.launch.record import read_measurement, read_run
from crosszone.launch.slurm import FORGOTTEN, UNSEEN, JobState, job_state
from crosszone.launch.step_log import RankSteps, recent_steps
from crosszone.processes import is_alive, marked

POLL_SECONDS = 0.5
NODE_RUNS, NODE_UNSEEN = "runs", "unseen"
UNFOLLOWED_REASON = (
    "A {backend} bundle is started node by node, and cannot be followed from here: each node's ranks log their steps "
    "in its own logs/rank-N.jsonl, and say the rest in the terminal that started them."
)


def status(folder: Path) -> RunStatus:
    """Now. Errors: SpecError where there is no bundle."""
    bundle = open_bundle(folder)
    run = _newest_run(bundle)
    if run is not None and run.state == RUNNING and not is_alive(run.supervisor):
        fetch_logs(bundle)  # nobody else does any more
    steps = None
    if run is not None or not can_run(bundle):
        steps = recent_steps(bundle.logs, () if run is None else run.log_sizes)
    return _status(bundle, run, steps)


def follow(folder: Path, *, every_seconds: float = POLL_SECONDS) -> Iterator[RunStatus]:
    """Now, and again and again until the run is over. Errors: SpecError where there is no bundle."""
    bundle = open_bundle(folder)
    steps: RankSteps | None = None
    while True:
        run = _newest_run(bundle)
        if steps is not None:
            steps.read()
        elif run is not None:
            steps = recent_steps(bundle.logs, run.log_sizes)
        found = _status(bundle, run, steps, is_counting=False)
        yield found
        if found.state != RUNNING:
            return
        time.sleep(every_seconds)


def _newest_run(bundle: BundleFolder) -> Run | None:
    run = read_run(bundle.logs)
    if run is not None and run.state == RUNNING and not is_alive(run.supervisor):
        return read_run(bundle.logs)  # it writes how the run ended, and then goes
    return run


def _status(bundle: BundleFolder, run: Run | None, steps: RankSteps | None, *, is_counting: bool = True) -> RunStatus:
    state, reason, num_processes = _state(bundle, run, is_counting=is_counting)
    newest = None if steps is None else steps.newest
    step_seconds = None if steps is None else steps.step_seconds
    remaining_seconds = elapsed_seconds = None
    if run is not None:
        if state == RUNNING and newest is not None and step_seconds is not None and run.num_steps is not None:
            remaining_seconds = max(run.num_steps - newest["step"], 0) * step_seconds
        if run.ended_seconds is not None or state == RUNNING:
            elapsed_seconds = (run.ended_seconds or time.time()) - run.started_seconds
    is_over = run is not None and run.state != RUNNING
    return RunStatus(
        state=state,
        reason=reason,
        run=run,
        num_processes=num_processes,
        step=None if newest is None else newest["step"],
        loss=None if newest is None else newest["loss"],
        step_seconds=step_seconds,
        elapsed_seconds=elapsed_seconds,
        remaining_seconds=remaining_seconds,
        predicted=bundle.predicted,
        device=bundle.device,
        measurement=read_measurement(bundle.logs) if is_over else None,
        num_restarts=None if steps is None else steps.num_restarts,
        num_lost_steps=None if steps is None else steps.num_lost_steps,
    )


def _state(bundle: BundleFolder, run: Run | None, *, is_counting: bool) -> tuple[str, str, int | None]:
    """(state, why, processes on this machine); these are counted where `is_counting`, or where they tell the state."""
    if run is None and not can_run(bundle):
        return UNFOLLOWED, UNFOLLOWED_REASON.format(backend=bundle.backend), None
    if run is None:
        return NEVER_STARTED, "`crosszone run DIR` starts it.", 0
    if run.state != RUNNING:
        return run.state, _ending(run), 0
    if is_alive(run.supervisor):
        reason = "" if run.job is None else f"Slurm's job {run.job} is {run.job_state}."
        return RUNNING, reason, len(marked(run.run_id)) if is_counting else None
    processes = len(marked(run.run_id))
    if processes:
        return RUNNING, "Its supervisor is gone, but what it started is not; `crosszone stop DIR` ends it.", processes
    if run.job is not None:
        return _state_of_job(run.job, job_state(run.job))
    nodes = node_states(bundle)
    if nodes is None:
        return LOST, "Its processes are gone, and nobody wrote how it ended: the machine may have been restarted.", 0
    return _state_of_nodes(nodes)


def _state_of_nodes(nodes: dict[str, str]) -> tuple[str, str, int]:
    """From what every node says; nobody here follows the run any more."""
    told = ", ".join(f"{name} {state}" for name, state in sorted(nodes.items()))
    states = set(nodes.values())
    if NODE_RUNS in states:
        return RUNNING, f"Nobody here follows it: {told}.", 0
    if NODE_UNSEEN in states or not states:
        return LOST, f"Nodes that cannot be seen may run on: {told}.", 0
    if states == {"0"}:
        return ENDED, f"Nobody here followed it to its end: {told}.", 0
    return FAILED, f"Nobody here followed it to its end: {told}.", 0


def _state_of_job(job: str, found: JobState) -> tuple[str, str, int]:
    """From what Slurm says; nobody here follows the run any more."""
    told = f"Slurm's job {job} is {found.word}."
    if found.word == UNSEEN:
        return LOST, f"Slurm cannot be asked from here; its job {job} may run on.", 0
    if found.word == FORGOTTEN:
        return LOST, f"Nobody here followed it to its end, and Slurm no longer knows its job {job}.", 0
    if not found.is_over:
        return RUNNING, f"Nobody here follows it: {told}", 0
    return (ENDED if found.exit_code == 0 else FAILED), f"Nobody here followed it to its end: {told}", 0


def _ending(run: Run) -> str:
    if run.state == FAILED and run.failure is not None:
        return _failed(run)
    if run.state == SUBMITTED:
        return f"run_training.sh has handed it to {run.backend}, which knows the rest; its words are in the log."
    if run.state == LOST and run.job_state == FORGOTTEN:
        return f"Slurm no longer knows its job {run.job}; how it ended is not known."
    if run.state == LOST:
        return "It was asked to stop, but not everywhere with success; `crosszone logs DIR` shows where it may run on."
    if run.state not in (STOPPED, UNSAVED):
        return ""
    return "It was asked to stop." + ("" if run.unsaved is None else _unsaved(run.unsaved))


def _unsaved(unsaved: UnsavedSteps) -> str:
    first, last = unsaved.first_step, unsaved.last_step
    steps = f"Step {last} is" if first == last else f"Steps {first} to {last} are"
    who = "" if unsaved.rank is None else f"rank {unsaved.rank}: "
    return f" {steps} in no checkpoint: {who}{unsaved.reason.rstrip('.')}."


def _failed(run: Run) -> str:
    failure = run.failure
    assert failure is not None, "the caller looked"
    who = "The program that starts the ranks" if run.job is None else f"Slurm's job {run.job} is {run.job_state}: it"
    if failure.rank is not None:
        who = f"Rank {failure.rank} failed first: it"
    how = "ended"
    if failure.exit_code is not None:
        how = f"ended with exit code {failure.exit_code}"
        if failure.exit_code < 0:
            how = f"was ended by signal {-failure.exit_code}{_signal_name(-failure.exit_code)}"
    again = f", after {failure.num_restarts} restarts" if failure.num_restarts else ""
    return f"{who} {how}{again}."


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return ""
    return f" ({name}, as the kernel sends it where memory runs out)" if name == "SIGKILL" else f" ({name})"
