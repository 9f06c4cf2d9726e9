"""One row as a problem and a plan: what `crosszone predict` would be asked."""

from dataclasses import dataclass

from crosszone.core.framework import Framework
from crosszone.core.model import Model
from crosszone.core.plan import Plan, Replica, Stage
from crosszone.core.problem import Problem
from crosszone.core.workload import Workload
from crosszone.errors import SpecError
from crosszone.verify.hardware import ZONE, gpu_of, site_of
from crosszone.verify.measured import Measured, measurements
from crosszone.verify.row import Row
from crosszone.verify.shape import model_of
from crosszone.verify.software import (
    Software,
    attention_of,
    dtypes_of,
    recompute_of,
    shard_degree,
    shard_of,
    software_of,
)

MICROBATCH_SIZE = 1
MAX_ASSUMED_VIRTUAL_STAGES = 4
"""Published runs of Megatron-LM have 1 to 4 where each would divide the layers (Narayanan et al. 2021, table 1)."""
DEGREES = ("tp", "pp", "cp", "ep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row, ready to be predicted."""

    row: Row
    problem: Problem
    plan: Plan
    framework: Framework
    measured: tuple[Measured, ...]


def case_of(row: Row) -> Case:
    """Read all of `row`; what it lists as assumed is filled on the way.

    Errors: SpecError with a reason where the row cannot be expressed or measured nothing.
    """
    gpu, model = gpu_of(row), model_of(row)
    degrees = {name: _degree(row, name) for name in DEGREES}
    block = degrees["tp"] * degrees["pp"] * degrees["cp"]
    num_gpus, dp = _num_gpus(row, block)
    site = site_of(row, gpu, num_gpus)
    software = software_of(row)
    workload = Workload(
        sequence_length=_needed(row, "seq_len"),
        global_batch_size=_global_batch(row, dp),
        dtypes=dtypes_of(row, gpu, software),
        attention=attention_of(row),
        trainable=_trainable(row),
    )
    problem = Problem(model=model, workload=workload, cluster=site.cluster, framework=software.facts.name)
    plan = _plan(row, problem, software, degrees, dp)
    return Case(
        row=row,
        problem=problem,
        plan=plan,
        framework=software.facts,
        measured=measurements(row, problem, plan),
    )


def spread_layers(num_layers: int, pp: int) -> tuple[int, ...]:
    """Layers of each stage where pp does not divide them: the middle stages hold one more than the ends.

    The ends have the embedding and the head to do, as in BLOOM (70 layers on 12 stages) and Llama 3.1 405B (126 on
    16), whose depths were chosen so.
    """
    each, more = divmod(num_layers, pp)
    fewer = pp - more
    at_end, at_start = (fewer + 1) // 2, fewer // 2
    return tuple(each + (at_start <= stage < pp - at_end) for stage in range(pp))


def dealt_layers(model: Model, pp: int) -> tuple[int, ...]:
    """Layers of each stage where they are dealt out by parameters, the head's h*V counted with them.

    A stage takes blocks until it has its part of the total, so that the last may hold the head alone.
    Source: nanotron 0.5, models/base.py, build_model, where it takes until its part is exceeded; but where the parts
    come out even, memory and time of the Ultra-Scale Playbook's runs are those of the smaller first stage.
    """
    layer = 4 * model.hidden_size**2 + 3 * model.ffn_size * model.hidden_size
    total = layer * model.num_layers + model.vocab_size * model.hidden_size
    counts, stage = [0] * pp, 0
    for index in range(model.num_layers):
        counts[stage] += 1
        if layer * (index + 1) * pp >= total * (stage + 1):
            stage += 1
    return tuple(counts)


def _degree(row: Row, name: str) -> int:
    degree = row.count(name)
    if degree is None:
        row.assume(name, 1)
    return degree or 1


def _num_gpus(row: Row, block: int) -> tuple[int, int]:
    """(GPUs, dp): the one follows from the other."""
    num_gpus, dp = row.count("n_gpus"), row.count("dp")
    if num_gpus is None:
        if dp is None:
            raise SpecError.of("n_gpus is blank, and dp too.")
        row.assume("n_gpus", block * dp, "tp*pp*cp*dp")
        return block * dp, dp
    if num_gpus % block:
        raise SpecError.of(f"tp*pp*cp = {block} does not divide n_gpus = {num_gpus}.")
    if dp is not None and dp * block != num_gpus:
        raise SpecError.of(f"tp*pp*cp*dp = {dp * block}, but n_gpus is {num_gpus}.")
    return num_gpus, num_gpus // block


def _needed(row: Row, name: str) -> int:
    value = row.count(name)
    if value is None:
        raise SpecError.of(f"{name} is blank.")
    return value


def _global_batch(row: Row, dp: int) -> int:
    batch = row.count("global_batch")
    if batch is not None:
        return batch
    accumulation, size = row.count("grad_accum"), row.count("micro_batch")
    if accumulation is None:
        raise SpecError.of("global_batch is blank, and grad_accum does not give it.")
    row.assume("global_batch", dp * accumulation * (size or MICROBATCH_SIZE), "dp * grad_accum * micro_batch")
    return dp * accumulation * (size or MICROBATCH_SIZE)


def _microbatch_size(row: Row, per_replica: int, num_microbatches: int) -> int:
    size, accumulation = row.count("micro_batch"), row.count("grad_accum")
    if size is not None:
        return size
    if accumulation is not None and per_replica % accumulation == 0:
        row.assume("micro_batch", per_replica // accumulation, "global_batch / (dp * grad_accum)")
        return per_replica // accumulation
    if num_microbatches > 1 and per_replica % num_microbatches == 0:
        row.assume("micro_batch", per_replica // num_microbatches, "as many microbatches as stages, the default")
        return per_replica // num_microbatches
    row.assume("micro_batch", MICROBATCH_SIZE)
    return MICROBATCH_SIZE


def _trainable(row: Row) -> str:
    if row.text("task").lower() == "lora":
        raise SpecError.of("task is lora: training of adapters alone is not modelled.")
    return "all"


def _plan(row: Row, problem: Problem, software: Software, degrees: dict[str, int], dp: int) -> Plan:
    tp, pp, cp, ep = (degrees[name] for name in DEGREES)
    batch, model = problem.workload.global_batch_size, problem.model
    if batch % dp:
        raise SpecError.of(f"global_batch = {batch} is not shared evenly by dp = {dp} replicas.")
    size = _microbatch_size(row, batch // dp, pp if software.one_microbatch_a_stage else 1)
    if batch % (dp * size):
        raise SpecError.of(f"dp * micro_batch = {dp * size} does not divide global_batch = {batch}.")
    count = batch // (dp * size)
    virtual = _virtual_stages(row, model, pp, count if software.interleaves else 1)
    _check_layers(model, pp=pp, virtual=virtual, num_microbatches=count)
    _check_experts(model, ep=ep, num_ranks=tp * cp * dp)
    shard, recompute = shard_of(row), recompute_of(row)
    counts = dealt_layers(model, pp) if software.balances_head else spread_layers(model.num_layers, pp)
    per_node = problem.cluster.zones[0].node_groups[0].gpus_per_node // (tp * cp) or 1
    return Plan(
        framework=software.facts.name,
        tp=tp,
        pp=pp,
        cp=cp,
        ep=ep,
        dp=dp,
        dp_shard=1 if shard == "none" else shard_degree(row, dp=dp, ranks_per_node=per_node),
        num_virtual_stages=virtual,
        microbatch_size=size,
        schedule="interleaved_1f1b" if virtual > 1 else "1f1b",
        sequence_parallel=_sequence_parallel(row, tp),
        shard=shard,
        recompute=recompute,
        stages=_stages(counts, tp, dp, recompute),
        replicas=(
            Replica(
                num_replicas=dp,
                zones=(ZONE,) * pp,
                node_groups=(0,) * pp,
                num_microbatches=count,
                weight=1.0,
            ),
        ),
    )


def _virtual_stages(row: Row, model: Model, pp: int, num_microbatches: int) -> int:
    """As stated; else as many as a stage's layers can be dealt out to, `MAX_ASSUMED_VIRTUAL_STAGES` at most.

    1 where interleaving cannot be: without a pipeline, or with microbatches that are no multiple of pp.
    """
    if pp == 1:
        return 1
    virtual = row.count("vpp")
    if virtual is None:
        each, rest = divmod(model.num_layers, pp)
        can = rest == 0 and num_microbatches % pp == 0
        fitting = [count for count in range(1, MAX_ASSUMED_VIRTUAL_STAGES + 1) if each % count == 0]
        virtual = max(fitting) if can else 1
        row.assume("vpp", virtual, "not stated; this framework interleaves where it can" if can else "not stated")
    return virtual


def _check_layers(model: Model, *, pp: int, virtual: int, num_microbatches: int) -> None:
    if model.num_layers < pp * virtual:
        raise SpecError.of(f"{model.num_layers} layers are fewer than pp*vpp = {pp * virtual} pieces.")
    if virtual > 1 and num_microbatches % pp:
        raise SpecError.of(f"{num_microbatches} microbatches are no multiple of pp = {pp}, as interleaved 1F1B needs.")


def _check_experts(model: Model, *, ep: int, num_ranks: int) -> None:
    if ep > 1 and not model.num_experts:
        raise SpecError.of(f"ep = {ep}, but {model.name} has no experts.")
    if ep > 1 and (model.num_experts % ep or num_ranks % ep):
        message = f"ep = {ep} does not divide {model.num_experts} experts, or tp*cp*dp = {num_ranks} ranks."
        raise SpecError.of(message)


def _sequence_parallel(row: Row, tp: int) -> bool:
    stated = row.flag("sequence_parallel")
    if stated is None and tp > 1:
        row.assume("sequence_parallel", "yes")
    return tp > 1 and stated is not False


def _stages(counts: tuple[int, ...], tp: int, dp: int, recompute: str) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            first_layer=sum(counts[:stage]),
            num_layers=count,
            zone=ZONE,
            node_group=0,
            tp=tp,
            dp=dp,
            recompute=recompute,
        )
        for stage, count in enumerate(counts)
    )
