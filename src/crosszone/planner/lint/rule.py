"""What a rule is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crosszone.core.answer import RankedPlan
from crosszone.core.check import Check
from crosszone.core.cluster import NodeGroup
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import PlanRequest, Problem
from crosszone.frameworks import framework_names

NAMED_PLACES = 3
"""Of more of them, a sentence says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one stage of alike replicas does in a step."""

    node_group: NodeGroup
    num_replicas: int
    stage: int
    peak_flop_per_second: float
    """Of the GPUs of this stage in one replica, at the compute precision."""
    num_layer_sequences: float
    """Layers times sequences: what it works off."""

    @property
    def relative_seconds(self) -> float:
        """Time that it works, were every GPU as far from its peak: comparable within one plan."""
        return self.num_layer_sequences / self.peak_flop_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One plan with all that is known of it."""

    problem: Problem
    plan: Plan
    prediction: Prediction
    baseline: RankedPlan | None = None
    """The best plan of one zone; None where it is not known, or there is none."""

    def node_groups(self) -> dict[tuple[str, int], NodeGroup]:
        """Node groups that work, by zone and index."""
        cluster = self.problem.cluster
        places = (place for one in self.plan.replicas for place in zip(one.zones, one.node_groups, strict=True))
        return {place: cluster.zone(place[0]).node_groups[place[1]] for place in dict.fromkeys(places)}

    def num_gpus_by_kind(self) -> dict[str, int]:
        """Working GPUs of each kind, the fastest kind first."""
        counts: dict[tuple[float, str], int] = {}
        for work in self.works():
            gpu = work.node_group.gpu
            key = -(gpu.peak(self.precision) or 0.0), gpu.name
            tp = self.plan.stages[work.stage].tp
            counts[key] = counts.get(key, 0) + work.num_replicas * tp * self.plan.cp
        return {name: counts[peak, name] for peak, name in sorted(counts)}

    def works(self) -> tuple[Work, ...]:
        """Every stage of every kind of replica."""
        plan, cluster = self.plan, self.problem.cluster
        found = []
        for replica in plan.replicas:
            for index, (zone, group) in enumerate(zip(replica.zones, replica.node_groups, strict=True)):
                nodes, stage = cluster.zone(zone).node_groups[group], plan.stages[index]
                peak = nodes.gpu.peak(self.precision) or nodes.gpu.vector_flop_per_second
                found.append(
                    Work(
                        node_group=nodes,
                        num_replicas=replica.num_replicas,
                        stage=index,
                        peak_flop_per_second=peak * stage.tp * plan.cp,
                        num_layer_sequences=stage.num_layers * plan.sequences_of(replica) // replica.num_replicas,
                    )
                )
        return tuple(found)

    @property
    def precision(self) -> str:
        """What is computed in."""
        return self.problem.workload.dtypes.compute

    def exposed_fraction(self, *names: str) -> float:
        """Share of the step in which nothing but these terms goes on."""
        terms = self.prediction.terms
        return sum(term.exposed_seconds for term in terms if term.name in names) / self.prediction.step_seconds

    @property
    def freeing(self) -> tuple[str, ...]:
        """What to set so that the planner searches the whole plan; empty where it did."""
        return () if self.problem.plan == PlanRequest() else ("plan=null",)

    def allowed_frameworks(self) -> tuple[str, ...]:
        """What may train: the job's own, those at hand, or all; the plan's first."""
        at_hand = self.problem.constraints.frameworks or framework_names()
        return tuple(dict.fromkeys((self.plan.framework, *at_hand)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a rule found."""

    verdict: str
    message: str
    fix: str = ""
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of good practice."""

    name: str
    about: str
    """What it holds a plan to, as one phrase."""
    source: str
    judge: Callable[[Case], Judgement | None]
    """None where it does not apply."""

    def check(self, case: Case) -> Check | None:
        """What it says of one plan; None where it does not apply."""
        found = self.judge(case)
        if found is None:
            return None
        return Check(
            name=self.name,
            verdict=found.verdict,
            message=found.message,
            fix=found.fix,
            settings=found.settings,
            source=self.source,
        )


def first_few(places: Sequence[str]) -> str:
    """The first places by name, and how many more there are."""
    more = f" and {len(places) - NAMED_PLACES} more" if len(places) > NAMED_PLACES else ""
    return ", ".join(places[:NAMED_PLACES]) + more


def passed(message: str) -> Judgement:
    """The plan keeps the rule."""
    return Judgement(verdict="pass", message=message)


def warned(message: str, fix: str, *settings: str) -> Judgement:
    """It costs something."""
    return Judgement(verdict="warn", message=message, fix=fix, settings=settings)


def failed(message: str, fix: str, *settings: str) -> Judgement:
    """It cannot work, or something better is known."""
    return Judgement(verdict="fail", message=message, fix=fix, settings=settings)
