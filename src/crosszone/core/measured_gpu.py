"""What was timed on one GPU, and the shares of its peaks that the timings show."""

from dataclasses import dataclass
from typing import Any

from crosszone.core.calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmTiming:
    """One (m x k)(k x n) product."""

    precision: str
    m: int
    n: int
    k: int
    seconds: float
    """Median of the repeats, as in every timing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionTiming:
    """Causal fused attention of `num_heads` query heads and as many key heads."""

    kernel: str
    """`flash2`, or `best` for the vendor's own."""
    batch_size: int
    num_heads: int
    head_size: int
    sequence_length: int
    forward_seconds: float
    backward_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTiming:
    """One kernel that only moves memory."""

    operation: str
    """`copy` (reads 1, writes 1) or `add` (reads 2, writes 1)."""
    moved_bytes: float
    """Read and written together."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """What the driver said of the GPU at one moment; None where it does not say."""

    sm_hertz: float | None = None
    max_sm_hertz: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None
    driver_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredGpu:
    """Raw figures of one GPU, with all that is needed to judge them."""

    schema_version: int = 1
    name: str
    """As the driver calls it."""
    memory_bytes: float | None
    num_sms: int | None
    torch_version: str
    cuda_version: str
    date: str
    """As 2026-11-21."""
    elapsed_seconds: float
    before: GpuState
    """At rest."""
    after: GpuState
    """Straight after the last kernel."""
    gemms: tuple[GemmTiming, ...]
    attentions: tuple[AttentionTiming, ...]
    streams: tuple[StreamTiming, ...]
    kernel_launch_seconds: float | None
    """From the start of one tiny kernel to the start of the next, issued one by one."""
    skipped: tuple[str, ...] = ()
    """What could not be timed, each with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedShare:
    """One constant of `Efficiency` that timings showed."""

    name: str
    value: float
    catalog_value: float
    """What it replaces."""
    num_timings: int
    spread_fraction: float | None
    """Standard deviation of the logarithm of measured over fitted seconds; None of a single timing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """What `calibrate` found on this machine's GPU."""

    calibration: Calibration
    shares: tuple[FittedShare, ...]
    measured: MeasuredGpu
    notes: tuple[str, ...] = ()
    """What was not fitted, and why."""


def measured_gpu(value: dict[str, Any]) -> MeasuredGpu:
    """A `MeasuredGpu` from its JSON value, to fit it again. Errors: KeyError, TypeError where it is not one."""
    return MeasuredGpu(
        **{
            **value,
            "before": GpuState(**value["before"]),
            "after": GpuState(**value["after"]),
            "gemms": tuple(GemmTiming(**row) for row in value["gemms"]),
            "attentions": tuple(AttentionTiming(**row) for row in value["attentions"]),
            "streams": tuple(StreamTiming(**row) for row in value["streams"]),
            "skipped": tuple(value.get("skipped", ())),
        }
    )
