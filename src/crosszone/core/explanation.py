"""What is told of a search beside its plans: the front, what binds, what other plans, hardware and frameworks do."""

from dataclasses import dataclass

from crosszone.core.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class TermDifference:
    """One term of the step in two plans."""

    name: str
    base_seconds: float
    """Exposed; 0 where the plan has no such term."""
    other_seconds: float
    difference_seconds: float
    """other - base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What another plan has more (positive) or less than a base. None where one of the two is unknown."""

    step_seconds: float
    step_ratio: float
    """Step of the other / step of the base."""
    p50_seconds: float | None
    """Of the finish."""
    total_dollars: float | None
    """Of the whole training."""
    peak_bytes: float
    zone_link_bytes: float
    """Over all zone links in a step."""
    terms: tuple[TermDifference, ...]
    """They add up to `step_seconds`; the largest difference first."""
    message: str
    """The same in a sentence: which terms make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The second plan of the ranking."""

    plan: Plan
    difference: Difference
    """Against the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One constraint that keeps the best plan from being better."""

    constraint: str
    """memory | batch | heads | fabric | layers | links | deadline | budget | egress | replica_batch"""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPlan:
    """A plan than which none is better in time, cost and risk at once. None is unknown."""

    plan: Plan
    rank: int | None
    """Its place in `plans`, 1 first; None where it is not among them."""
    step_seconds: float
    p50_seconds: float | None
    p90_seconds: float | None
    total_dollars: float | None
    """Of the whole training; None without `train_tokens` too."""
    step_dollars: float | None
    """Rent and egress of one step, failures left out."""
    mtbf_seconds: float | None
    """Mean time between failures of what the plan needs."""
    expected_num_failures: float | None
    failure_probability: float | None
    reason: str
    """What it is best in, or what it gives for what, against the fastest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What one change of the job is worth, the plan searched anew."""

    change: str
    kind: str
    """link | links | rtt | nodes | gpu | batch | precision | offload"""
    plan: Plan | None
    """None where nothing can be planned then; `note` says why."""
    is_same_plan: bool
    """Whether the plan has the degrees, zones and ways of the one that is the best now."""
    step_seconds: float | None
    seconds_saved: float | None
    """Of a step with the tokens of the job's; negative: it takes longer."""
    saved_fraction: float | None
    """Share of the step."""
    dollars_saved: float | None
    """Over the whole training; None where a price or the tokens are unknown."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """What it costs that only some frameworks are allowed."""

    frameworks: tuple[str, ...]
    """Those that are allowed."""
    plan: Plan | None
    """The best plan of any other framework; None where none is better."""
    step_seconds: float | None
    """Of that plan."""
    saved_fraction: float
    """Share of what the job minimises that the plan would save; 0 where none is better."""
    message: str
