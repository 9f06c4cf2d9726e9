"""What own runs taught about a cluster: constants that predictions for it take into account."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from crosszone.core.efficiency import Efficiency


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredShares:
    """Shares that kernels timed on the GPU itself reach, named as in `Efficiency`; None: the catalog's holds."""

    gemm_fraction: float | None = None
    fp8_gemm_fraction: float | None = None
    gemm_overhead_depth: float | None = None
    attention_fraction: float | None = None
    attention_backward_fraction: float | None = None
    flash2_factor: float | None = None
    memory_fraction: float | None = None

    def known(self) -> dict[str, float]:
        """What was measured, by name."""
        values = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: value for name, value in values if value is not None}

    def replaced(self, efficiency: Efficiency) -> Efficiency:
        """`efficiency` with what was measured in place of its own."""
        known: dict[str, Any] = self.known()
        return dataclasses.replace(efficiency, **known)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPrior:
    """How far clusters are from what the catalog says, and how far one run is from what its cluster says."""

    between_spread: float
    """Standard deviation over clusters of the logarithm of measured over predicted seconds."""
    within_spread: float
    """The same over the runs of one cluster."""

    def believed_fraction(self, num_runs: int) -> float:
        """Share of the runs' mean log ratio to expect of the cluster's next run; the rest is the runs' own.

        For normal spreads b between and w within: b^2 / (b^2 + w^2 / n). Source: Efron and Morris 1973, Stein's
        Estimation Rule and Its Competitors, sec. 2.
        """
        between, within = self.between_spread**2, self.within_spread**2 / num_runs
        return between / (between + within) if between + within > 0.0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Learnt from measured steps, or from timed kernels, on one kind of GPU."""

    schema_version: int = 1
    gpu: str
    """Catalog name of the GPU it was learnt on; other GPUs are predicted without it."""
    compute_seconds_ratio: float
    """Measured over predicted seconds of what the GPU and its driver do: products, attention, memory, launches."""
    num_runs: int
    """Zero where it was learnt from timed kernels alone."""
    source: str
    """Where the runs come from, or what timed the kernels."""
    date: str = ""
    """Day on which it was learnt, as 2026-11-21."""
    frameworks: tuple[str, ...] = ()
    """Catalog names of the frameworks that ran."""
    spread_fraction: float | None = None
    """Standard deviation of the logarithm of the runs' own ratios; None of a single run."""
    believed_fraction: float = 1.0
    """Power of the runs' own ratio that `compute_seconds_ratio` is: a few runs are not yet a cluster."""
    efficiency: MeasuredShares | None = None
    """From timed kernels; None where only steps were measured."""


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
    compute_share_fraction: float
    """How much of the step's time grows with the GPU's seconds; where it is small, the ratio says little."""
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
