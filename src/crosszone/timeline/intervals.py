"""Ranges for the measured step, from the errors of runs that are as far from what was studied as the plan is."""

import math

from crosszone.core.closeness import LAYOUTS, Closeness, ErrorLedger
from crosszone.core.cluster import NodeGroup
from crosszone.core.plan import Plan
from crosszone.core.prediction import Interval
from crosszone.core.problem import Problem

ZONES = LAYOUTS[-1]


def intervals(step_seconds: float, closeness: Closeness, ledger: ErrorLedger) -> tuple[Interval, ...]:
    """One interval per level, [step / e^q, step e^q]: q is what that share of |log(measured / predicted)| stays below.

    The logs of errors are about as often above as below 0, so one number serves both sides, and the step is inside.
    """
    ratios = ledger.error_class(closeness).log_ratios
    return tuple(
        Interval(level=level, low_seconds=step_seconds * math.exp(-ratio), high_seconds=step_seconds * math.exp(ratio))
        for level, ratio in zip(ledger.levels, ratios, strict=True)
    )


def closeness_of(problem: Problem, plan: Plan, ledger: ErrorLedger, *, is_stand_in: bool = False) -> Closeness:
    """How near `plan` is to the runs of `ledger`; `is_stand_in`: its framework's facts are those of another."""
    groups = _node_groups(problem, plan)
    return Closeness(
        knowledge=_knowledge(problem, plan, ledger, groups, is_stand_in=is_stand_in),
        layout=_layout(plan, domain_size=min(max(group.fabric.num_gpus, 1) for group in groups)),
    )


def closeness_note(problem: Problem, plan: Plan, closeness: Closeness) -> str | None:
    """What a reader should know of intervals that do not come from runs like the plan; None where they do."""
    what = {
        "new_gpu": f"too few runs on {_generations(problem, plan)} were studied: the ranges are those of unseen GPUs",
        "new_framework": f"too few runs of {plan.framework} were studied: the ranges are those of an unseen framework",
        "new_gpu_and_framework": (
            f"too few runs on {_generations(problem, plan)} or of {plan.framework} were studied: the ranges are those "
            "of unseen GPUs and frameworks"
        ),
    }
    notes = [what[closeness.knowledge]] if closeness.knowledge in what else []
    if closeness.layout == ZONES:
        notes.append("no measured run across zones was studied: the widest range of any layout stands in")
    return f"intervals: {'; '.join(notes)}." if notes else None


def _node_groups(problem: Problem, plan: Plan) -> tuple[NodeGroup, ...]:
    places = {
        place
        for replica in plan.replicas
        for place in zip(replica.zones, replica.node_groups, strict=True)
    }  # fmt: skip
    return tuple(problem.cluster.zone(zone).node_groups[group] for zone, group in sorted(places))


def _knowledge(
    problem: Problem, plan: Plan, ledger: ErrorLedger, groups: tuple[NodeGroup, ...], *, is_stand_in: bool
) -> str:
    own = {calibration.gpu for calibration in problem.calibrations if calibration.num_runs}
    if all(group.gpu.name in own for group in groups):
        return "calibrated"
    is_gpu_new = any(_generation(group) not in ledger.gpu_generations for group in groups)
    # An older generation of a framework is called by both names, "megatron 2021"; the first is what is known.
    is_framework_new = is_stand_in or plan.framework.partition(" ")[0] not in ledger.frameworks
    names = {(False, False): "studied", (False, True): "new_framework", (True, False): "new_gpu"}
    return names.get((is_gpu_new, is_framework_new), "new_gpu_and_framework")


def _layout(plan: Plan, *, domain_size: int) -> str:
    if len(plan.zones) > 1:
        return ZONES
    if plan.tp * plan.cp > domain_size:
        return LAYOUTS[2]
    return LAYOUTS[1] if plan.tp * plan.cp * plan.pp > domain_size else LAYOUTS[0]


def _generation(group: NodeGroup) -> str:
    return group.gpu.generation


def _generations(problem: Problem, plan: Plan) -> str:
    return ", ".join(sorted({_generation(group) for group in _node_groups(problem, plan)}))
