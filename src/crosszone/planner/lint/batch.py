"""The batch against GPUs, stages and replicas."""

import math

from crosszone import units
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, first_few, passed, warned
from crosszone.timeline.money import rents_per_second

MOST_BUBBLE_FRACTION = 0.15
"""Of the step; with 1F1B it is reached below some five microbatches a stage."""
WANTED_BUBBLE_FRACTION = 0.1
NOTABLE_FRACTION = 0.1
"""Share of the step from which agreeing, gathering or launching is worth another batch."""
MOST_UNEVEN_FRACTION = 0.1
AGREEMENTS = ("gradient_agreement", "zone_agreement", "embedding_agreement")


def _pipeline_fill(case: Case) -> Judgement | None:
    plan, bubble = case.plan, case.prediction.bubble_fraction
    if plan.pp == 1:
        return None
    fewest = min(replica.num_microbatches for replica in plan.replicas)
    text = f"{fewest} microbatches for {plan.pp} stages: the bubble is {units.format_fraction(bubble)} of the step."
    if fewest >= plan.pp and bubble < MOST_BUBBLE_FRACTION:
        return passed(text)
    # 1F1B: bubble = (pp - 1) / (v m + pp - 1).
    chunks = plan.num_virtual_stages
    wanted = math.ceil((plan.pp - 1) / chunks * (1.0 - WANTED_BUBBLE_FRACTION) / WANTED_BUBBLE_FRACTION)
    if plan.microbatch_size > 1:
        size = max(plan.microbatch_size * fewest // max(wanted, 1), 1)
        while case.problem.workload.global_batch_size % size:
            size -= 1
        fix, setting = f"Split the batch into microbatches of {size}.", f"plan.microbatch_size={size}"
    else:
        batch = max(wanted, plan.pp) * plan.dp * plan.microbatch_size
        fix = f"{max(wanted, plan.pp)} microbatches a replica would leave {WANTED_BUBBLE_FRACTION:.0%}; it changes the "
        fix, setting = f"{fix}batch. Or take fewer stages.", f"workload.global_batch_size={batch}"
    return (failed if fewest < plan.pp else warned)(text, fix, setting)


def _gradient_accumulation(case: Case) -> Judgement | None:
    if case.plan.dp == 1:
        return None
    share = case.exposed_fraction(*AGREEMENTS)
    text = (
        f"{case.prediction.num_microbatches} microbatches are accumulated before dp {case.plan.dp} agrees, which is "
        f"exposed for {units.format_fraction(share)} of the step."
    )
    if share < NOTABLE_FRACTION:
        return passed(text)
    batch = 2 * case.problem.workload.global_batch_size
    fix = "Twice the batch about halves that share; it changes training, so scale the learning rate."
    return warned(text, fix, f"workload.global_batch_size={batch}")


def _weight_gathers(case: Case) -> Judgement | None:
    plan, share = case.plan, case.exposed_fraction("weight_gather")
    if plan.shard != "parameters" or plan.dp_shard == 1:
        return None
    text = (
        f"weights are gathered over {plan.dp_shard} ranks for each of {case.prediction.num_microbatches} microbatches, "
        f"exposed for {units.format_fraction(share)} of the step."
    )
    if share < NOTABLE_FRACTION:
        return passed(text)
    size = 2 * plan.microbatch_size
    if case.problem.workload.global_batch_size % size == 0:
        fix = "Larger microbatches gather less often, if memory allows."
        return warned(text, fix, f"plan.microbatch_size={size}")
    return warned(text, "Shard gradients only, if memory allows.", "plan.shard=gradients")


def _batch_per_gpu(case: Case) -> Judgement:
    plan, workload = case.plan, case.problem.workload
    launch = case.exposed_fraction("kernel_launch")
    text = (
        f"{workload.global_batch_size} sequences on {plan.world_size} GPUs: dp {plan.dp}, microbatches of "
        f"{plan.microbatch_size}; launching kernels is exposed for {units.format_fraction(launch)} of the step."
    )
    size = 2 * plan.microbatch_size
    if launch < NOTABLE_FRACTION or workload.global_batch_size % (size * plan.dp):
        return passed(text)
    return warned(text, "Larger microbatches keep a GPU busier.", f"plan.microbatch_size={size}")


def _even_replicas(case: Case) -> Judgement | None:
    counts = [(replica.num_replicas, replica.num_microbatches) for replica in case.plan.replicas]
    if case.plan.dp == 1 or len(case.num_gpus_by_kind()) > 1:
        return None
    most, total = max(count for _, count in counts), sum(number * count for number, count in counts)
    waiting = 1.0 - total / (most * case.plan.dp)
    listed = " and ".join(str(count) for count in sorted({count for _, count in counts}))
    waits = units.format_fraction(waiting)
    text = f"replicas on like GPUs work off {listed} microbatches each, and wait {waits} of the step."
    if waiting < MOST_UNEVEN_FRACTION:
        return passed(text)
    batch = case.plan.dp * case.plan.microbatch_size * most
    return warned(text, f"A batch of {batch} sequences is even.", f"workload.global_batch_size={batch}")


def _idle_gpus(case: Case) -> Judgement | None:
    num_idle, total = sum(idle.num_gpus for idle in case.plan.idle_gpus), case.problem.cluster.num_gpus
    if not num_idle:
        return passed(f"all {total} GPUs work.")
    _, rent = rents_per_second(case.problem, case.plan)
    price = f", {units.format_dollars(units.SECONDS_PER_HOUR * rent)} an hour" if rent else ""
    text = f"{num_idle} of {total} GPUs idle{price}: {first_few(_idle_places(case))}."
    return warned(text, 'Return them, or free what the job file fixes: see "What binds it".')


def _idle_places(case: Case) -> list[str]:
    """How many of which kind, and where."""
    return [
        f"{idle.num_gpus} {case.problem.cluster.zone(idle.zone).node_groups[idle.node_group].gpu.name} in {idle.zone}"
        for idle in case.plan.idle_gpus
    ]


def _stage_balance(case: Case) -> Judgement | None:
    plan, layers = case.plan, case.problem.model.num_layers
    if plan.pp == 1 or len(case.num_gpus_by_kind()) > 1:
        return None
    most = max(stage.num_layers for stage in plan.stages)
    waiting = 1.0 - layers / (most * plan.pp)
    text = f"{layers} layers on {plan.pp} stages, {most} at most: {units.format_fraction(waiting)} of the stages wait."
    is_chosen = case.problem.plan.stages is None and layers % plan.pp == 0  # an even cut was at hand
    if waiting < MOST_UNEVEN_FRACTION or is_chosen:
        return passed(text)
    near = min((pp for pp in range(1, layers + 1) if layers % pp == 0), key=lambda pp: (abs(pp - plan.pp), pp))
    return warned(text, f"pp {near} divides the layers.", f"plan.pp={near}", "plan.dp=null")


SC21 = "Narayanan et al. 2021 (SC21), sec. 2.2 and 3.3"
RULES = (
    Rule(name="pipeline_fill", about="enough microbatches to fill the pipeline", source=SC21, judge=_pipeline_fill),
    Rule(
        name="gradient_accumulation",
        about="enough work between two agreements on gradients",
        source="Li et al. 2020 (PyTorch Distributed, VLDB), sec. 3.2.4; Goyal et al. 2017 (arXiv 1706.02677), sec. 2.1",
        judge=_gradient_accumulation,
    ),
    Rule(
        name="weight_gathers",
        about="sharded weights are not gathered too often",
        source="Zhao et al. 2023 (PyTorch FSDP, VLDB), sec. 3.3.4",
        judge=_weight_gathers,
    ),
    Rule(name="batch_per_gpu", about="microbatches large enough to keep a GPU busy", source=SC21, judge=_batch_per_gpu),
    Rule(
        name="even_replicas",
        about="like replicas work off as many microbatches",
        source="own arithmetic",
        judge=_even_replicas,
    ),
    Rule(name="idle_gpus", about="every GPU works", source="the plan", judge=_idle_gpus),
    Rule(name="stage_balance", about="stages hold as many layers", source=SC21, judge=_stage_balance),
)
