"""How near a plan is to the measured runs that predictions were held against."""

from dataclasses import dataclass

KNOWLEDGE = ("calibrated", "studied", "new_framework", "new_gpu", "new_gpu_and_framework")
"""From near to far: own runs on these GPUs; runs of this GPU generation and framework; of one of them; of neither."""
LAYOUTS = ("one_fabric", "pipeline_across", "tensor_across", "zones")
"""A model's copy lies in one fabric; its pipeline leaves it; tensor or context parallelism does; the plan crosses
zones, of which no run is published in enough detail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Which runs a plan's error is likely to be like."""

    knowledge: str
    """One of `KNOWLEDGE`."""
    layout: str
    """One of `LAYOUTS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorClass:
    """What was learnt of the errors of such runs, each predicted by constants that were not fitted to it."""

    closeness: Closeness
    log_ratios: tuple[float, ...]
    """Per level: |log(measured / predicted)| that this share of the runs stays below."""
    num_runs: int
    num_sources: int
    is_stand_in: bool
    """Too few runs of its own: those of all layouts stand in; across zones, the widest layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLedger:
    """Every class, and what was studied."""

    levels: tuple[float, ...]
    gpu_generations: tuple[str, ...]
    frameworks: tuple[str, ...]
    classes: tuple[ErrorClass, ...]
    source: str
    date: str

    def error_class(self, closeness: Closeness) -> ErrorClass:
        """The class of `closeness`."""
        return next(each for each in self.classes if each.closeness == closeness)
