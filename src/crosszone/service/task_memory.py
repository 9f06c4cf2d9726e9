"""What of a task does not fit in memory, and what would make it, in the words of its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crosszone import units
from crosszone.errors import CrossZoneError, Finding

if TYPE_CHECKING:
    from crosszone.core.answer import RankedPlan
    from crosszone.core.problem import Problem

RULES = ("sharding", "memory_headroom")
"""Rules of good practice whose fixes save memory, what costs least time first."""
MOST_FIXES = 4
"""One after another: sharding, another framework with it, recompute, smaller microbatches."""
_SEARCH = "plan=null"
_UNSAID = "plan.dp_shard"
"""A fix sets it to follow from what is sharded; a request has no such key."""
_KEYS = {"plan.microbatch_size": "microBatchSize", "framework.name": "framework"}
"""Key of a job file, and what a request calls it."""


def memory_finding(job: Mapping[str, Any], problem: Problem, ranked: RankedPlan, *, where: str) -> Finding:
    """Why the plan of a job does not fit, with both numbers, and what would: tried, not guessed."""
    from crosszone.spec.task_request import bilingual

    memory = ranked.prediction.memory
    needs, has = units.format_bytes(memory.peak_bytes), units.format_bytes(memory.capacity_bytes)
    english = f"it does not fit in memory: the fullest GPU needs {needs} and has {has}."
    chinese = f"显存不足：占用最多的 GPU 需要 {needs}，而它只有 {has}"
    hint = _mended(job, ranked) or _searched(job) or _too_small(problem, ranked)
    return bilingual("memory", where, english, chinese, hint)


def _mended(job: Mapping[str, Any], ranked: RankedPlan) -> str:
    """What the rules' own fixes come to, one after another until the plan fits; empty where they do not get there."""
    settings: dict[str, str] = {}
    found: RankedPlan | None = ranked
    for _ in range(MOST_FIXES):
        fixes = {} if found is None else _fixes(found)
        if not fixes:
            return ""
        settings |= fixes
        found = _predicted(job, settings)
        if found is not None and found.prediction.memory.fits:
            said = _listed(settings)
            return f"Set {said}: the fullest GPU then needs {_peak(found)}." if said else ""
    return ""


def _fixes(ranked: RankedPlan) -> dict[str, str]:
    """The settings of the first rule that has any, by key."""
    failed = {check.name: check for check in ranked.checks if check.verdict == "fail"}
    found = [failed[name].settings for name in RULES if name in failed and failed[name].settings]
    first = () if not found or _SEARCH in found[0] else found[0]
    return dict(setting.split("=", 1) for setting in first)


def _searched(job: Mapping[str, Any]) -> str:
    """The plan that is found where nothing is fixed; empty where none fits."""
    found = _predicted(job, {"plan": "null", "framework": "null"})
    if found is None or not found.prediction.memory.fits:
        return ""
    plan = found.plan
    offload = "" if plan.offload == "none" else f" and offload={plan.offload}"
    degrees = f"tp={plan.tp}, pp={plan.pp}, dp={plan.dp}{offload}"
    return f"Leave the framework and its strategy open: {plan.framework} with {degrees} needs {_peak(found)}."


def _too_small(problem: Problem, ranked: RankedPlan) -> str:
    """What to do where no plan helps, with what must be kept and what there is."""
    from crosszone.cost.memory import state_bytes
    from crosszone.frameworks import framework_facts

    facts = framework_facts(ranked.plan.framework)
    size = state_bytes(problem.workload, weights_are_master=facts.weights_are_master)
    states_bytes = ranked.prediction.num_parameters * (size.weight + size.gradient + size.optimizer)
    groups = [group for zone in problem.cluster.zones for group in zone.node_groups]
    whole_bytes = sum(group.num_gpus * group.gpu.memory_bytes for group in groups)
    return (
        "Take more GPUs or larger ones: weights, gradients and optimizer states are "
        f"{units.format_bytes(states_bytes)}, and these {sum(group.num_gpus for group in groups)} GPUs have "
        f"{units.format_bytes(whole_bytes)} together."
    )


def _predicted(job: Mapping[str, Any], settings: Mapping[str, str]) -> RankedPlan | None:
    """The job's plan with keys of the job file set; None where it is then none."""
    from crosszone.service.verbs import changed_problem, predict

    try:
        return predict(changed_problem(dict(job), [f"{key}={value}" for key, value in settings.items()]))
    except CrossZoneError:
        return None


def _peak(ranked: RankedPlan) -> str:
    return units.format_bytes(ranked.prediction.memory.peak_bytes)


def _listed(settings: Mapping[str, str]) -> str:
    """Settings of a job file, as keys of a request: "zeroStage=1 and framework=deepspeed"; empty where it has none."""
    from crosszone.spec.task_request import ZERO_STAGES

    said = [
        f"zeroStage={ZERO_STAGES.index(value)}" if key == "plan.shard" else f"{_KEYS.get(key, key)}={value}"
        for key, value in settings.items()
        if key != _UNSAID
    ]
    return " and ".join(part for part in (", ".join(said[:-1]), *said[-1:]) if part)
