"""What own runs taught about one cluster: a constant that predictions for it take into account."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Learnt from measured steps of one cluster and framework."""

    schema_version: int = 1
    gpu: str
    """Catalog name of the GPU it was learnt on; other GPUs are predicted without it."""
    compute_seconds_ratio: float
    """Measured over predicted seconds of what the GPU and its driver do: products, attention, memory, launches."""
    num_runs: int
    source: str
    """Where the runs come from."""
