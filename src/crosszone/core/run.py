"""One execution of a bundle: what is written of it beside its logs, and what can be said of it now."""

from dataclasses import dataclass

from crosszone.core.measurement import Measurement

NEVER_STARTED, RUNNING, ENDED, FAILED = "never_started", "running", "ended", "failed"
STOPPED, UNSAVED, SUBMITTED, LOST, UNFOLLOWED = "stopped", "unsaved", "submitted", "lost", "unfollowed"
RUN_STATES = (NEVER_STARTED, RUNNING, ENDED, FAILED, STOPPED, UNSAVED, SUBMITTED, LOST, UNFOLLOWED)
"""`unsaved`: stopped, but its checkpoint was not written; `submitted`: a scheduler has it, and did not say as what;
`lost`: nobody wrote how it ended, or it runs unseen; `unfollowed`: its nodes are started by hand, and not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process of one start of one machine. A process id alone may have been given to another one since."""

    pid: int
    start_ticks: int
    """Clock ticks from the start of the machine to its own (proc(5), stat, field 22)."""
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailure:
    """Why a run failed: what failed first."""

    rank: int | None
    """None where nothing says which."""
    exit_code: int | None
    """Minus the signal that ended it, where one did."""
    num_restarts: int
    """Starts before the last one."""
    log: str
    """The file that the lines are from, relative to the bundle."""
    lines: tuple[str, ...]
    """Its last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsavedSteps:
    """Steps that a stopped run trained and that are in no checkpoint: the next start trains them again."""

    first_step: int
    last_step: int
    rank: int | None
    """The one that could not save; None where none told."""
    reason: str
    """Why they are not saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What `logs/run.json` holds: the newest run of a bundle."""

    schema_version: int = 1
    run_id: str
    backend: str
    framework: str
    world_size: int
    num_steps: int | None
    """Of the whole training; None where it is the program's business."""
    python: str
    """The interpreter that ranks run on, where they run here."""
    log_folder: str
    """Output of this run, relative to the bundle."""
    log_sizes: tuple[tuple[str, int], ...]
    """(file, bytes) of the step logs before this run, which appends to them."""
    grace_seconds: float
    """That ranks get to end their step and save when they are asked to stop."""
    supervisor: ProcessIdentity
    """Follows the run, and writes how it ended."""
    started_seconds: float
    """Since 1970, UTC."""
    state: str
    """running | ended | failed | stopped | unsaved | submitted | lost"""
    ended_seconds: float | None = None
    exit_code: int | None = None
    """Of the program that starts the ranks."""
    failure: RunFailure | None = None
    job: str | None = None
    """Its number, where a scheduler has it."""
    job_state: str | None = None
    """The scheduler's own word for how that stands."""
    unsaved: UnsavedSteps | None = None
    """None where all was saved, or the trainer does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedRun:
    """What of a bundle's prediction can be held against a run."""

    step_seconds: float
    low_seconds: float | None
    """The step lies between these with probability `level`."""
    high_seconds: float | None
    level: float | None
    tokens_per_second: float
    tokens_per_second_per_gpu: float
    model_flop_per_second_per_gpu: float
    peak_bytes: float
    gpus: tuple[str, ...]
    """That it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """What can be said of a bundle's newest run now. None is unknown."""

    state: str
    """One of `RUN_STATES`."""
    reason: str
    """Why it is believed, or what to do; one sentence, or empty."""
    run: Run | None
    num_processes: int | None
    """Of the run on this machine, its supervisor not among them; None where they were not counted."""
    step: int | None
    """The newest that is done."""
    loss: float | None
    step_seconds: float | None
    """Median so far on the lowest rank, without the first step after a start."""
    elapsed_seconds: float | None
    """From its start until now, or until it ended."""
    remaining_seconds: float | None
    """The steps that are left, as long as the median."""
    predicted: PredictedRun
    device: str
    """cuda | cpu: what the bundle was rendered for."""
    measurement: Measurement | None
    """Once it is over."""
    num_restarts: int | None = None
    """Of its ranks, after one of them failed; None where the program does not tell."""
    num_lost_steps: int | None = None
    """That these trained again, as no checkpoint held them."""
