"""What a search answers: plans in order, the one-zone baseline, and what was turned down and why."""

from dataclasses import dataclass

from crosszone.core.check import Check
from crosszone.core.explanation import Binding, ParetoPlan, Restriction, RunnerUp, Sensitivity
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPlan:
    """A plan with its forecast and the reasons for its place."""

    plan: Plan
    prediction: Prediction
    reasons: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    """What rules of good practice say of it, the gravest first; empty where nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPlan:
    """A neighbour of the best plan that cannot work, with the rules it breaks and their numbers."""

    plan: Plan
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What the search did. The service, which holds the clock, fills `elapsed_seconds`."""

    num_candidates: int
    """Rows that the full cost model evaluated."""
    num_pruned: int
    """Rows that a rule or a bound removed before."""
    num_feasible: int
    num_ranked: int = 0
    """Plans that differ enough to be ranked; `plans` shows the first of them."""
    gap_fraction: float | None = None
    """Share of the best plan's step that is proven to be the most that any other plan could save; None without one."""
    elapsed_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two plans that are weighed: time, cost, risk. None is unknown; totals are of the whole training."""

    zones: tuple[str, ...]
    num_gpus: int
    step_seconds: float
    low_seconds: float
    high_seconds: float
    """Nine of ten measured steps of such plans lie between the two."""
    train_seconds: float | None
    p50_seconds: float | None
    p90_seconds: float | None
    goodput_fraction: float | None
    gpu_dollars: float | None
    idle_gpu_dollars: float | None
    """Of `gpu_dollars`."""
    overhead_dollars: float | None
    """Beyond `gpu_dollars`: GPUs while they save, restart, repeat lost work, evaluate or wait for data."""
    egress_dollars: float | None
    storage_dollars: float | None
    total_dollars: float | None
    energy_joules: float | None
    expected_num_failures: float | None
    failure_probability: float | None
    """That anything fails."""
    link_failure_probability: float | None
    """That a zone link fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Span zones, or stay in one: the best plan of each."""

    spanning: Side
    alone: Side
    faster_probability: float
    """That the spanning plan is done first, by what predictions of such plans missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Plan JSON."""

    schema_version: int = 1
    problem: Problem
    plans: tuple[RankedPlan, ...]
    baseline: RankedPlan | None
    """The best plan that stays in one zone; None where none fits."""
    comparison: Comparison | None = None
    """The best plan over several zones beside the baseline; None where one of them is missing."""
    verdict: str
    search: Search
    rejected: tuple[RejectedPlan, ...]
    binding: tuple[Binding, ...] = ()
    """What keeps the best plan from being better."""
    runner_up: RunnerUp | None = None
    """The second plan against the first; None where there is no second, or nobody asked."""
    restriction: Restriction | None = None
    """What it costs that only some frameworks are allowed; None where all are, or nobody asked."""
    pareto: tuple[ParetoPlan, ...] | None = None
    """The front of time, cost and risk, the fastest first; None where nobody asked."""
    sensitivity: tuple[Sensitivity, ...] | None = None
    """None where nobody asked."""
    notes: tuple[str, ...] = ()
    """What is left out of all this, and why."""

    @property
    def assumed(self) -> tuple[str, ...]:
        """What the numbers of the best plan rest on that nobody wrote, what was learnt from own runs among it."""
        return self.plans[0].prediction.assumed if self.plans else ()

    @property
    def speedup_ratio(self) -> float | None:
        """Step of the baseline over the step of the best plan; None where there is no pair to compare."""
        if not self.plans or self.baseline is None:
            return None
        return self.baseline.prediction.step_seconds / self.plans[0].prediction.step_seconds

    @property
    def scaling_ratio(self) -> float | None:
        """`speedup_ratio` over the ratio of the GPUs that work: 1 where more GPUs pay in full.

        None as that, and where GPUs of several kinds work: their number says little.
        """
        if self.speedup_ratio is None or self.baseline is None:
            return None
        zones = (self.problem.cluster.zone(name) for name in self.plans[0].plan.zones)
        if len({group.gpu.name for zone in zones for group in zone.node_groups}) > 1:
            return None
        return self.speedup_ratio * self.baseline.plan.world_size / self.plans[0].plan.world_size
