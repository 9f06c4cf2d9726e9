"""Which framework: by what the plan asks and what memory leaves, not by the size of the model."""

from dataclasses import replace

from crosszone import units
from crosszone.core.plan import SHARDS
from crosszone.cost.memory import state_bytes
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, passed

MOST_WHOLE_FRACTION = 0.9
"""Share of a GPU's memory that states may take where each GPU holds all of them: activations need the rest."""


def _framework(case: Case) -> Judgement:
    plan = case.plan
    refusals = {name: supports(name, plan) for name in case.allowed_frameworks()}
    able = [name for name, reasons in refusals.items() if not reasons]
    text = f"this plan can be expressed by {', '.join(able) or 'none'}{_refused(refusals)}. {_replicated(case)}"
    if plan.framework not in able:
        fix = f"Take {able[0]}." if able else "Free the plan."
        settings = (f"framework.name={able[0]}",) if able else case.freeing
        return failed(text, fix, *settings)
    if case.prediction.memory.fits or plan.dp == 1 or _sharding_frameworks(case, (plan.framework,)):
        return passed(text)
    others = _sharding_frameworks(case, case.allowed_frameworks())
    fix = f"Whole replicas do not fit, and {plan.framework} cannot shard."
    if not others:
        return failed(text, fix)
    return failed(text, f"{fix} Take {others[0]}.", f"framework.name={others[0]}", f"plan.shard={SHARDS[-1]}")


def _sharding_frameworks(case: Case, names: tuple[str, ...]) -> list[str]:
    """Those of `names` that express the plan with its states sharded; the most that they can shard first."""
    able = [
        (-SHARDS.index(shard), position, name)
        for position, name in enumerate(names)
        for shard in SHARDS[1:]
        if not supports(name, replace(case.plan, shard=shard, dp_shard=case.plan.dp))
    ]
    return list(dict.fromkeys(name for _, _, name in sorted(able)))


def _refused(refusals: dict[str, tuple[str, ...]]) -> str:
    """Who cannot, each with its first reason."""
    reasons = [why[0].split(". ")[0].rstrip(".") for why in refusals.values() if why]
    return f", not by {'; '.join(reasons)}" if reasons else ""


def _replicated(case: Case) -> str:
    """What a GPU would hold where every GPU holds the whole model."""
    size = state_bytes(
        case.problem.workload, weights_are_master=framework_facts(case.plan.framework).weights_are_master
    )
    whole = case.prediction.num_parameters * (size.weight + size.gradient + size.optimizer)
    capacity = min(group.gpu.memory_bytes for group in case.node_groups().values())
    verb = "leaves room" if whole < MOST_WHOLE_FRACTION * capacity else "does not fit"
    return f"The whole model's states on every GPU, as ddp keeps them: {units.format_bytes(whole)} of " + (
        f"{units.format_bytes(capacity)}, {verb}."
    )


RULES = (
    Rule(
        name="framework",
        about="a framework that can express the plan and shard what memory needs",
        source="rules read in each framework's code (crosszone catalog frameworks); Rajbhandari et al. 2020 (ZeRO)",
        judge=_framework,
    ),
)
