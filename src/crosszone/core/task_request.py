"""What somebody asks to be trained, once it is read, and what is wrong with it, in both languages."""

from dataclasses import dataclass
from typing import Any

from crosszone.core.answer import Comparison
from crosszone.core.environment import Environment
from crosszone.core.task import EXISTING, TaskNode
from crosszone.errors import Finding

UNAVAILABLE = "unavailable"
"""Code of the finding that an environment takes no task as it is now, whatever the task is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BilingualFinding(Finding):
    """A finding that also stands in Chinese."""

    message_zh: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """A request for a task. None is not said."""

    name: str
    dataset_id: str
    dataset_version_id: str
    model_id: str | None = None
    model: Any = None
    """As a job file has it; in place of `model_id`."""
    launch_mode: str = EXISTING
    environment_ids: tuple[str, ...] = ()
    main_node: str | None = None
    """None: the most stable one is taken."""
    framework: str | None = None
    """By our name."""
    world_size: int | None = None
    plan: dict[str, Any]
    """Degrees and all else, as a job file has them under `plan`."""
    train_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    workload: dict[str, Any] | None = None
    """As a job file has it."""
    cluster: dict[str, Any] | None = None
    """As a job file has it: nodes that are not of the inventory."""
    links: tuple[dict[str, Any], ...] = ()
    """As a job file has them: paths between zones of the environments."""
    objective: dict[str, Any] | None = None
    constraints: dict[str, Any] | None = None
    priority: int = 0
    budget_dollars: float | None = None
    deployment: dict[str, Any]
    """Options of `crosszone deploy`: backend, device, steps, data, checkpoints; what is not said is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What is known of what a request names."""

    environments: tuple[Environment, ...] = ()
    """Those of its ids that there are, in its order."""
    links: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    """(from zone, to zone, path as a job file has it)"""
    model: Any = None
    """What was registered under the model's id, as a job file has it."""
    dataset: dict[str, Any] | None = None
    """What is known of the data set, as a job file has it under `workload.dataset`."""
    unreachable: tuple[tuple[str, str], ...] = ()
    """(from, to) ids of environments of which one did not reach the other when that was tried last."""
    starting_seconds: tuple[float, ...] = ()
    """How long earlier tasks on the same environments took to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartEstimate:
    """How long the start may take, from earlier ones."""

    num_starts: int
    p50_seconds: float
    p90_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTransfer:
    """The data set, copied whole to a zone that does not hold it."""

    from_zone: str
    to_zone: str
    size_bytes: float
    seconds: float
    """With nothing else on the path."""
    egress_dollars: float | None
    """None: the price of the path is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spanning:
    """What crossing zones costs a step, by the path that it waits for longest, and what agreeing less often leaves."""

    from_zone: str
    to_zone: str
    step_bytes: float
    """That the path carries in a step."""
    exposed_seconds: float
    """Of each step, spent waiting for the path."""
    step_seconds: float
    local_every: int
    """Steps between two agreements, for comparison."""
    local_step_seconds: float | None
    """A step then; None: it is not shorter, or cannot be planned."""
    local_framework: str | None
    """That would do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyCosts:
    """What a task costs while it runs. None: a price is unknown."""

    gpu_dollars_per_hour: float | None
    egress_dollars_per_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedTask:
    """A request in which nothing is wrong, and what it comes to."""

    request: TaskRequest
    is_known: bool
    """False where its model is not known here: it stays a draft, and nothing is predicted."""
    job: dict[str, Any] | None
    nodes: tuple[TaskNode, ...]
    """The main one first."""
    main_node: str | None
    num_gpus: int
    prediction: dict[str, Any] | None
    start: StartEstimate | None
    """None where too few tasks have started on the same environments."""
    spanning: Spanning | None = None
    """None: no step waits for a path between zones, or the paths are not known."""
    comparison: Comparison | None = None
    """The best plan over several zones beside the best of one; None where the plan spans them, or there is one."""
    costs: HourlyCosts | None = None
    """None: nothing is known of its model."""
    transfers: tuple[DataTransfer, ...] = ()
    """What copying the data set would take, where its size, its zone and the paths are known."""
    warnings: tuple[str, ...]
