"""Which framework to take for a job: what each can do with the chosen plan, and its own best one."""

from dataclasses import dataclass

from crosszone.core.answer import RankedPlan
from crosszone.core.explanation import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkOption:
    """One framework."""

    framework: str
    is_allowed: bool
    """By the job file: its `framework` and `constraints.frameworks`."""
    can_deploy: bool | None = None
    """Whether `crosszone deploy` writes bundles for it; None: not asked."""
    reasons: tuple[str, ...]
    """Why it cannot express the chosen plan, every one; empty where it can."""
    as_chosen: RankedPlan | None
    """The chosen plan under this framework; None where it cannot express it, or nothing is chosen."""
    best: RankedPlan | None
    """The best plan that it can express; None where none fits."""
    obstacles: tuple[str, ...] = ()
    """Why there is no best plan."""
    more_fraction: float | None = None
    """What its best plan takes more of what the job minimises, as a share of what the chosen plan takes; below 0: less.
    None where there is none, or a price is unknown."""
    difference: Difference | None = None
    """What its best plan has more than the chosen one; None for the chosen one itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkChoice:
    """All frameworks for one job."""

    schema_version: int = 1
    recommended: str | None
    """None where no framework that is allowed has a plan that fits."""
    chosen: RankedPlan | None
    """Its best plan: the one that `crosszone plan` chooses."""
    verdict: str
    reasons: tuple[str, ...]
    """Why it is recommended, and what keeps the others from it."""
    options: tuple[FrameworkOption, ...]
    """Those that have a plan first, by what it takes; then the others by name."""
