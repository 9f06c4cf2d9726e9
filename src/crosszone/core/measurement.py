"""What a run measured, under the names of `core.prediction`, so that comparing is subtracting."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMeasurement:
    """One rank."""

    rank: int
    step_seconds: float
    """Median over the steps that count."""
    data_seconds: float
    """Median part of it that waited for tokens."""
    peak_bytes: float
    """Highest of all its steps: of tensors on a GPU, of the process on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPeak:
    """Memory of the fullest rank."""

    peak_bytes: float
    capacity_bytes: float | None
    """Of its GPU; None on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run. The first step after every start is left out: it makes connections and compiles kernels."""

    schema_version: int = 1
    fingerprint: str
    """Of the prediction that it belongs to."""
    framework: str
    num_gpus: int
    """Ranks."""
    device: str
    """What the ranks computed on, as torch calls it."""
    num_parameters: int | None
    num_microbatches: int | None
    global_batch_tokens: int | None
    num_steps: int
    """That count."""
    step_seconds: float
    """Median; a step lasts as long as on its slowest rank."""
    low_seconds: float
    """Of nine steps in ten, the shortest: the 5th percentile."""
    high_seconds: float
    """The 95th percentile."""
    tokens_per_second: float | None
    tokens_per_second_per_gpu: float | None
    model_flop_per_second_per_gpu: float | None
    memory: MeasuredPeak
    first_loss: float
    """Of the first step that was logged."""
    last_loss: float
    ranks: tuple[RankMeasurement, ...]
