"""Why a plan is not the one that is chosen."""

from dataclasses import dataclass

from crosszone.core.answer import RankedPlan
from crosszone.core.explanation import Difference
from crosszone.core.whatif import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """An asked plan beside the chosen one."""

    schema_version: int = 1
    asked: str
    verdict: str
    is_possible: bool
    """Whether it fits, a framework that is allowed can express it, nothing needs consent, and the limits are kept."""
    reasons: tuple[str, ...]
    """Why it is not possible, every one; else why it is not chosen."""
    chosen: RankedPlan | None
    """The best plan that is known; None where nothing fits."""
    plan: RankedPlan | None
    """The best plan that is as asked, or, where none fits, the nearest; None where there is none at all."""
    difference: Difference | None
    """What the asked plan has more than the chosen; None where one is missing."""
    changes: tuple[Change, ...]
    """Every number of the prediction, `base` of the chosen plan, `changed` of the asked."""
    neighbours: tuple[RankedPlan, ...]
    """Where it is not possible: plans nearby that are, each with what differs as its reason; nearest first."""
