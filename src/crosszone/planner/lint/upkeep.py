"""What keeps a training going: data and checkpoints."""

from crosszone import units
from crosszone.core.workload import Checkpoint
from crosszone.cost.reliability import daly_interval_seconds
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, passed, warned
from crosszone.timeline.dataset import NARROW_VOCABULARY

CORES_PER_GPU = 2
"""One for the process that trains and one for a worker that loads."""
MOST_LOSS_FRACTION = 0.01
"""Share of the time that an interval may lose beyond the best one."""
MOST_BLOCKED_FRACTION = 0.05


def _data_loading(case: Case) -> Judgement:
    prediction, dataset = case.prediction, case.problem.workload.dataset
    reliability = prediction.reliability
    wait = reliability.data_wait_seconds if reliability is not None else None
    holder = dataset.zone if dataset is not None else None
    if wait and prediction.train_seconds:
        share = wait / prediction.train_seconds
        text = f"zones wait {units.format_fraction(share)} of the training for data from {holder}."
        return warned(text, "Copy the dataset to every zone first.", "workload.dataset.zone=null")
    groups = list(case.node_groups().values())
    token_bytes = 2.0 if case.problem.model.vocab_size < NARROW_VOCABULARY else 4.0
    rate = prediction.tokens_per_second * token_bytes
    source = f"from {holder}" if holder else "from its own zone"
    text = f"the training reads {units.format_bytes_per_second(rate)} of tokens in all, each rank {source}"
    few = [group for group in groups if group.num_cpus and group.num_cpus < CORES_PER_GPU * group.gpus_per_node]
    if few:
        cores, gpus = few[0].num_cpus, few[0].gpus_per_node
        fix = f"Give a node {CORES_PER_GPU * gpus} cores, or load with fewer workers than cores."
        return warned(f"{text}; {cores} cores feed {gpus} GPUs.", fix)
    cores = min((group.num_cpus for group in groups if group.num_cpus), default=None)
    return passed(f"{text}; {'cores per node are not written' if cores is None else f'{cores} cores a node'}.")


def _checkpoint_interval(case: Case) -> Judgement | None:
    reliability = case.prediction.reliability
    if reliability is None or reliability.mtbf_seconds is None or reliability.checkpoint_every_seconds is None:
        return None
    every, mtbf = reliability.checkpoint_every_seconds, reliability.mtbf_seconds
    blocked = reliability.checkpoint_seconds
    best = float(daly_interval_seconds(checkpoint_seconds=blocked, mtbf_seconds=mtbf))
    extra = lost_fraction(every, blocked, mtbf) - lost_fraction(best, blocked, mtbf)
    text = (
        f"a checkpoint every {units.format_seconds(every)}, a failure every {units.format_seconds(mtbf)}; the interval "
        f"that loses least is {units.format_seconds(best)}."
    )
    if every > mtbf:
        return failed(f"{text} Most work would be lost.", "Let it be computed.", "workload.checkpoint.every=auto")
    if extra > MOST_LOSS_FRACTION:
        text += f" {units.format_fraction(extra)} of the time is lost."
        return warned(text, "Let it be computed.", "workload.checkpoint.every=auto")
    if blocked > MOST_BLOCKED_FRACTION * every and case.problem.workload.checkpoint == Checkpoint():
        text += f" Each stops training for {units.format_seconds(blocked)}."
        return warned(text, "Write them in the background.", "workload.checkpoint.async=true")
    return passed(text)


def lost_fraction(every_seconds: float, blocked_seconds: float, mtbf_seconds: float) -> float:
    """Share of the time that checkpoints and repeated work take, to first order: C / tau + tau / 2M (Young 1974)."""
    return blocked_seconds / every_seconds + every_seconds / (2.0 * mtbf_seconds)


RULES = (
    Rule(
        name="data_loading",
        about="data arrive as fast as they are consumed",
        source="PyTorch torch.utils.data: workers are processes and warn where they are more than cores",
        judge=_data_loading,
    ),
    Rule(
        name="checkpoint_interval",
        about="checkpoints about as often as loses least",
        source="Young 1974 (CACM 17(9)); Daly 2006 (Future Generation Computer Systems 22(3)), eq. 37",
        judge=_checkpoint_interval,
    ),
)
