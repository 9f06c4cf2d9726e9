"""What own runs taught about a cluster: constants that predictions for it take into account."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Learnt from measured steps on one kind of GPU."""

    schema_version: int = 1
    gpu: str
    """Catalog name of the GPU it was learnt on; other GPUs are predicted without it."""
    compute_seconds_ratio: float
    """Measured over predicted seconds of what the GPU and its driver do: products, attention, memory, launches."""
    num_runs: int
    source: str
    """Where the runs come from."""
    date: str = ""
    """Day on which it was learnt, as 2026-11-21."""
    frameworks: tuple[str, ...] = ()
    """Catalog names of the frameworks that ran."""
    spread_fraction: float | None = None
    """Standard deviation of the logarithm of the runs' own ratios; None of a single run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedRun:
    """One run that a calibration was learnt from."""

    id: str
    gpu: str
    framework: str
    measured_seconds: float
    predicted_seconds: float
    """Before."""
    compute_seconds_ratio: float
    """With which this run alone is predicted as measured."""
    calibrated_seconds: float
    """Predicted with the calibration of all runs."""
    assumed: tuple[str, ...]
    """What the table does not state, with the value that stood in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedRun:
    """A row that no calibration was learnt from."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """What `calibrate` found: one calibration per GPU, and the runs behind them."""

    calibrations: tuple[Calibration, ...]
    runs: tuple[CalibratedRun, ...]
    unused: tuple[UnusedRun, ...]
