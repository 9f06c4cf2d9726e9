"""What a user asks to be trained, over its whole life: task → attempt → zone → node → rank, and how states follow."""

from dataclasses import dataclass
from typing import Any

DRAFT, VALIDATED, DEPLOYED, PREFLIGHT = "draft", "validated", "deployed", "preflight"
STARTING, RUNNING, RECOVERING = "starting", "running", "recovering"
SUCCEEDED, FAILED, STOPPED = "succeeded", "failed", "stopped"
PENDING, UNSEEN, ENDED = "pending", "unseen", "ended"
"""Of an attempt and its parts alone. `unseen` is not dead: nothing follows from it but looking again."""

TASK_TRANSITIONS: dict[str, frozenset[str]] = {
    DRAFT: frozenset({VALIDATED, FAILED, STOPPED}),
    VALIDATED: frozenset({DEPLOYED, SUCCEEDED, FAILED, STOPPED}),
    DEPLOYED: frozenset({PREFLIGHT, SUCCEEDED, FAILED, STOPPED}),
    PREFLIGHT: frozenset({STARTING, FAILED, STOPPED}),
    STARTING: frozenset({RUNNING, RECOVERING, FAILED, STOPPED}),
    RUNNING: frozenset({RECOVERING, SUCCEEDED, FAILED, STOPPED}),
    RECOVERING: frozenset({PREFLIGHT, STARTING, FAILED, STOPPED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
    STOPPED: frozenset(),
}
"""Which state of a task may follow which. A simulated task succeeds once it is validated, an exported one once it is
deployed."""
PART_TRANSITIONS: dict[str, frozenset[str]] = {
    PENDING: frozenset({STARTING, FAILED, STOPPED}),
    STARTING: frozenset({RUNNING, UNSEEN, ENDED, FAILED, STOPPED}),
    RUNNING: frozenset({UNSEEN, ENDED, FAILED, STOPPED}),
    UNSEEN: frozenset({STARTING, RUNNING, ENDED, FAILED, STOPPED}),
    ENDED: frozenset(),
    FAILED: frozenset(),
    STOPPED: frozenset(),
}
"""The same for an attempt, and for its zones, nodes and ranks."""
TASK, ATTEMPT, ZONE, NODE, RANK = "task", "attempt", "zone", "node", "rank"
LEVELS = (TASK, ATTEMPT, ZONE, NODE, RANK)
TASK_STATES = tuple(TASK_TRANSITIONS)
FINAL_STATES = frozenset(state for state, following in TASK_TRANSITIONS.items() if not following)

EXISTING, NEW, EXPORT, SIMULATE = "existing", "new", "export", "simulate"
LAUNCH_MODES = (EXISTING, NEW, EXPORT, SIMULATE)
"""On environments of the inventory; on nodes to be rented; only the files; only the prediction."""
INITIALIZING = "initializing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a state was left."""

    code: str
    """For programs, in snake_case: `asked`, `preflight_failed`."""
    text: str = ""
    """For people: one sentence, with the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of the life of a task or of a part of it; never changed, never deleted."""

    sequence: int
    """Grows with every transition of any task."""
    task_id: str
    level: str
    """One of `LEVELS`."""
    subject_id: str
    """The task, attempt, zone, node or rank."""
    from_state: str | None
    """None: it began."""
    to_state: str
    cause: Cause
    actor: str
    """Who or what did it."""
    seconds: float
    """Since 1970, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNode:
    """One node of a task, and its ranks."""

    environment_id: str | None
    """None: it is still to be rented."""
    name: str
    zone: str
    node_rank: int
    first_rank: int
    num_ranks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task as it is now. None is unknown, or not yet."""

    id: str
    name: str
    state: str
    """One of `TASK_STATES`."""
    launch_mode: str
    """One of `LAUNCH_MODES`."""
    request: dict[str, Any]
    """As it was sent."""
    job: dict[str, Any] | None
    """The job file that it comes to; None where its model is not known here."""
    nodes: tuple[TaskNode, ...]
    """The main one first."""
    main_node: str | None
    """Id of the environment at which the others meet."""
    framework: str | None
    num_gpus: int
    prediction: dict[str, Any] | None
    """Prediction JSON; None where nothing can be predicted, and a warning says why."""
    warnings: tuple[str, ...] = ()
    deployment_id: str | None = None
    priority: int = 0
    """Higher goes first."""
    budget_dollars: float | None = None
    is_stop_asked: bool = False
    owner: str = ""
    created_seconds: float = 0.0
    updated_seconds: float = 0.0
    ended_seconds: float | None = None
    version: int = 1
    """Grows with every change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks are meant."""

    states: tuple[str, ...] = ()
    launch_modes: tuple[str, ...] = ()
    text: str = ""
    """All words of it are in the name, the id or the framework."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a task."""

    id: str
    task_id: str
    number: int
    """1 first."""
    state: str
    """A key of `PART_TRANSITIONS`."""
    main_node: str | None
    fencing_token: int | None
    """Of the lease under which it was started: what carries an older one is not listened to."""
    folder: str | None = None
    """Of its bundle, on the machine of the server."""
    resumed_step: int | None = None
    """The step of the checkpoint that it went on from."""
    lost_seconds: float | None = None
    """Work of the attempt before it that was done again."""
    started_seconds: float
    ended_seconds: float | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A zone, node or rank of an attempt."""

    id: str
    attempt_id: str
    level: str
    """zone | node | rank"""
    name: str
    """The zone's name, the environment's id, the rank's number."""
    parent_id: str | None
    """The zone of a node, the node of a rank."""
    state: str
    seen_seconds: float | None = None
    """When it was last heard of."""
    details: dict[str, Any]
    """What its level has besides: address, process, step, exit code."""
    version: int = 1


def follows(level: str, from_state: str, to_state: str) -> bool:
    """Whether a task (`level` "task") or a part of one may go from one state to another."""
    table = TASK_TRANSITIONS if level == TASK else PART_TRANSITIONS
    return to_state in table.get(from_state, frozenset())


def following(level: str, state: str) -> tuple[str, ...]:
    """The states that may follow `state`, sorted."""
    table = TASK_TRANSITIONS if level == TASK else PART_TRANSITIONS
    return tuple(sorted(table.get(state, frozenset())))


def compatible_status(state: str) -> str:
    """The state as the field `status` of an answer has it: `initializing` until it runs."""
    return INITIALIZING if state in (DRAFT, VALIDATED, DEPLOYED, PREFLIGHT, STARTING) else state
