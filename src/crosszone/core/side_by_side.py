"""Saved predictions, plans and runs side by side: every value of each, row by row."""

from dataclasses import dataclass

SECTIONS = ("inputs", "plan", "time", "terms", "memory", "links", "cost", "measured")
"""In the order of a report. `inputs` are model, workload and cluster, where they were saved with the plan."""

Value = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSide:
    """One of the things that are compared."""

    name: str
    """What it was given as, as PLANS.json#2."""
    kind: str
    """prediction | run"""
    framework: str | None
    fingerprint: str | None
    """Two sides with the same one are predictions of the same plan for the same problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """One value of every side."""

    section: str
    """One of `SECTIONS`."""
    name: str
    """Where it is in the JSON of each, as `terms[zone_agreement].exposed_seconds`."""
    values: tuple[Value, ...]
    """By side; None where it is unknown, or that side has no such value."""
    ratios: tuple[float | None, ...] | None
    """By side, against the first; None in places where one of both is unknown or zero, and where they are no numbers.
    """
    differences: tuple[float | None, ...] | None
    """By side, less the first; None in places where one of both is unknown, and where they are no numbers."""
    is_different: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Compare JSON."""

    schema_version: int = 1
    sides: tuple[ComparedSide, ...]
    rows: tuple[ComparedRow, ...]
    """By section, in the order of the first side; what another has besides comes after what precedes it there."""
