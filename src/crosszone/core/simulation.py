"""What a simulated step says in a few numbers: how busy stages and links are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUse:
    """One rank of a stage during a step. Busy, idle, agreement and optimizer add up to the step."""

    replica: int
    """Group of replicas that are placed alike."""
    num_replicas: int
    """Replicas in the group."""
    stage: int
    zone: str
    gpu: str
    busy_seconds: float
    """Forwards and backwards, with the communication that interrupts them."""
    idle_seconds: float
    """While others are at work in the pipeline: its order and its delays."""
    agreement_seconds: float
    """After the pipeline: waiting until gradients and weights are agreed on."""
    optimizer_seconds: float
    busy_fraction: float
    """Of the step."""
    peak_bytes: float
    """Of memory."""
    capacity_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUse:
    """One direction of a zone link during a step."""

    from_zone: str
    to_zone: str
    step_bytes: float
    busy_seconds: float
    """In which anything is sent."""
    busy_fraction: float
    """Of the step."""
    peak_bytes_per_second: float
    """At the busiest moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One step of a plan, played."""

    schema_version: int = 1
    fingerprint: str
    framework: str
    schedule: str
    step_seconds: float
    pipeline_seconds: float
    """Until the last backward of the slowest replica; agreement and optimizer come after."""
    num_spans: int
    stages: tuple[StageUse, ...]
    links: tuple[LinkUse, ...]
    notes: tuple[str, ...]
    """What the timeline draws otherwise than it happens."""
