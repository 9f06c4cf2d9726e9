"""Networks inside zones."""

from crosszone import units
from crosszone.planner.lint.rule import Case, Judgement, Rule, passed, warned

NOTABLE_FRACTION = 0.05
"""Share of the step below which a difference is less than what predictions miss on average (docs/decisions/0002)."""
INSIDE = (
    *("tensor_parallel", "context_parallel", "expert_parallel"),
    *("weight_gather", "pipeline_send", "gradient_agreement"),
)
"""Terms of communication inside zones."""


def _network_oversubscription(case: Case) -> Judgement | None:
    zones = [case.problem.cluster.zone(name) for name in case.plan.zones]
    worst = max(zones, key=lambda zone: zone.oversubscription)
    if worst.oversubscription <= 1.0:
        return passed(f"no core of {len(zones)} {'zone' if len(zones) == 1 else 'zones'} is oversubscribed.")
    share = case.exposed_fraction(*INSIDE)
    text = (
        f"the core of {worst.name} carries 1/{worst.oversubscription:g} of its nodes' network; communication inside "
        f"zones is exposed for {units.format_fraction(share)} of the step."
    )
    if share < NOTABLE_FRACTION:
        return passed(text)
    fix = "Keep groups that talk most on neighbouring nodes, or see what a full core would save."
    return warned(text, fix, f"zones[{worst.name}].oversubscription=1")


def _tp_in_fabric(case: Case) -> Judgement | None:
    plan = case.plan
    if plan.tp == 1:
        return None
    groups = case.node_groups()
    place, nodes = min(groups.items(), key=lambda item: item[1].fabric.num_gpus)
    reach = nodes.fabric.num_gpus
    share = units.format_fraction(case.exposed_fraction("tensor_parallel"))
    text = f"tp {plan.tp} over a {nodes.fabric.kind} fabric of {reach} GPUs in {place[0]}"
    if plan.tp <= reach:
        return passed(f"{text}: {share} of the step is exposed.")
    legal = max(tp for tp in range(1, reach + 1) if reach % tp == 0 and case.problem.model.num_heads % tp == 0)
    fix = f"Set tp to {legal}, and more stages or shards in its place."
    return warned(f"{text} leaves it: {share} of the step is exposed.", fix, f"plan.tp={legal}", "plan.dp=null")


RULES = (
    Rule(
        name="network_oversubscription",
        about="an oversubscribed core does not slow the step",
        source="oversubscription of the job file, terms of the prediction",
        judge=_network_oversubscription,
    ),
    Rule(
        name="tp_in_fabric",
        about="tensor parallel ranks share one fabric",
        source="Narayanan et al. 2021 (SC21), sec. 3.2, takeaway 1: tensor parallelism up to the GPUs of a node",
        judge=_tp_in_fabric,
    ),
)
